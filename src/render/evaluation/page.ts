// A run as one page: no script, no font and no picture from anywhere.
import {type Mark, paperTable} from '../../domain/evaluation/claims.ts'
import {figuresOf, type RowFigures} from '../../domain/evaluation/figures.ts'
import type {LabRun, LabRunRow} from '../../domain/evaluation/lab-run.ts'
import {type Measured, measuredBy} from '../../domain/evaluation/measured.ts'
import {lostOf, statementOn, statementOnAll} from '../../domain/evaluation/statement.ts'
import {xml} from '../svg.ts'
import {type Column, DIRECTIONS, IPV6, MAIN, spreadText, WAYS} from './cells.ts'
import {STYLE} from './page-style.ts'
import {firstPacketChart, gapChart, kindMark, lossChart} from './strips.ts'
import {headline, knownColumns, leftLines, withControls} from './tables.ts'
import {topologySvg} from './topology.ts'

export function runPage(run: LabRun): string {
  const rows = figuresOf(run)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>gwswitch: every method on real migrations</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>Every method on ${run.vm === 'qemu' ? 'real live migrations' : 'moves between two sites'}</h1>
${headline(run)
  .map((line) => `<p class="soft">${xml(line)}</p>`)
  .join('\n')}
</header>
<main>
${tiles(rows)}
<section class="beside">
${topologySvg(run)}
<div>
<h2 style="margin-top:0">How to read it</h2>
<p>A row is one way to move the gateway of a VM that has just migrated; its control is the same migration with nothing done. Every round has each row once, in an order of its own.</p>
<p>All times are from RESUME at the destination, by the kernel's timestamps of captures. Nothing of it is what the tool believes of itself.</p>
${statementOnAll(rows)
  .map((line) => `<p>${xml(line)}</p>`)
  .join('\n')}
${leftLines(run)
  .map((line) => `<p class="soft">${xml(line)}</p>`)
  .join('\n')}
</div>
</section>
<section>
<h2>Switch time, interruption, sessions</h2>
${table(rows, MAIN)}
</section>
<section>
<h2>What the paper claims, and what this run says</h2>
${claims(run)}
</section>
<section>
<h2>From RESUME to the first packet at the new gateway</h2>
${KINDS}
${firstPacketChart(rows)}
</section>
<section>
<h2>Longest time without a packet</h2>
<p class="soft">Of both users and both directions, the migration's own downtime included.</p>
${KINDS}
${gapChart(rows)}
</section>
<section>
<h2>When echoes were lost</h2>
<p class="soft">Each tick an echo that never came back, at the time at which it was sent, ms from RESUME; each lane a migration.</p>
${LOSS_KEY}
${lossChart(rows)}
</section>
<section>
<h2>Round trips, in the guest, gaps by direction</h2>
${table(rows, [...WAYS, ...DIRECTIONS])}
</section>
${ipv6(rows)}
<section>
<h2>What the repetitions can tell apart</h2>
<ul class="said">
${withControls(rows)
  .map(([row, control]) => `<li><b>${xml(row.row.title)}</b>: ${xml(statementOn(row, control).join(' '))}</li>`)
  .join('\n')}
</ul>
</section>
<section>
<h2>Where the numbers come from</h2>
${provenance(run)}
</section>
</main>
</body>
</html>
`
}

/** The answer in a few numbers. */
function tiles(rows: readonly RowFigures[]): string {
  const own = rows.filter(({row, n}) => row.kind === 'gwswitch' && n > 0)
  const sum = (of: readonly RowFigures[], value: (row: RowFigures) => number): number =>
    of.reduce((total, row) => total + value(row), 0)
  const first = own
    .filter(({ipv4}) => ipv4?.toFirstMs.median != null)
    .sort((a, b) => a.ipv4!.toFirstMs.median! - b.ipv4!.toFirstMs.median!)[0]
  const controls = rows.filter(({row, n}) => row.kind === 'control' && n > 0)
  const lost = (of: readonly RowFigures[]): number => sum(of, ({ipv4}) => (ipv4 === null ? 0 : lostOf(ipv4)))
  const [migrations, voids] = [sum(rows, ({n}) => n), sum(rows, (row) => row.voids)]
  return `<div class="tiles">
${tile(`${migrations}`, `migrations in ${rows.length} rows${voids === 0 ? '' : `; ${voids} more are void`}`)}
${first ? tile(`${spreadText(first.ipv4!.toFirstMs)} ms`, `first packet at the new gateway, the fastest form of gwswitch: ${first.row.title}`) : ''}
${own.length > 0 ? tile(`${sum(own, ({plain}) => plain?.alive ?? 0)} of ${sum(own, ({plain}) => plain?.of ?? 0)}`, 'TCP sessions alive with gwswitch, through gateways that only route') : ''}
${own.length > 0 ? tile(`${lost(own)}`, `echoes lost after the first that came back, in ${sum(own, ({n}) => n)} migrations with gwswitch; controls: ${lost(controls)} in ${sum(controls, ({n}) => n)}`) : ''}
</div>`
}

const tile = (figure: string, words: string): string =>
  `<div class="tile"><b>${xml(figure)}</b><span class="soft">${xml(words)}</span></div>`

const ipv6 = (rows: readonly RowFigures[]): string =>
  knownColumns(rows, IPV6).length === 0 ? '' : `<section>\n<h2>IPv6</h2>\n${table(rows, IPV6)}\n</section>`

/** A number with its range in a softer colour; sessions of which not all lived in that of what is wrong. */
function cell(text: string): string {
  const [, alive, of] = /^(\d+)\/(\d+)$/.exec(text) ?? []
  if (alive !== of) return `<span class="short">${xml(text)}</span>`
  return xml(text).replace(/ (\[.*\])$/, ' <span class="range">$1</span>')
}

function table(rows: readonly RowFigures[], columns: readonly Column[]): string {
  const known = knownColumns(rows, columns)
  const head = known.map(({head, means}) => `<th scope="col" title="${xml(means)}">${xml(head)}</th>`)
  const body = rows.map(({row, ...rest}) => {
    const cells = known.map(
      ({head, cell: of}) => `<td data-label="${xml(head)}"><span>${cell(of({row, ...rest}))}</span></td>`,
    )
    return `<tr class="${row.kind}"><th scope="row">${xml(row.title)}<small>${xml(row.id)}</small></th>${cells.join('')}</tr>`
  })
  const notes = known.map(({head, means}) => `<b>${xml(head)}</b> ${xml(means)}`).join('; ')
  return `<table><thead><tr><th scope="col">row</th>${head.join('')}</tr></thead>
<tbody>${body.join('\n')}</tbody></table>
<p class="soft"><small>${notes}. Medians with ranges in brackets; of the difference to the control, the shift with its interval.</small></p>`
}

const MARKS: Readonly<Record<Mark, readonly [style: string, sign: string]>> = {
  confirmed: ['confirmed', '✓'],
  refuted: ['refuted', '✗'],
  refined: ['refined', '≈'],
  'not tried': ['none', '–'],
}

/** The paper's Table 1, each claim with its mark, and what it leaves open. */
function claims(run: LabRun): string {
  const measured = measuredBy(run, '')
  const body = paperTable(run).flatMap(({method, strategy, controlledAt, layer, gatewayIp, claims: all}) =>
    all.map(({claim, mark, said}, i) => {
      const [style, sign] = MARKS[mark]
      const own = [controlledAt, layer, gatewayIp]
      const answer = i === 0 ? openQuestion(measured[strategy]) : ''
      const labels = ['controlled at', 'layer', 'gateway IP']
      return `<tr><th scope="row">${i === 0 ? xml(method) : ''}</th>${own.map((value, k) => `<td data-label="${labels[k]}"><span>${i === 0 ? xml(value) : ''}</span></td>`).join('')}<td data-label="claim"><span>${xml(claim)}</span></td><td data-label="mark"><span class="mark ${style}">${sign} ${mark}</span></td><td data-label="this run"><span>${xml(said)}</span></td><td data-label="left open"><span>${xml(answer)}</span></td></tr>`
    }),
  )
  return `<table class="claims"><thead><tr><th scope="col">method</th><th scope="col">controlled at</th><th scope="col">layer</th><th scope="col">gateway IP</th><th scope="col">the paper's claim</th><th scope="col">mark</th><th scope="col">this run</th><th scope="col">what it left open: switch time and interruption</th></tr></thead>
<tbody>${body.join('\n')}</tbody></table>`
}

function openQuestion(measured: Measured | undefined): string {
  if (measured === undefined) return 'Not tried in this run.'
  const {forms} = measured
  const medians = forms.map(({toFirstMs}) => toFirstMs.median)
  const known = medians.filter((value) => value !== null)
  const ends = [Math.min(...known), Math.max(...known)].map((value) => `${Math.round(value)}`)
  const times = known.length === 0 ? 'never' : `${[...new Set(ends)].join(' to ')} ms`
  const never = known.length > 0 && known.length < medians.length ? `, never in ${medians.length - known.length}` : ''
  const lost = forms.reduce((sum, form) => sum + form.lost, 0)
  const n = forms.reduce((sum, {migrations}) => sum + migrations, 0)
  const longer = forms.filter(({toControlMs}) => toControlMs !== null && toControlMs.lo > 0).length
  const told = forms.filter(({toControlMs}) => toControlMs !== null).length
  const gaps =
    told === 0 ? 'the gap is not compared' : `gap told to be longer than the control's in ${longer} of ${told}`
  return `First packet: ${times} (medians of ${forms.length} form${forms.length === 1 ? '' : 's'}${never}); ${lost} lost in ${n} migrations; ${gaps}.`
}

