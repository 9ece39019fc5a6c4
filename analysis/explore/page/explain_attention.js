// Attention and lambda layers at one query: where it looks, head by head, and one pair taken apart.

// The window that a token lies in, and its number there; undefined for none.
function placeOf(options, token) {
  const places = placesOf(options);
  for (let w = 0; w < places.length; ++w) {
    const t = places[w].findIndex(place => place.token === token);
    if (t >= 0) return {w, t, tokens: places[w].map(place => place.token)};
  }
  return undefined;
}

// The same where keys are fewer than queries: each stands for a square of places, which share what
// it is given.
function pooledRow(c, probabilities, head) {
  const [, , count, keys] = probabilities.shape, {height, width} = c.site;
  const cell = Math.round(Math.sqrt(count / keys)), token = tokenOf(c.site, c.y, c.x);
  const first = (head * count + token) * keys, map = new Float32Array(height * width);
  for (let i = 0; i < map.length; ++i) {
    const y = Math.floor(Math.floor(i / width) / cell), x = Math.floor(i % width / cell);
    map[i] = probabilities.data[first + y * (width / cell) + x] / cell ** 2;
  }
  const tokens = Array.from(map, (_, i) => i);
  return {map, before: [], place: {w: 0, t: token, tokens}};
}

// The probabilities of a query of one head over the picture: {map (of the grid), prefix}.
function attentionRow(c, probabilities, options, head) {
  const [, heads, count, keys] = probabilities.shape, {height, width, prefix = 0} = c.site;
  if (keys < count) return pooledRow(c, probabilities, head);
  const token = tokenOf(c.site, c.y, c.x), map = new Float32Array(height * width), before = [];
  const place = options ? placeOf(options, token) :
                          {w: 0, t: token, tokens: Array.from({length: count}, (_, i) => i)};
  place.tokens.forEach((to, i) => {
    const p = probabilities.data[((place.w * heads + head) * count + place.t) * count + i];
    if (to < prefix)
      before.push(p);
    else
      map[to - prefix] = p;
  });
  return {map, before, place};
}

// Maps of all heads side by side, the chosen one pressed.
function headMaps(c, heads, mapOfHead, isSigned, what) {
  const {height, width} = c.site;
  const y = Math.floor(c.pair.v * height);
  const x = Math.floor(c.pair.u * width);
  return el('div', {class: 'heads'}, Array.from({length: heads}, (_, h) => {
    const view = mapView({
      numbers: mapOfHead(h),
      height,
      width,
      isSigned,
      label: `${what} of head ${h + 1}; the arrow keys move the second place`,
      cursor: {y, x},
      frames: [{top: c.y, left: c.x, bottom: c.y, right: c.x, name: 'query'}],
      onCursor: (ny, nx) => c.set({head: h}, {kv: (ny + 0.5) / height, ku: (nx + 0.5) / width}),
    });
    view.dataset.key = `${c.pane}-head-${h}`;
    return el('div', {class: 'head'}, view, el('button', {
                type: 'button',
                'data-key': `${c.pane}-choose-head-${h}`,
                'aria-pressed': String(h === c.head),
                text: `head ${h + 1}`,
                on: {click: () => c.set({head: h})}
              }));
  }));
}

// The row of the query at the cursor.
function attended(c, head) {
  const operation = c.network.operations[c.at];
  const options = operation.op === 'attention_probabilities' ? operation.a : undefined;
  return attentionRow(c, c.values[c.at + 1], options, head);
}

// ", head 2 gives row 3, column 4: 1.2 %": of the query at the cursor.
function pairWords(c) {
  const head = Math.min(c.head, c.values[c.at + 1].shape[1] - 1), {height, width} = c.site;
  const {map} = attended(c, head);
  const y = Math.floor(c.pair.v * height), x = Math.floor(c.pair.u * width);
  return `, head ${head + 1} gives row ${y}, column ${x}: ${percent(map[y * width + x])}`;
}

