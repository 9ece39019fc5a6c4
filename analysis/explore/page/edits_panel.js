// The changes: what can be changed at the block that is looked at, what was, and what each does
// over many pictures.

// Edits that pane 0's block offers, with the tap or weight that each changes.
function editsAt(pane) {
  const {network, block} = pane, offers = [];
  for (const layer of block.layers) {
    const {op, shape, a, in : inputs} = network.operations[layer.value - 1];
    for (const site of network.operations[layer.value - 1].sites) {
      const path = site.path;
      if (site.name === 'branch') offers.push({kind: 'branch', path, number: 0, heads: 0});
      if (site.name === 'attention') offers.push({kind: 'uniform', path, number: 0, heads: 0});
      if (site.name === 'heads') {
        const heads = a?.heads?.[0] ?? headsBefore(network, layer.value);
        if (heads > 0) offers.push({kind: 'head', path, most: heads - 1, number: 0, heads});
      }
      if (site.name === 'out') {
        offers.push(
            {kind: 'channel', path, most: shape[shape.length - 1] - 1, number: 0, heads: 0});
        if (Math.min(site.height, site.width) >= 4)
          for (const kind of ['low_pass', 'high_pass'])
            offers.push({kind, path, number: .5, heads: 0});
      }
    }
    const weight = op === 'conv2d' && inputs[1] < 0 ? network.constants[-1 - inputs[1]] : undefined;
    if (weight?.name && weight.shape[1] * weight.shape[2] > 1)
      offers.push({kind: 'mean_kernel', path: weight.name, number: 0, heads: 0});
  }
  return offers.map(e => ({epsilon: 0, ...e}));
}

// Heads of attention that is composed of products: its probabilities tell.
function headsBefore(network, value) {
  for (let i = value - 1; i >= 0; --i)
    if (network.operations[i].sites?.some(s => s.name === 'attention'))
      return network.operations[i].shape[1];
  return 0;
}

// An edit's control: its kind, a slider where it has a number, and a button.
function editControl(app, offer, effects) {
  const key = `${offer.kind}|${offer.path}`;
  const made = isTuned(offer.kind) ?
      app.state.edits.find(e => e.kind === offer.kind && e.path === offer.path) :
      undefined;
  const number = made?.number ?? app.chosen.get(key) ?? offer.number;
  const edit = {...offer, number};
  delete edit.most;
  const number0 = {
    head: {min: 0, max: offer.most, step: 1, shown: v => `head ${v + 1}`},
    channel: {min: 0, max: offer.most, step: 1, shown: v => `channel ${v}`},
    low_pass: {min: .125, max: .875, step: .125},
    high_pass: {min: .125, max: .875, step: .125},
    noise: {min: .125, max: 1, step: .125},
  }[offer.kind];
  const place = offer.kind === 'noise' ? 'the picture' : offer.path.split('.').slice(-3).join('.');
  const sentence = effectSentence(effects, edit, app.data.labelled);
  return el(
      'li', {class: 'edit'},
      el('div', {class: 'tools'}, el('button', {
           type: 'button',
           'data-key': key,
           text: EDIT_KINDS[offer.kind].label,
           on: {click: () => app.addEdit(edit)}
         }),
         el('span', {class: 'note', text: place}),
         number0 && number0.max !== number0.min ?
             slider(
                 `${EDIT_KINDS[offer.kind].label}: which`,
                 {...number0, value: number, id: `which-${key.replaceAll(/[^a-z0-9]+/gi, '-')}`},
                 v => {
                   app.chosen.set(key, v);
                   if (made) app.addEdit({...edit, number: v});
                   else app.render();
                 }) :
             null),
      evidenceOf(app, edit, sentence));
}

// What an edit does over many pictures; or the means to find out.
function evidenceOf(app, edit, sentence) {
  if (sentence || !app.data.served)
    return el(
        'p',
        {class: 'note', text: sentence || 'Measured over many pictures: not for this choice.'});
  return el('div', {class: 'tools'}, el('button', {
              type: 'button',
              'data-key': `measure|${edit.kind}|${edit.path}`,
              disabled: app.measuring,
              text: `Measure it over ${app.data.served.images.toLocaleString('en')} pictures`,
              'aria-label': `Measure over many pictures: ${nameOfEdit(edit)}`,
              on: {click: () => app.measure(edit)}
            }));
}

function renderEdits(app) {
  const pane = app.panes[0], info = app.info(0), {edits} = app.state;
  const offers =
      [...editsAt(pane), {kind: 'noise', path: 'picture', number: .5, heads: 0, epsilon: .3}];
  const list = edits.map(
      (edit, i) =>
          el('li', {}, el('span', {text: nameOfEdit(edit)}), ' ', el('button', {
               type: 'button',
               'data-key': `undo-${i}`,
               text: 'undo',
               'aria-label': `Undo: ${nameOfEdit(edit)}`,
               on: {click: () => app.set({edits: edits.filter((_, j) => j !== i)})}
             }),
             evidenceOf(app, edit, effectSentence(info.effects, edit, app.data.labelled))));
  const networks = app.data.networks, swaps = networks.map((n, i) => ({value: i, label: n.label}));
  const others = [{value: -1, label: 'none'}, ...swaps];
  const {right, pictures} = info.intact;
  const {rounding} = info;
  const intact = app.data.labelled ? `Without changes ${percent(right / pictures)} of ` +
          `${pictures.toLocaleString('en')} test pictures are right. ` :
                                     '';
  const evidence = 'One picture is no evidence: beside each change stands what it does over ' +
      (rounding ? 'many. Matrices are kept in 16 bits here, which moved logits by at most ' +
               `${num(rounding.most)} and left ${rounding.same} of ${rounding.pictures} answers.` :
                  'many, once the program has measured it.');
  fill(
      byId('edits-body'),
      el('div', {class: 'tools'},
         networks.length > 1 ? select(
                                   'Weights', swaps, app.state.panes[0].net,
                                   v => app.setNetwork(0, Number(v)), 'net-0') :
                               null,
         networks.length > 1 ? select(
                                   'Beside it', others, app.state.panes[1]?.net ?? -1,
                                   v => app.setNetwork(1, Number(v)), 'net-1') :
                               null,
         el('button', {
           type: 'button',
           id: 'undo',
           disabled: edits.length === 0,
           text: 'Undo the last (u)',
           on: {click: () => app.undo()}
         }),
         el('button', {
           type: 'button',
           id: 'undo-all',
           disabled: edits.length === 0,
           text: 'Undo all',
           on: {click: () => app.set({edits: []})}
         })),
      el('p', {class: 'note', text: intact + evidence}),
      edits.length > 0 ? el('ol', {class: 'done', 'aria-label': 'Changes made'}, list) : null,
      el('details', {id: 'offers', open: app.offersOpen}, el('summary', {
           id: 'offers-summary',
           text: `What can be changed in block ${pane.blocks.indexOf(pane.block) + 1}, ` +
               `${pane.block.path}, and in the picture`
         }),
         el('ul', {class: 'offers', 'data-scroll': `offers of ${pane.block.path}`},
            offers.map(offer => editControl(app, offer, info.effects)))));
  byId('offers').addEventListener('toggle', event => {
    app.offersOpen = event.target.open;
  });
}
