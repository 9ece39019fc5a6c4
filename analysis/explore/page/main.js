// The page: state, passes through the networks, and all that is drawn from them.

class App {
  constructor(data) {
    this.data = data;
    this.pixels = bytesOfBase64(data.pictures.pixels);
    this.loaded = new Map();
    this.chosen = new Map();  // numbers that are set at edits not made yet
    this.offersOpen = true;
    this.panes = [];
    this.state = this.stateOfAddress();
  }

  // Where an address names no network, the first, and beside it the one that the page came with.
  stateOfAddress() {
    const {networks, pictures, beside} = this.data;
    const state = stateOfHash(location.hash, networks.length, pictures.labels.length);
    if (beside > 0 && !new URLSearchParams(location.hash.slice(1)).has('n'))
      state.panes.push({...FIRST_STATE.panes[0], net: beside});
    const known = state.drawn === 'file' || (this.data.cues && drawnOf(state.drawn));
    return state.picture >= 0 || known ? state : {...state, picture: 0, drawn: ''};
  }

  // Network i, with the blocks of its graph; made when it is first wanted.
  network(i) {
    if (!this.loaded.has(i)) {
      const graph = this.data.graphs[this.data.networks[i].graph];
      const network = this.data.served ?
          new ServedNetwork(graph, i, this.data.side) :
          new Network(
              graph,
              readConstants(graph.constants, bytesOfBase64(byId(`weights-${i}`).textContent)));
      this.loaded.set(i, {network, blocks: blocksOf(network)});
    }
    return this.loaded.get(i);
  }

  info(pane) { return this.data.networks[this.state.panes[pane].net]; }

  // Test picture i, for passes.
  testPicture(i) {
    const size = this.data.side ** 2 * 3;
    return {
      test: i,
      index: this.data.pictures.indices[i],
      bytes: this.pixels.subarray(i * size, (i + 1) * size),
    };
  }

  // The values of a pane, without the changes and with them, from an earlier pass where nothing is
  // another. Changes are the first pane's.
  pass(pane, picture) {
    const {net} = this.state.panes[pane];
    const {network, blocks} = this.network(net);
    const old = this.passes?.[pane];
    const shown = old && old.net === net && old.bytes === picture.key;
    const before = shown ? old.before : network.valuesOf(picture, this.data);
    const edits = pane === 0 ? this.state.edits : [], key = JSON.stringify(edits);
    const after = edits.length === 0 ? before :
        shown && old.key === key     ? old.after :
                                       network.valuesUnder(before, picture, edits);
    return {
      net,
      bytes: picture.key,
      key,
      before,
      after,
      network,
      blocks,
      info: this.data.networks[net]
    };
  }

  set(changes) {
    this.state = {...this.state, ...changes};
    history.replaceState(null, '', stateToHash(this.state));
    this.render();
  }

  addEdit(edit) {
    const replaced = isTuned(edit.kind) ? e => e.kind === edit.kind && e.path === edit.path :
                                          e => sameEdit(e, edit);
    const edits = this.state.edits.slice(), at = edits.findIndex(replaced);
    edits.splice(at < 0 ? edits.length : at, at < 0 ? 0 : 1, edit);
    this.set({edits});
  }
  undo() { this.set({edits: this.state.edits.slice(0, -1)}); }

  // Puts a network into a pane; -1 takes the second one away.
  setNetwork(pane, net) {
    const panes = this.state.panes.slice();
    if (net < 0) panes.length = 1;
    else {
      const same = panes[pane] &&
          this.data.networks[panes[pane].net].graph === this.data.networks[net].graph;
      panes[pane] = same ? {...panes[pane], net} : {...FIRST_STATE.panes[0], net};
    }
    const {graph} = this.data.networks[panes[0].net];
    const before = this.data.networks[this.state.panes[0].net].graph;
    this.set({panes, edits: graph === before ? this.state.edits : []});
  }

  // Edits that the network has no place for are dropped: an address may be of another page.
  checkEdits() {
    const {network} = this.network(this.state.panes[0].net);
    this.state.edits = this.state.edits.filter(edit => hasPlace(network, edit));
  }

  receptive(pane) {
    const {layer} = pane, {height, width} = layer.site;
    if (!height) return {top: 0, left: 0, bottom: this.data.side - 1, right: this.data.side - 1};
    return receptiveField(
        pane.network, layer.value, Math.floor(this.state.v * height),
        Math.floor(this.state.u * width), this.data.side);
  }

