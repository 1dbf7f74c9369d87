// How the page of a run looks: on a desk, on a telephone, on paper, in light and dark.
import {DARK, LIGHT, type Palette} from '../svg.ts'

const colours = ({paper, ink, soft, grid, series, verdicts}: Palette, wash: string): string =>
  [
    `--paper:${paper};--ink:${ink};--soft:${soft};--grid:${grid};--wash:${wash};`,
    `--own:${series[0]};--other:${series[1]};--far:${series[2]};--bad:${verdicts[0]};--good:${verdicts[1]};--open:${verdicts[2]};`,
  ].join('')

export const STYLE = `
:root{color-scheme:light dark;${colours(LIGHT, '#f4f6f8')}}
@media (prefers-color-scheme:dark){:root{${colours(DARK, '#1b2129')}}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1240px;padding:1.5rem 1.25rem 3rem;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,"DejaVu Sans",sans-serif;overflow-wrap:break-word}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .4rem}h2{font-size:1.2rem;margin:2.6rem 0 .6rem}
p{margin:.4rem 0;max-width:78ch}.soft,figcaption,.label small{color:var(--soft)}small{font-size:.85em}
code{font:.92em ui-monospace,"DejaVu Sans Mono",monospace}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,13rem),1fr));gap:.8rem;margin:1.4rem 0}
.tile{background:var(--wash);border-radius:8px;padding:.8rem 1rem}.tile b{display:block;font-size:1.55rem;line-height:1.25;font-weight:600}
.beside{display:grid;grid-template-columns:minmax(0,26rem) minmax(0,1fr);gap:2rem;align-items:start}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:13.5px}
th,td{text-align:left;vertical-align:top;padding:.42rem .55rem;border-bottom:1px solid var(--grid)}
thead th{color:var(--soft);font-weight:600;vertical-align:bottom;border-bottom-color:var(--soft)}
tbody th{font-weight:600}tbody th small{display:block;font-weight:400;color:var(--soft)}
td span.range{display:block;color:var(--soft);white-space:nowrap}header p{max-width:none}tr.control{background:var(--wash)}
.mark{display:inline-block;white-space:nowrap;font-weight:600}.confirmed{color:var(--good)}.refuted{color:var(--bad)}.refined{color:var(--open)}.none{color:var(--soft)}
td .short{color:var(--bad);font-weight:600}
.chart{margin:.6rem 0 0}.row{display:grid;grid-template-columns:15rem minmax(0,1fr) 9.5rem;gap:0 1rem;align-items:center;padding:1px 0}
.row .label{font-size:13.5px;line-height:1.25}.row .value{font-size:13px;color:var(--soft);font-variant-numeric:tabular-nums;line-height:1.25}
.charts{display:grid;gap:2rem}
.strip{display:block;width:100%;overflow:visible}.over{overflow:visible}.tick{font-size:11.5px;fill:var(--soft)}
.grid{stroke:var(--grid)}.resume{stroke:var(--ink);stroke-width:1.3}.median{stroke:var(--ink);stroke-width:2.2}
.dot{fill-opacity:.6;stroke-width:1.2}.dot.gwswitch{fill:var(--own);stroke:var(--own)}.dot.other{fill:var(--other);stroke:var(--other)}.dot.control{fill:none;stroke:var(--soft);stroke-width:1.6}
.loss .row{padding:4px 0;border-bottom:1px solid var(--grid)}.loss .row.axis{border:0}
.down{fill:var(--grid);fill-opacity:.55}.lost{fill:none;stroke-width:1.4;vector-effect:non-scaling-stroke}.lost.near{stroke:var(--own)}.lost.far{stroke:var(--far)}.lost.after{stroke:var(--bad);stroke-width:2.4}
.key{display:flex;flex-wrap:wrap;gap:.3rem 1.4rem;font-size:13px;color:var(--soft);padding:0;margin:.4rem 0;list-style:none}.key svg{display:inline-block;vertical-align:middle;margin-right:.35rem;overflow:visible}
.topology{display:block;width:100%;max-width:26rem}.topology text{font:12.5px system-ui,"DejaVu Sans",sans-serif;fill:var(--ink)}.topology .soft{fill:var(--soft)}
.site{fill:var(--wash);stroke:var(--grid)}.node{fill:var(--paper);stroke:var(--soft);stroke-width:1.3}.ghost{stroke-dasharray:4 3}
.wire{stroke:var(--soft)}.wire.far{stroke-dasharray:2 4}.way{fill:none;stroke-width:2.6}.way.bad{stroke:var(--bad);stroke-dasharray:8 4}.way.good{stroke:var(--good)}.move{fill:none;stroke:var(--soft);stroke-dasharray:4 3}.head.bad{fill:var(--bad)}.head.good{fill:var(--good)}.head.move{fill:var(--soft)}.tap{fill:var(--open);stroke:var(--paper)}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.25rem 1.2rem;margin:.6rem 0;font-size:14px}dt{color:var(--soft)}dd{margin:0}
ul.said{padding-left:1.1rem;margin:.4rem 0}ul.said li{margin:.35rem 0;max-width:95ch}
@media (max-width:760px){
body{padding:1rem .9rem 2rem}.beside{grid-template-columns:minmax(0,1fr);gap:1rem}
.row{grid-template-columns:minmax(0,1fr) auto;padding:.35rem 0 .1rem}.row .strip{grid-row:2;grid-column:1/-1}.row.axis .label,.row.axis .value{display:none}.row .value{text-align:right;max-width:9.5rem}
thead{display:none}table,tbody,tr,th,td{display:block}tr{padding:.6rem .5rem;border-bottom:1px solid var(--grid)}
th,td{border:0;padding:.12rem 0}td{display:grid;grid-template-columns:7.5rem minmax(0,1fr);gap:.6rem}td span.range{display:inline}td:has(span:empty),tbody th:empty{display:none}td::before{content:attr(data-label);color:var(--soft)}
dl{grid-template-columns:minmax(0,1fr);gap:0}dd{margin-bottom:.4rem}
}
@media print{
:root{${colours(LIGHT, '#f4f6f8')}}
@page{size:A4 landscape;margin:12mm}body{padding:0;max-width:none;font-size:10.5px;-webkit-print-color-adjust:exact;print-color-adjust:exact}
table,.row .label,.row .value,dl{font-size:9.5px}h2{break-after:avoid}tr,.row,.tile,li,figure{break-inside:avoid}
}
`
