// Many VMs at once, by the program as it is installed (npm run build), on this kernel, in network namespaces: `garp --all`
// for 10,000, `who` for 1,000. One namespace is all VMs, each with a MAC of its own; loss is of each direction. Budget:
// every VM proved in every run, `who` in 3 s, and `switch --all` of 1,000 in 5 s by arp and 15 s by agent with 150 MB, those
// VMs being played by one process with a neighbour table and an agent each. Needs root. --quick takes a tenth of the VMs,
// and fewer rounds.
import {spawn} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {median} from '../src/domain/trace/statistics.ts'
import {tryCommand} from '../src/net/process/command.ts'
import {namespaceCommand} from '../src/net/process/netns.ts'
import {table} from '../src/render/table.ts'
import {withManySegment} from '../test/support/many-segment.ts'
import {type ManyVms, manyVms} from '../test/support/many-vms.ts'
import {type PairEnd, withPair} from '../test/support/namespaces.ts'

const QUICK = process.argv.includes('--quick')
const ROUNDS = QUICK ? 2 : 5
const TOLD = QUICK ? 1000 : 10_000
const ASKED = QUICK ? 100 : 1000
const WHO_BUDGET_S = 3
const SWITCH_BUDGET_S = {good: 5, agent: 15}
const SWITCH_BUDGET_MB = 150
const SWITCHES = QUICK ? 1 : 3
const ALONE = 5
const bin = join(import.meta.dirname, '../bin/run.js')

const directory = mkdtempSync(join(tmpdir(), 'gwswitch-bench-'))
const file = join(directory, 'gwswitch.yaml')
const rows: string[][] = []

async function inGateway({namespace}: PairEnd, argv: readonly string[]) {
  const [program = '', ...args] = namespaceCommand(namespace, [process.execPath, ...argv])
  const began = performance.now()
  const {stdout} = await tryCommand(program, args)
  return {seconds: (performance.now() - began) / 1000, stdout}
}

/** Runs it again and again; `proved` counts VMs in its document. */
async function measure(
  what: string,
  gateway: PairEnd,
  argv: readonly string[],
  // biome-ignore lint/suspicious/noExplicitAny: documents of two commands come through here
  read: (document: any) => {readonly proved: number; readonly note: string},
): Promise<number> {
  const runs = []
  for (let round = 0; round < ROUNDS; round++) {
    const {seconds, stdout} = await inGateway(gateway, [bin, ...argv, '-i', gateway.interface, '-f', file, '--json'])
    runs.push({seconds, ...read(JSON.parse(stdout))})
  }
  const worst = Math.min(...runs.map(({proved}) => proved))
  const all = runs.map(({seconds}) => seconds)
  rows.push([what, `${worst}`, `${median(all).toFixed(1)} s`, `${Math.max(...all).toFixed(1)} s`, runs.at(-1)!.note])
  return worst
}

async function tell(gateway: PairEnd, {lose, vms}: ManyVms): Promise<void> {
  for (const percent of [0, 20]) {
    await lose(percent)
    // --force: the look at the gateway before may be lost as well.
    const worst = await measure(
      `garp --all, ${percent} % lost`,
      gateway,
      ['garp', 'by', '--all', '--force'],
      (document) => ({
        proved: document.vms.filter(({verdict}: {verdict: string}) => verdict === 'moved').length,
        note: `told in ${Math.round(document.toldAfterMs)} ms, ${document.framesSent} frames`,
      }),
    )
    if (worst < vms.length) process.exitCode = 1
  }
}

async function ask(gateway: PairEnd, {vms}: ManyVms): Promise<void> {
  const worst = await measure('who', gateway, ['who', '--site', 'y'], (document) => ({
    proved: document.rows.filter(({provedBy}: {provedBy: string}) => provedBy === 'off-segment-echo').length,
    note: '',
  }))
  const seconds = Number.parseFloat(rows.at(-1)![2]!)
  if (worst < vms.length || seconds > WHO_BUDGET_S) process.exitCode = 1
}

