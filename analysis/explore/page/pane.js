// A pane shows one network: the strip of its blocks, and one layer of it at the shared cursor.

// Mean over the channels of the absolute value: a map of where a block does something.
function activity(map) {
  const out = new Float32Array(map.height * map.width);
  for (let i = 0; i < out.length; ++i) {
    let sum = 0;
    for (let c = 0; c < map.channels; ++c)
      sum += Math.abs(map.at(Math.floor(i / map.width), i % map.width, c));
    out[i] = sum / map.channels;
  }
  return out;
}

function channelMap(map, channel) {
  return Float32Array.from(
      {length: map.height * map.width},
      (_, i) => map.at(Math.floor(i / map.width), i % map.width, channel));
}

// The same of a value; a program that serves the page has it made.
const activityOf = (value, site) => value.activity ?? activity(mapOf(value, site));

// Points {radius, change}: frequencies in units of the Nyquist frequency.
const spectra = new WeakMap();  // of values, made once
function spectrumOfValue(value, site) {
  if (!spectra.has(value)) {
    const map = mapOf(value, site), side = Math.min(map.height, map.width);
    const changes = value.spectrum ?? spectrumOf(map, value.data);
    spectra.set(value, changes.map((change, i) => ({radius: 2 * i / side, change})));
  }
  return spectra.get(value);
}

// pane: {index, label, network, blocks, before, after, state}; app.set changes the state.
class Pane {
  constructor(app, index) {
    this.app = app;
    this.index = index;
    this.node = el('section', {class: 'pane', 'aria-label': `Network ${index + 1}`});
  }

  get state() { return this.app.state.panes[this.index]; }
  get block() { return this.blocks[Math.min(this.state.block, this.blocks.length - 1)]; }
  get layer() {
    return this.block.layers.find(l => l.site.path === this.state.layer) ?? mainLayer(this.block);
  }
  set(own, shared = {}) {
    const panes =
        this.app.state.panes.map((pane, i) => i === this.index ? {...pane, ...own} : pane);
    this.app.set({...shared, panes});
  }

  render(pass) {
    this.network = pass.network;
    this.blocks = pass.blocks;
    this.before = pass.before;
    this.after = pass.after;
    const {label, pattern, parameters} = pass.info;
    fill(
        this.node, el('h2', {text: `The blocks of ${label}`}), el('p', {
          class: 'note',
          text: `${counted(parameters, 'parameter')}${pattern ? `, pattern ${pattern}` : ''}. ` +
              `Each block: mean activity of its map, and its spectrum from frequency 0 to ` +
              `Nyquist${this.after === this.before ? '' : ' (dashed: before the changes)'}.`
        }),
        this.strip(), this.layerView());
  }

  strip() {
    const chosen = this.block;
    return el(
        'div', {
          class: 'strip',
          role: 'group',
          'aria-label': 'Blocks',
          'data-scroll': `${this.index}-strip`
        },
        this.blocks.map((block, i) => {
          const value = this.after[block.value], map = mapOf(value, block.site);
          const face = [el('span', {class: 'letter', text: KIND_LETTERS[block.kind] ?? '?'})];
          if (map.height > 1) {
            const canvas = el('canvas', {class: 'cells thumb', 'aria-hidden': 'true'});
            drawMap(canvas, activityOf(value, block.site), map.height, map.width);
            face.push(canvas);
            const lines = [{points: spectrumOfValue(value, block.site), class: 'after'}];
            if (this.after !== this.before)
              lines.unshift(
                  {points: spectrumOfValue(this.before[block.value], block.site), class: 'before'});
            const drawing =
                spectrumLines(lines, {width: 64, height: 28, label: `Spectrum of ${block.path}`});
            if (drawing) face.push(drawing);
          }
          face.push(
              el('span',
                 {class: 'path', text: block.path.replace('stages.', '').replace('.blocks', '')}));
          const key = `${this.index}-block-${i}`;
          return el(
              'button', {
                type: 'button',
                class: 'block ' + block.kind,
                'data-key': key,
                'aria-pressed': String(block === chosen),
                'aria-label':
                    `Block ${i + 1}, ${KIND_WORDS[block.kind] ?? block.kind}, ${block.path}`,
                on: {click: () => this.set({block: i, layer: '', channel: 0, head: 0, input: -1})},
              },
              face);
        }));
  }

