// Attention and lambda layers.

// Where the tokens of a window lie on the map, before the cyclic shift that Swin makes, and whether
// the shift wrapped them around: tokens that were wrapped differently do not see each other.
function placesOf({grid: [height, width], window: [rows, columns], shift: [shift]}) {
  const across = width / columns, windows = height / rows * across, places = [];
  for (let w = 0; w < windows; ++w) {
    const tokens = [];
    for (let t = 0; t < rows * columns; ++t) {
      const r = Math.floor(w / across) * rows + Math.floor(t / columns);
      const c = w % across * columns + t % columns;
      tokens.push({
        token: (r + shift) % height * width + (c + shift) % width,
        wrapped: Number(r >= height - shift) + 2 * Number(c >= width - shift),
      });
    }
    places.push(tokens);
  }
  return places;
}

// Entry of the table of relative positions for query q and key k of a window of `side` columns.
const tableEntry = (q, k, side) =>
    (Math.floor(k / side) - Math.floor(q / side) + side - 1) * (2 * side - 1) + k % side -
    q % side + side - 1;

// Channel c of head h of queries (part 0), keys (1) or values (2) of a token, in packed
// projections.
const packedAt = (token, part, head, depth, heads) =>
    (token * 3 + part) * heads * depth + head * depth;

// softmax(scale q k^T + position) for each window and head: (windows, heads, tokens, tokens).
function attentionProbabilities([qkv, table], options, shape) {
  const [heads] = options.heads, [scale] = options.scale, side = options.window[1];
  const depth = qkv.shape[qkv.shape.length - 1] / (3 * heads), tokens = shape[3];
  const logits = emptyValue(shape), places = placesOf(options);
  const q = new Float32Array(tokens * depth), k = new Float32Array(tokens * depth);
  places.forEach((places, w) => {
    for (let h = 0; h < heads; ++h) {
      places.forEach(({token}, t) => {
        const from = packedAt(token, 0, h, depth, heads), key = packedAt(token, 1, h, depth, heads);
        for (let c = 0; c < depth; ++c) {
          q[t * depth + c] = qkv.data[from + c] * scale;
          k[t * depth + c] = qkv.data[key + c];
        }
      });
      const at = (w * heads + h) * tokens * tokens;
      multiplyRows(logits.data, q, k, tokens, tokens, depth, at);
      for (let i = 0; i < tokens; ++i)
        for (let j = 0; j < tokens; ++j) {
          if (table) {
            const columns = table.shape[1];
            logits.data[at + i * tokens + j] +=
                table.data[tableEntry(i, j, side) * columns + (columns > 1 ? h : 0)];
          }
          if (places[i].wrapped !== places[j].wrapped) logits.data[at + i * tokens + j] = -1e30;
        }
    }
  });
  return softmax([logits]);
}

// What the heads give: each query's mean of the values, weighed by its probabilities.
function attentionOutput([probabilities, qkv], options, shape) {
  const [heads] = options.heads, tokens = probabilities.shape[3];
  const depth = qkv.shape[qkv.shape.length - 1] / (3 * heads), y = emptyValue(shape);
  const values = new Float32Array(depth * tokens), mixed = new Float32Array(tokens * depth);
  placesOf(options).forEach((places, w) => {
    for (let h = 0; h < heads; ++h) {
      places.forEach(({token}, t) => {
        const from = packedAt(token, 2, h, depth, heads);
        for (let c = 0; c < depth; ++c) values[c * tokens + t] = qkv.data[from + c];
      });
      mixed.fill(0);
      multiplyRows(
          mixed, probabilities.data, values, tokens, depth, tokens, 0,
          (w * heads + h) * tokens * tokens);
      places.forEach(({token}, t) => {
        for (let c = 0; c < depth; ++c)
          y.data[(token * heads + h) * depth + c] = mixed[t * depth + c];
      });
    }
  });
  return y;
}

// The softmax of the keys over the positions: (intra, depth, positions).
function normalisedKeys(keys, intra, depth, positions) {
  const logits = emptyValue([intra * depth, positions]);
  for (let n = 0; n < positions; ++n)
    for (let i = 0; i < intra * depth; ++i)
      logits.data[i * positions + n] = keys.data[n * intra * depth + i];
  return softmax([logits]).data;
}

