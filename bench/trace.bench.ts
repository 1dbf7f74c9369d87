// How long `trace` takes to a verdict at its default rate, what it costs the CPU, how near its penalty comes to the delay
// that the lab's relay adds, and how near its round trips come to those that tcpdump sees beside it. Needs root; builds a
// lab of its own.

import {once} from 'node:events'
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import type {TraceDocument, TraceReport} from '../src/domain/trace/report.ts'
import {quantile} from '../src/domain/trace/statistics.ts'
import {down, up} from '../src/lab/lab.ts'
import {labOptions} from '../src/lab/options.ts'
import {labEnvironment} from '../src/lab/processes.ts'
import {labFiles} from '../src/lab/state.ts'
import {namespaceOf} from '../src/lab/topology.ts'
import {moveVm} from '../src/lab/vms.ts'
import {resolveNeighbour} from '../src/net/ip.ts'
import {tryCommand} from '../src/net/process/command.ts'
import {inNamespace, namespaceCommand, spawnIn} from '../src/net/process/netns.ts'
import {table} from '../src/render/table.ts'
import {ETHERTYPE_IPV4, parseEthernet} from '../src/wire/ethernet.ts'
import {parseIcmp} from '../src/wire/icmp.ts'
import {parseIpv4} from '../src/wire/ipv4.ts'
import {parsePcap} from '../src/wire/pcap.ts'

const BUDGET_S = 2
/** Against tcpdump, at p99, on a quiet machine. */
const BUDGET_US = 50
const DESTINATION = '203.0.113.10'
/** Clock ticks of /proc/PID/stat, ms each (USER_HZ, proc(5)). */
const TICK_MS = 10
const rounds = process.argv.includes('--quick') ? 2 : 20
const options = labOptions({prefix: 'gwbench'})
const bin = new URL('../bin/run.js', import.meta.url).pathname
const vm = namespaceOf(options.prefix, 'web-07')
/** What bears the lab's mark ends with it. */
const mark = labEnvironment(options.prefix)
const env = {...process.env, ...mark}

