// Frequencies of maps: transforms, filters, spectra, and noise of one band.

// The sum over one axis of numbers times e^(-2 pi i f x / side), for maps (height, width, channels)
// of real and imaginary parts.
function transformAxis({re, im}, [height, width, channels], along) {
  const side = along ? width : height, cosine = [], sine = [];
  for (let i = 0; i < side; ++i) {
    cosine.push(Math.cos(2 * Math.PI * i / side));
    sine.push(-Math.sin(2 * Math.PI * i / side));
  }
  const out = {re: new Float64Array(re.length), im: new Float64Array(re.length)};
  const step = along ? channels : width * channels, lines = along ? height : width;
  for (let line = 0; line < lines; ++line)
    for (let f = 0; f < side; ++f)
      for (let x = 0; x < side; ++x) {
        const c = cosine[f * x % side], s = sine[f * x % side];
        const at = line * (along ? width * channels : channels);
        const to = at + f * step;
        const from = at + x * step;
        for (let k = 0; k < channels; ++k) {
          const a = re[from + k], b = im[from + k];
          out.re[to + k] += a * c - b * s;
          out.im[to + k] += a * s + b * c;
        }
      }
  return out;
}

function transform(data, shape) {
  const whole = {re: Float64Array.from(data), im: new Float64Array(data.length)};
  return transformAxis(transformAxis(whole, shape, true), shape, false);
}

// The map with the frequencies (u, v) for which `keep` holds, of signed u and v.
function filtered(data, shape, keep) {
  const [height, width, channels] = shape, spectrum = transform(data, shape);
  for (let i = 0; i < height; ++i)
    for (let j = 0; j < width; ++j) {
      if (keep(Math.min(i, height - i), Math.min(j, width - j))) continue;
      const at = (i * width + j) * channels;
      spectrum.re.fill(0, at, at + channels);
      spectrum.im.fill(0, at, at + channels);
    }
  // The inverse transform is the transform of the conjugate, conjugated.
  const conjugate = {re: spectrum.re, im: spectrum.im.map(v => -v)};
  const back = transformAxis(transformAxis(conjugate, shape, true), shape, false);
  return Float32Array.from(back.re, v => v / (height * width));
}

// Distance of a frequency from 0 in units of the Nyquist frequency.
const radius = (u, v, height, width) => 2 * Math.hypot(u / height, v / width);

function passed(data, shape, cut, high) {
  const [height, width] = shape;
  return filtered(data, shape, (u, v) => (radius(u, v, height, width) <= cut + 1e-9) !== high);
}

// Mean over the channels of the log amplitude, relative to frequency 0, at i steps from there: the
// line that the report's Fourier section draws.
function spectrumOf(map, data) {
  const {height, width, channels, first} = map, shape = [height, width, channels];
  if (Math.min(height, width) < 3) return [];
  const values = data.subarray(first, first + height * width * channels);
  const f = transform(values, shape);
  const rings = Math.floor(Math.min(height, width) / 2);
  const sums = new Float64Array(rings + 1), counts = new Float64Array(rings + 1);
  for (let i = 0; i < height; ++i)
    for (let j = 0; j < width; ++j) {
      const ring = Math.round(Math.hypot(Math.min(i, height - i), Math.min(j, width - j)));
      if (ring > rings) continue;
      const at = (i * width + j) * channels;
      for (let k = 0; k < channels; ++k)
        sums[ring] += Math.log(Math.hypot(f.re[at + k], f.im[at + k]) + 1e-6);
      counts[ring] += channels;
    }
  const level = sums[0] / counts[0];
  return Array.from(sums, (sum, i) => sum / counts[i] - level);
}

// High 32 bits of a product of two numbers of 32 bits.
function highProduct(a, b) {
  const a0 = a & 0xffff, a1 = a >>> 16, b0 = b & 0xffff, b1 = b >>> 16;
  const middle = a1 * b0 + (a0 * b0 >>> 16), low = a0 * b1 + middle % 65536;
  return (a1 * b1 + Math.floor(middle / 65536) + Math.floor(low / 65536)) >>> 0;
}

// Random words: Philox4x32-10, as the program's own, so that the same noise comes out.
function philox(counter, [key0, key1]) {
  let [c0, c1, c2, c3] = counter, k0 = key0, k1 = key1;
  for (let round = 0; round < 10; ++round) {
    const n0 = (highProduct(0xCD9E8D57, c2) ^ c1 ^ k0) >>> 0;
    const n2 = (highProduct(0xD2511F53, c0) ^ c3 ^ k1) >>> 0;
    c1 = Math.imul(0xCD9E8D57, c2) >>> 0;
    c3 = Math.imul(0xD2511F53, c0) >>> 0;
    c0 = n0;
    c2 = n2;
    k0 = (k0 + 0x9E3779B9) >>> 0;
    k1 = (k1 + 0xBB67AE85) >>> 0;
  }
  return [c0, c1, c2, c3];
}

// The key of a stream by its name, of seed 0.
function streamKey(name) {
  let hash = 0xcbf29ce484222325n;
  for (const letter of name)
    hash = (hash ^ BigInt(letter.charCodeAt(0))) * 0x100000001b3n & 0xffffffffffffffffn;
  return [Number(hash & 0xffffffffn), Number(hash >> 32n)];
}

// epsilon times random signs for picture `index` of the data, of which the ring of frequencies with
// |number - max(u, v)| < 0.1 is kept, in units of the Nyquist frequency.
function bandNoise(index, side, {number, epsilon}) {
  const key = streamKey('explore.noise');
  const values = side * side * 3;
  const white = new Float32Array(values);
  let words = [], block = -1;
  for (let i = 0; i < values; ++i) {
    const at = index * values + i, now = Math.floor(at / 4);
    if (now !== block) words = philox([now >>> 0, Math.floor(now / 2 ** 32), 0, 0], key);
    block = now;
    white[i] = words[at % 4] >>> 31 ? epsilon : -epsilon;
  }
  const centre = number * Math.PI, half = 0.1 * Math.PI;
  return filtered(white, [side, side, 3], (u, v) => {
    const omega = 2 * Math.PI * Math.max(u / side, v / side);
    return omega >= centre - half && omega < centre + half;
  });
}
