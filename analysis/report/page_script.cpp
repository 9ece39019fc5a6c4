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
// One figure: its data, its read-out line, and a cursor in the visible one of its two drawings.
const attach = plot => {
  const data = JSON.parse(document.getElementById(plot.dataset.hover).textContent);
  const out = plot.querySelector('.readout');
  const hint = 'Point, tap or use the arrow keys to read values.';
  const idle = () => { out.textContent = hint; out.classList.add('idle'); };
  out.hidden = false;
  idle();
  plot.tabIndex = 0;
  plot.setAttribute('role', 'group');
  plot.setAttribute('aria-label', 'Figure; arrow keys read values');
  let cursor = null, state = null;

  const clear = () => { cursor?.remove(); cursor = null; };
  const say = (head, entries) => {
    out.textContent = '';
    out.classList.remove('idle');
    const strong = document.createElement('b');
    strong.textContent = head;
    out.append(strong);
    for (const [i, e] of entries.entries()) {
      out.append(i > 0 ? '; ' : ': ');
      if (e.color) {
        const dot = document.createElement('i');
        const probe = plot.querySelector('.' + e.color);
        dot.style.background = probe ? getComputedStyle(probe).fill : 'currentColor';
        out.append(dot);
      }
      out.append((e.name ? e.name + ' ' : '') + e.text);
    }
  };
  const draw = (g, nodes) => {
    clear();
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
    say(`${h.row_labels[r] ?? r} \u00d7 ${h.column_labels[c] ?? c}`,
        [{name: h.value, text: number(h.values[r * h.columns + c])}]);
  };
  // All series at the x nearest to the pointer; with many series, only the one nearest to it.
  const showX = (g, panel, px, py) => {
    const crowded = panel.series.length > 6, hits = [];
    let best = null;
    for (const s of panel.series) {
      let hit = null;
      for (let i = 0; i < s.x.length; ++i) {
        if (s.x[i] === null || s.y[i] === null) continue;
        const [x, y] = place(g, panel, s.x[i], s.y[i]);
        if (!isFinite(x) || !isFinite(y)) continue;
        const dx = Math.abs(x - px), d = Math.hypot(dx, y - py);
        const closer = !hit || dx < hit.dx - 1e-9 || (Math.abs(dx - hit.dx) <= 1e-9 && d < hit.d);
        if (closer) hit = {s, i, x, y, dx, d};
      }
      if (hit) hits.push(hit);
      if (hit && (!best || (crowded ? hit.d < best.d : hit.dx < best.dx))) best = hit;
    }
    if (!best) return;
    const near = crowded ? [best] : hits.filter(h => Math.abs(h.x - best.x) < 4);
    state = {panel: data.panels.indexOf(panel), x: best.s.x[best.i], py: best.y};
    draw(g, [make('line', {x1: best.x, x2: best.x, y1: g.y, y2: g.y + g.height}),
             ...near.map(h => make('circle', {cx: h.x, cy: h.y, r: 4, class: h.s.color}))]);
    const where = [title(panel.x), at(panel.x, best.s.x[best.i])].filter(Boolean).join(' ');
    const unit = panel.y.unit ? ' ' + panel.y.unit : '';
    say(panel.title ? panel.title + ', ' + where : where, near.map(h => ({
      color: h.s.color, name: [h.s.name, h.s.labels?.[h.i]].filter(Boolean).join(' '),
      text: number(h.s.y[h.i]) + unit,
    })));
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
  const drawings = () => [...plot.querySelectorAll('svg')];
  const visible = () => drawings().find(svg => svg.getClientRects().length > 0);
  const panels = svg => [...svg.querySelectorAll('.panel')].map(geometry);
  const pointed = event => {
    const svg = visible();
    if (!svg || !svg.contains(event.target)) return;
    const screen = new DOMPoint(event.clientX, event.clientY);
    const p = screen.matrixTransform(svg.getScreenCTM().inverse());
    const near = 12, within = (v, low, size) => v > low - near && v < low + size + near;
    const g = panels(svg).find(b => within(p.x, b.x, b.width) && within(p.y, b.y, b.height));
    if (g) show(g, data.panels[g.group.dataset.panel], p.x, p.y);
  };
  plot.addEventListener('pointermove', pointed);
  plot.addEventListener('pointerdown', pointed);
  plot.addEventListener('pointerleave', () => { clear(); idle(); });

  const step = (key, shift) => {
    const move = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}[key];
    const all = panels(visible());
    const index = state?.panel ?? 0, g = all[index], panel = data.panels[index];
    if (panel.heatmap) {
      const h = panel.heatmap, wrap = (v, n) => (v + n) % n, down = g.up ? 1 : -1;
      const r = state ? wrap(state.r + move[1] * down, h.rows) : 0;
      const c = state ? wrap(state.c + move[0], h.columns) : 0;
      return showCell(g, panel, r, c);
    }
    if (move[1]) {
      const next = (index - move[1] + all.length) % all.length;
      state = null;
      const other = all[next];
      return show(other, data.panels[next], other.x, other.y);
    }
    const all = [...new Set(panel.series.flatMap(s => s.x))];
    const xs = all.filter(v => v !== null).sort((a, b) => a - b);
    const here = state ? xs.indexOf(state.x) : -1;
    const jump = shift ? Math.max(1, Math.round(xs.length / 20)) : 1;
    const x = xs[Math.max(0, Math.min(xs.length - 1, here < 0 ? 0 : here + move[0] * jump))];
    showX(g, panel, place(g, panel, x, g.ry[0])[0], state?.py ?? g.y);
  };
  plot.addEventListener('keydown', event => {
    if (event.key === 'Escape') { clear(); state = null; idle(); }
    if (!event.key.startsWith('Arrow') || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    step(event.key, event.shiftKey);
  });
};
document.querySelectorAll('.plot[data-hover]').forEach(attach);

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
