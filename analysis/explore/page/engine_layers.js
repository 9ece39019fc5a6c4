// Layers that are no products: norms, activations, pooling, and those that move numbers.

// (x - mean) * rstd * gamma + beta for each channel, with the statistics of training; then the sum
// with a shortcut, then ReLU, where they are.
function batchNorm([x, gamma, beta, residual], {relu: [relu]}, shape, {mean, rstd}) {
  const y = emptyValue(shape), channels = gamma.data.length;
  for (let i = 0; i < y.data.length; ++i) {
    const c = i % channels;
    let v = (x.data[i] - mean.data[c]) * rstd.data[c] * gamma.data[c] + beta.data[c];
    if (residual) v += residual.data[i];
    y.data[i] = relu && v < 0 ? 0 : v;
  }
  return y;
}

// Mean and 1 / deviation of the numbers of `list` of x.
function statistics(data, list, eps) {
  let sum = 0, squares = 0;
  for (const i of list) sum += data[i];
  const mean = sum / list.length;
  for (const i of list) squares += (data[i] - mean) ** 2;
  return {mean, rstd: 1 / Math.sqrt(squares / list.length + eps)};
}

// Each token by its own mean and deviation over the channels.
function layerNorm([x, gamma, beta], {eps: [eps]}, shape) {
  const y = emptyValue(shape), channels = gamma.data.length;
  for (let row = 0; row < y.data.length; row += channels) {
    let sum = 0, squares = 0;
    for (let c = 0; c < channels; ++c) sum += x.data[row + c];
    const mean = sum / channels;
    for (let c = 0; c < channels; ++c) squares += (x.data[row + c] - mean) ** 2;
    const rstd = 1 / Math.sqrt(squares / channels + eps);
    for (let c = 0; c < channels; ++c)
      y.data[row + c] = (x.data[row + c] - mean) * rstd * gamma.data[c] + beta.data[c];
  }
  return y;
}

// Each group of channels by its mean and deviation over the map.
function groupNorm([x, gamma, beta], {groups: [groups], eps: [eps]}, shape) {
  const y = emptyValue(shape), channels = gamma.data.length, width = channels / groups;
  for (let g = 0; g < groups; ++g) {
    const list = [];
    for (let row = 0; row < x.data.length; row += channels)
      for (let c = g * width; c < (g + 1) * width; ++c) list.push(row + c);
    const {mean, rstd} = statistics(x.data, list, eps);
    for (const i of list)
      y.data[i] = (x.data[i] - mean) * rstd * gamma.data[i % channels] + beta.data[i % channels];
  }
  return y;
}

// The error function to 1e-7 and better: a series below 3, a continued fraction above.
function erf(x) {
  const a = Math.abs(x);
  if (a > 5) return Math.sign(x);
  let value;
  if (a < 3) {
    let term = a, sum = a;
    for (let n = 1; n < 60 && Math.abs(term) > 1e-17; ++n) {
      term *= -a * a / n;
      sum += term / (2 * n + 1);
    }
    value = 2 / Math.sqrt(Math.PI) * sum;
  } else {
    let f = 0;
    for (let n = 40; n > 0; --n) f = n / 2 / (a + f);
    value = 1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + f);
  }
  return x < 0 ? -value : value;
}

const GELU_STEP = 1 / 256, GELU_END = 8;
let geluTable;  // of the gate Phi(x) at steps, from which gelu() goes by a cubic

// x Phi(x), Phi being the share of a normal distribution below x. Between the entries of the table
// a cubic with the slopes of Phi at both ends: within 1e-10.
function gelu(x) {
  geluTable ??= Float64Array.from(
      {length: 2 * GELU_END / GELU_STEP + 2},
      (_, i) => (1 + erf((i * GELU_STEP - GELU_END) / Math.SQRT2)) / 2);
  if (x >= GELU_END - 1) return x;
  if (x <= 1 - GELU_END) return 0;
  const place = (x + GELU_END) / GELU_STEP, i = Math.floor(place), t = place - i, u = 1 - t;
  const slope = v => Math.exp(-v * v / 2) / Math.sqrt(2 * Math.PI) * GELU_STEP;
  const low = i * GELU_STEP - GELU_END, d0 = slope(low), d1 = slope(low + GELU_STEP);
  const p0 = geluTable[i], p1 = geluTable[i + 1];
  return x *
      (p0 * u * u * (1 + 2 * t) + d0 * t * u * u + p1 * t * t * (3 - 2 * t) - d1 * t * t * u);
}