/** Runs it; the most memory that it had, MB, and the CPU time that it took, s, as last seen (proc_pid_status(5), proc_pid_stat(5)). */
async function measured(namespace: string, argv: readonly string[]) {
  const [program = '', ...args] = namespaceCommand(namespace, [process.execPath, bin, ...argv, '-f', file, '--json'])
  const began = performance.now()
  const child = spawn(program, args, {stdio: ['ignore', 'pipe', 'ignore']})
  let [megabytes, cpuS] = [0, 0]
  const look = (): void => {
    try {
      const [, kib] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'latin1')) ?? []
      megabytes = Math.max(megabytes, (Number(kib ?? 0) * 1024) / 1e6)
      const stat = readFileSync(`/proc/${child.pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
      cpuS = Math.max(cpuS, (Number(stat[11]) + Number(stat[12])) / 100)
    } catch {
      // It has ended.
    }
  }
  const timer = setInterval(look, 20)
  const stdout = await text(child.stdout)
  clearInterval(timer)
  return {seconds: (performance.now() - began) / 1000, megabytes, cpuS, document: JSON.parse(stdout)}
}

/** `switch --all`, beside `garp --all` of the same VMs and beside one switch after the other. */
async function switchAll(kind: 'good' | 'agent'): Promise<void> {
  const name = kind === 'good' ? 'arp' : 'agent'
  const runs: {seconds: number; megabytes: number; cpuS: number; served: number}[] = []
  const [beside, alone]: [number[], number[]] = [[], []]
  for (let round = 0; round < SWITCHES; round++)
    await withManySegment(
      ASKED,
      () => kind,
      async ({namespace, inventory, vms}) => {
        writeFileSync(file, inventory)
        for (const vm of vms.slice(0, round === 0 ? ALONE : 0))
          alone.push((await measured(namespace, ['switch', vm.name, '--to', 'y', '--strategy', name])).seconds)
        const {document, ...run} = await measured(namespace, ['switch', '--all', '--to', 'y', '--strategy', name])
        const served = document.rows.filter(({code}: {code: string}) => code === 'served' || code === 'already').length
        runs.push({...run, served})
        if (kind === 'good') beside.push((await measured(namespace, ['garp', 'by', '--all', '-i', 'br0'])).seconds)
      },
    )
  const [p50, most] = [median(runs.map(({seconds}) => seconds)), Math.max(...runs.map(({megabytes}) => megabytes))]
  const worst = Math.min(...runs.map(({served}) => served))
  const note = [
    `${Math.round(most)} MB`,
    `${median(runs.map(({cpuS}) => cpuS)).toFixed(1)} s of CPU`,
    `1/${Math.round((median(alone) * ASKED) / p50)} of one at a time`,
    ...(beside.length > 0
      ? [`${(p50 / median(beside)).toFixed(1)} of garp --all (${median(beside).toFixed(1)} s)`]
      : []),
  ]
  const max = Math.max(...runs.map(({seconds}) => seconds))
  rows.push([
    `switch --all, ${ASKED} by ${name}`,
    `${worst}`,
    `${p50.toFixed(1)} s`,
    `${max.toFixed(1)} s`,
    note.join(', '),
  ])
  if (worst < ASKED || p50 > SWITCH_BUDGET_S[kind] || most > SWITCH_BUDGET_MB) process.exitCode = 1
}

try {
  await switchAll('good')
  await switchAll('agent')
  await withPair(async (end, gateway) => {
    const many = await manyVms(end, gateway, TOLD)
    writeFileSync(file, many.inventory)
    const bare = await inGateway(gateway, [
      bin,
      'garp',
      'by',
      '--all',
      '-i',
      gateway.interface,
      '-f',
      file,
      '--dry-run',
    ])
    rows.push([`garp --all --dry-run, ${TOLD} VMs`, '', `${bare.seconds.toFixed(1)} s`, '', 'start, inventory, output'])
    await tell(gateway, many)
  })
  await withPair(async (end, gateway) => {
    const many = await manyVms(end, gateway, ASKED)
    writeFileSync(file, many.inventory)
    await ask(gateway, many)
  })
} finally {
  rmSync(directory, {recursive: true})
}
console.log(
  table([[`${TOLD} VMs told, ${ASKED} asked`, 'proved, at worst', 'p50', 'max', ''], ...rows], {
    align: ['left', 'right', 'right', 'right'],
  }),
)
