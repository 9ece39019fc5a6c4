// The engine: runs the list of operations of a network on one picture.

// Each operation by its name: (inputs, numbers, shape of the result, tensors) -> value.
const OPERATIONS = {
  conv2d,
  linear,
  matmul,
  softmax,
  reshape,
  permute,
  pad,
  roll,
  slice,
  concat,
  gather,
  expand,
  sum,
  batch_norm: batchNorm,
  layer_norm: layerNorm,
  group_norm: groupNorm,
  max_pool2d: (inputs, numbers, shape) => pool(inputs, numbers, shape, true),
  avg_pool2d: (inputs, numbers, shape) => pool(inputs, numbers, shape, false),
  global_avg_pool: globalAvgPool,
  attention_probabilities: attentionProbabilities,
  attention_output: attentionOutput,
  lambda_layer: lambdaLayer,
};
for (const [name, f] of Object.entries(FUNCTIONS))
  OPERATIONS[name] = inputs => pointwise(f, inputs);
for (const [name, f] of Object.entries(PAIRS))
  OPERATIONS[name] = (inputs, numbers, shape) => pairwise(f, inputs, numbers, shape);

// A network: its graph and its constants. Value 0 is the picture, value i + 1 the result of
// operation i.
class Network {
  constructor(graph, constants) {
    this.operations = graph.operations;
    this.constants = constants;
    this.valueOfSite = new Map();
    this.operations.forEach((operation, i) => {
      for (const site of operation.sites ?? []) this.valueOfSite.set(site.path, i + 1);
    });
  }

  // What operation i reads, as values. Constants are counted from -1 down.
  inputsOf(i, values) {
    return this.operations[i].in.map(
                                    at => at === null ? undefined :
                                        at < 0        ? this.constants[-1 - at] :
                                                        values[at]);
  }

  tensorsOf(i) {
    const tensors = {};
    for (const [name, at] of Object.entries(this.operations[i].t ?? {}))
      tensors[name] = this.constants[at];
    return tensors;
  }

  // All values of a pass of `picture`, a value (1, side, side, 3) that is normalised. `changes` may
  // put another value in the place of one that was just made: changes.get(index)(value, site),
  // and other constants in the place of the network's: replaced.get(index). What lies before the
  // first change can be taken from an earlier pass.
  run(picture, {changes = new Map(), replaced = new Map(), before, from = 0} = {}) {
    const values = before ? before.slice(0, from + 1) : [picture];
    this.operations.forEach(({op, a, shape}, i) => {
      if (i + 1 < values.length) return;
      const inputs = this.operations[i].in.map(at => {
                                            if (at === null) return undefined;
                                            return at < 0 ?
                                                replaced.get(-1 - at) ?? this.constants[-1 - at] :
                                                values[at];
                                          });
      const made = OPERATIONS[op](inputs, a ?? {}, shape, this.tensorsOf(i));
      const change = changes.get(i + 1);
      values.push(change ? change(made) : made);
    });
    return values;
  }

  // All values of `picture` {bytes, index} (see run), normalised as `data` says, without edits; and
  // of the same picture under edits, beside those without.
  valuesOf(picture, data) {
    return this.run(normalised(picture.bytes, data.side, data.mean, data.std));
  }
  valuesUnder(values, picture, edits) { return runEdited(this, values, edits, picture.index); }

  logits(values) { return values[values.length - 1].data; }

  siteOf(value, name) {
    return this.operations[value - 1]?.sites?.find(site => !name || site.name === name);
  }
}

// The picture as the network sees it, of bytes (side, side, 3).
function normalised(bytes, side, mean, std) {
  const picture = emptyValue([1, side, side, 3]);
  for (let i = 0; i < picture.data.length; ++i)
    picture.data[i] = (bytes[i] / 255 - mean[i % 3]) / std[i % 3];
  return picture;
}

function probabilitiesOf(logits) { return softmax([{shape: [logits.length], data: logits}]).data; }

// Classes from the likeliest down: {index, probability, logit}.
function ranked(logits) {
  const probabilities = probabilitiesOf(logits);
  return Array.from(logits, (logit, index) => ({index, logit, probability: probabilities[index]}))
      .sort((a, b) => b.logit - a.logit);
}
