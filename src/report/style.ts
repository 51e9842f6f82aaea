/** The report's style sheet. System fonts only: a report opens without a network. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #fcfcfb; --ink: #1c2127; --soft: #5b6570; --line: #dfe3e7; --panel: #f3f5f7;
  --result: #2f6ea8; --result-bg: #eaf2f9; --warning: #b4571b; --warning-bg: #fdf1e7;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #14181d; --ink: #e4e8ec; --soft: #9aa5b1; --line: #2d343c; --panel: #1c2229;
    --result: #7cb5e8; --result-bg: #17283a; --warning: #e8a26c; --warning-bg: #33231a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
header, main { max-width: 58rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 2.5rem; }
.brand { margin: 0; color: var(--soft); letter-spacing: .08em; font-size: .8rem; text-transform: uppercase; }
h1 { margin: .2rem 0 .3rem; font-size: 2rem; line-height: 1.2; overflow-wrap: anywhere; }
.subtitle { margin: 0; color: var(--soft); overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; margin-top: 1.2rem; padding: .7rem 0; border-block: 1px solid var(--line); font-size: .9rem; }
a { color: var(--result); text-decoration: none; }
a:hover, a:focus-visible { text-decoration: underline; }
section { padding: 1.6rem 0 .4rem; }
h2 { font-size: 1.35rem; margin: 0 0 .8rem; line-height: 1.3; }
h3 { font-size: 1rem; margin: 0 0 .6rem; }
p { margin: .7rem 0; max-width: 46rem; }
ul { padding-left: 1.2rem; max-width: 46rem; }
li { margin: .35rem 0; }
.notice { margin: 1rem 0; padding: .8rem 1.1rem; border-left: 4px solid var(--soft); background: var(--panel); border-radius: 0 6px 6px 0; }
.notice p { margin: .35rem 0 0; overflow-wrap: anywhere; }
.notice.result { border-color: var(--result); background: var(--result-bg); }
.notice.result strong { color: var(--result); }
.notice.warning { border-color: var(--warning); background: var(--warning-bg); }
.notice.warning strong { color: var(--warning); }
.scroll { overflow-x: auto; margin: 1.3rem 0 0; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: .4rem; }
th, td { padding: .32rem 1.3rem .32rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
td:last-child:not(.number) { overflow-wrap: anywhere; min-width: 8rem; }
.pairs th:first-child { width: 36%; }
th:last-child, td:last-child { padding-right: .2rem; }
thead th { color: var(--soft); font-weight: 500; vertical-align: bottom; border-bottom-color: var(--soft); }
tbody th { font-weight: 500; }
.rate { white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
thead .number { white-space: normal; }
.note, figcaption { color: var(--soft); font-size: .85rem; max-width: 46rem; }
.note { margin: .5rem 0 0; overflow-wrap: anywhere; }
figure { margin: 1.8rem 0; }
.plot { overflow-x: auto; }
/* Never smaller than on a wide screen, where 55rem is all the room there is: a narrow one scrolls. */
.plot svg { display: block; max-width: max(100%, 55rem); height: auto; }
figcaption { margin-top: .5rem; }
main { padding-bottom: 4rem; }
@media screen and (max-width: 40rem) {
  header, main { padding-inline: 1rem; }
  th, td { padding-right: .8rem; }
  /* A row's name stays in sight, however long, and leaves room for what the row says. */
  .scroll tr > :first-child { position: sticky; left: 0; background: var(--page); }
  .scroll tr > :first-child:not(.number) { min-width: 7.4rem; overflow-wrap: anywhere; }
}
@media print {
  @page { margin: 14mm; }
  :root { color-scheme: light; --page: #fff; font-size: 12px; }
  body { font-size: 12px; }
  header, main { max-width: none; padding: 0; }
  nav { display: none; }
  p, ul, .note, figcaption { max-width: none; }
  /* Paper does not scroll: cells break, all but numbers. */
  .scroll, .plot { overflow: visible; }
  .plot svg { max-width: 100%; max-height: 20cm; }
  th, td { padding-right: .8rem; }
  tr > :not(.number) { min-width: 7rem; overflow-wrap: anywhere; }
  h2, h3, caption, thead, tbody tr:first-child { break-after: avoid; }
  tbody tr:last-child, .note, figcaption { break-before: avoid; }
  figure, .notice, li, tr { break-inside: avoid; }
}
`;
