// Ten guided steps. Each sets the view, says what to see, and asks something that the network
// itself answers: the right option is computed, not written down.

// What a step looks with: passes of the first network, whatever the page shows.
function lookOf(app) {
  const {network, blocks} = app.network(app.state.panes[0].net);
  const {data} = app;
  const memo = app.guideMemo ??= new Map();
  const values = picture => {
    const key = `${app.state.panes[0].net}-${picture}`;
    if (!memo.has(key)) memo.set(key, network.valuesOf(app.testPicture(picture), data));
    return memo.get(key);
  };
  return {
    app,
    data,
    network,
    blocks,
    info: data.networks[app.state.panes[0].net],
    values,
    edited: (picture, edits) =>
        network.valuesUnder(values(picture), app.testPicture(picture), edits),
    find: test => {
      for (const [block, b] of blocks.entries()) {
        const layer = b.layers.find(test);
        if (layer) return {block, layer};
      }
      return undefined;
    },
  };
}

const MIDDLE = {
  u: 0.5,
  v: 0.5
};
const viewOf = (block, layer, more = {}) => ({
  picture: 0,
  drawn: '',
  edits: [],
  ...MIDDLE,
  pane: {block, layer: layer?.site.path ?? '', channel: 0, head: 0, input: -1},
  ...more
});

// Options that differ, the right one among them, in order.
function numberOptions(right, others, unit = '') {
  const all =
      [...new Set([right, ...others.filter(n => n >= 0)])].slice(0, 4).sort((a, b) => a - b);
  return all.map(n => ({text: `${n.toLocaleString('en')}${unit}`, right: n === right}));
}
const either = (texts, right) => texts.map((text, i) => ({text, right: i === right}));

const GUIDE = [
  look => {
    const order = ranked(look.network.logits(look.values(0)));
    const chosen = [0, 1, 2, order.length - 1].map(i => order[Math.min(i, order.length - 1)]);
    const classes = [...new Set(chosen.map(r => r.index))].sort((a, b) => a - b);
    return {
      title: 'A picture and an answer',
      view: viewOf(0),
      text: [
        'The picture goes through the network and comes out as one number a class, its logit. ' +
            'The softmax turns logits into probabilities, which sum to 1.',
        'The answer is the class of the largest. A tick marks the class that the data set names.'
      ],
      question: 'Which class does this network find likeliest for the first picture?',
      options:
          classes.map(index => ({text: look.data.classes[index], right: index === order[0].index})),
    };
  },
  look => {
    const mixes = kind => look.blocks.filter(b => b.kind === kind).length;
    const kind = ['msa', 'lambda', 'hydra', 'conv'].find(k => mixes(k) > 0) ?? 'mlp';
    const right = mixes(kind);
    return {
      title: 'A strip of blocks',
      view: viewOf(Math.max(0, look.blocks.findIndex(b => b.kind === kind))),
      text: [
        'The network is a strip of blocks. A letter says how a block mixes places: C by ' +
            'convolution, M by self-attention, L by a lambda layer; F, an MLP, mixes none.',
        'The small maps show where a block is active, the lines below them which frequencies it ' +
            'holds: from slow changes over the picture, left, to changes from cell to cell, right.'
      ],
      question: `How many blocks of this network are of the kind “${KIND_WORDS[kind]}”?`,
      options: numberOptions(right, [right + 1, right + 2, right - 1]),
    };
  },
  look => {
    const block = look.blocks.findLastIndex(b => b.site.height > 1);
    const {site} = look.blocks[Math.max(0, block)];
    const right = Math.round(look.data.side / Math.max(1, site.height));
    return {
      title: 'From pixels to cells',
      view: viewOf(Math.max(0, block)),
      text:
          ['Maps get coarser on the way. The frame of the cursor is one cell of the map; on the ' +
           'picture it covers all the pixels that the cell stands for.'],
      question: 'How many pixels wide is one cell of the last block’s map?',
      options: numberOptions(right, [1, 2, 4, 8, 16].filter(n => n !== right), ' pixels'),
    };
  },
  look => {
    const {side} = look.data;
    const field = i => {
      const {site, value} = look.blocks[i];
      const f = receptiveField(
          look.network, value, Math.floor(site.height / 2), Math.floor(site.width / 2), side);
      return f.right - f.left + 1;
    };
    const block = Math.min(1, look.blocks.length - 2), right = field(block);
    return {
      title: 'What a value can depend on',
      view: viewOf(block, look.blocks[block].layers.find(l => l.site.name === 'out')),
      text: [
        'The large frame on the picture is the receptive field: the pixels that the value at ' +
            'the cursor can depend on at all. A 3×3 convolution adds a cell on each side; ' +
            'attention over the map sees everything at once.',
        'Walk through the blocks with [ and ] and watch it grow.'
      ],
      question: `How many pixels wide is the frame for the middle of block ${block + 1}’s result?`,
      options: numberOptions(right, [1, 3, right + 2, side, Math.floor(right / 2)], ' pixels'),
    };
  },
  look => products(look),
  look => {
    const found = look.find(l => l.op.endsWith('_norm'));
    const at = found.layer.value - 1;
    const operation = look.network.operations[at];
    const [x, gamma] = look.network.inputsOf(at, look.values(0));
    const channels = gamma.data.length;
    const {site} = found.layer;
    const cell = site.height ?
        tokenOf(site, Math.floor(site.height / 2), Math.floor(site.width / 2)) * channels :
        0;
    const v = x.data[cell];
    const mean = operation.op === 'batch_norm' ?
        look.network.tensorsOf(at).mean.data[0] :
        statistics(x.data, Array.from({length: channels}, (_, i) => cell + i), 0).mean;
    return {
      title: 'A norm',
      view: viewOf(found.block, found.layer),
      text: [
        operation.op === 'batch_norm' ?
            'A batch norm knows the mean and the deviation that each channel had in training. ' +
                'They are constants now: it is a stretch and a shift.' :
            'A layer norm brings each token to mean 0 and deviation 1 over its own channels: ' +
                'what it does depends on the picture.',
        'Read the formula below the map.'
      ],
      question:
          'Is the value that goes into the norm (channel 0, middle) above the mean, or below?',
      options: either(['above', 'below'], v > mean ? 0 : 1),
    };
  },
  look => whereItLooks(look),
  look => frequencies(look),
  look => {
    const edits = branchEdits(look), edit = edits[Math.floor(edits.length / 2)];
    const before = ranked(look.network.logits(look.values(0)))[0].index;
    const after = ranked(look.network.logits(look.edited(0, [edit])))[0].index;
    return {
      title: 'Take a part out',
      view: viewOf(
          Math.max(0, look.blocks.findIndex(b => edit.path.startsWith(b.path + '.'))), undefined,
          {edits: [edit]}),
      text: [
        `A change has been made: ${nameOfEdit(edit)}. The table shows probabilities before and ` +
            `after, the dashed lines of the strip the spectra before.`,
        'Undo it with u, and try others under “Changes”.'
      ],
      question:
          'With this part out, does the network still give the same class for the first picture?',
      options: either(['the same', 'another'], before === after ? 0 : 1),
    };
  },
  look =>
      look.info.effects.length === 0 && look.data.served ? askForEvidence(look) : evidence(look),
];