try {
  await up(options)
  // The VM gets to know the gateway of X while it is there.
  await inNamespace(vm, () => resolveNeighbour('10.0.0.1', 'eth0'))
  await (await moveVm(options.prefix, 'web-07', 'y')).announced
  const rows: string[][] = []
  const seconds: number[] = []
  const cpuMs: number[] = []
  const errors: number[] = []
  for (let round = 0; round < rounds; round++) {
    const run = await traced()
    const {egress, durationMs, pairs} = run.document.results[0]!
    const {median = Number.NaN, lo = Number.NaN, hi = Number.NaN} = egress.penaltyMs ?? {}
    seconds.push(durationMs / 1000)
    cpuMs.push(run.cpuMs)
    errors.push(...run.errorsUs)
    rows.push([
      egress.verdict,
      `${pairs.length - 1}`,
      `${run.document.rate.packetsSent}`,
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
  const at = (values: readonly number[], q: number): number => quantile(values, q)
  const spreadUs = `${at(errors, 0.5).toFixed(1)} µs p50, ${at(errors, 0.99).toFixed(1)} µs p99 of ${errors.length} round trips`
  console.log(
    `to a verdict: ${at(seconds, 0.5).toFixed(2)} s p50, ${at(seconds, 0.9).toFixed(2)} s p90, budget ${BUDGET_S} s`,
  )
  console.log(`beside tcpdump: ${spreadUs}, budget ${BUDGET_US} µs`)
  console.log(`CPU of the whole process: ${at(cpuMs, 0.5)} ms p50, of which an empty Node is ${await emptyNodeMs()} ms`)
  await tenDestinations()
  process.exitCode =
    at(seconds, 0.5) <= BUDGET_S && at(errors, 0.99) <= BUDGET_US && rows.every(([verdict]) => verdict === 'trombone')
      ? 0
      : 1
} finally {
  await down(options.prefix)
}

/** One trace, with tcpdump beside it. */
async function traced(): Promise<{document: TraceDocument; cpuMs: number; errorsUs: number[]}> {
  const file = join(labFiles(options.prefix).directory, 'bench.pcap')
  const dump = ['tcpdump', '-i', 'eth0', '-U', '--time-stamp-precision=nano', '-w', file, 'icmp']
  const tcpdump = spawnIn(vm, dump, {stdio: ['ignore', 'ignore', 'pipe'], env})
  await once(tcpdump.stderr!, 'data')
  const known = ['-f', labFiles(options.prefix).inventory]
  const {stdout, cpuMs} = await costOf(
    namespaceCommand(vm, [process.execPath, bin, 'trace', DESTINATION, ...known, '--json']),
  )
  await sleep(200)
  tcpdump.kill('SIGINT')
  await once(tcpdump, 'exit')
  const document = JSON.parse(stdout) as TraceDocument
  return {document, cpuMs, errorsUs: errorsOf(document.results[0]!, readFileSync(file))}
}

/** Ten at once: they share the rate, so that it bounds them; with ten times the rate they take little longer than one. */
async function tenDestinations(): Promise<void> {
  const ten = Array.from({length: 10}, (_, i) => `203.0.113.${10 + i}`)
  const more = ten.slice(1).map((ip) => `address add ${ip}/24 dev eth0`)
  for (const each of more)
    await inNamespace(namespaceOf(options.prefix, 'user-y'), () => tryCommand('ip', each.split(' ')))
  const known = ['-f', labFiles(options.prefix).inventory, '--json']
  for (const rate of ['25', '250']) {
    const command = [process.execPath, bin, 'trace', ...ten, '--rate', rate, ...known]
    const document = JSON.parse((await costOf(namespaceCommand(vm, command))).stdout) as TraceDocument
    const right = document.results.filter(({egress}) => egress.verdict === 'trombone').length
    const said = `${right} of ${ten.length} right, ${document.rate.packetsSent} packets`
    console.log(`ten destinations at ${rate} packets/s: ${(document.durationMs / 1000).toFixed(1)} s, ${said}`)
  }
}

/** What it prints, and the CPU time of it and all that it started, ms. */
async function costOf(command: readonly string[]): Promise<{stdout: string; cpuMs: number}> {
  const script = '"$@"; echo; cat /proc/$$/stat'
  const {stdout} = await tryCommand('sh', ['-c', script, 'sh', ...command], {env: mark})
  const [stat = '', ...document] = stdout.trimEnd().split('\n').reverse()
  // Behind the name in brackets; children are the 16th and 17th field of the whole line (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return {stdout: document.reverse().join('\n'), cpuMs: (Number(fields[13]) + Number(fields[14])) * TICK_MS}
}

async function emptyNodeMs(): Promise<number> {
  return (await costOf([process.execPath, '-e', '0'])).cpuMs
}

/** How far every round trip of the pairs is from what tcpdump saw of the same probe, µs. */
function errorsOf({pairs, candidates}: TraceReport, pcap: Uint8Array): number[] {
  const seen = roundTripsMs(pcap)
  const exits = ['current', 'alternative'] as const
  return exits.flatMap((exit) => {
    const mac = candidates.find(({role}) => role === exit)!.mac
    const theirs = seen.get(mac!) ?? []
    return pairs.flatMap((pair, i) => {
      const ours = exit === 'current' ? pair.currentMs : pair.alternativeMs
      const other = theirs[i]
      return ours === null || other === undefined || other === null ? [] : [Math.abs(ours - other) * 1000]
    })
  })
}

/** Round trips of the echoes to the destination, in the order in which they left, for each MAC that they left to. */
function roundTripsMs(pcap: Uint8Array): Map<string, (number | null)[]> {
  const sent = new Map<string, {mac: string; index: number; at: bigint}>()
  const trips = new Map<string, (number | null)[]>()
  for (const {bytes, timestamp} of parsePcap(pcap).frames) {
    const frame = parseEthernet(bytes)
    if (frame.etherType !== ETHERTYPE_IPV4) continue
    const packet = parseIpv4(frame.payload)
    const icmp = parseIcmp(packet.payload)
    if (icmp.kind !== 'echo-request' && icmp.kind !== 'echo-reply') continue
    const key = `${icmp.identifier}.${icmp.sequence}`
    if (icmp.kind === 'echo-request' && packet.destination === DESTINATION && packet.ttl > 1) {
      const mac = frame.destination
      const list = trips.get(mac) ?? []
      trips.set(mac, list)
      sent.set(key, {mac, index: list.push(null) - 1, at: timestamp})
    } else if (icmp.kind === 'echo-reply' && sent.has(key)) {
      const {mac, index, at} = sent.get(key)!
      trips.get(mac)![index] ??= Number(timestamp - at) / 1e6
    }
  }
  return trips
}
