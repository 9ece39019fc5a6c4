// One value of a layer, taken apart into the arithmetic that made it. A context is
// {network, values, at (the operation), site, y, x, channel, head, input, pair, set}.

// Token (y, x) of a layer, counted with those before the grid.
const tokenOf = (site, y, x) => (site.prefix || 0) + y * site.width + x;

const line = (...parts) => el('p', {class: 'sum'}, parts);
const strong = v => el('b', {text: typeof v === 'number' ? num(v) : v});

// Says whether the sum of the products is what the engine has.
function checkLine(sum, value) {
  const same = Math.abs(sum - value) <= 1e-3 * Math.max(1, Math.abs(value));
  return line(
      `Together ${num(sum, 4)}; the engine has `, strong(num(value, 4)),
      same ? '.' : ' (they differ: an edit has changed this value).');
}

// A table of numbers with colours around 0.
function numberGrid(title, rows) {
  const most = Math.max(1e-9, ...rows.flat().filter(Number.isFinite).map(Math.abs));
  const table =
      el('table', {class: 'numbers'}, el('caption', {text: title}),
         el('tbody', {}, rows.map(row => el('tr', {}, row.map(v => {
                                    const cell =
                                        el('td', {text: Number.isFinite(v) ? num(v, 2) : '·'});
                                    if (Number.isFinite(v)) {
                                      const colour = colourAt(DIVERGING, 0.5 + v / most / 2);
                                      cell.style.background = `rgb(${colour.join(' ')})`;
                                      cell.style.color = inkOn(colour);
                                    }
                                    return cell;
                                  })))));
  return el(
      'div', {
        class: 'scroll',
        tabindex: rows[0].length > 5 ? '0' : null,
        role: rows[0].length > 5 ? 'region' : null,
        'aria-label': rows[0].length > 5 ? title : null
      },
      table);
}

// The largest of a list of contributions [{label, value, note}] as bars, the rest as one.
function bars(title, list, {most = 8, chosen, onChoose, name: place} = {}) {
  const sorted = [...list].sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  const shown = sorted.slice(0, most);
  const rest = sorted.slice(most), restSum = rest.reduce((sum, item) => sum + item.value, 0);
  if (rest.length > 0) shown.push({label: `${rest.length} others`, value: restSum});
  const largest = Math.max(1e-9, ...shown.map(item => Math.abs(item.value)));
  return el('div', {class: 'bars'}, el('h4', {text: title}), el('ul', {}, shown.map(item => {
              const bar = el('span', {class: 'bar ' + (item.value < 0 ? 'minus' : 'plus')});
              bar.style.width = `${100 * Math.abs(item.value) / largest}%`;
              const name = onChoose && item.key !== undefined ?
                  el('button', {
                    type: 'button',
                    'data-key': `${place}-${item.key}`,
                    'aria-pressed': String(item.key === chosen),
                    text: item.label,
                    on: {click: () => onChoose(item.key)}
                  }) :
                  el('span', {class: 'name', text: item.label});
              return el(
                  'li', {}, name, el('span', {class: 'track'}, bar),
                  el('span', {class: 'value', text: signed(item.value)}));
            })));
}

function explainConv(c) {
  const [x, weight, bias] = c.network.inputsOf(c.at, c.values), {a} = c.network.operations[c.at];
  const [out, kernelY, kernelX, inner] = weight.shape;
  const w = windowsOf({...a, kernel: [kernelY, kernelX]});
  const first = Math.floor(c.channel / (out / a.groups[0])) * inner, map = mapOf(x);
  const cell = (ky, kx, i) => {
    const iy = c.y * w.strideY - w.top + ky * w.stepY, ix = c.x * w.strideX - w.left + kx * w.stepX;
    return iy < 0 || iy >= map.height || ix < 0 || ix >= map.width ? NaN :
                                                                     map.at(iy, ix, first + i);
  };
  const grid = f =>
      Array.from({length: kernelY}, (_, ky) => Array.from({length: kernelX}, (_, kx) => f(ky, kx)));
  const kernel = (ky, kx, i) =>
      weight.data[((c.channel * kernelY + ky) * kernelX + kx) * inner + i];
  const product = (ky, kx, i) =>
      Number.isNaN(cell(ky, kx, i)) ? 0 : cell(ky, kx, i) * kernel(ky, kx, i);
  const list = Array.from(
      {length: inner},
      (_, i) => ({
        key: i,
        label: `input channel ${first + i}`,
        value: grid((ky, kx) => product(ky, kx, i)).flat().reduce((s, v) => s + v, 0),
      }));
  const total = list.reduce((s, item) => s + item.value, 0), b = bias ? bias.data[c.channel] : 0;
  const best = list.reduce((a, item) => Math.abs(item.value) > Math.abs(a.value) ? item : a).key;
  const chosen = c.input >= 0 && c.input < inner ? c.input : best;
  return [
    line(
        `Each of ${counted(inner, 'input channel')} is multiplied, ${kernelY} by ${kernelX} ` +
        `cells around the cursor, by the kernel that channel ${c.channel} has for it; the ` +
        `${(inner * kernelY * kernelX).toLocaleString('en')} products add ` +
        `up${bias ? `, with the bias ${num(b)}` : ''}.`),
    bars(
        'Sum of the products by input channel', list,
        {chosen, onChoose: key => c.set({input: key}), name: `${c.pane}-input`}),
    el('h4', {text: `Input channel ${first + chosen}: window × kernel = products`}),
    el('div', {class: 'grids'}, numberGrid('window', grid((ky, kx) => cell(ky, kx, chosen))),
       el('span', {text: '×', 'aria-hidden': 'true'}),
       numberGrid('kernel', grid((ky, kx) => kernel(ky, kx, chosen))),
       el('span', {text: '=', 'aria-hidden': 'true'}),
       numberGrid('products', grid((ky, kx) => product(ky, kx, chosen)))),
    line(
        'These products add up to ', strong(list[chosen].value),
        '. A dot lies beyond the border and counts 0.'),
    checkLine(total + b, c.value),
  ];
}

