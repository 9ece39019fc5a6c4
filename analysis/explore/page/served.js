// A network that the program runs, which has served this page: values come from there when they are
// first looked at. Until they are here whoever looks is stopped by `Pending`, and draws again.

class Pending {
  constructor(promise) { this.promise = promise; }
}

// What `f` gives, once all that it looks at is here.
async function whenHere(f) {
  for (;;) {
    try {
      return f();
    } catch (error) {
      if (!(error instanceof Pending)) throw error;
      await error.promise;
    }
  }
}

async function ask(path, what) {
  const answer = await fetch(
      `${path}${location.search}`, {method: 'POST', body: JSON.stringify(what), cache: 'no-store'});
  const said = await answer.text();
  if (answer.ok) return JSON.parse(said);
  let reason = said;
  try {
    reason = JSON.parse(said).error;
  } catch { /* it is plain text */
  }
  throw new Error(reason);
}

const numbersOfBase64 = text => new Float32Array(bytesOfBase64(text).buffer);

const MOST_KEPT = 64e6;  // numbers of values, in this page

class ServedNetwork extends Network {
  constructor(graph, net, side) {
    super(graph, []);
    this.net = net;
    this.side = side;
    this.passes = new Map();  // by what was asked
    this.kept = new Map();    // values that are here, the oldest first
    this.count = 0;
    this.constants = graph.constants.map((constant, index) => {
      const {name, shape, type} = constant;
      const convert = data => type === 'i32' ? Int32Array.from(data) : data;
      return this.lazy({name, shape}, () => ask('/constant', {net, index}).then(said => {
        const data = convert(numbersOfBase64(said.numbers));
        return {data, numbers: data.length};
      }));
    });
  }

  // A value whose `data` is asked for when it is looked at; what is long not looked at is let go.
  lazy(value, load) {
    const network = this;
    let loading;
    Object.defineProperty(value, 'data', {
      get() {
        const here = network.kept.get(value);
        if (here) return here.data;
        loading ??= load().then(
            loaded => {
              loading = undefined;
              network.keep(value, loaded);
            },
            error => {
              loading = undefined;
              throw error;
            });
        throw new Pending(loading);
      }
    });
    return value;
  }

  keep(value, loaded) {
    this.kept.set(value, loaded);
    this.count += loaded.numbers;
    for (const [old, {numbers}] of this.kept) {
      if (this.count <= MOST_KEPT || old === value) break;
      this.kept.delete(old);
      this.count -= numbers;
    }
  }

  // All values of a picture under edits. The numbers of each come when they are looked at.
  valuesOf(picture, data, edits = []) {
    const asked = {
      net: this.net,
      picture: picture.test >= 0 ? picture.test : Array.from(picture.bytes),
      edits
    };
    const key = JSON.stringify([picture.test >= 0 ? picture.test : picture.key, edits]);
    if (!this.passes.has(key)) {
      const promise = ask('/pass', asked)
                          .then(said => this.passes.set(key, this.madeOf(asked, said)), error => {
                            this.passes.delete(key);
                            throw error;
                          });
      this.passes.set(key, {promise});
      promise.catch(() => undefined);  // whoever draws hears of it
    }
    const found = this.passes.get(key);
    if (found.promise) throw new Pending(found.promise);
    return found;
  }

  madeOf(asked, said) {
    const shapes =
        [[1, this.side, this.side, 3], ...this.operations.map(operation => operation.shape)];
    return shapes.map((shape, value) => {
      if (value === shapes.length - 1) return {shape, data: Float32Array.from(said.logits)};
      const made = this.lazy({shape}, () => ask('/value', {...asked, value}).then(found => {
        if (found.spectrum) made.spectrum = found.spectrum;
        const data = numbersOfBase64(found.numbers);
        return {data, numbers: data.length};
      }));
      const block = said.blocks[value];
      if (block) {
        made.activity = Float32Array.from(block.activity);
        made.spectrum = block.spectrum;
      }
      return made;
    });
  }

  valuesUnder(values, picture, edits) { return this.valuesOf(picture, undefined, edits); }

  inputsOf(i, values) {
    const inputs = super.inputsOf(i, values), missing = [];
    for (const input of [...inputs, ...Object.values(this.tensorsOf(i))]) {
      try {
        input?.data;
      } catch (error) {
        if (!(error instanceof Pending)) throw error;
        missing.push(error.promise);
      }
    }
    if (missing.length > 0) throw new Pending(Promise.all(missing));
    return inputs;
  }
}