// Step 10 where the program measures a change when it is asked to.
function askForEvidence(look) {
  const {images} = look.data.served;
  return {
    title: 'One picture is no evidence',
    view: viewOf(0),
    text:
        ['Whatever a change did to one picture, another may do otherwise. “Measure it”, beside a ' +
         'change, has the program make it on many test pictures, and says with which interval ' +
         'so many tell its effect.'],
    question: 'Over how many pictures does this program measure a change?',
    options: numberOptions(images, [1, images + 1, 10 * images]),
  };
}

function evidence(look) {
  const rows =
      look.info.effects
          .filter(e => e.kind === 'branch' || e.kind === 'low_pass' || e.kind === 'high_pass')
          .sort((a, b) => a.after - b.after || b.changed - a.changed);
  const measure = e => look.data.labelled ? e.after : -e.changed, worst = rows[0];
  const others = [rows[Math.floor(rows.length / 2)], rows[rows.length - 1]].filter(
      e => e && measure(e) > measure(worst));
  const shown = [worst, ...others].filter(Boolean).sort((a, b) => a.path < b.path ? -1 : 1);
  const pictures = worst?.pictures ?? 0;
  return {
    title: 'One picture is no evidence',
    view: viewOf(0),
    text:
        [`Whatever a change did to one picture, another may do otherwise. So the program has ` +
         `made each change on up to ${pictures.toLocaleString('en')} test pictures, and its ` +
         `effect stands beside it, with the interval that so many pictures allow.`],
    question: `Which of these ` +
        `${look.data.labelled ? 'costs the most right answers' : 'changes the most answers'} ` +
        `over the ${pictures.toLocaleString('en')} pictures?`,
    options: shown.length > 0 ? shown.map(e => ({text: nameOfEdit(e), right: e === worst})) :
                                either(['none was measured'], 0),
  };
}

