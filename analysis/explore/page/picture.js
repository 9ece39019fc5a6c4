// The picture: test pictures, one of the reader's own, one that is drawn; and the answers to it.

function ownPicture(file, side) {
  return createImageBitmap(file).then(image => {
    const edge = Math.min(image.width, image.height);
    const canvas = el('canvas', {width: side, height: side});
    const context = canvas.getContext('2d', {willReadFrequently: true});
    context.imageSmoothingQuality = 'high';
    context.fillStyle = '#fff';  // under what is transparent
    context.fillRect(0, 0, side, side);
    context.drawImage(
        image, (image.width - edge) / 2, (image.height - edge) / 2, edge, edge, 0, 0, side, side);
    const {data} = context.getImageData(0, 0, side, side), bytes = new Uint8Array(side * side * 3);
    for (let i = 0; i < bytes.length; ++i) bytes[i] = data[Math.floor(i / 3) * 4 + i % 3];
    return bytes;
  });
}

// {bytes, index, label, name} of what the state shows. `index` chooses the noise of the edits.
function pictureOf(app) {
  const {state, data} = app, side = data.side, size = side * side * 3;
  if (state.picture >= 0) {
    const label = data.pictures.labels[state.picture];
    return {
      bytes: app.pixels.subarray(state.picture * size, (state.picture + 1) * size),
      index: data.pictures.indices[state.picture],
      label,
      name: label >= 0 ? data.classes[label] : `picture ${state.picture + 1}`,
    };
  }
  if (state.drawn !== 'file') {
    const [figure, texture, strength] = drawnOf(state.drawn);
    return {
      bytes: drawShape(figure, texture, strength, side),
      index: 0,
      label: -1,
      name: `a drawn ${data.cues.shapes[figure]} of ${data.cues.textures[texture]}`
    };
  }
  return {
    bytes: app.own ?? new Uint8Array(size).fill(128),
    index: 0,
    label: -1,
    name: app.own ? 'a picture of yours' :
                    'a grey picture (the one of yours is not kept in the address)'
  };
}

function renderChooser(app) {
  const {side, pictures, classes} = app.data, size = side * side * 3, node = byId('chooser');
  if (node.childElementCount === 0) {
    pictures.labels.forEach((label, i) => {
      const canvas = el('canvas', {class: 'cells', 'aria-hidden': 'true'});
      drawPicture(canvas, app.pixels.subarray(i * size, (i + 1) * size), side);
      node.append(
          el('button', {
            type: 'button',
            'data-key': `picture-${i}`,
            'aria-label': `Picture ${i + 1}${label >= 0 ? ', ' + classes[label] : ''}`,
            on: {click: () => app.set({picture: i, drawn: ''})}
          },
             canvas));
    });
  }
  [...node.children].forEach(
      (button, i) => button.setAttribute('aria-pressed', String(i === app.state.picture)));
  if (app.data.cues) fill(byId('shapes'), shapesPanel(app)).hidden = false;
}

// The picture with the cursor and the receptive field of the value that is looked at.
function renderPicture(app, picture) {
  const {side} = app.data, old = byId('picture-canvas'), canvas = el('canvas', {class: 'cells'});
  drawPicture(canvas, picture.bytes, side);
  const {u, v} = app.state, y = Math.floor(v * side), x = Math.floor(u * side), pane = app.panes[0];
  const view =
      el('div', {
        class: 'map',
        id: 'picture-canvas',
        role: 'img',
        tabindex: '0',
        'aria-label': `${picture.name}; the arrow keys move the cursor`
      },
         canvas);
  const frame = (box, name) => {
    const span = el('span', {class: 'frame ' + name});
    Object.assign(span.style, {
      top: `${100 * box.top / side}%`,
      left: `${100 * box.left / side}%`,
      height: `${100 * (box.bottom - box.top + 1) / side}%`,
      width: `${100 * (box.right - box.left + 1) / side}%`
    });
    view.append(span);
  };
  const field = app.receptive(pane);
  frame(field, 'field');
  frame({top: y, left: x, bottom: y, right: x}, 'cursor');
  listenCursor(
      view, side, side, {y, x}, (ny, nx) => app.set({v: (ny + .5) / side, u: (nx + .5) / side}));
  view.dataset.key = 'picture';
  old.replaceWith(view);
  const rows = field.bottom - field.top + 1, columns = field.right - field.left + 1;
  const whole = rows === side && columns === side;
  byId('picture-note').textContent =
      `Frame: ${whole ? 'the whole picture' : `${rows} × ${columns} pixels`}, the most that the ` +
      `value looked at can depend on. Cursor: row ${y}, column ${x}.`;
}

// Five likeliest classes before the changes and after.
function renderAnswers(app, picture) {
  const nodes = app.panes.map((pane, i) => {
    const before = ranked(pane.network.logits(pane.before));
    const after = ranked(pane.network.logits(pane.after));
    const changed = pane.after !== pane.before, was = new Map(before.map(r => [r.index, r]));
    const head =
        changed ? ['class', 'before', 'after', 'logit'] : ['class', 'probability', 'logit'];
    const rows = after.slice(0, 5).map(r => {
      const b = was.get(r.index), bar = el('span', {class: 'bar plus'});
      bar.style.width = `${100 * r.probability}%`;
      return el(
          'tr', {class: r.index === picture.label ? 'right' : null},
          el('th', {scope: 'row'}, app.data.classes[r.index],
             r.index === picture.label ? ' ✓' : ''),
          changed ? el('td', {class: 'n', text: percent(b.probability)}) : null,
          el('td', {class: 'n'}, el('span', {class: 'track'}, bar), percent(r.probability)),
          el('td', {
            class: 'n',
            text: changed ? `${num(r.logit)} (${signed(r.logit - b.logit)})` : num(r.logit)
          }));
    });
    return el(
        'table', {class: 'answer'},
        el('caption', {text: app.info(i).label}),
        el('thead', {},
           el('tr', {},
              head.map((text, at) => el('th', {scope: 'col', class: at > 0 ? 'n' : null, text})))),
        el('tbody', {}, rows));
  });
  fill(byId('answers'), nodes);
}