  // Draws all; where something has to come from the program first, once more when it is here.
  render() {
    const turn = this.turn = (this.turn ?? 0) + 1;
    const late = setTimeout(() => {
      if (turn === this.turn) byId('status').textContent = 'The program computes what is shown.';
    }, 300);
    whenHere(() => {
      if (turn === this.turn) this.draw();
    }).then(() => {
      document.body.dataset.drawn = turn;
    }, error => this.tell(error)).finally(() => clearTimeout(late));
  }

  // What went wrong. A page without a program behind it has nobody to blame but itself.
  tell(error) {
    if (!this.data.served) throw error;
    byId('status').textContent =
        `That could not be shown: ${error.message}. Does the program still run?`;
  }

  // Has the program measure an edit over many pictures.
  measure(edit) {
    const {net} = this.state.panes[0];
    this.measuring = true;
    this.render();
    return ask('/effect', {net, edit})
        .then(
            effect => {
              this.data.networks[net].effects.push(effect);
              this.measuring = false;
              this.render();
            },
            error => {
              this.measuring = false;
              this.tell(error);
            });
  }

  draw() {
    const focus = document.activeElement?.dataset?.key ?? document.activeElement?.id;
    const scrolled = scrolledPlaces();
    const picture = pictureOf(this);
    picture.test = this.state.picture;
    picture.key = this.state.picture >= 0 ? `p${this.state.picture}` :
                                            `d${this.state.drawn}${this.ownCount ?? 0}`;
    const count = this.state.panes.length;
    this.passes = this.state.panes.map((_, i) => this.pass(i, picture));
    while (this.panes.length > count) this.panes.pop().node.remove();
    while (this.panes.length < count) {
      const pane = new Pane(this, this.panes.length);
      this.panes.push(pane);
      byId('layers').append(pane.node);
    }
    this.panes.forEach((pane, i) => pane.render(this.passes[i]));
    byId('layers').classList.toggle('two', count > 1);
    renderChooser(this);
    renderPicture(this, picture);
    renderAnswers(this, picture);
    renderEdits(this);
    renderGuide(this);
    this.say(picture);
    scrollBack(scrolled);
    if (focus) focusAgain(focus);
  }

  // One sentence for every state.
  say(picture) {
    const [pane] = this.panes;
    const [first] = ranked(pane.network.logits(pane.before));
    const [now] = ranked(pane.network.logits(pane.after));
    const {edits} = this.state, second = this.panes[1];
    const name = r => `${this.data.classes[r.index]} (${percent(r.probability)})`;
    const change = edits.length === 0 ? '' :
                                        ` With ${counted(edits.length, 'change')} it says ` +
            `${name(now)}${now.index === first.index ? ', the same class' : ', another class'}.`;
    const beside = second ?
        ` Beside it ${this.info(1).label} says ` +
            `${name(ranked(second.network.logits(second.after))[0])}.` :
        '';
    byId('status').textContent =
        `Of ${picture.name} ${this.info(0).label} says ${name(first)}.${change}${beside} You ` +
        `look at block ${pane.blocks.indexOf(pane.block) + 1}, ` +
        `${layerLabel(pane.layer, pane.block)}. ${pane.place}` +
        `${this.measuring ? ' The program measures a change over many pictures.' : ''}`;
  }

  // A file that was chosen or dropped; undefined where something else was dropped.
  takeFile(file) {
    const tell = text => {
      byId('file-note').textContent = byId('status').textContent = text;
    };
    if (!file) return tell('That is no file; drop a PNG or JPEG.');
    ownPicture(file, this.data.side)
        .then(
            bytes => {
              byId('file-note').textContent = `${file.name}, its middle square.`;
              this.own = bytes;
              this.ownCount = (this.ownCount ?? 0) + 1;
              this.set({picture: -1, drawn: 'file'});
            },
            () => tell(`${file.name} is no picture that this browser reads; take a PNG or JPEG.`));
  }