// Step 5 is about the first layer that reads the picture: a convolution, or (patches of one pixel)
// a linear layer.
function products(look) {
  const found = look.find(l => l.op === 'conv2d' || l.op === 'linear'), at = found.layer.value - 1;
  const [x, weight] = look.network.inputsOf(at, look.values(0));
  const {a, shape, op} = look.network.operations[at];
  const {site} = found.layer;
  const inner = weight.shape[weight.shape.length - 1], sums = new Array(inner).fill(0);
  const y0 = Math.floor(site.height / 2), x0 = Math.floor(site.width / 2);
  if (op === 'linear')
    sums.forEach((_, i) => {
      sums[i] = x.data[tokenOf(site, y0, x0) * inner + i] * weight.data[i];
    });
  else {
    const [, kh, kw] = weight.shape;
    const w = windowsOf({...a, kernel: [kh, kw]});
    const map = mapOf(x);
    const {height, width} = map;
    const y1 = Math.floor(shape[1] / 2) * w.strideY - w.top;
    const x1 = Math.floor(shape[2] / 2) * w.strideX - w.left;
    for (let ky = 0; ky < kh; ++ky)
      for (let kx = 0; kx < kw; ++kx)
        for (let i = 0; i < inner; ++i) {
          const inside = y1 + ky >= 0 && y1 + ky < height && x1 + kx >= 0 && x1 + kx < width;
          if (inside)
            sums[i] += map.at(y1 + ky, x1 + kx, i) * weight.data[(ky * kw + kx) * inner + i];
        }
  }
  const order = sums.map((_, i) => i).sort((i, j) => Math.abs(sums[j]) - Math.abs(sums[i]));
  const shown = order.slice(0, 3).sort((i, j) => i - j);
  const names = ['red (0)', 'green (1)', 'blue (2)'];
  return {
    title: 'One value, all its products',
    view: viewOf(found.block, found.layer),
    text: [
      'The first layer reads red (0), green (1) and blue (2) of the picture. Each value it ' +
          'gives is a sum of products: window times kernel, one grid for each channel it reads.',
      'Press an input channel to see its grid.'
    ],
    question:
        'At the middle of the picture, which input channel moves channel 0 the most, up or down?',
    options:
        shown.map(i => ({text: inner === 3 ? names[i] : `channel ${i}`, right: i === order[0]})),
  };
}

// Step 8 compares spectra; maps of a few places have none.
function frequencies(look) {
  const maps =
      look.blocks.map((block, i) => ({i, block})).filter(({block}) => block.site.height >= 4);
  const out = ({block}) => block.layers.find(l => l.site.name === 'out');
  const end = ({block}) => spectrumOfValue(look.values(0)[block.value], block.site).at(-1).change;
  const text = [
    'The spectrum of a map says how much it changes slowly (left) and from cell to cell ' +
        '(right), against its mean. A block that smooths lowers the right end: attention tends ' +
        'to, convolutions tend to raise it.',
    'The lines of the strip tell it for one picture; the report measures it over many.'
  ];
  if (maps.length < 2) {
    const {site} = look.blocks[0], right = site.height * site.width;
    return {
      title: 'Places',
      view: viewOf(0),
      text:
          ['The maps of this network are too small for a spectrum: they have few places, each of ' +
           'many pixels.'],
      question: 'How many places has the map of block 1?',
      options: numberOptions(right, [right * 4, right + 1, look.data.side]),
    };
  }
  const first = maps[0], last = maps[maps.length - 1];
  return {
    title: 'Frequencies',
    view: viewOf(last.i, out(last)),
    text,
    question: `Whose line ends higher for the first picture, block ${first.i + 1}’s or block ` +
        `${last.i + 1}’s?`,
    options:
        either([`block ${first.i + 1}`, `block ${last.i + 1}`], end(first) > end(last) ? 0 : 1),
  };
}

