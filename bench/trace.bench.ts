// How long `trace` takes to a verdict at its default rate, and how near its penalty comes to the delay that the lab's
// relay adds. Needs root; builds a lab of its own.

import type {TraceDocument} from '../src/domain/trace/report.ts'
import {quantile} from '../src/domain/trace/statistics.ts'
import {gwswitchIn} from '../src/lab/cli.ts'
import {down, up} from '../src/lab/lab.ts'
import {labOptions} from '../src/lab/options.ts'
import {namespaceOf} from '../src/lab/topology.ts'
import {moveVm} from '../src/lab/vms.ts'
import {resolveNeighbour} from '../src/net/ip.ts'
import {inNamespace} from '../src/net/process/netns.ts'
import {table} from '../src/render/table.ts'

const BUDGET_S = 2
const rounds = process.argv.includes('--quick') ? 2 : 5
const options = labOptions({prefix: 'gwbench'})
process.argv[1] = new URL('../bin/dev.js', import.meta.url).pathname

try {
  await up(options)
  // The VM gets to know the gateway of X while it is there.
  await inNamespace(namespaceOf(options.prefix, 'web-07'), () => resolveNeighbour('10.0.0.1', 'eth0'))
  await (await moveVm(options.prefix, 'web-07', 'y')).announced
  const rows: string[][] = []
  const seconds: number[] = []
  for (let round = 0; round < rounds; round++) {
    const {document} = await gwswitchIn<TraceDocument>(options.prefix, 'web-07', ['trace', '203.0.113.10'])
    const {egress, durationMs, pairs} = document.results[0]!
    const {median = Number.NaN, lo = Number.NaN, hi = Number.NaN} = egress.penaltyMs ?? {}
    seconds.push(durationMs / 1000)
    rows.push([
      egress.verdict,
      `${pairs.length - 1}`,
      `${document.rate.packetsSent}`,
      (durationMs / 1000).toFixed(2),
      median.toFixed(2),
      `${lo.toFixed(2)} … ${hi.toFixed(2)}`,
      (median / (2 * options.dciDelayMs)).toFixed(3),
    ])
  }
  console.log(
    table([['verdict', 'pairs', 'packets', 's', 'penalty ms', 'interval', 'of DCI RTT'], ...rows], {
      align: ['left', 'right', 'right', 'right', 'right', 'left', 'right'],
    }),
  )
  console.log(`median ${quantile(seconds, 0.5).toFixed(2)} s, budget ${BUDGET_S} s`)
  process.exitCode = quantile(seconds, 0.5) <= BUDGET_S && rows.every(([verdict]) => verdict === 'trombone') ? 0 : 1
} finally {
  await down(options.prefix)
}