function explainAttention(c) {
  const probabilities = c.values[c.at + 1];
  const [, heads] = probabilities.shape;
  const operation = c.network.operations[c.at];
  const options = operation.op === 'attention_probabilities' ? operation.a : undefined;
  const head = Math.min(c.head, heads - 1);
  const row = attentionRow(c, probabilities, options, head);
  const spread =
      Math.exp(-[...row.map, ...row.before].reduce((s, p) => s + (p > 0 ? p * Math.log(p) : 0), 0));
  const {height, width} = c.site;
  const ky = Math.floor(c.pair.v * height);
  const kx = Math.floor(c.pair.u * width);
  const nodes = [
    line(
        'The framed cell asks (query); each map shows how much it takes from every place (key). ' +
            'A head spreads over about ',
        strong(num(spread)), ` places here, of ${row.place.tokens.length} that it sees.`),
    headMaps(c, heads, h => attentionRow(c, probabilities, options, h).map, false, 'Attention'),
  ];
  if (row.before.length > 0)
    nodes.push(line(`To the class token: ${row.before.map(p => percent(p)).join(', ')}.`));
  return options ?
      nodes.concat(explainPair(c, row, options, head, tokenOf(c.site, ky, kx), ky, kx)) :
      nodes;
}

function explainPair(c, row, options, head, keyToken, ky, kx) {
  const [qkv, table] = c.network.inputsOf(c.at, c.values);
  const [heads] = options.heads;
  const [scale] = options.scale;
  const depth = qkv.shape[qkv.shape.length - 1] / (3 * heads);
  const key = row.place.tokens.indexOf(keyToken);
  if (key < 0) {
    const pair = explainPair(c, row, options, head, tokenOf(c.site, c.y, c.x), c.y, c.x);
    const why = `Row ${ky}, column ${kx}, the second place, lies in another window, which this ` +
        'query does not see; so it is paired with itself. Choose a place within the window.';
    return [line(why), ...pair];
  }
  const query = row.place.tokens[row.place.t];
  const q = packedAt(query, 0, head, depth, heads), k = packedAt(keyToken, 1, head, depth, heads);
  const list = Array.from(
      {length: depth}, (_, d) => ({
                         label: `${num(qkv.data[q + d])} × ${num(qkv.data[k + d])} (${d})`,
                         value: qkv.data[q + d] * qkv.data[k + d],
                       }));
  const dot = list.reduce((s, item) => s + item.value, 0), columns = table?.shape[1];
  const entry = tableEntry(row.place.t, key, options.window[1]);
  const position = table ? table.data[entry * columns + (columns > 1 ? head : 0)] : 0;
  return [
    el('h4', {
      text: `Head ${head + 1}: query (row ${c.y}, column ${c.x}) with key (row ${ky}, column ${kx})`
    }),
    bars(`q kᵀ over ${depth} channels: query × key (channel)`, list, {most: 6}),
    el('p', {
      class: 'formula',
      text: `q kᵀ = ${num(dot)};  × ` +
          `${num(scale)}${table ? ` + ${num(position)} for the position` : ''} = ` +
          `${num(dot * scale + position)};  after the softmax ` +
          `${percent(row.map[ky * c.site.width + kx])}`
    }),
  ];
}

// A channel of what heads give: the values of the places, weighed.
function explainHeads(c) {
  const [probabilities, qkv] = c.network.inputsOf(c.at, c.values);
  const options = c.network.operations[c.at].a;
  const [heads] = options.heads;
  const depth = qkv.shape[qkv.shape.length - 1] / (3 * heads);
  const head = Math.floor(c.channel / depth);
  const row = attentionRow(c, probabilities, options, head), prefix = c.site.prefix || 0;
  const list = row.place.tokens.map((token, i) => {
    const p = token < prefix ? row.before[token] : row.map[token - prefix];
    const value = qkv.data[packedAt(token, 2, head, depth, heads) + c.channel % depth];
    const at = token - prefix;
    const name = at < 0 ? 'class token' :
                          `row ${Math.floor(at / c.site.width)}, column ${at % c.site.width}`;
    return {label: `${name}: ${percent(p)} × ${num(value)}`, value: p * value, i};
  });
  return [
    line(
        `Channel ${c.channel} belongs to head ${head + 1}: the mean of the values of ` +
        `${list.length} places, weighed by what the query gives each.`),
    bars('Largest shares: probability × value', list),
    checkLine(list.reduce((s, item) => s + item.value, 0), c.value),
  ];
}