// Step 7 is about what mixes the places of this network.
function whereItLooks(look) {
  const attention = look.find(l => l.op === 'attention_probabilities');
  const lambda = look.find(l => l.op === 'lambda_layer');
  if (attention) {
    const {site, value} = attention.layer;
    const middle = [Math.floor(site.height / 2), Math.floor(site.width / 2)];
    const row = attentionRow(
                    {site, y: middle[0], x: middle[1]}, look.values(0)[value],
                    look.network.operations[value - 1].a, 0)
                    .map;
    const sums = [0, 0, 0, 0];
    row.forEach((p, i) => {
      const lower = Math.floor(i / site.width) >= site.height / 2;
      const right = i % site.width >= site.width / 2;
      sums[2 * lower + right] += p;
    });
    return {
      title: 'Where a query looks',
      view: viewOf(attention.block, attention.layer),
      text: [
        'Attention gives each place (the framed query) a weight for every place that it sees. ' +
            'The weights of a head are positive and sum to 1: it takes a mean. Move the query ' +
            'on the picture, the key on a map.',
        'Below, one pair is taken apart: query times key, channel by channel, scaled, and the ' +
            'softmax.'
      ],
      question: 'From the middle, to which quarter of the map does head 1 give the most?',
      options: either(
          ['upper left', 'upper right', 'lower left', 'lower right'],
          sums.indexOf(Math.max(...sums))),
    };
  }
  if (lambda && look.network.operations[lambda.layer.value - 1].a.intra[0] === 1) {
    const {site, value} = lambda.layer;
    const n = Math.floor(site.height / 2) * site.width + Math.floor(site.width / 2);
    const w = lambdaWeights(
        look.network.inputsOf(value - 1, look.values(0)), look.network.operations[value - 1].a, 0,
        n);
    const size = list => list.reduce((s, v) => s + Math.abs(v), 0);
    return {
      title: 'Content and position',
      view: viewOf(lambda.block, lambda.layer),
      text:
          ['A lambda layer weighs places by what they are (content) and by where they lie ' +
           '(position). Its weights may be negative: it can sharpen as well as smooth.'],
      question:
          'For head 1 and the middle, which part has the larger weights in sum of their sizes?',
      options: either(['content', 'position'], size(w.content) >= size(w.position) ? 0 : 1),
    };
  }
  const found = look.find(
                    l => l.op === 'conv2d' &&
                        look.blocks.some(b => b.kind === 'conv' && b.layers.includes(l))) ??
      look.find(l => l.op === 'conv2d');
  const [, kh, kw, inner] =
      look.network.constants[-1 - look.network.operations[found.layer.value - 1].in[1]].shape;
  const right = kh * kw * inner;
  return {
    title: 'A convolution looks where it must',
    view: viewOf(found.block, found.layer),
    text: [
      'A convolution weighs the same places in the same way for every picture and every query: ' +
      'its kernel. Attention would choose its weights anew. So a network of convolutions ' +
      'reaches far only by depth.'
    ],
    question: 'How many products make one value of this convolution?',
    options: numberOptions(right, [kh * kw, inner, right * 2]),
  };
}

// Branches that can be taken out; a network without any has its maps passed.
function branchEdits(look) {
  const edits = [];
  for (const block of look.blocks)
    for (const {sites = []} of block.layers.map(l => look.network.operations[l.value - 1]))
      for (const site of sites)
        if (site.name === 'branch')
          edits.push({kind: 'branch', path: site.path, number: 0, heads: 0, epsilon: 0});
  if (edits.length > 0) return edits;
  return look.blocks.filter(b => b.site.height >= 4)
      .map(b => ({kind: 'low_pass', path: b.site.path, number: .5, heads: 0, epsilon: 0}));
}

// Question `i` for the first network, computed when it is first asked.
function questionOf(app, i) {
  const memo = app.questions ??= new Map(), key = `${app.state.panes[0].net}-${i}`;
  if (!memo.has(key)) memo.set(key, GUIDE[i](lookOf(app)));
  return memo.get(key);
}

function showStep(app, i) {
  const show = () => {
    const {pane, ...view} = questionOf(app, i).view;
    app.answered = '';
    app.set(
        {...view, step: i, panes: app.state.panes.map((p, n) => n === 0 ? {...p, ...pane} : p)});
  };
  if (!app.data.served) return show();
  whenHere(() => questionOf(app, i)).then(show, error => app.tell(error));
}

function renderGuide(app) {
  const i = app.state.step, key = `${app.state.panes[0].net}-${i}`;
  if (app.guideShown === key) return;
  const step = questionOf(app, i);
  app.guideShown = key;
  const verdict = el('p', {id: 'verdict', role: 'status', 'aria-live': 'polite'});
  const check = () => {
    const chosen = document.querySelector('input[name=option]:checked');
    const right = chosen && step.options[Number(chosen.value)].right;
    verdict.className = right ? 'yes' : 'no';
    verdict.textContent = !chosen ? 'Choose an answer first.' :
        right                     ? 'Right.' :
                                    'Not so. Look again: “Show it” sets the view.';
  };
  fill(
      byId('guide-body'), el('p', {class: 'note', text: `Step ${i + 1} of ${GUIDE.length}`}),
      el('h3', {text: step.title}), step.text.map(text => el('p', {text})),
      el('button',
         {type: 'button', id: 'show-step', text: 'Show it', on: {click: () => showStep(app, i)}}),
      el('fieldset', {}, el('legend', {text: step.question}),
         step.options.map(
             (option, n) =>
                 el('label', {class: 'option'},
                    el('input', {type: 'radio', name: 'option', value: String(n)}),
                    ` ${option.text}`))),
      el('div', {class: 'tools'},
         el('button', {type: 'button', id: 'check', text: 'Check', on: {click: check}}),
         el('button', {
           type: 'button',
           id: 'previous-step',
           disabled: i === 0,
           text: 'Back',
           on: {click: () => showStep(app, i - 1)}
         }),
         el('button', {
           type: 'button',
           id: 'next-step',
           disabled: i === GUIDE.length - 1,
           text: 'Next',
           on: {click: () => showStep(app, i + 1)}
         })),
      verdict);
}
