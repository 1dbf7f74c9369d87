// Stages a scenario in a lab of its own, and compares what `trace` says with what it must.
import {existsSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import type {TraceDocument, TraceReport} from '../domain/trace/report.ts'
import {Failure} from '../errors.ts'
import {runCommand, tryCommand} from '../net/process/command.ts'
import {namespaceCommand} from '../net/process/netns.ts'
import {ownCommand} from '../net/process/program.ts'
import {inventoryYaml} from './inventory.ts'
import {down, up} from './lab.ts'
import {type LabOptions, labOptions} from './options.ts'
import {labEnvironment} from './processes.ts'
import type {Scenario} from './scenario-file.ts'
import {labFiles} from './state.ts'
import {labNamespaces, namespaceOf} from './topology.ts'
import {moveVm} from './vms.ts'

const VM = 'web-07'
const GATEWAY_IP = {rx: '10.0.0.1', ry: '10.0.0.2'} as const
const DELAY_MS = 10
const POLL_MS = 10

/** What one run said. */
export interface ScenarioRun {
  readonly exitCode: number | null
  readonly verdict: string | null
  readonly reason: string | null
  readonly inbound: string | null
  readonly flags: readonly string[]
  readonly durationMs: number | null
  readonly packetsSent: number | null
  /** What is not as it must be; empty if all is. */
  readonly wrong: readonly string[]
}

export interface ScenarioStage {
  readonly prefix: string
  readonly signal: AbortSignal
  onRun(run: ScenarioRun): void
}

/** Runs it as often as it says. The lab is gone afterwards, whatever happens. */
export async function runScenario(scenario: Scenario, {prefix, signal, onRun}: ScenarioStage): Promise<ScenarioRun[]> {
  const options = labOptions({prefix, dci: 'plain', dciDelayMs: DELAY_MS, wanDelayMs: DELAY_MS, wires: scenario.wires})
  await up(options, {signal})
  try {
    const inventory = await prepare(scenario, options)
    const runs: ScenarioRun[] = []
    for (let i = 0; i < scenario.runs && !signal.aborted; i++) {
      if (i > 0 && scenario.during.some((event) => 'move' in event)) await place(scenario, prefix)
      const run = await runOnce(scenario, prefix, inventory, signal)
      runs.push(run)
      onRun(run)
    }
    return runs
  } finally {
    await down(prefix)
  }
}

async function prepare(scenario: Scenario, options: LabOptions): Promise<string | undefined> {
  const {prefix} = options
  await place(scenario, prefix)
  for (const {in: node, run} of scenario.setup) await shell(prefix, node, run)
  // Both gateways are known, as to a VM that has run for a while, and know the VM.
  for (const ip of Object.values(GATEWAY_IP)) await tryIn(prefix, VM, ['ping', '-q', '-c', '1', '-W', '1', ip])
  if (scenario.inventory === false) return undefined
  const file = join(labFiles(prefix).directory, 'scenario.yaml')
  writeFileSync(file, inventoryYaml(options, scenario.inventory))
  return file
}

async function place({vm}: Scenario, prefix: string): Promise<void> {
  await (await moveVm(prefix, VM, vm.site)).announced
  await shell(prefix, VM, `ip route replace default via ${GATEWAY_IP[vm.gateway]}`)
}

async function runOnce(
  {trace, during, expect}: Scenario,
  prefix: string,
  inventory: string | undefined,
  signal: AbortSignal,
): Promise<ScenarioRun> {
  const over = new AbortController()
  // Its first frame is its start: how long a program takes until then is the machine's own affair.
  const frames = join(labFiles(prefix).directory, 'scenario.pcap')
  rmSync(frames, {force: true})
  const started = appeared(frames, over.signal)
  const events = during.map(async (event) => {
    await started
    await sleep(event.at * 1000, undefined, {signal: over.signal})
    if ('move' in event) await (await moveVm(prefix, VM, event.move)).announced
    else await shell(prefix, event.in, event.run)
  })
  // What is still to happen when the trace has ended does not.
  const happened = Promise.allSettled(events)
  const known = inventory === undefined ? [] : ['-f', inventory]
  const command = ownCommand(['trace', ...trace, ...known, '--pcap', frames, '--json'])
  const result = await tryIn(prefix, VM, command, signal)
  over.abort()
  await Promise.allSettled([happened, started])
  return judgeRun(result.code, result.stdout, expect)
}

/** Resolves when there is such a file. */
async function appeared(file: string, signal: AbortSignal): Promise<void> {
  while (!existsSync(file)) await sleep(POLL_MS, undefined, {signal})
}

function judgeRun(exitCode: number | null, stdout: string, expect: Scenario['expect']): ScenarioRun {
  const document = readDocument(stdout)
  const report: TraceReport | undefined = document?.results[0]
  const verdict = report?.egress.verdict ?? null
  const reason = report?.egress.reason ?? null
  const inbound = report?.inbound.verdict ?? null
  const flags = report?.flags.map(({code}) => code) ?? []
  const check = <T>(what: string, got: T | null, want: readonly T[] | undefined): string[] =>
    want === undefined || (got !== null && want.includes(got)) ? [] : [`${what} ${got}, want ${want.join(' or ')}`]
  const wrong = [
    ...check('exit code', exitCode, expect.code),
    ...check('verdict', verdict as string | null, expect.verdict),
    ...check('reason', reason as string | null, expect.reason),
    ...check('inbound', inbound as string | null, expect.inbound),
    ...expect.flags.filter((code) => !flags.some((each) => each === code)).map((code) => `no remark ${code}`),
  ]
  const [durationMs, packetsSent] = [report?.durationMs ?? null, document?.rate.packetsSent ?? null]
  return {exitCode, verdict, reason, inbound, flags, durationMs, packetsSent, wrong}
}

function readDocument(stdout: string): TraceDocument | undefined {
  try {
    const document = JSON.parse(stdout) as TraceDocument
    return 'results' in document ? document : undefined
  } catch {
    return undefined
  }
}

/** @throws Failure `usage` for a node that the lab does not have, `runtime` for a command that fails. */
async function shell(prefix: string, node: string, line: string): Promise<void> {
  if (!labNamespaces(prefix).includes(namespaceOf(prefix, node)))
    throw new Failure(
      'usage',
      `scenario: the lab has no node ${node}: ${labNamespaces(prefix)
        .map((name) => name.slice(prefix.length + 1))
        .join(', ')}`,
    )
  const [program = '', ...args] = namespaceCommand(namespaceOf(prefix, node), ['sh', '-ec', line])
  await runCommand(program, args, {env: labEnvironment(prefix)})
}

function tryIn(prefix: string, node: string, command: readonly string[], signal?: AbortSignal) {
  const [program = '', ...args] = namespaceCommand(namespaceOf(prefix, node), command)
  return tryCommand(program, args, {env: labEnvironment(prefix), ...(signal && {signal})})
}
