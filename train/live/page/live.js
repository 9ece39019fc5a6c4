// Asks the training for its numbers, and draws them anew.
'use strict';

const WIDTH = 340, HEIGHT = 190, LEFT = 44, BOTTOM = 26, TOP = 10, RIGHT = 8;

// About four round numbers from low to high.
function ticks(low, high) {
  const raw = (high - low) / 4 || 1, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(f => f * power).find(s => s >= raw * 0.999);
  const out = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-6; v += step) out.push(v);
  return out;
}

// Lines [{points: [[x, y]], class, opacity, dots}] on axes whose words are `across` and `title`.
function chart(title, across, lines, shown = num) {
  const finite = lines.flatMap(l => l.points).filter(p => p.every(Number.isFinite));
  if (finite.length === 0)
    return el('div', {}, el('h3', {text: title}), el('p', {class: 'note', text: 'Nothing yet.'}));
  const range = i => {
    const values = finite.map(p => p[i]);
    const low = Math.min(...values);
    const high = Math.max(...values);
    return low === high ? [low - 0.5, high + 0.5] : [low, high];
  };
  const [x0, x1] = range(0), [y0, y1] = range(1);
  const x = v => LEFT + (v - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT);
  const y = v => TOP + (y1 - v) / (y1 - y0) * (HEIGHT - TOP - BOTTOM);
  const label = `${title}, by ${across}: from ${shown(finite[0][1])} to ` +
      `${shown(finite[finite.length - 1][1])}`;
  const drawing = svg('svg', {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': label});
  const text = (content, attributes) => {
    const node = svg('text', attributes);
    node.textContent = content;
    drawing.append(node);
  };
  for (const v of ticks(y0, y1)) {
    drawing.append(svg('line', {x1: LEFT, x2: WIDTH - RIGHT, y1: y(v), y2: y(v), class: 'grid'}));
    text(shown(v), {x: LEFT - 5, y: y(v) + 4, 'text-anchor': 'end'});
  }
  for (const v of ticks(x0, x1)) text(num(v), {x: x(v), y: HEIGHT - 10, 'text-anchor': 'middle'});
  const foot = HEIGHT - BOTTOM;
  drawing.append(svg('line', {x1: LEFT, x2: WIDTH - RIGHT, y1: foot, y2: foot, class: 'axis'}));
  for (const line of lines) {
    const points = line.points.filter(p => p.every(Number.isFinite));
    drawing.append(svg('polyline', {
      points: points.map(p => `${x(p[0]).toFixed(1)},${y(p[1]).toFixed(1)}`).join(' '),
      class: `line ${line.class ?? ''}`,
      'stroke-opacity': line.opacity ?? 1
    }));
    if (line.dots)
      for (const p of points)
        drawing.append(svg('circle', {cx: x(p[0]), cy: y(p[1]), r: 2.5, class: 'dot'}));
  }
  return el('div', {}, el('h3', {text: `${title} by ${across}`}), drawing);
}

function drawCurves({train, evaluations}) {
  const split = evaluations[0]?.split === 'val' ? 'validation' : 'test';
  const value = v => v ?? NaN;
  const both = (name, other) =>
      [{points: train.map(p => [p.step, value(p[name])])},
       {points: evaluations.map(p => [p.step, value(p[other])]), class: 'test', dots: true},
  ];
  fill(
      byId('curves'), chart('Loss', 'step', both('loss', 'loss')),
      chart('Accuracy', 'step', both('accuracy', 'top1'), v => `${num(100 * v)} %`),
      el('p', {class: 'key'}, el('b', {text: 'training'}), ' (augmented pictures), ',
         el('b', {class: 'test', text: split})));
}

function drawSpectra({layers, spectra}) {
  fill(
      byId('spectra'),
      layers.map(
          (layer, at) => chart(
              layer.path.replace(/\.out$/, ''), 'frequency (of Nyquist)',
              spectra.map((look, i) => ({
                            points: look.layers[at].map((v, k) => [2 * k / layer.side, v ?? NaN]),
                            opacity: 0.15 + 0.85 * (i + 1) / spectra.length
                          })))));
}

function drawPictures({side, labels, pixels, probabilities, epoch}, classes) {
  if (!probabilities) return;
  byId('pictures-note').textContent = `After epoch ${epoch}: the likeliest class of each.`;
  const size = side * side * 3;
  fill(byId('pictures'), probabilities.map((row, i) => {
    const bytes = Uint8Array.from(
        {length: size},
        (_, k) => parseInt(pixels.slice(2 * (i * size + k), 2 * (i * size + k) + 2), 16));
    const canvas = el('canvas', {role: 'img', 'aria-label': `Picture ${i + 1}`});
    drawPicture(canvas, bytes, side);
    const best = row.indexOf(Math.max(...row)), right = best === labels[i];
    const truth = labels[i] < 0 || right ? '' : `it is ${classes[labels[i]]}`;
    return el(
        'div', {}, canvas, el('p', {
          class: right ? 'right' : 'wrong',
          text: `${right ? '✓' : '✗'} ${classes[best]} ` +
              `(${percent(row[best])})`
        }),
        el('p', {class: 'note', text: truth}));
  }));
}

function draw(state) {
  const {curves} = state, now = curves.train.at(-1), last = curves.evaluations.at(-1);
  drawCurves(curves);
  drawSpectra(state);
  drawPictures(state.pictures, state.classes);
  const test = last ? ` The last evaluation, after epoch ${last.epoch}: ` +
          `${percent(last.top1 ?? NaN)} right.` :
                      '';
  byId('status').textContent = now ?
      `Epoch ${now.epoch}, step ${now.step}: loss ${num(now.loss ?? NaN)}.${test}` :
      'The training has begun.';
}

// A run that ends takes its server along: then the page keeps what it has.
async function follow() {
  for (let missed = 0; missed < 3;) {
    try {
      const answer = await fetch(`state${location.search}`, {cache: 'no-store'});
      draw(await answer.json());
      missed = 0;
    } catch {
      ++missed;
    }
    await new Promise(resolve => setTimeout(resolve, 2000));
  }
  byId('status').textContent += ' The training answers no more: it has ended.';
}
follow();
