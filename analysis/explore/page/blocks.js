// A network as blocks: runs of operations between the taps "out", with the layers that have names.

const KIND_LETTERS = {
  stem: 'S',
  embedding: 'S',
  conv: 'C',
  depthwise: 'D',
  msa: 'M',
  parallel: 'U',
  lambda: 'L',
  hydra: 'H',
  pooling: 'P',
  identity: 'I',
  mlp: 'F',
  token_mlp: 'T',
  downsample: '↓',
  head: '→',
};
const KIND_WORDS = {
  stem: 'stem',
  embedding: 'patches',
  conv: 'convolution',
  depthwise: 'large depthwise convolution',
  msa: 'self-attention',
  parallel: 'self-attention beside a convolution',
  lambda: 'lambda layer',
  hydra: 'Hydra attention',
  pooling: 'pooling',
  identity: 'no mixing',
  mlp: 'MLP',
  token_mlp: 'MLP over tokens',
  downsample: 'downsampling',
  head: 'classifier',
};

// Layers of a block: a tapped value that is worth looking at, once.
const LAYER_WORDS = {
  conv: 'convolution',
  norm: 'norm',
  linear: 'linear layer',
  q: 'queries',
  k: 'keys',
  v: 'values',
  attention: 'attention',
  heads: 'what the heads give',
  hidden: 'hidden layer',
  branch: 'the branch',
  out: 'the block’s result',
  features: 'features',
  logits: 'logits',
  lambda_values: 'values',
  hydra_query: 'queries',
  hydra_key: 'keys',
  hydra_value: 'values',
};

function blocksOf(network) {
  const blocks = [];
  let layers = [];
  network.operations.forEach(({op, sites = []}, i) => {
    for (const site of sites)
      if (site.name !== 'skip') layers.push({value: i + 1, site, op});
    const out = sites.find(s => s.name === 'out');
    if (!out) return;
    blocks.push({
      path: out.path.replace(/\.out$/, ''),
      kind: out.kind,
      site: out,
      value: i + 1,
      layers: once(layers)
    });
    layers = [];
  });
  const value = network.operations.length, logits = network.operations[value - 1].sites?.[0];
  blocks.push({
    path: 'head',
    kind: 'head',
    site: logits ?? {height: 0, width: 0},
    value,
    layers: once(layers)
  });
  return blocks;
}

// A value that two taps show is one layer, under the name that says more.
function once(layers) {
  const byValue = new Map();
  const rank = ['out', 'attention', 'heads', 'conv', 'norm', 'hidden', 'linear'];
  const place = layer => {
    const i = rank.indexOf(layer.site.name);
    return i < 0 ? rank.length : i;
  };
  for (const layer of layers) {
    const other = byValue.get(layer.value);
    if (!other || place(layer) < place(other)) byValue.set(layer.value, layer);
  }
  return [...byValue.values()];
}

// "conv1: convolution" of "stages.0.blocks.0.conv1.conv".
function layerLabel(layer, block) {
  const inside = layer.site.path.startsWith(block.path + '.') ?
      layer.site.path.slice(block.path.length + 1) :
      layer.site.path;
  const words = inside.split('.').slice(0, -1).join('.');
  const what = LAYER_WORDS[layer.site.name] ?? layer.site.name;
  return words ? `${words}: ${what}` : what;
}

// The layer that shows a block best: what mixes its places.
function mainLayer(block) {
  const last = name => block.layers.findLast(l => l.site.name === name);
  const lambda = block.layers.find(l => l.op === 'lambda_layer');
  return lambda ?? block.layers.find(l => l.site.name === 'attention') ??
      (block.kind === 'conv' || block.kind === 'stem' || block.kind === 'depthwise' ? last('conv') :
                                                                                      undefined) ??
      last('hidden') ?? block.layers[block.layers.length - 1];
}
