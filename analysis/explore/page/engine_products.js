// Products: where nearly all of the time goes. Both loops below take four rows of one operand
// against four of the other, so that each number that is read is used four times.

// c[i, j] += sum_k a[i, k] b[j, k]: rows of a (m, k) against rows of b (n, k), from offsets.
function multiplyRows(c, a, b, m, n, k, atC = 0, atA = 0, atB = 0, strideC = n) {
  for (let i = 0; i < m; i += 4) {
    for (let j = 0; j < n; j += 4) {
      if (i + 4 <= m && j + 4 <= n)
        fourByFour(c, a, b, i, j, k, atC, atA, atB, strideC);
      else
        edgeRows(c, a, b, i, Math.min(i + 4, m), j, Math.min(j + 4, n), k, atC, atA, atB, strideC);
    }
  }
}

function fourByFour(c, a, b, i, j, k, atC, atA, atB, strideC) {
  const a0 = atA + i * k, a1 = a0 + k, a2 = a1 + k, a3 = a2 + k;
  const b0 = atB + j * k, b1 = b0 + k, b2 = b1 + k, b3 = b2 + k;
  let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
  let s20 = 0, s21 = 0, s22 = 0, s23 = 0, s30 = 0, s31 = 0, s32 = 0, s33 = 0;
  for (let p = 0; p < k; ++p) {
    const x0 = a[a0 + p], x1 = a[a1 + p], x2 = a[a2 + p], x3 = a[a3 + p];
    const w0 = b[b0 + p], w1 = b[b1 + p], w2 = b[b2 + p], w3 = b[b3 + p];
    s00 += x0 * w0;
    s01 += x0 * w1;
    s02 += x0 * w2;
    s03 += x0 * w3;
    s10 += x1 * w0;
    s11 += x1 * w1;
    s12 += x1 * w2;
    s13 += x1 * w3;
    s20 += x2 * w0;
    s21 += x2 * w1;
    s22 += x2 * w2;
    s23 += x2 * w3;
    s30 += x3 * w0;
    s31 += x3 * w1;
    s32 += x3 * w2;
    s33 += x3 * w3;
  }
  const r0 = atC + i * strideC + j, r1 = r0 + strideC, r2 = r1 + strideC, r3 = r2 + strideC;
  c[r0] += s00;
  c[r0 + 1] += s01;
  c[r0 + 2] += s02;
  c[r0 + 3] += s03;
  c[r1] += s10;
  c[r1 + 1] += s11;
  c[r1 + 2] += s12;
  c[r1 + 3] += s13;
  c[r2] += s20;
  c[r2 + 1] += s21;
  c[r2 + 2] += s22;
  c[r2 + 3] += s23;
  c[r3] += s30;
  c[r3 + 1] += s31;
  c[r3 + 2] += s32;
  c[r3 + 3] += s33;
}

function edgeRows(c, a, b, i0, i1, j0, j1, k, atC, atA, atB, strideC) {
  for (let i = i0; i < i1; ++i) {
    for (let j = j0; j < j1; ++j) {
      let sum = 0;
      for (let p = 0; p < k; ++p) sum += a[atA + i * k + p] * b[atB + j * k + p];
      c[atC + i * strideC + j] += sum;
    }
  }
}

// y = x weight^T + bias + residual over the last dimension.
function linear([x, weight, bias, residual]) {
  const [out, inner] = weight.shape, rows = x.data.length / inner;
  const y = emptyValue([...x.shape.slice(0, -1), out]);
  if (residual) y.data.set(residual.data);
  if (bias) addToRows(y.data, bias.data);
  multiplyRows(y.data, x.data, weight.data, rows, out, inner);
  return y;
}

function addToRows(data, row) {
  for (let i = 0; i < data.length; i += row.length)
    for (let c = 0; c < row.length; ++c) data[i + c] += row[c];
}

// Rows of a matrix as columns.
function transposed(data, at, rows, columns) {
  const out = new Float32Array(rows * columns);
  for (let r = 0; r < rows; ++r)
    for (let c = 0; c < columns; ++c) out[c * rows + r] = data[at + r * columns + c];
  return out;
}

