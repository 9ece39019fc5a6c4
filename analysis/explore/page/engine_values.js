// Values: a shape and numbers in row-major order. Activations are {shape, data} with data a
// Float32Array; maps are (1, height, width, channels), tokens (1, tokens, channels).

const sizeOf = shape => shape.reduce((product, side) => product * side, 1);
const emptyValue = shape => ({shape, data: new Float32Array(sizeOf(shape))});

// The number of 16 bits (IEEE binary16): sign, 5 bits of exponent, 10 of fraction.
function numberOfHalf(bits) {
  const exponent = bits >> 10 & 31, fraction = bits & 1023;
  const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  return bits & 0x8000 ? -size : size;
}

function bytesOfBase64(text) {
  const binary = atob(text), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; ++i) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

let halves;  // the 65,536 numbers of 16 bits, made once

// The constants of a graph, read from the bytes of a network's weights.
function readConstants(constants, bytes) {
  halves ??= Float32Array.from({length: 65536}, (_, bits) => numberOfHalf(bits));
  return constants.map(({name, shape, type, at}) => {
    const count = sizeOf(shape);
    if (type === 'i32') return {name, shape, data: new Int32Array(bytes.buffer, at, count)};
    if (type === 'f32') return {name, shape, data: new Float32Array(bytes.buffer, at, count)};
    const stored = new Uint16Array(bytes.buffer, at, count);
    return {name, shape, data: Float32Array.from(stored, bits => halves[bits])};
  });
}

// The map that a value holds, for whoever looks at it: {height, width, channels, at(y, x, c)}.
// `site` says on which grid tokens lie and how many stand before it.
function mapOf(value, site) {
  const {shape} = value, channels = shape[shape.length - 1];
  const onGrid = shape.length === 4;
  const height = onGrid ? shape[1] : site?.height || 0;
  const width = onGrid ? shape[2] : site?.width || 0;
  const first = onGrid ? 0 : (site?.prefix || 0) * channels;
  return {
    height,
    width,
    channels,
    first,
    get data() { return value.data; },
    at: (y, x, c) => value.data[first + (y * width + x) * channels + c],
  };
}