const geluTanh = x => x / 2 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
const sigmoid = x => 1 / (1 + Math.exp(-x));

// Functions of one number, by the names of their operations.
const FUNCTIONS = {
  relu: x => x > 0 ? x : 0,
  gelu,
  gelu_tanh: geluTanh,
  sigmoid,
  silu: x => x * sigmoid(x),
  tanh: Math.tanh,
  exp: Math.exp,
  sqrt: Math.sqrt,
  rsqrt: x => 1 / Math.sqrt(x),
  erf,
  square: x => x * x,
};

function pointwise(f, [x]) {
  const y = emptyValue(x.shape);
  for (let i = 0; i < y.data.length; ++i) y.data[i] = f(x.data[i]);
  return y;
}

const PAIRS = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
};

// f(a, b) where the smaller is repeated along the dimensions of size 1 that it has, or lacks in
// front; or f(a, number).
function pairwise(f, [a, b], {number}, shape) {
  const y = emptyValue(shape);
  if (!b)
    for (let i = 0; i < y.data.length; ++i) y.data[i] = f(a.data[i], number[0]);
  else if (a.data.length === y.data.length && b.data.length === y.data.length)
    for (let i = 0; i < y.data.length; ++i) y.data[i] = f(a.data[i], b.data[i]);
  else {
    const readA = repeated(a, shape), readB = repeated(b, shape);
    for (let i = 0; i < y.data.length; ++i) y.data[i] = f(a.data[readA[i]], b.data[readB[i]]);
  }
  return y;
}

// For each element of `shape`, the element of x that is repeated there.
function repeated(x, shape) {
  const from = new Int32Array(sizeOf(shape)), lacking = shape.length - x.shape.length;
  const steps = shape.map(() => 0);
  for (let d = x.shape.length - 1, step = 1; d >= 0; step *= x.shape[d--])
    steps[d + lacking] = x.shape[d] === 1 ? 0 : step;
  for (let i = 0; i < from.length; ++i) {
    let rest = i, at = 0;
    for (let d = shape.length - 1; d >= 0; --d) {
      at += rest % shape[d] * steps[d];
      rest = Math.floor(rest / shape[d]);
    }
    from[i] = at;
  }
  return from;
}

function expand([x], _, shape) {
  const y = emptyValue(shape), from = repeated(x, shape);
  for (let i = 0; i < from.length; ++i) y.data[i] = x.data[from[i]];
  return y;
}

// The largest, or the mean, of each window.
function pool([x], options, shape, isMax) {
  const [, height, width, channels] = x.shape, y = emptyValue(shape);
  const w = windowsOf(options), [top, bottom, left, right] = options.padding;
  for (let oy = 0; oy < shape[1]; ++oy)
    for (let ox = 0; ox < shape[2]; ++ox) {
      const to = (oy * shape[2] + ox) * channels;
      if (isMax) y.data.fill(-Infinity, to, to + channels);
      let inside = 0, padded = 0;
      for (let ky = 0; ky < w.kernelY; ++ky)
        for (let kx = 0; kx < w.kernelX; ++kx) {
          const iy = oy * w.strideY - top + ky * w.stepY, ix = ox * w.strideX - left + kx * w.stepX;
          if (iy < height + bottom && ix < width + right) ++padded;
          if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
          ++inside;
          const from = (iy * width + ix) * channels;
          for (let c = 0; c < channels; ++c) {
            const v = x.data[from + c];
            if (!isMax)
              y.data[to + c] += v;
            else if (v > y.data[to + c])
              y.data[to + c] = v;
          }
        }
      const count = options.count_include_pad[0] ? padded : inside;
      if (!isMax)
        for (let c = 0; c < channels; ++c) y.data[to + c] /= count;
    }
  return y;
}

