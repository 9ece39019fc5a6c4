// Small tools for the page: elements, numbers, colours, maps on a canvas.

// An element with properties ({class, text, on: {click}, ...attributes}) and children.
function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'text')
      node.textContent = value;
    else if (name === 'on')
      for (const [event, f] of Object.entries(value)) node.addEventListener(event, f);
    else if (name === 'value')
      node.value = value;
    else
      node.setAttribute(name, value === true ? '' : value);
  }
  node.append(
      ...children.flat().filter(child => child !== undefined && child !== null && child !== ''));
  return node;
}

const byId = id => document.getElementById(id);
const fill = (node, ...children) => {
  node.replaceChildren(...children.flat().filter(Boolean));
  return node;
};

// A number with three significant digits and a true minus sign.
function num(v, digits = 3) {
  if (!Number.isFinite(v)) return '–';
  if (v === 0) return '0';
  const size = Math.abs(v);
  const text = size >= 1e5 || size < 1e-4 ? v.toExponential(digits - 1) :
                                            String(Number(v.toPrecision(digits)));
  return text.replace('-', '−');
}
const signed = v => (v >= 0 ? '+' : '') + num(v);
const percent = v => (100 * v).toFixed(1) + ' %';
const counted = (n, word) => `${n.toLocaleString('en')} ${word}${n === 1 ? '' : 's'}`;

// Nine colours from low to high: one hue for what cannot be negative (viridis), two that meet in
// grey for what can (blue below 0, orange above).
const SEQUENTIAL = [
  [68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [53, 183, 121],
  [109, 205, 89], [180, 222, 44], [253, 231, 37]
];
const DIVERGING = [
  [5, 62, 122], [33, 102, 172], [89, 151, 201], [164, 200, 225], [238, 238, 238], [249, 200, 150],
  [239, 148, 72], [204, 92, 10], [127, 47, 4]
];

function colourAt(stops, t) {
  const place = Math.max(0, Math.min(1, t)) * (stops.length - 1);
  const i = Math.min(Math.floor(place), stops.length - 2);
  return stops[i].map((v, c) => Math.round(v + (place - i) * (stops[i + 1][c] - v)));
}

// Black or white, whichever is easier to read on a colour (WCAG's contrast).
function inkOn(colour) {
  const [r, g, b] = colour.map(v => v <= 10 ? v / 3294 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? '#000' : '#fff';
}

// Draws height x width numbers as cells. Signed ones are coloured around 0. Returns the scale
// {low, high}.
function drawMap(canvas, numbers, height, width, {isSigned} = {}) {
  let low = Infinity, high = -Infinity;
  for (const v of numbers) {
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  const both = isSigned ?? low < 0;
  if (both) {
    high = Math.max(Math.abs(low), Math.abs(high)) || 1;
    low = -high;
  }
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d'), image = context.createImageData(width, height);
  for (let i = 0; i < height * width; ++i) {
    const t = high > low ? (numbers[i] - low) / (high - low) : 0.5;
    const [r, g, b] = colourAt(both ? DIVERGING : SEQUENTIAL, t);
    image.data.set([r, g, b, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
  return {low, high, both};
}

// Draws a picture of bytes (side, side, 3).
function drawPicture(canvas, bytes, side) {
  canvas.width = canvas.height = side;
  const context = canvas.getContext('2d'), image = context.createImageData(side, side);
  for (let i = 0; i < side * side; ++i)
    image.data.set([bytes[3 * i], bytes[3 * i + 1], bytes[3 * i + 2], 255], 4 * i);
  context.putImageData(image, 0, 0);
}

const SVG = 'http://www.w3.org/2000/svg';
function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Spectra as lines: [{points: [{radius, change}], class}], on one axis.
function spectrumLines(lines, {width = 120, height = 48, label} = {}) {
  const all = lines.flatMap(line => line.points.map(p => p.change));
  if (all.length === 0) return undefined;
  const low = Math.min(-1, ...all), high = Math.max(0.5, ...all);
  const x = r => 2 + r * (width - 4), y = v => 2 + (high - v) / (high - low) * (height - 4);
  const drawing =
      svg('svg',
          {viewBox: `0 0 ${width} ${height}`, role: 'img', class: 'spectrum', 'aria-label': label});
  drawing.append(svg('line', {x1: x(0), x2: x(1), y1: y(0), y2: y(0), class: 'zero'}));
  for (const line of lines)
    drawing.append(svg('polyline', {
      points: line.points.map(p => `${x(p.radius).toFixed(1)},${y(p.change).toFixed(1)}`).join(' '),
      class: line.class
    }));
  return drawing;
}

// A view of a map with the shared cursor: a canvas of cells under a frame at the cursor's cell. The
// arrow keys and the pointer move the cursor.
function mapView({numbers, height, width, isSigned, label, cursor, onCursor, frames = [], size}) {
  const canvas = el('canvas', {class: 'cells'});
  const scale = drawMap(canvas, numbers, height, width, {isSigned});
  const view = el('div', {class: 'map', role: 'img', tabindex: '0', 'aria-label': label}, canvas);
  if (size) view.style.setProperty('--size', size);
  const frame = (y, x, h, w, name) => {
    const box = el('span', {class: 'frame ' + name});
    Object.assign(box.style, {
      top: `${100 * y / height}%`,
      left: `${100 * x / width}%`,
      height: `${100 * h / height}%`,
      width: `${100 * w / width}%`
    });
    view.append(box);
  };
  for (const f of frames) frame(f.top, f.left, f.bottom - f.top + 1, f.right - f.left + 1, f.name);
  if (cursor) frame(cursor.y, cursor.x, 1, 1, 'cursor');
  listenCursor(view, height, width, cursor ?? {y: 0, x: 0}, onCursor);
  view.scale = scale;
  return view;
}

function listenCursor(view, height, width, cursor, onCursor) {
  if (!onCursor) return;
  view.addEventListener('pointerdown', event => {
    const box = view.getBoundingClientRect();
    const cell = (at, from, length, count) =>
        Math.max(0, Math.min(count - 1, Math.floor((at - from) / length * count)));
    onCursor(
        cell(event.clientY, box.top, box.height, height),
        cell(event.clientX, box.left, box.width, width), view);
  });
  view.addEventListener('keydown', event => {
    const move = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [
                    1, 0
                  ]}[event.key];
    if (!move || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const clamp = (v, n) => Math.max(0, Math.min(n - 1, v));
    onCursor(clamp(cursor.y + move[0], height), clamp(cursor.x + move[1], width), view);
  });
}

// A labelled choice: options are {value, label}.
function select(label, options, chosen, onChange, id) {
  const list =
      el('select', {id, 'aria-label': label, on: {change: event => onChange(event.target.value)}},
         options.map(o => el('option', {value: o.value, text: o.label})));
  list.value = String(chosen);
  return el('label', {class: 'choice'}, el('span', {text: label}), list);
}

// A labelled slider with its number beside it.
function slider(label, {min, max, step, value, shown = num, id}, onInput) {
  const out = el('output', {text: shown(value)});
  const input = el('input', {
    type: 'range',
    min,
    max,
    step,
    id,
    'aria-label': label,
    on: {
      input: event => {
        out.textContent = shown(Number(event.target.value));
      },
      change: event => onInput(Number(event.target.value)),
    }
  });
  input.value = value;
  return el('label', {class: 'slider'}, el('span', {text: label}), input, out);
}