// A lambda layer: y[n, h] = q[n, h] lambda[n], where the matrix lambda[n] (depth, value) is the
// same content for all n, and a position part from the neighbours of n.
function lambdaLayer([q, keys, values, embedding, bias], options, shape) {
  const [heads] = options.heads, [depth] = options.depth, [intra] = options.intra;
  const [, height, width] = q.shape, positions = height * width;
  const value = values.shape[3] / intra, y = emptyValue(shape);
  const content = contentLambda(
      normalisedKeys(keys, intra, depth, positions), values, intra, depth, value, positions, bias);
  const lambda = new Float64Array(depth * value);
  for (let n = 0; n < positions; ++n) {
    lambda.set(content);
    addPositions(
        lambda, n, values, embedding, {height, width, depth, intra, value, radius: options.radius});
    for (let h = 0; h < heads; ++h)
      for (let k = 0; k < depth; ++k) {
        const weight = q.data[(n * heads + h) * depth + k], to = (n * heads + h) * value;
        for (let v = 0; v < value; ++v) y.data[to + v] += weight * lambda[k * value + v];
      }
  }
  return y;
}

// sum over the positions of softmax(keys) times values, plus the bias of each depth.
function contentLambda(keys, values, intra, depth, value, positions, bias) {
  const lambda = new Float64Array(depth * value);
  for (let u = 0; u < intra; ++u)
    for (let k = 0; k < depth; ++k)
      for (let m = 0; m < positions; ++m) {
        const weight = keys[(u * depth + k) * positions + m];
        const from = (m * intra + u) * value;
        for (let v = 0; v < value; ++v) lambda[k * value + v] += weight * values.data[from + v];
      }
  if (bias)
    for (let i = 0; i < lambda.length; ++i) lambda[i] += bias.data[i / value | 0];
  return lambda;
}

// Adds what the neighbours m of position n give: embedding[m - n] times the values at m.
function addPositions(lambda, n, values, embedding, s) {
  const [radiusY, radiusX] = s.radius, columns = 2 * radiusX + 1;
  const y = Math.floor(n / s.width), x = n % s.width;
  const bottom = Math.min(s.height - 1, y + radiusY), right = Math.min(s.width - 1, x + radiusX);
  for (let my = Math.max(0, y - radiusY); my <= bottom; ++my) {
    for (let mx = Math.max(0, x - radiusX); mx <= right; ++mx) {
      const row = ((my - y + radiusY) * columns + mx - x + radiusX) * s.depth * s.intra;
      for (let u = 0; u < s.intra; ++u) {
        const from = ((my * s.width + mx) * s.intra + u) * s.value;
        for (let k = 0; k < s.depth; ++k) {
          const weight = embedding.data[row + k * s.intra + u], to = k * s.value;
          for (let v = 0; v < s.value; ++v) lambda[to + v] += weight * values.data[from + v];
        }
      }
    }
  }
}

// How much the value at m counts for query n of a head, in parts: what the keys say (content) and
// where m lies (position). Depth by depth: q[k] softmax(keys)[k, m] and q[k] embedding[m - n, k].
function lambdaWeights([q, keys, , embedding], options, head, n) {
  const [heads] = options.heads, [depth] = options.depth, [radiusY, radiusX] = options.radius;
  const [, height, width] = q.shape, positions = height * width;
  const normal = normalisedKeys(keys, 1, depth, positions);
  const content = new Float32Array(positions), position = new Float32Array(positions);
  const terms = m => {
    const dy = Math.floor(m / width) - Math.floor(n / width) + radiusY;
    const dx = m % width - n % width + radiusX;
    const near = dy >= 0 && dy <= 2 * radiusY && dx >= 0 && dx <= 2 * radiusX;
    return Array.from(
        {length: depth},
        (_, k) => ({
          q: q.data[(n * heads + head) * depth + k],
          key: normal[k * positions + m],
          place: near ? embedding.data[(dy * (2 * radiusX + 1) + dx) * depth + k] : 0,
        }));
  };
  for (let m = 0; m < positions; ++m)
    for (const t of terms(m)) {
      content[m] += t.q * t.key;
      position[m] += t.q * t.place;
    }
  return {height, width, content, position, terms};
}
