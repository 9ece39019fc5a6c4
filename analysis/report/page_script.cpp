// The page's script: a read-out of values under the pointer or the arrow keys, the place in the
// contents, the theme. The page is complete without it.
#include "analysis/report/page.h"

namespace passband {
namespace {

constexpr std::string_view kScript =
    R"js(
(() => {
'use strict';
const NS = 'http://www.w3.org/2000/svg';

const number = v => {
  if (v === null || !isFinite(v)) return '\u2013';
  if (v === 0) return '0';
  const a = Math.abs(v);
  const minus = text => text.replace('-', '\u2212');
  if (a >= 1e7 || a < 1e-4) {
    const [mantissa, exponent] = v.toExponential(3).split('e');
    const digits = '\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079';
    const raised = [...String(Number(exponent))].map(c => c === '-' ? '\u207b' : digits[c]);
    return minus(String(Number(mantissa))) + '\u00d710' + raised.join('');
  }
  const [whole, rest] = minus(String(Number(v.toPrecision(4)))).split('.');
  const spaced = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, '\u202f') : whole;
  return rest ? spaced + '.' + rest : spaced;
};
const title = axis => axis.unit ? `${axis.label} (${axis.unit})` : axis.label;
const at = (axis, v) => axis.categories[Math.round(v)] ?? number(v);

// Data units to drawing units and back, from the attributes the drawing carries.
const geometry = group => {
  const [x, y, width, height] = group.dataset.box.split(' ').map(Number);
  const range = key => (group.dataset[key] ?? '0 1').split(' ').map(Number);
  return {group, x, y, width, height, rx: range('x'), ry: range('y'), up: group.dataset.up === '1'};
};
const share = (range, log, v) => log ? Math.log(v / range[0]) / Math.log(range[1] / range[0])
                                     : (v - range[0]) / (range[1] - range[0]);
const place = (g, panel, x, y) => [g.x + share(g.rx, panel.x.log, x) * g.width,
                                   g.y + (1 - share(g.ry, panel.y.log, y)) * g.height];
const make = (name, attributes) => {
  const node = document.createElementNS(NS, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  return node;
};
)js"
    R"js(
// "blocks.2": "block 2"; other names stay.
const words = name => String(name).replace(/^blocks\.(\d+)$/, 'block $1');

// One figure: its data, a cursor in its drawings, and the values beside it.
const attach = plot => {
  const data = JSON.parse(document.getElementById(plot.dataset.hover).textContent);
  const out = plot.querySelector('.readout'), stage = plot.querySelector('.panels');
  let cursor = null, state = null;

  const clear = () => { cursor?.remove(); cursor = null; out.hidden = true; };
  // Beside a point of the drawing, within the figure.
  const beside = (g, x, y) => {
    const p = new DOMPoint(x, y).matrixTransform(g.group.ownerSVGElement.getScreenCTM());
    const frame = plot.getBoundingClientRect(), room = frame.width - out.offsetWidth;
    const right = p.x - frame.left + 14;
    out.style.left = `${Math.max(0, right <= room ? right : right - out.offsetWidth - 28)}px`;
    out.style.top = `${p.y - frame.top + 12}px`;
  };
  const line = entry => {
    const row = document.createElement('span');
    if (entry.color) {
      const dot = document.createElement('i'), probe = plot.querySelector('.' + entry.color);
      dot.style.background = probe ? getComputedStyle(probe).fill : 'currentColor';
      row.append(dot);
    }
    row.append(entry.text);
    return row;
  };
  const say = (g, x, y, head, entries) => {
    out.textContent = '';
    out.hidden = false;
    if (head) {
      const strong = document.createElement('b');
      strong.textContent = head;
      out.append(strong);
    }
    out.append(...entries.map(line));
    beside(g, x, y);
  };
  const draw = (g, nodes) => {
    cursor?.remove();
    cursor = make('g', {class: 'cursor'});
    cursor.append(...nodes);
    g.group.append(cursor);
  };

  const showCell = (g, panel, r, c) => {
    const h = panel.heatmap, w = g.width / h.columns, t = g.height / h.rows;
    state = {panel: data.panels.indexOf(panel), r, c};
    const cell = {x: g.x + c * w, y: g.y + (g.up ? h.rows - 1 - r : r) * t, width: w, height: t};
    // Seen on light and on dark cells.
    draw(g, [make('rect', {...cell, class: 'outer'}), make('rect', cell)]);
    const row = words(h.row_labels[r] ?? r), column = words(h.column_labels[c] ?? c);
    say(g, cell.x + w, cell.y + t, panel.title,
        [{text: `${row} and ${column}: ${h.value} ${number(h.values[r * h.columns + c])}`}]);
  };
  // All series at the x nearest to the pointer; of many series, or of points, only the nearest.
  const showX = (g, panel, px, py) => {
    const single = panel.series.length > 6 || panel.series.every(s => s.points), hits = [];
    let best = null;
    for (const s of panel.series) {
      let hit = null;
      for (let i = 0; i < s.x.length; ++i) {
        if (s.x[i] === null || s.y[i] === null) continue;
        const [x, y] = place(g, panel, s.x[i], s.y[i]);
        if (!isFinite(x) || !isFinite(y)) continue;
        const dx = Math.abs(x - px), d = Math.hypot(dx, y - py);
        const closer = !hit || (single ? d < hit.d : dx < hit.dx - 1e-9 ||
                                (Math.abs(dx - hit.dx) <= 1e-9 && d < hit.d));
        if (closer) hit = {s, i, x, y, dx, d};
      }
      if (hit) hits.push(hit);
      if (hit && (!best || (single ? hit.d < best.d : hit.dx < best.dx))) best = hit;
    }
    if (!best) return;
    const near = single ? [best] : hits.filter(h => Math.abs(h.x - best.x) < 4);
    state = {panel: data.panels.indexOf(panel), x: best.s.x[best.i], py: best.y};
    draw(g, [make('line', {x1: best.x, x2: best.x, y1: g.y, y2: g.y + g.height}),
             ...near.map(h => make('circle', {cx: h.x, cy: h.y, r: 4, class: h.s.color}))]);
    const at_x = words(at(panel.x, best.s.x[best.i]));
    const named = panel.x.categories.length > 0;
    const where = named ? at_x : [title(panel.x), at_x].filter(Boolean).join(' ');
    const unit = panel.y.unit ? ' ' + panel.y.unit : '';
    say(g, best.x, best.y, [panel.title, single ? '' : where].filter(Boolean).join(', '),
        near.map(h => {
          const label = h.s.labels?.[h.i];
          const what = label ? [h.s.name, `${words(label)} of ${where}`].filter(Boolean).join(', ')
                     : single ? [h.s.name, where].filter(Boolean).join(', ')
                     : h.s.name || title(panel.y);
          return {color: h.s.color, text: `${what}: ${number(h.s.y[h.i])}${unit}`};
        }));
  };
  const show = (g, panel, px, py) => {
    if (!panel.heatmap) return showX(g, panel, px, py);
    const h = panel.heatmap, clamp = (v, n) => Math.max(0, Math.min(n - 1, Math.floor(v)));
    const c = clamp((px - g.x) / g.width * h.columns, h.columns);
    const r = clamp((py - g.y) / g.height * h.rows, h.rows);
    showCell(g, panel, g.up ? h.rows - 1 - r : r, c);
  };
)js"
    R"js(
  const panels = [...plot.querySelectorAll('.panel')].map(geometry);
  const pointed = event => {
    const g = panels.find(b => b.group.ownerSVGElement.contains(event.target));
    if (!g) return;
    const screen = new DOMPoint(event.clientX, event.clientY);
    const p = screen.matrixTransform(g.group.ownerSVGElement.getScreenCTM().inverse());
    const near = 12, within = (v, low, size) => v > low - near && v < low + size + near;
    if (within(p.x, g.x, g.width) && within(p.y, g.y, g.height))
      show(g, data.panels[g.group.dataset.panel], p.x, p.y);
  };
  plot.addEventListener('pointermove', pointed);
  plot.addEventListener('pointerdown', pointed);
  plot.addEventListener('pointerleave', clear);
  stage.addEventListener('blur', clear);

  const step = (key, shift) => {
    const move = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}[key];
    const index = state?.panel ?? 0, g = panels[index], panel = data.panels[index];
    if (panel.heatmap) {
      const h = panel.heatmap, wrap = (v, n) => (v + n) % n, down = g.up ? 1 : -1;
      const r = state ? wrap(state.r + move[1] * down, h.rows) : 0;
      const c = state ? wrap(state.c + move[0], h.columns) : 0;
      return showCell(g, panel, r, c);
    }
    if (move[1]) {
      const next = (index - move[1] + panels.length) % panels.length;
      state = null;
      return show(panels[next], data.panels[next], panels[next].x, panels[next].y);
    }
    const all = [...new Set(panel.series.flatMap(s => s.x))];
    const xs = all.filter(v => v !== null).sort((a, b) => a - b);
    const here = state ? xs.indexOf(state.x) : -1;
    const jump = shift ? Math.max(1, Math.round(xs.length / 20)) : 1;
    const x = xs[Math.max(0, Math.min(xs.length - 1, here < 0 ? 0 : here + move[0] * jump))];
    showX(g, panel, place(g, panel, x, g.ry[0])[0], state?.py ?? g.y);
  };
  stage.addEventListener('keydown', event => {
    if (event.key === 'Escape') { clear(); state = null; }
    if (!event.key.startsWith('Arrow') || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    step(event.key, event.shiftKey);
  });
};
document.querySelectorAll('.plot[data-hover]').forEach(attach);

// Closed tables are data; opened, they are tables.
const numeric = text => text === '' || text === '\u2013' || /^\u2212?\d/.test(text);
document.querySelectorAll('details.data').forEach(details => {
  details.addEventListener('toggle', () => {
    const source = details.querySelector('script');
    if (!source) return;
    const data = JSON.parse(source.textContent);
    const node = (name, text) => {
      const made = document.createElement(name);
      if (text !== undefined) made.textContent = text;
      return made;
    };
    const box = node('div'), table = node('table'), head = node('thead'), body = node('tbody');
    box.className = 'scroll';
    box.tabIndex = 0;
    box.setAttribute('role', 'region');
    box.setAttribute('aria-label', 'Data of the figure');
    const top = node('tr');
    top.append(...data.columns.map(text => Object.assign(node('th', text), {scope: 'col'})));
    head.append(top);
    for (const row of data.rows) {
      const line = node('tr');
      line.append(...row.map(text => {
        const cell = node('td', text);
        if (numeric(text)) cell.className = 'n';
        return cell;
      }));
      body.append(line);
    }
    table.append(head, body);
    box.append(table);
    source.replaceWith(box);
  });
});
)js"
    R"js(
// A picture, enlarged, with the value of its map under the cursor.
const dialog = document.createElement('dialog');
dialog.className = 'enlarged';
// The bytes of a map, read from its image.
const greys = image => {
  const [rows, columns] = image.closest('.cell').dataset.size.split(' ').map(Number);
  const canvas = Object.assign(document.createElement('canvas'), {width: columns, height: rows});
  const context = canvas.getContext('2d'), source = new Image();
  const read = {at: () => null, ready: null};
  read.ready = new Promise(done => {
    source.onload = () => {
      context.drawImage(source, 0, 0);
      const pixels = context.getImageData(0, 0, columns, rows).data;
      read.at = (r, c) => pixels[4 * (r * columns + c)];
      done();
    };
  });
  source.src = image.getAttribute('href');
  return read;
};
const enlarge = cell => {
  const [rows, columns] = (cell.dataset.size ?? '0 0').split(' ').map(Number);
  const picture = cell.querySelector('.base').cloneNode(true), over = picture.querySelector('svg');
  const map = over.querySelector('image'), bytes = map ? greys(cell.querySelector('image')) : null;
  const close = document.createElement('button');
  const caption = document.createElement('p'), value = document.createElement('p');
  const spot = make('rect', {class: 'spot'}), scale = cell.querySelector('.scale');
  let at = null;
  close.type = 'button';
  close.textContent = 'Close';
  close.addEventListener('click', () => dialog.close());
  caption.textContent = cell.querySelector('p').textContent;
  value.setAttribute('aria-live', 'polite');
  value.textContent = bytes ? 'Point at a place, or use the arrow keys, to read its value.' : '';
  const read = (r, c) => {
    if (!bytes || r < 0 || c < 0 || r >= rows || c >= columns) return;
    at = [r, c];
    const v = bytes.at(r, c) / 255 * Number(cell.dataset.most);
    value.textContent = `row ${r + 1}, column ${c + 1}: ${number(Number(v.toPrecision(3)))}` +
                        ` (largest ${number(Number(cell.dataset.most))})`;
    const [x, y, w, h] = ['x', 'y', 'width', 'height'].map(k => Number(map.getAttribute(k)));
    for (const [k, n] of Object.entries({x: x + c * w / columns, y: y + r * h / rows,
                                         width: w / columns, height: h / rows}))
      spot.setAttribute(k, n);
    over.append(spot);
  };
  const point = event => {
    if (!map) return;
    const frame = map.getBoundingClientRect();
    read(Math.floor((event.clientY - frame.top) / frame.height * rows),
         Math.floor((event.clientX - frame.left) / frame.width * columns));
  };
  picture.addEventListener('pointerdown', point);
  picture.addEventListener('pointermove', point);
  dialog.onkeydown = event => {
    const move = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]};
    if (!move[event.key]) return;
    event.preventDefault();
    at ? read(at[0] + move[event.key][0], at[1] + move[event.key][1]) : read(0, 0);
  };
  dialog.setAttribute('aria-label', caption.textContent || 'Picture');
  dialog.replaceChildren(close, picture, ...scale ? [scale.cloneNode(true)] : [], caption, value);
  if (!dialog.isConnected) document.body.append(dialog);
  dialog.showModal();
};
document.querySelectorAll('.cells .cell').forEach(cell => {
  cell.setAttribute('role', 'button');
  cell.tabIndex = 0;
  cell.addEventListener('click', () => enlarge(cell));
  cell.addEventListener('keydown', event => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    enlarge(cell);
  });
});

// The contents mark the section on the screen.
const links = new Map([...document.querySelectorAll('.contents a')].map(a => [a.hash.slice(1), a]));
const watch = new IntersectionObserver(entries => {
  for (const e of entries) if (e.isIntersecting) {
    links.forEach(a => a.removeAttribute('aria-current'));
    links.get(e.target.id)?.setAttribute('aria-current', 'location');
  }
}, {rootMargin: '-10% 0px -75% 0px'});
links.forEach((a, id) => {
  const target = document.getElementById(id);
  if (target) watch.observe(target);
});

// Auto follows the system; a choice is remembered where the browser allows it.
const button = document.getElementById('page-theme'), themes = ['auto', 'light', 'dark'];
const store = {
  get: () => { try { return localStorage.getItem('passband-theme'); } catch { return null; } },
  set: v => { try { localStorage.setItem('passband-theme', v); } catch { return; } },
};
const apply = theme => {
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  button.textContent = 'Theme: ' + theme;
};
let theme = themes.includes(store.get()) ? store.get() : 'auto';
button.hidden = false;
button.addEventListener('click', () => {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  store.set(theme);
  apply(theme);
});
apply(theme);
})();
)js";

}  // namespace

std::string_view page_script() { return kScript; }

}  // namespace passband
