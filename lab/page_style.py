"""How the page looks: light or dark as the reader has it, on paper, and on a telephone."""

STYLE = """
:root {
  --paper: #ffffff; --ink: #1d2833; --pale: #55626f; --rule: #dce2e8; --block: #f4f6f8;
  --good: #1f7a53; --bad: #b83232; --between: #9a6700; --wait: #2f5f9e; --unknown: #9aa5b1; --shade: #b8323214;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14191f; --ink: #e4e9ee; --pale: #a3afbb; --rule: #303a45; --block: #1d242c;
    --good: #4cc38a; --bad: #f2777a; --between: #e3b341; --wait: #79aef0; --unknown: #5c6873; --shade: #f2777a1f;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem; padding-bottom: .25rem; border-bottom: 1px solid var(--rule); }
p { margin: .5rem 0; max-width: 46rem; }
.verdict { margin: 0; font-weight: 600; }
.kept b, .verdict.kept { color: var(--good); }
.broken b, .verdict.broken { color: var(--bad); }
figure { margin: 1.25rem 0 0; }
figcaption { display: flex; flex-wrap: wrap; gap: 0 1rem; font-size: .9rem; margin-bottom: .25rem; }
.legend { color: var(--pale); }
.key { display: inline-block; width: .7em; height: .7em; margin: 0 .35em 0 .5em; border-radius: 2px; }
.key:first-child { margin-left: 0; }
.plot { position: relative; background: var(--block); }
.tall { height: 8.5rem; border-bottom: 1px solid var(--rule); }
.plot svg { display: block; width: 100%; height: 100%; }
.top { position: absolute; top: 0; left: .3rem; font-size: .75rem; color: var(--pale); }
.good { fill: var(--good); } .bad { fill: var(--bad); } .between { fill: var(--between); }
.wait { fill: var(--wait); } .unknown { fill: var(--unknown); }
.area { opacity: .75; }
.line, .mark { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }
.line.between { stroke: var(--between); }
.line.sent { stroke: var(--ink); stroke-dasharray: 5 4; stroke-width: 1.5; }
.mark { stroke-width: 1.5; stroke-dasharray: 3 3; }
.mark.good { stroke: var(--good); } .mark.bad { stroke: var(--bad); }
.outage { fill: var(--shade); }
.key.outage { background: var(--shade); border: 1px solid var(--bad); }
.key.good { background: var(--good); } .key.bad { background: var(--bad); }
.key.between { background: var(--between); }
.key.wait { background: var(--wait); } .key.sent { background: var(--ink); }
.key.unknown { background: var(--unknown); }
.ticks { position: relative; height: 1.3rem; font-size: .75rem; color: var(--pale); }
.ticks span { position: absolute; }
.lane .plot { height: 1.1rem; }
.lane { margin-bottom: .3rem; }
.lane-name { font-size: .75rem; line-height: 1.2; color: var(--pale); }
table { border-collapse: collapse; table-layout: fixed; width: 100%; font-size: .95rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--rule);
  overflow-wrap: anywhere; }
th { font-weight: 500; }
thead th { color: var(--pale); }
.report th, .figures th { width: 14rem; }
.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
td.number, th.number { text-align: right; width: 4.5rem; }
.what { width: 6.5rem; }
.figures td.number { width: 6rem; font-weight: 600; }
.figures td:last-child { color: var(--pale); }
.promises { list-style: none; padding: 0; margin: 0; }
.promises li { padding: .2rem 0 .2rem 4.2rem; text-indent: -4.2rem; overflow-wrap: anywhere; }
.promises b { display: inline-block; width: 4.2rem; text-indent: 0; font-weight: 600; }
details { border-bottom: 1px solid var(--rule); padding: .35rem 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
details p { overflow-wrap: anywhere; }
pre { background: var(--block); padding: .75rem; font-size: .82rem; white-space: pre-wrap; overflow-wrap: anywhere; }
footer { margin-top: 2.5rem; color: var(--pale); font-size: .85rem; }
@media (max-width: 34rem) {
  main { padding: 1rem .75rem 2rem; }
  .ticks span:nth-child(even) { visibility: hidden; }
  .report th { width: 42%; }
  .figures tr { display: grid; grid-template-columns: 1fr auto; border-bottom: 1px solid var(--rule); }
  .figures th, .figures td { width: auto; border: 0; padding: .15rem .5rem .15rem 0; }
  .figures td:last-child { grid-column: 1 / -1; font-size: .85rem; }
}
@media print {
  :root { --paper: #fff; --ink: #000; --pale: #444; --rule: #bbb; --block: #f4f6f8;
    --good: #1f7a53; --bad: #b83232; --between: #9a6700; --wait: #2f5f9e; --unknown: #9aa5b1; --shade: #b8323214; }
  main { max-width: none; padding: 0; }
  body { font-size: 11pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  figure, tr, li, details { break-inside: avoid; }
  h2 { break-after: avoid; }
}
"""