function explainLambda(c) {
  const inputs = c.network.inputsOf(c.at, c.values);
  const options = c.network.operations[c.at].a;
  const [heads] = options.heads;
  const depthOfValue = c.network.operations[c.at].shape[3] / heads;
  const head = Math.min(c.head, heads - 1);
  if (options.intra[0] > 1)
    return [line('A lambda layer of intra-depth above 1 has no one weight for a pair of places.')];
  const n = c.y * c.site.width + c.x;
  const all = Array.from({length: heads}, (_, h) => lambdaWeights(inputs, options, h, n));
  const {height, width} = c.site;
  const ky = Math.floor(c.pair.v * height);
  const kx = Math.floor(c.pair.u * width);
  const m = ky * width + kx;
  const own = all[head], terms = own.terms(m), sum = f => terms.reduce((s, t) => s + f(t), 0);
  const both = Float32Array.from(own.content, (v, i) => v + own.position[i]);
  const parts = [
    ['content', own.content, 'what the keys say: the same for every query but for its own numbers'],
    ['position', own.position, 'where the place lies from the query'],
    ['together', both, 'the weight of each place’s value']
  ];
  const values = inputs[2].data;
  const channel = c.channel % depthOfValue;
  const h = Math.floor(c.channel / depthOfValue);
  const [bias] = [inputs[4]];
  const weights = Float32Array.from(all[h].content, (v, i) => v + all[h].position[i]);
  let total = 0;
  weights.forEach((w, i) => {
    total += w * values[i * depthOfValue + channel];
  });
  const fromBias = bias ?
      Array
          .from(
              {length: options.depth[0]},
              (_, k) => inputs[0].data[(n * heads + h) * options.depth[0] + k] * bias.data[k])
          .reduce((s, v) => s + v, 0) :
      0;
  return [
    line(
        'The framed cell is the query. A lambda layer makes a matrix for it, of content and of ' +
        'positions, and applies it; seen from the outside each place gets a weight, which ' +
        'may be negative and need not sum to 1.'),
    headMaps(
        c, heads, i => Float32Array.from(all[i].content, (v, j) => v + all[i].position[j]), true,
        'Weights'),
    el('h4', {text: `Head ${head + 1}: the two parts`}),
    el('div', {class: 'heads'},
       parts.map(
           ([name, map, what]) =>
               el('div', {class: 'head'}, mapView({
                    numbers: map,
                    height,
                    width,
                    isSigned: true,
                    label: `${name}: ${what}`,
                    frames: [{top: c.y, left: c.x, bottom: c.y, right: c.x, name: 'query'}]
                  }),
                  el('span', {class: 'note', text: name})))),
    el('h4', {text: `Query (row ${c.y}, column ${c.x}) with row ${ky}, column ${kx}`}),
    bars(
        'q × (softmax of the key + embedding of the offset), by depth',
        terms.map((t, k) => ({
                    label: `${num(t.q)} × (${num(t.key)} ${t.place < 0 ? '−' : '+'} ` +
                        `${num(Math.abs(t.place))}) (${k})`,
                    value: t.q * (t.key + t.place)
                  })),
        {most: 6}),
    el('p', {
      class: 'formula',
      text: `content ${num(sum(t => t.q * t.key))} + position ${num(sum(t => t.q * t.place))} = ` +
          `${num(sum(t => t.q * (t.key + t.place)))}`
    }),
    line(
        `Channel ${c.channel} here: all places’ values by these weights of head ` +
        `${h + 1}${bias ? `, and ${num(fromBias)} from the bias of the embedding` : ''}.`),
    checkLine(total + fromBias, c.value),
  ];
}
