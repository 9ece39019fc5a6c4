// Edits: what may be changed, each at a named value, a weight or the picture. An edit is {kind,
// path, number, heads, epsilon}, as in the table of effects that the program has measured.

const EDIT_KINDS = {
  branch: {label: 'Take the branch out', what: () => 'the block is its shortcut'},
  head: {label: 'Take a head out', what: e => `head ${e.number + 1} gives 0`},
  channel: {label: 'Take a channel out', what: e => `channel ${e.number} gives 0`},
  uniform: {label: 'Make attention uniform', what: () => 'every token seen weighs the same'},
  mean_kernel:
      {label: 'Replace the kernel by its mean', what: () => 'every filter is even over its window'},
  low_pass:
      {label: 'Low-pass the map', what: e => `frequencies up to ${e.number} of Nyquist are kept`},
  high_pass:
      {label: 'High-pass the map', what: e => `frequencies above ${e.number} of Nyquist are kept`},
  noise: {
    label: 'Add noise of one band',
    what: e => `noise around ${e.number} of Nyquist, amplitude ${e.epsilon}`
  },
};

function nameOfEdit(edit) {
  const {label, what} = EDIT_KINDS[edit.kind];
  const place = edit.kind === 'noise' ? '' : ` of ${edit.path}`;
  return `${label.toLowerCase()}${place}: ${what(edit)}`;
}

// The last dimension in equal parts, of which one is 0.
function withoutPart(value, part, parts) {
  const channels = value.shape[value.shape.length - 1], width = channels / parts;
  const data =
      Float32Array.from(value.data, (v, i) => Math.floor(i % channels / width) === part ? 0 : v);
  return {shape: value.shape, data};
}

// Rows of probabilities, each even over the tokens that it gives anything to.
function evened(value) {
  const length = value.shape[value.shape.length - 1], data = new Float32Array(value.data.length);
  for (let row = 0; row < data.length; row += length) {
    let seen = 0;
    for (let i = row; i < row + length; ++i) seen += value.data[i] > 0 ? 1 : 0;
    for (let i = row; i < row + length; ++i) data[i] = value.data[i] > 0 ? 1 / seen : 0;
  }
  return {shape: value.shape, data};
}

function passedMap(value, site, cut, high) {
  const {height, width, channels, first} = mapOf(value, site), data = Float32Array.from(value.data);
  const inside = data.subarray(first, first + height * width * channels);
  data.set(passed(inside, [height, width, channels], cut, high), first);
  return {shape: value.shape, data};
}

// Filters (out, kh, kw, in), each replaced by its mean over the window.
function meanKernel(weight) {
  const [out, kh, kw, inner] = weight.shape;
  const cells = kh * kw;
  const data = new Float32Array(weight.data.length);
  for (let o = 0; o < out; ++o)
    for (let c = 0; c < inner; ++c) {
      let sum = 0;
      for (let i = 0; i < cells; ++i) sum += weight.data[(o * cells + i) * inner + c];
      for (let i = 0; i < cells; ++i) data[(o * cells + i) * inner + c] = sum / cells;
    }
  return {...weight, data};
}

function changedValue(edit, value, site) {
  switch (edit.kind) {
    case 'branch':
      return emptyValue(value.shape);
    case 'head':
      return withoutPart(value, edit.number, edit.heads);
    case 'channel':
      return withoutPart(value, edit.number, value.shape[value.shape.length - 1]);
    case 'uniform':
      return evened(value);
    case 'low_pass':
      return passedMap(value, site, edit.number, false);
    case 'high_pass':
      return passedMap(value, site, edit.number, true);
    default:
      return value;
  }
}

// What Network.run takes for these edits: changes of values, constants in place of others, and the
// first value that is another.
function planOf(network, edits) {
  const changes = new Map(), replaced = new Map();
  let first = network.operations.length + 1;
  for (const edit of edits) {
    if (edit.kind === 'noise')
      first = 0;
    else if (edit.kind === 'mean_kernel') {
      const at = network.constants.findIndex(c => c.name === edit.path);
      replaced.set(at, meanKernel(replaced.get(at) ?? network.constants[at]));
      first = Math.min(first, 1 + network.operations.findIndex(o => o.in.includes(-1 - at)));
    } else {
      const at = network.valueOfSite.get(edit.path), before = changes.get(at);
      const site = network.operations[at - 1].sites.find(s => s.path === edit.path);
      changes.set(at, value => changedValue(edit, before ? before(value) : value, site));
      first = Math.min(first, at);
    }
  }
  return {changes, replaced, first};
}

// All values of the network under edits. `values` are those without; `index` is the picture's place
// in the data, which chooses its noise.
function runEdited(network, values, edits, index) {
  if (edits.length === 0) return values;
  const {changes, replaced, first} = planOf(network, edits);
  if (first > 0)
    return network.run(values[0], {changes, replaced, before: values, from: first - 1});
  const picture = {shape: values[0].shape, data: Float32Array.from(values[0].data)};
  for (const edit of edits.filter(e => e.kind === 'noise'))
    bandNoise(index, picture.shape[1], edit).forEach((v, i) => {
      picture.data[i] += v;
    });
  return network.run(picture, {changes, replaced});
}

// Whether a network has the place that an edit changes, and the part of it: an address may be of
// another page.
function hasPlace(network, {kind, path, number, heads, epsilon}) {
  if (kind === 'noise') return number > 0 && number <= 1 && epsilon > 0 && epsilon <= 1;
  if (kind === 'mean_kernel')
    return network.constants.some(c => c.name === path && c.shape.length === 4);
  const tap = {branch: 'branch', head: 'heads', uniform: 'attention'}[kind] ?? 'out';
  if (!network.valueOfSite.has(path) || !path.endsWith('.' + tap)) return false;
  if (kind.endsWith('_pass')) return number >= 0 && number <= 1;
  const channels = network.operations[network.valueOfSite.get(path) - 1].shape.at(-1);
  const parts = {head: heads, channel: channels}[kind] ?? 1;
  return Number.isInteger(number) && number >= 0 && number < parts && channels % parts === 0;
}

// Whether an edit takes the place of an earlier one of its kind and place: a filter has one cut.
const isTuned = kind => kind === 'noise' || kind.endsWith('_pass');

// Whether two edits are the same one.
const sameEdit = (a, b) =>
    a.kind === b.kind && a.path === b.path && Math.abs(a.number - b.number) < 1e-9;

// "Over 1,000 pictures: 78.4 % right without it, 71.2 % with it (−7.2 ± 1.9 points); 15.1 % get
// another answer, a logit moves by 0.61."; nothing where it was not measured.
function effectSentence(effects, edit, labelled) {
  const found = effects.find(
      e => sameEdit(e, edit) &&
          (edit.kind !== 'noise' || Math.abs(e.epsilon - edit.epsilon) < 1e-9));
  if (!found) return '';
  const share = n => percent(n / found.pictures);
  const pictures = found.pictures.toLocaleString('en');
  const other = `${share(found.changed)} get another answer, a logit moves by ${num(found.moved)}`;
  if (!labelled) return `Over ${pictures} pictures ${other}.`;
  const points = 100 * (found.after - found.before) / found.pictures;
  return `Over ${pictures} pictures: ${share(found.before)} right without it, ` +
      `${share(found.after)} with it ` +
      `(${points >= 0 ? '+' : '−'}${Math.abs(points).toFixed(1)} ± ` +
      `${(100 * found.interval).toFixed(1)} points); ${other}.`;
}