// C = A B over the last two dimensions, either operand transposed; the others are alike, or B has
// none. A batch of each is made to rows that lie side by side.
function matmul([a, b], {transpose_a: [ta], transpose_b: [tb]}) {
  const [ra, ca] = a.shape.slice(-2), [rb, cb] = b.shape.slice(-2);
  const m = ta ? ca : ra, k = ta ? ra : ca, n = tb ? rb : cb;
  const batch = a.data.length / (ra * ca), shared = b.shape.length === 2;
  const c = emptyValue([...a.shape.slice(0, -2), m, n]);
  const sharedB = shared && !tb ? transposed(b.data, 0, rb, cb) : b.data;
  for (let i = 0; i < batch; ++i) {
    const left = ta ? transposed(a.data, i * ra * ca, ra, ca) : a.data;
    const right = tb || shared ? sharedB : transposed(b.data, i * rb * cb, rb, cb);
    multiplyRows(
        c.data, left, right, m, n, k, i * m * n, ta ? 0 : i * ra * ca,
        tb && !shared ? i * rb * cb : 0);
  }
  return c;
}

// Where the windows of a convolution or a pool lie: window i begins at i * stride - padding.
function windowsOf({stride, padding, dilation, kernel}) {
  return {
    strideY: stride[0],
    strideX: stride[1],
    top: padding[0],
    left: padding[2],
    stepY: dilation[0],
    stepX: dilation[1],
    kernelY: kernel[0],
    kernelX: kernel[1],
  };
}

// Convolution of x (1, H, W, C) by weight (O, kh, kw, C / groups): each window becomes a row of
// patches, and a row of patches times a row of weights is one output.
function conv2d([x, weight, bias], options, shape) {
  const [out, kernelY, kernelX, inner] = weight.shape, groups = options.groups[0];
  const w = windowsOf({...options, kernel: [kernelY, kernelX]}), y = emptyValue(shape);
  if (bias) addToRows(y.data, bias.data);
  if (inner === 1 && groups > 1) return convDepthwise(y, x, weight, w);
  const rows = shape[1] * shape[2], length = kernelY * kernelX * inner, share = out / groups;
  const patches = new Float32Array(rows * length);
  for (let g = 0; g < groups; ++g) {
    cutPatches(patches, x, shape, w, g * inner, inner);
    multiplyRows(
        y.data, patches, weight.data, rows, share, length, g * share, 0, g * share * length, out);
  }
  return y;
}

// Row (oy, ox) of `patches`: the channels [first, first + inner) of its window, cell by cell; 0
// beyond the border.
function cutPatches(patches, x, shape, w, first, inner) {
  const [, height, width, channels] = x.shape;
  let to = 0;
  for (let oy = 0; oy < shape[1]; ++oy) {
    for (let ox = 0; ox < shape[2]; ++ox) {
      for (let ky = 0; ky < w.kernelY; ++ky) {
        const iy = oy * w.strideY - w.top + ky * w.stepY;
        for (let kx = 0; kx < w.kernelX; ++kx, to += inner) {
          const ix = ox * w.strideX - w.left + kx * w.stepX;
          if (iy < 0 || iy >= height || ix < 0 || ix >= width)
            patches.fill(0, to, to + inner);
          else {
            const from = (iy * width + ix) * channels + first;
            for (let c = 0; c < inner; ++c) patches[to + c] = x.data[from + c];
          }
        }
      }
    }
  }
}

// Each channel by itself (and `out / channels` filters for each).
function convDepthwise(y, x, weight, w) {
  const [, height, width, channels] = x.shape, [, outY, outX, out] = y.shape, each = out / channels;
  const cells = w.kernelY * w.kernelX;
  for (let oy = 0; oy < outY; ++oy)
    for (let ox = 0; ox < outX; ++ox) {
      const to = (oy * outX + ox) * out;
      for (let ky = 0; ky < w.kernelY; ++ky)
        for (let kx = 0; kx < w.kernelX; ++kx) {
          const iy = oy * w.strideY - w.top + ky * w.stepY;
          const ix = ox * w.strideX - w.left + kx * w.stepX;
          if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
          const from = (iy * width + ix) * channels, cell = ky * w.kernelX + kx;
          for (let o = 0; o < out; ++o)
            y.data[to + o] += x.data[from + (o / each | 0)] * weight.data[o * cells + cell];
        }
    }
  return y;
}
