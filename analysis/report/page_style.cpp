// The page's style sheet. Colours come from the figures' theme variables, so that text and drawings
// change together.
#include "analysis/report/page.h"

namespace passband {
namespace {

// One literal per part of the page: paper and type; masthead; sections and figures; contents,
// narrow screens, print.
constexpr std::string_view kStyle =
    R"css(
:root {
  --wash: #f6f5f1; --link: #1f5f99; --rule: #cfcdc6;
  --serif: "Iowan Old Style", "Palatino Linotype", Palatino, "URW Palladio L", P052,
    "Source Serif 4",
           Georgia, "Times New Roman", "Liberation Serif", serif;
  --sans: "Helvetica Neue", Helvetica, Arial, "Liberation Sans", sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
}
@media screen and (prefers-color-scheme: dark) {
  :root:not([data-theme=light]) { --wash: #1e2125; --link: #8fc1ee; --rule: #3c4045; }
}
@media screen {
  :root[data-theme=dark] { color-scheme: dark; --wash: #1e2125; --link: #8fc1ee; --rule: #3c4045; }
  :root[data-theme=light] { color-scheme: light; }
}
* { box-sizing: border-box; }
html { font-size: 18px; -webkit-text-size-adjust: 100%; scroll-padding-top: 1.5rem; }
body {
  margin: 0; display: grid;
  grid-template-columns: minmax(1.25rem, 1fr) minmax(0, 724px) minmax(1.25rem, 1fr);
  background: var(--paper); color: var(--ink);
  font-family: var(--serif); line-height: 1.5; text-rendering: optimizeLegibility;
  font-variant-numeric: oldstyle-nums proportional-nums; hanging-punctuation: first;
}
main { grid-column: 2; padding: 3.2rem 0 5rem; }
p { margin: 0 0 .75rem; text-wrap: pretty; }
a {
  color: var(--link); text-decoration-thickness: 1px; text-underline-offset: .16em;
  text-decoration-color: color-mix(in srgb, var(--link) 40%, transparent);
}
a:hover { text-decoration-color: currentColor; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 3px; border-radius: 2px; }
.skip { position: absolute; left: -99rem; top: .5rem; background: var(--paper);
  padding: .4rem .8rem; z-index: 2; }
.skip:focus { left: .5rem; }
.unseen {
  position: absolute; width: 1px; height: 1px; margin: 0;
  overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}
.small, h2.small {
  margin: 0 0 .5rem; color: var(--muted);
  font: .98rem/1.3 var(--serif); font-variant-caps: all-small-caps; letter-spacing: .07em;
}
)css"
    R"css(
.masthead { border-top: 3px solid var(--ink); padding-top: .7rem; }
.kicker { display: flex; justify-content: space-between; align-items: baseline;
  margin-bottom: 1.6rem; }
.kicker button {
  font: .68rem/1.3 var(--sans); color: var(--muted); background: none; cursor: pointer;
  border: 1px solid var(--rule); border-radius: 3px; padding: .15rem .5rem;
}
.kicker button:hover { color: var(--ink); }
h1 {
  margin: 0 0 .5rem; font-weight: 400; font-size: clamp(1.75rem, 1.3rem + 2.4vw, 2.6rem);
  line-height: 1.12; letter-spacing: -.012em; text-wrap: balance;
}
.subtitle { color: var(--muted); font-style: italic; margin-bottom: 1.3rem;
  overflow-wrap: anywhere; }
.answer { font-size: 1.12rem; line-height: 1.45; max-width: 37rem; margin-bottom: 1.7rem; }
h1.long { font-size: clamp(1.3rem, 1rem + 1.7vw, 1.9rem); overflow-wrap: anywhere; }
.claims { margin-bottom: 1.6rem; }
.claims .scroll { max-height: none; margin-top: 0; border-block: 1px solid var(--rule); }
table.claims { width: 100%; }
.claims th, .claims td { vertical-align: top; white-space: normal; padding-right: .9rem; }
.claims thead th { position: static; min-width: 5.2rem; overflow-wrap: anywhere; }
.claims tbody th { min-width: 11rem; font: .8rem/1.35 var(--serif); }
.claims tbody th a { color: inherit; }
.claims td b { font-weight: 600; white-space: nowrap; }
.claims small { display: block; color: var(--muted); font-size: .62rem; }
.claims td span { white-space: nowrap; }
.claims td span::before { content: "\25cf"; margin-right: .3em; }
.claims .denied::before { content: "\25cb"; }
.claims .untold::before { content: "?"; }
.claims .denied, .claims .untold { color: var(--muted); }
.claims .seen { color: var(--link); }
.legend { font: .7rem/1.4 var(--sans); color: var(--muted); margin: .4rem 0 0; }
.run { margin-top: 3rem; }
.card {
  margin: 0; columns: 3 12rem; column-gap: 1.6rem;
  font: .74rem/1.4 var(--sans); font-variant-numeric: lining-nums tabular-nums;
}
.card div {
  display: flex; justify-content: space-between; gap: .8rem;
  break-inside: avoid; border-top: 1px solid var(--grid); padding: .26rem 0;
}
.card dt { color: var(--muted); white-space: nowrap; }
.card dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
)css"
    R"css(
.analysis, .commands { margin-top: 3.6rem; padding-top: 1.1rem; border-top: 1px solid var(--ink); }
.analysis h2 {
  margin: 0 0 .35rem; font-weight: 400; font-size: 1.6rem;
  line-height: 1.2; letter-spacing: -.008em; text-wrap: balance;
}
.index { display: inline-block; min-width: 2.3rem; color: var(--muted);
  font-variant-numeric: lining-nums tabular-nums; }
.question { font-style: italic; font-size: 1.08rem; line-height: 1.4; max-width: 36rem;
  margin-bottom: 1.4rem; }
figure { margin: 0 0 1.5rem; }
.plot { position: relative; }
.plot svg { display: block; max-width: 100%; height: auto; touch-action: pan-x pan-y pinch-zoom; }
.keys { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin-bottom: .35rem; }
.panels { display: flex; flex-wrap: wrap; gap: 1.2rem 22px; }
.readout {
  position: absolute; z-index: 1; margin: 0; max-width: 18rem; padding: .25rem .5rem;
  pointer-events: none; background: var(--paper); border: 1px solid var(--rule);
  border-radius: 3px; box-shadow: 0 1px 5px rgb(0 0 0 / .18); color: var(--ink);
  font: .7rem/1.45 var(--sans); font-variant-numeric: lining-nums tabular-nums;
}
.readout span { display: block; }
.row { margin: .7rem 0 .3rem; font: 600 .74rem/1.3 var(--sans); }
.cells { display: grid; gap: .5rem .6rem; grid-template-columns: repeat(var(--columns), 1fr); }
.cells .cell { max-width: 9.4rem; }
.c1 { --columns: 1; } .c2 { --columns: 2; } .c3 { --columns: 3; } .c4 { --columns: 4; }
.c5 { --columns: 5; } .c6 { --columns: 6; } .c7 { --columns: 7; } .c8 { --columns: 8; }
.c9 { --columns: 9; } .c10 { --columns: 10; } .c11 { --columns: 11; } .c12 { --columns: 12; }
.base { background-size: contain; background-repeat: no-repeat; background-position: center;
  image-rendering: pixelated; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.plot .base svg, .base svg { display: block; width: 100%; image-rendering: auto; }
.heat { filter: url(#heat); }
.filters { position: absolute; }
.cell p { margin: .15rem 0 0; font: .64rem/1.3 var(--sans); color: var(--muted);
  overflow-wrap: anywhere; }
.cell.wrong p:not(.scale) { color: var(--ink); font-weight: 600; }
.cell[role=button] { cursor: zoom-in; }
.scale i { display: inline-block; width: 2.6rem; height: .4rem; margin: 0 .15rem; }
.scale i { background: linear-gradient(90deg, #000004, #51127c, #b73779, #fc8961, #fcfdbf); }
dialog.enlarged { border: 1px solid var(--rule); border-radius: 4px; padding: 1rem;
  max-width: 100vw; background: var(--paper); color: var(--ink); }
dialog.enlarged::backdrop { background: rgb(0 0 0 / .6); }
dialog.enlarged .base { width: min(74vmin, 86vw); cursor: crosshair; clear: both;
  overflow: hidden; touch-action: none; }
dialog.enlarged p { margin: .5rem 0 0; font: .76rem/1.4 var(--sans); min-height: 1.4em;
  font-variant-numeric: lining-nums tabular-nums; }
dialog.enlarged button { float: right; font: .72rem/1.3 var(--sans); margin-bottom: .6rem; }
dialog.enlarged .scale { min-height: 0; }
dialog.enlarged .scale i { width: 8rem; height: .6rem; }
.spot { fill: none; stroke: #fff; stroke-width: 2; vector-effect: non-scaling-stroke;
  filter: drop-shadow(0 0 1px #000); }
.readout b { color: var(--ink); font-weight: 600; }
.readout i { display: inline-block; width: .55rem; height: .55rem; border-radius: 50%;
  margin: 0 .3rem 0 .35rem; }
.cursor { pointer-events: none; }
.cursor line { stroke: var(--ink); stroke-width: .75; stroke-opacity: .55; }
.cursor rect { fill: none; stroke: #fff; stroke-width: 1.5; }
.cursor .outer { stroke: #000; stroke-width: 3.5; }
.cursor .spot { fill: none; stroke: var(--ink); }
.cursor circle { stroke: var(--paper); stroke-width: 1.5; }
figcaption { font-size: .86rem; line-height: 1.42; max-width: 38rem; margin-top: .1rem;
  overflow-wrap: anywhere; }
figcaption b { font: 600 .76rem var(--sans); margin-right: .25em; }
.files { font: .68rem var(--sans); white-space: nowrap; margin-left: .4em; }
.files a { margin-right: .45em; }
details { margin-top: .5rem; font: .74rem/1.4 var(--sans); }
summary { cursor: pointer; color: var(--muted); width: fit-content; }
summary:hover { color: var(--ink); }
.scroll { overflow: auto; max-height: 22rem; margin-top: .5rem;
  border-block: 1px solid var(--rule); }
table {
  border-collapse: collapse; min-width: 50%;
  font: .74rem/1.35 var(--sans); font-variant-numeric: lining-nums tabular-nums;
}
th, td {
  text-align: left; font-weight: 400; white-space: nowrap;
  padding: .24rem 1rem .24rem 0; border-top: 1px solid var(--grid);
}
thead th { position: sticky; top: 0; background: var(--paper); color: var(--muted); border-top: 0; }
td.n { text-align: right; }
.runs { width: 100%; }
.runs td, .runs thead th { padding-left: .6rem; }
.runs thead th, .runs td { white-space: normal; overflow-wrap: anywhere; min-width: 4.5rem; }
.glossary dl { margin: 0; columns: 2 18rem; column-gap: 2rem; }
.glossary div { break-inside: avoid; padding: .3rem 0; }
.glossary dt { font: 600 .76rem/1.4 var(--sans); }
.glossary dfn { font-style: normal; }
.glossary dd { margin: 0; font-size: .84rem; line-height: 1.4; color: var(--muted); }
.notes { margin: 0; }
.notes > div {
  display: grid; grid-template-columns: 8.2rem minmax(0, 1fr); gap: 0 1.2rem;
  padding: .6rem 0; border-top: 1px solid var(--grid);
}
.notes dt { font-variant-caps: all-small-caps; letter-spacing: .04em; line-height: 1.45;
  color: var(--muted); }
.notes dd { margin: 0; max-width: 32rem; font-size: .96rem; overflow-wrap: anywhere; }
p.stale { border-left: 3px solid var(--link); background: var(--wash); padding: .5rem .8rem; }
.notes .finding { border-top: 2px solid var(--link); }
.notes .finding dt { color: var(--link); }
.notes .finding dd { font-size: 1.08rem; line-height: 1.42; }
.notes ul { margin: 0; padding-left: 1.1em; }
.notes .numbers ul { list-style: none; padding: 0; }
.notes .numbers li { font: .76rem/1.6 var(--sans); font-variant-numeric: lining-nums;
  color: var(--muted); }
.notes .numbers b { color: var(--ink); font-weight: 600; }
.notes .numbers dd { padding-top: .12rem; }
.notes .arrays dd { font: .76rem/1.9 var(--sans); }
pre {
  margin: 0; padding: .8rem 1rem; background: var(--wash); overflow: auto;
  font: .74rem/1.55 var(--mono); border-radius: 3px;
}
)css"
    R"css(
.contents { font: .74rem/1.35 var(--sans); margin: 1.6rem 0 0; }
.contents ol, .contents ul { list-style: none; margin: 0; padding: 0; columns: 2; }
.contents ul { margin-top: .5rem; padding-top: .5rem; border-top: 1px solid var(--grid); }
.contents li { margin: 0 0 .45rem; padding-left: 1.6rem; text-indent: -1.6rem;
  break-inside: avoid; }
.contents .index { min-width: 1.6rem; text-indent: 0; }
.contents a { color: var(--muted); text-decoration: none; }
.contents a:hover, .contents a[aria-current] { color: var(--ink); }
.contents a[aria-current] { font-weight: 600; }
@media screen {
  .analysis { content-visibility: auto; contain-intrinsic-size: auto 1800px; }
}
@media screen and (min-width: 1180px) {
  .contents {
    position: fixed; top: 4.1rem; left: max(.8rem, calc(50% - 362px - 12.6rem)); width: 10.4rem;
    margin: 0; max-height: calc(100vh - 5rem); overflow: auto;
  }
  .contents ol, .contents ul { columns: auto; }
}
@media (max-width: 600px) {
  html { font-size: 17px; }
  main { padding-top: 1.4rem; }
  .kicker { margin-bottom: 1.1rem; }
  .panels { overflow-x: auto; }
  .panels .broad { max-width: none; }
  .cells { grid-template-columns: repeat(2, 1fr); }
  .cells .cell { max-width: none; }
  .contents li { text-indent: 0; padding-left: 0; }
  .notes > div { grid-template-columns: minmax(0, 1fr); }
  .analysis, .commands { margin-top: 2.8rem; }
}
@media print {
  html { font-size: 10pt; }
  body { display: block; }
  main { padding: 0; }
  .skip, .kicker button, .readout, details, .files { display: none; }
  .commands { margin-top: 2rem; }
  .analysis { break-before: page; margin-top: 0; border-top: 0; padding-top: 0; }
  .scroll { overflow: visible; max-height: none; }
  .notes > div, tr, .opening, .panels svg, .cell, figcaption { break-inside: avoid; }
  .keys, .row { break-after: avoid; }
  .panels { display: block; }
  .panels svg { display: inline-block; margin: 0 18px 1rem 0; }
  h2, .question, dt { break-after: avoid; }
  a { color: inherit; text-decoration: none; }
}
)css";

}  // namespace

std::string_view page_style() { return kStyle; }

}  // namespace passband
