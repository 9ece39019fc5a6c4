// The receptive field: which pixels of the picture a value can depend on, by the geometry of the
// operations between them.

const EVERYTHING = {
  top: 0,
  left: 0,
  bottom: Infinity,
  right: Infinity
};
const joined = (a, b) => !a ? b : {
  top: Math.min(a.top, b.top),
  left: Math.min(a.left, b.left),
  bottom: Math.max(a.bottom, b.bottom),
  right: Math.max(a.right, b.right),
};

// The part of its input that a box of rows and columns of a result is made of.
function boxBefore(network, i, box) {
  const {op, a, in : inputs} = network.operations[i];
  if (op === 'conv2d' || op === 'max_pool2d' || op === 'avg_pool2d') {
    const weight = op === 'conv2d' && network.constants[-1 - inputs[1]];
    const w = windowsOf({...a, kernel: weight ? weight.shape.slice(1, 3) : a.kernel});
    return {
      top: box.top * w.strideY - w.top,
      left: box.left * w.strideX - w.left,
      bottom: box.bottom * w.strideY - w.top + (w.kernelY - 1) * w.stepY,
      right: box.right * w.strideX - w.left + (w.kernelX - 1) * w.stepX,
    };
  }
  if (op === 'attention_probabilities' || op === 'attention_output') return windowAround(a, box);
  if (op === 'lambda_layer') return EVERYTHING;  // the keys are normalised over all positions
  if (op === 'group_norm' || op === 'global_avg_pool' || op === 'gather' || op === 'matmul')
    return EVERYTHING;
  if (op === 'pad' && (a.dim[0] === 1 || a.dim[0] === 2)) {
    const [start] = a.start, [dim] = a.dim;
    if (dim === 1) return {...box, top: box.top - start, bottom: box.bottom - start};
    return {...box, left: box.left - start, right: box.right - start};
  }
  return box;
}

// The windows of attention that a box touches.
function windowAround({grid, window, shift}, box) {
  if (window[0] >= grid[0] && window[1] >= grid[1]) return EVERYTHING;
  const [s] = shift;
  if (s > 0 && (box.top < s || box.left < s)) return EVERYTHING;
  const floor = (v, side) => Math.floor((v - s) / side) * side + s;
  return {
    top: floor(box.top, window[0]),
    left: floor(box.left, window[1]),
    bottom: floor(box.bottom, window[0]) + window[0] - 1,
    right: floor(box.right, window[1]) + window[1] - 1,
  };
}

// The box of pixels that cell (y, x) of a value depends on, within a picture of `side` pixels.
// Where an operation changes what places mean (tokens without a grid, sums over them), it is all of
// it.
function receptiveField(network, value, y, x, side) {
  const boxes = new Map([[value, {top: y, left: x, bottom: y, right: x}]]);
  for (let v = value; v > 0; --v) {
    const box = boxes.get(v);
    if (!box) continue;
    const {in : inputs, shape, op} = network.operations[v - 1];
    const spatial = shape.length === 4 && shape[0] === 1 || op.startsWith('attention');
    const before = spatial || isTokens(network, v) ? boxBefore(network, v - 1, box) : EVERYTHING;
    for (const at of inputs)
      if (at !== null && at >= 0) boxes.set(at, joined(boxes.get(at), before));
  }
  const {top, left, bottom, right} = boxes.get(0) ?? EVERYTHING, last = side - 1;
  return {
    top: Math.max(0, top),
    left: Math.max(0, left),
    bottom: Math.min(last, bottom),
    right: Math.min(last, right),
  };
}

// Tokens (1, T, C) on the square grid that a patch embedding leaves: before the first attention a
// token is its patch.
function isTokens(network, v) {
  const {shape, op} = network.operations[v - 1];
  return shape.length === 3 &&
      ['reshape', 'add', 'layer_norm', 'linear', 'gelu', 'concat'].includes(op);
}