  listen() {
    byId('file').addEventListener('change', event => {
      if (event.target.files.length > 0) this.takeFile(event.target.files[0]);
    });
    document.addEventListener('dragover', event => event.preventDefault());
    document.addEventListener('drop', event => {
      event.preventDefault();
      this.takeFile(event.dataTransfer.files[0]);
    });
    addEventListener('hashchange', () => {
      this.state = this.stateOfAddress();
      this.checkEdits();
      this.render();
    });
    document.addEventListener('keydown', event => {
      if (event.altKey || event.ctrlKey || event.metaKey ||
          ['INPUT', 'SELECT', 'TEXTAREA'].includes(event.target.tagName))
        return;
      const [pane] = this.panes, {block, channel} = pane.state, last = pane.blocks.length - 1;
      const actions = {
        '[': () => pane.set({block: Math.max(0, block - 1), layer: '', channel: 0, input: -1}),
        ']': () => pane.set({block: Math.min(last, block + 1), layer: '', channel: 0, input: -1}),
        ',': () => pane.set({channel: Math.max(0, channel - 1), input: -1}),
        '.': () => pane.set({channel: Math.min(pane.channels - 1, channel + 1), input: -1}),
        u: () => this.undo(),
      };
      actions[event.key]?.();
    });
  }
}

// What lies in a box that scrolls is drawn anew, and stays where it was; a strip shows its block.
function scrolledPlaces() {
  return [...document.querySelectorAll('[data-scroll]')].map(
      node => ({name: node.dataset.scroll, left: node.scrollLeft, top: node.scrollTop}));
}

function scrollBack(places) {
  const boxes = new Map(
      [...document.querySelectorAll('[data-scroll]')].map(node => [node.dataset.scroll, node]));
  for (const {name, left, top} of places) boxes.get(name)?.scrollTo(left, top);
  for (const strip of document.querySelectorAll('.strip')) {
    const {offsetLeft, offsetWidth} = strip.querySelector('[aria-pressed=true]');
    const least = offsetLeft + offsetWidth - strip.clientWidth;
    strip.scrollLeft = Math.max(least, Math.min(strip.scrollLeft, offsetLeft));
  }
}

// The focus, on what is drawn in place of what had it; where that is gone or disabled, on what
// stands next to it.
function focusAgain(key) {
  const near = key.endsWith('-step') ? 'show-step' : 'offers-summary';
  const named = document.querySelector(`[data-key="${CSS.escape(key)}"]`) ?? byId(key);
  named?.focus({preventScroll: true});
  if (document.activeElement === document.body) byId(near)?.focus({preventScroll: true});
}

// Auto follows the system; a choice is remembered where the browser allows it.
function listenTheme() {
  const button = byId('theme'), themes = ['auto', 'light', 'dark'];
  const stored = () => {
    try {
      return localStorage.getItem('passband-theme');
    } catch {
      return null;
    }
  };
  let theme = themes.includes(stored()) ? stored() : 'auto';
  const apply = () => {
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = 'Theme: ' + theme;
  };
  button.hidden = false;
  button.addEventListener('click', () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    try {
      localStorage.setItem('passband-theme', theme);
    } catch { /* only not remembered */
    }
    apply();
  });
  apply();
}

function start() {
  const app = new App(JSON.parse(byId('explore-data').textContent)), {data} = app;
  byId('title').textContent = data.title;
  byId('about').textContent = `The network runs ` +
      `${data.served ? 'in the program that serves this page' : 'here, in this page'}, on your ` +
      `machine; every number can be taken apart, and parts of it changed. Keys: arrows move the ` +
      `cursor of a map, [ and ] the block, ` +
      `comma and full stop the channel, u undoes.`;
  byId('explorer').hidden = false;
  listenTheme();
  app.checkEdits();
  app.listen();
  app.render();
  // For the console: the network and its edits by hand, as `explorer.logits(3, [{kind: 'uniform',
  // path: ...}])`.
  window.explorer = {
    app,
    guide: GUIDE,
    question: i => questionOf(app, i),
    show: i => showStep(app, i),
    attended: head => attended(app.panes[0].shown, head),  // of the attention that is looked at
    logits(picture, edits = [], net = 0) {
      return Array.from(app.network(net).network.logits(this.values(picture, edits, net)));
    },
    values(picture, edits = [], net = 0) {
      const {network} = app.network(net), shown = app.testPicture(picture);
      const values = network.valuesOf(shown, data);
      return edits.length === 0 ? values : network.valuesUnder(values, shown, edits);
    },
    whenHere,
  };
}
start();