  // What the arithmetic of the layer is shown with.
  context(layer, map) {
    const {app, state} = this, site = layer.site, at = layer.value - 1;
    const height = map.height || 1, width = map.width || 1;
    const y = Math.floor(app.state.v * height), x = Math.floor(app.state.u * width);
    const channel = Math.min(state.channel, map.channels - 1), onGrid = map.height > 0;
    const index = onGrid ? map.first + (y * width + x) * map.channels + channel : channel;
    const value = this.after[layer.value].data[index];
    return {
      network: this.network,
      values: this.after,
      at,
      site,
      y,
      x,
      channel,
      head: state.head,
      input: state.input,
      index,
      value,
      pane: this.index,
      pair: {u: app.state.ku, v: app.state.kv},
      set: (own, shared) => this.set(own, shared),
    };
  }

  explain(layer, context) {
    const {op} = this.network.operations[layer.value - 1];
    if (layer.site.name === 'attention') return explainAttention(context);
    if (op === 'lambda_layer') return explainLambda(context);
    if (op === 'attention_output') return explainHeads(context);
    if (op === 'conv2d') return explainConv(context);
    if (op === 'linear') return explainLinear(context);
    if (op.endsWith('_norm')) return explainNorm(context);
    return explainPointwise(context);
  }

  layerView() {
    const {block, layer} = this, attention = layer.site.name === 'attention';
    const map = attention ?
        {height: layer.site.height, width: layer.site.width, channels: 1, first: 0} :
        mapOf(this.after[layer.value], layer.site);
    this.channels = map.channels;
    const context = this.context(layer, map), id = `pane-${this.index}`;
    this.shown = context;
    const choices =
        el('div', {class: 'tools'},
           select(
               'Layer', block.layers.map(l => ({value: l.site.path, label: layerLabel(l, block)})),
               layer.site.path, value => this.set({layer: value, channel: 0, input: -1}),
               `${id}-layer`));
    if (!attention && map.channels > 1)
      choices.append(slider(
          'Channel', {
            min: 0,
            max: map.channels - 1,
            step: 1,
            value: context.channel,
            shown: String,
            id: `${id}-channel`
          },
          v => this.set({channel: v, input: -1})));
    const left = attention ? [] : this.mapsOf(layer, map, context);
    const where = map.height > 1 ?
        `row ${context.y}, column ${context.x} of ${map.height} × ${map.width}` :
        'the whole picture';
    this.place = `At ${where}${
        attention ? pairWords(context) : `, channel ${context.channel}: ${num(context.value)}`}.`;
    return el(
        'div', {class: 'layer'}, el('h3', {
          text: `Block ${this.blocks.indexOf(block) + 1}, ` +
              `${KIND_WORDS[block.kind] ?? block.kind}: ${layerLabel(layer, block)}`
        }),
        choices, el('p', {class: 'where', text: this.place}),
        el('div', {class: 'layer-row'},
           left.length > 0 ? el('div', {class: 'layer-map'}, left) : null,
           el('div', {class: 'arithmetic'}, this.explain(layer, context))));
  }

  mapsOf(layer, map, context) {
    if (map.height < 2) return [];
    const numbers = channelMap(map, context.channel);
    const view = mapView({
      numbers,
      height: map.height,
      width: map.width,
      label: `Map of channel ${context.channel}; the arrow keys move the cursor`,
      cursor: context,
      onCursor: (y, x) => this.app.set({v: (y + 0.5) / map.height, u: (x + 0.5) / map.width}),
    });
    view.dataset.key = `${this.index}-map`;
    const {low, high} = view.scale;
    const drawn = [view, el('p', {class: 'note', text: `From ${num(low)} to ${num(high)}.`})];
    const lines = [{points: spectrumOfValue(this.after[layer.value], layer.site), class: 'after'}];
    if (this.after !== this.before)
      lines.unshift(
          {points: spectrumOfValue(this.before[layer.value], layer.site), class: 'before'});
    const drawing = spectrumLines(
        lines, {width: 180, height: 80, label: 'Log amplitude by frequency, all channels'});
    if (drawing) {
      const end = lines[lines.length - 1].points.at(-1).change;
      drawn.push(
          drawing, el('p', {
            class: 'note',
            text: `Log amplitude, all channels, from frequency 0 to Nyquist: ${signed(end)} there.`
          }));
    }
    return drawn;
  }
}
