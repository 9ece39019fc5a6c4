// The state of the page: what is shown and what is changed. It stands in the address, so that a
// link leads to the same view.

const FIRST_STATE = {
  picture: 0,  // of the test pictures; -1: one of the reader's own, or drawn
  drawn: '',   // shape,texture,strength of the drawn picture
  u: 0.5,
  v: 0.5,  // the cursor, as shares of the picture's width and height
  ku: 0.3,
  kv: 0.3,  // the second place of a pair: the key of a query
  step: 0,
  edits: [],
  panes: [{net: 0, block: 0, layer: '', channel: 0, head: 0, input: -1}],
};

function stateToHash(state) {
  const p = new URLSearchParams();
  p.set('p', state.picture);
  if (state.drawn) p.set('d', state.drawn);
  p.set('c', [state.u, state.v, state.ku, state.kv].map(v => v.toFixed(3)).join(','));
  p.set('s', state.step);
  for (const pane of state.panes)
    p.append(
        'n', [pane.net, pane.block, pane.layer, pane.channel, pane.head, pane.input].join(','));
  for (const e of state.edits)
    p.append('e', [e.kind, e.path, e.number, e.heads, e.epsilon].join(','));
  return '#' + p.toString();
}

// The state that an address tells; what it does not tell, or tells wrongly, is as at the start.
function stateOfHash(hash, networks, pictures) {
  const p = new URLSearchParams(hash.slice(1)), state = structuredClone(FIRST_STATE);
  const whole = (text, least, most, otherwise) => {
    const n = Number(text);
    return text !== null && Number.isInteger(n) && n >= least && n <= most ? n : otherwise;
  };
  state.picture = whole(p.get('p'), -1, pictures - 1, 0);
  state.drawn = p.get('d') ?? '';
  if (state.picture < 0 && !state.drawn) state.picture = 0;
  (p.get('c') ?? '').split(',').forEach((text, i) => {
    const v = Number(text);
    if (text !== '' && v >= 0 && v < 1) state[['u', 'v', 'ku', 'kv'][i]] = v;
  });
  state.step = whole(p.get('s'), 0, 9, 0);
  const panes = p.getAll('n').slice(0, 2).map(text => {
    const [net, block, layer = '', channel, head, input] = text.split(',');
    return {
      net: whole(net, 0, networks - 1, 0),
      block: whole(block, 0, 1e4, 0),
      layer,
      channel: whole(channel, 0, 1e6, 0),
      head: whole(head, 0, 1e4, 0),
      input: whole(input, -1, 1e6, -1),
    };
  });
  if (panes.length > 0) state.panes = panes;
  state.edits =
      p.getAll('e')
          .map(text => {
            const [kind, path, number, heads, epsilon] = text.split(',');
            return {
              kind,
              path,
              number: Number(number),
              heads: Number(heads),
              epsilon: Number(epsilon)
            };
          })
          .filter(
              e => Object.hasOwn(EDIT_KINDS, e.kind) &&
                  [e.number, e.heads, e.epsilon].every(Number.isFinite));
  return state;
}