const KIND_NAMES: readonly (readonly [LabRunRow['kind'], string])[] = [
  ['gwswitch', 'gwswitch'],
  ['other', 'without gwswitch'],
  ['control', 'control: nothing is done'],
]
const KINDS = `<ul class="key">${KIND_NAMES.map(
  ([kind, name]) => `<li><svg width="12" height="12">${kindMark(kind, '6', 6)}</svg>${name}</li>`,
).join('')}<li><svg width="6" height="14"><line class="median" x1="3" x2="3" y1="0" y2="14"/></svg>median</li></ul>`
const LOSS_KEY =
  '<ul class="key"><li><svg width="8" height="12"><path class="lost near" d="M2 1v10M6 1v10"/></svg>near user</li><li><svg width="8" height="12"><path class="lost far" d="M2 1v10M6 1v10"/></svg>far user</li><li><svg width="8" height="12"><path class="lost after" d="M2 1v10M6 1v10"/></svg>sent after the first that came back</li><li><svg width="16" height="12"><path class="down" d="M0 0H16V12H0z"/></svg>downtime of that migration</li></ul>'

function provenance(run: LabRun): string {
  const {provenance: of, seed, repeat, delaysMs, paceMs} = run
  const facts: readonly (readonly [string, string])[] = [
    ['gwswitch', of.gwswitch],
    ['Node', of.node],
    ['kernel', of.kernel],
    ['distribution', of.distribution],
    ['CPUs', `${of.cpus}`],
    ['load at the start and at the end', of.load.join(', ')],
    ['begun, ended', of.span.join(', ')],
    ...Object.entries(of.parts),
    ['rounds', `${repeat}, order by seed ${seed}`],
    ['delays, one way', `DCI ${delaysMs.dci} ms, WAN ${delaysMs.wan} ms`],
    ['ping every', `${paceMs} ms`],
    ['void', voids(run)],
  ]
  const hows = run.rows.map(
    ({title, id, how}) => `<dt>${xml(title)}<br><small>${xml(id)}</small></dt><dd><code>${xml(how)}</code></dd>`,
  )
  return `<dl>${facts.map(([name, value]) => `<dt>${xml(name)}</dt><dd>${xml(value)}</dd>`).join('')}</dl>
<h2>What was done</h2>
<dl>${hows.join('')}</dl>`
}

function voids({rows}: LabRun): string {
  const all = rows.flatMap(({id, samples}) =>
    samples.flatMap((sample) => (sample.void === undefined ? [] : [`${id}, round ${sample.round}: ${sample.void}`])),
  )
  return all.length === 0 ? 'none' : all.join('; ')
}
