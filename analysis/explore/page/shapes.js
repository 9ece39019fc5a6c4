// Pictures of the drawn set `shapes`, made to order: a figure, a texture, and how strong one is
// against the other. As the data's, without their shading and noise.

const POLYGONS = {
  1: [[-.75, -.75], [.75, -.75], [.75, .75], [-.75, .75]],
  2: [[0, -1], [.866, .5], [-.866, .5]],
  3: [
    [-.3, -.95], [.3, -.95], [.3, -.3], [.95, -.3], [.95, .3], [.3, .3], [.3, .95], [-.3, .95],
    [-.3, .3], [-.95, .3], [-.95, -.3], [-.3, -.3]
  ],
  4: [
    [0, -1], [.247, -.34], [.951, -.309], [.399, .13], [.588, .809], [0, .42], [-.588, .809],
    [-.399, .13], [-.951, -.309], [-.247, -.34]
  ],
  7: [[-.72, -.8], [.72, -.8], [.12, 0], [.72, .8], [-.72, .8], [-.12, 0]],
  8: [[0, -1], [.8, -.05], [.3, -.05], [.3, .95], [-.3, .95], [-.3, -.05], [-.8, -.05]],
};

// Distance to the nearest edge, negative inside; the sign counts crossings of a ray.
function polygonDistance(corners, x, y) {
  let nearest = Infinity, inside = false, [ax, ay] = corners[corners.length - 1];
  for (const [bx, by] of corners) {
    const ex = ax - bx, ey = ay - by, px = x - bx, py = y - by;
    const along = Math.max(0, Math.min(1, (px * ex + py * ey) / (ex * ex + ey * ey)));
    nearest = Math.min(nearest, Math.hypot(px - ex * along, py - ey * along));
    if ((by > y) !== (ay > y) && x < bx + ex * (y - by) / ey) inside = !inside;
    [ax, ay] = [bx, by];
  }
  return inside ? -nearest : nearest;
}

// Signed distance to figure `id`, which fits the unit circle; y points down.
function shapeDistance(id, x, y) {
  if (POLYGONS[id]) return polygonDistance(POLYGONS[id], x, y);
  const r = Math.hypot(x, y);
  if (id === 0) return r - .9;
  if (id === 5) return Math.abs(r - .68) - .24;
  if (id === 6) return Math.max(r - .95, .75 - Math.hypot(x - .5, y));
  return Math.max(Math.hypot(x, y - .4) - .98, y - .4);  // 9, the semicircle
}

// Waves (fx, fy) of texture `id`, cycles per picture; the noises have 24 of a ring.
function textureWaves(id) {
  const fixed = {
    0: [[0, 5]],
    1: [[11, 0]],
    2: [[4, 4], [4, -4]],
    4: [[0, 11]],
    5: [[5, 0]],
    6: [[8, 8], [8, -8]],
    8: [[6, 6]],
    9: []
  };
  if (fixed[id]) return fixed[id];
  const [low, high] = id === 3 ? [10, 13] : [4, 6], waves = [], key = streamKey('explore.texture');
  for (let fy = 0; fy <= high; ++fy)
    for (let fx = fy === 0 ? 1 : -high; fx <= high; ++fx)
      if (Math.hypot(fx, fy) >= low && Math.hypot(fx, fy) <= high) waves.push([fx, fy]);
  const order = new Map(waves.map((wave, i) => [wave, philox([i, id, 0, 0], key)[0]]));
  return waves.sort((a, b) => order.get(a) - order.get(b)).slice(0, 24);
}

// Bytes (side, side, 3) of a figure with a texture. `strength` from 0, the outline alone, to 1, the
// texture alone; the data's pictures are about 1/2.
function drawShape(figure, texture, strength, side) {
  const bytes = new Uint8Array(side * side * 3), radius = .33 * side, waves = textureWaves(texture);
  const key = streamKey('explore.phase'), scale = Math.sqrt(2 / Math.max(1, waves.length));
  const phases = waves.map((_, i) => philox([i, texture, 0, 0], key)[0] / 2 ** 32 * 2 * Math.PI);
  const ground = [.36, .42, .55];
  const colour = [.66, .58, .38];
  const outline = Math.min(1, 2 * (1 - strength));
  const contrast = .15 * Math.min(2, 2 * strength);
  for (let y = 0; y < side; ++y)
    for (let x = 0; x < side; ++x) {
      const d = shapeDistance(figure, (x + .5 - side / 2) / radius, (y + .5 - side / 2) / radius);
      const cover = Math.max(0, Math.min(1, .5 - d * radius));
      let wave = 0;
      waves.forEach(([fx, fy], i) => {
        wave += Math.cos(2 * Math.PI * (fx * x + fy * y) / side + phases[i]) * scale;
      });
      const inside = strength >= 1 ? 1 : cover;  // the texture alone fills the picture
      for (let c = 0; c < 3; ++c) {
        const v = ground[c] + cover * outline * (colour[c] - ground[c]) + inside * contrast * wave;
        bytes[(y * side + x) * 3 + c] = Math.round(255 * Math.max(0, Math.min(1, v)));
      }
    }
  return bytes;
}

// [figure, texture, strength] of "3,4,0.5"; undefined for other texts.
function drawnOf(text) {
  const [figure, texture, strength] = text.split(',').map(v => v === '' ? NaN : Number(v));
  const isOne = v => Number.isInteger(v) && v >= 0 && v <= 9;
  return isOne(figure) && isOne(texture) && strength >= 0 && strength <= 1 ?
      [figure, texture, strength] :
      undefined;
}

// The sliders: outline, texture, and which of the two is the stronger.
function shapesPanel(app) {
  const {shapes, textures} = app.data.cues;
  const [figure, texture, strength] = drawnOf(app.state.drawn) ?? [0, 0, .5];
  const set = (f, t, s) => app.set({picture: -1, drawn: [f, t, s].join(',')});
  return [
    el('h3', {text: 'Draw one: outline against texture'}),
    el('div', {class: 'tools'},
       slider(
           'Outline',
           {min: 0, max: 9, step: 1, value: figure, shown: v => shapes[v], id: 'outline'},
           v => set(v, texture, strength)),
       slider(
           'Texture',
           {min: 0, max: 9, step: 1, value: texture, shown: v => textures[v], id: 'texture'},
           v => set(figure, v, strength)),
       slider(
           'Which is stronger', {
             min: 0,
             max: 1,
             step: .05,
             value: strength,
             shown: v => v < .5 ? `outline (${num(v)})` :
                 v > .5 ? `texture (${num(v)})` :
                          'alike',
             id: 'strength'
           },
           v => set(figure, texture, v))),
  ];
}