function explainNorm(c) {
  const inputs = c.network.inputsOf(c.at, c.values), operation = c.network.operations[c.at];
  const [x, gamma, beta] = inputs;
  const channels = gamma.data.length;
  const g = gamma.data[c.channel];
  const b = beta.data[c.channel];
  const row = operation.shape.length === 4 ? (c.y * operation.shape[2] + c.x) * channels :
                                             tokenOf(c.site, c.y, c.x) * channels;
  const v = x.data[row + c.channel];
  let mean, rstd, whose;
  if (operation.op === 'batch_norm') {
    const t = c.network.tensorsOf(c.at);
    mean = t.mean.data[c.channel];
    rstd = t.rstd.data[c.channel];
    whose = 'that channel over the pictures of training';
  } else {
    const groups = operation.a.groups?.[0] ?? 0, width = channels / (groups || 1), list = [];
    const own = Math.floor(c.channel / width) * width;
    if (groups)
      for (let i = 0; i < x.data.length; i += channels)
        for (let k = own; k < own + width; ++k) list.push(i + k);
    else
      for (let k = 0; k < channels; ++k) list.push(row + k);
    ({mean, rstd} = statistics(x.data, list, operation.a.eps[0]));
    whose =
        groups ? 'that group of channels over the map' : `the ${channels} channels of this token`;
  }
  return [
    line(
        `The mean of ${whose} is ${num(mean)}, the deviation ${num(1 / rstd)}. The value is ` +
        `brought to that scale, then stretched by ${num(g)} and shifted by ${num(b)}, which ` +
        `training has learned:`),
    el('p', {
      class: 'formula',
      text: `(${num(v)} − ${num(mean)}) ÷ ${num(1 / rstd)} × ${num(g)} + ${num(b)} = ` +
          `${num((v - mean) * rstd * g + b)}`
    }),
    checkLine((v - mean) * rstd * g + b, c.value),
  ];
}

function explainLinear(c) {
  const [x, weight, bias] = c.network.inputsOf(c.at, c.values), [, inner] = weight.shape;
  const row =
      x.data.length === inner ? 0 : tokenOf(c.site.height ? c.site : {width: 1}, c.y, c.x) * inner;
  const list = Array.from(
      {length: inner},
      (_, i) => ({
        label: `${num(x.data[row + i])} × ${num(weight.data[c.channel * inner + i])} (${i})`,
        value: x.data[row + i] * weight.data[c.channel * inner + i],
      }));
  const b = bias ? bias.data[c.channel] : 0;
  return [
    line(
        `This place's ${inner} channels, each times a weight, add ` +
        `up${bias ? `, with the bias ${num(b)}` : ''}. No other place has a say: an MLP and a ` +
        `1×1 convolution mix channels, not places.`),
    bars('Largest products: input × weight (channel)', list),
    checkLine(list.reduce((s, item) => s + item.value, 0) + b, c.value),
  ];
}

function explainPointwise(c) {
  const {op, a} = c.network.operations[c.at], inputs = c.network.inputsOf(c.at, c.values);
  const index = c.index;
  const read = x =>
      x && x.data.length === c.network.operations[c.at].shape.reduce((p, s) => p * s, 1) ?
      x.data[index] :
      undefined;
  const [first, second] = inputs.map(read);
  if (op === 'add' && second !== undefined)
    return [
      line(
          `The shortcut and the branch add up: ${num(first)} + ${num(second)} = `,
          strong(first + second), '.'),
      checkLine(first + second, c.value)
    ];
  if (FUNCTIONS[op] && first !== undefined)
    return [
      line(`${op} of ${num(first)} is `, strong(FUNCTIONS[op](first)), '.'),
      checkLine(FUNCTIONS[op](first), c.value)
    ];
  if (op === 'max_pool2d' || op === 'avg_pool2d')
    return [line(
        `The ${op === 'max_pool2d' ? 'largest value' : 'mean'} of a window of ` +
            `${a.kernel.join(' × ')} cells: `,
        strong(c.value), '.')];
  return [line(`Made by ${op.replaceAll('_', ' ')}: `, strong(c.value), '.')];
}