function globalAvgPool([x], _, shape) {
  const y = emptyValue(shape), channels = shape[1], pixels = x.data.length / channels;
  for (let i = 0; i < x.data.length; ++i) y.data[i % channels] += x.data[i] / pixels;
  return y;
}

// Sum over the dimensions that are marked, times a scale (1 over their size for a mean).
function sum([x], {reduced, scale: [scale]}, shape) {
  const kept = x.shape.map((side, d) => reduced[d] ? 1 : side);
  const y = emptyValue(shape), to = repeated({shape: kept}, x.shape);
  const sums = new Float64Array(y.data.length);
  for (let i = 0; i < x.data.length; ++i) sums[to[i]] += x.data[i];
  for (let i = 0; i < sums.length; ++i) y.data[i] = sums[i] * scale;
  return y;
}

function softmax([x]) {
  const y = emptyValue(x.shape), length = x.shape[x.shape.length - 1];
  for (let row = 0; row < y.data.length; row += length) {
    let largest = -Infinity, total = 0;
    for (let i = row; i < row + length; ++i) largest = Math.max(largest, x.data[i]);
    for (let i = row; i < row + length; ++i) total += y.data[i] = Math.exp(x.data[i] - largest);
    for (let i = row; i < row + length; ++i) y.data[i] /= total;
  }
  return y;
}

const reshape = ([x], _, shape) => ({shape, data: x.data});

function permute([x], {order}, shape) {
  const steps = x.shape.map((_, d) => sizeOf(x.shape.slice(d + 1)));
  const y = emptyValue(shape), index = shape.map(() => 0);
  for (let i = 0, from = 0; i < y.data.length; ++i) {
    y.data[i] = x.data[from];
    for (let d = shape.length - 1; d >= 0; --d) {
      from += steps[order[d]];
      if (++index[d] < shape[d]) break;
      from -= steps[order[d]] * shape[d];
      index[d] = 0;
    }
  }
  return y;
}

// Copies rows along a dimension: row i of x to row to(i) of y; `to` gives -1 for none.
function copyAlong(y, x, dim, to) {
  const inner = sizeOf(x.shape.slice(dim + 1)), rows = x.shape[dim];
  const outer = x.data.length / (inner * rows);
  for (let o = 0; o < outer; ++o)
    for (let r = 0; r < rows; ++r) {
      const row = to(r);
      if (row < 0) continue;
      const from = (o * rows + r) * inner, at = (o * y.shape[dim] + row) * inner;
      for (let i = 0; i < inner; ++i) y.data[at + i] = x.data[from + i];
    }
  return y;
}

const pad = ([x], {dim: [dim], start: [start], step: [step]}, shape) =>
    copyAlong(emptyValue(shape), x, dim, r => start + r * step);

const roll = ([x], {dim: [dim], shift: [shift]}, shape) =>
    copyAlong(emptyValue(shape), x, dim, r => (r + shift) % shape[dim]);

function slice([x], {dim: [dim], start: [start], step: [step]}, shape) {
  return copyAlong(emptyValue(shape), x, dim, r => {
    const row = (r - start) / step;
    return Number.isInteger(row) && row >= 0 && row < shape[dim] ? row : -1;
  });
}

function concat(parts, {dim: [dim]}, shape) {
  const y = emptyValue(shape);
  let at = 0;
  for (const part of parts) {
    const before = at;
    copyAlong(y, part, dim, r => before + r);
    at += part.shape[dim];
  }
  return y;
}

// Rows of x by their numbers.
function gather([x], _, shape, {indices}) {
  const y = emptyValue(shape), inner = x.data.length / x.shape[0];
  for (let i = 0; i < indices.data.length; ++i)
    for (let c = 0; c < inner; ++c) y.data[i * inner + c] = x.data[indices.data[i] * inner + c];
  return y;
}
