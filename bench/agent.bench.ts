// The guest agent: from a command's datagram to the changed route, signatures per second, and what it costs to wait.
//
// A VM, two gateways and what lies beyond, in namespaces; the agent as `gwswitch agent` runs it. The switches alternate
// between the gateways, in mode replace, each with its trial of the new gateway and its two writes to disk before the
// change. Beside it, what a script needs that only runs ip(8), and jose, which many would verify with.
import {existsSync, readFileSync} from 'node:fs'
import {cpus} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {CompactSign, compactVerify} from 'jose'
import {quantile} from '../src/domain/trace/statistics.ts'
import {viaGateway} from '../src/net/netlink/route-message.ts'
import {openRouteSocket} from '../src/net/netlink/route-socket.ts'
import {runCommand} from '../src/net/process/command.ts'
import {inNamespace} from '../src/net/process/netns.ts'
import {table} from '../src/render/table.ts'
import {
  type AgentCommand,
  COMMAND_TYP,
  newPrivateKey,
  openCommand,
  publicKeyText,
  readPublicKey,
  signCommand,
} from '../src/wire/agent-message.ts'
import {FAR4, NEW4, OLD4, type Site, withSite} from '../test/services/agent/site.ts'

const quick = process.argv.includes('--quick')
const SWITCHES = quick ? 60 : 400
const IDLE_MS = quick ? 3000 : 10_000
const SIGNATURES = quick ? 3000 : 20_000
const BUDGET_MS = 15
const MEMORY_MIB = 40

const built = join(import.meta.dirname, '../dist/services/agent/agent-main.js')
const cli = join(import.meta.dirname, '..', existsSync(built) ? 'bin/run.js' : 'bin/dev.js')
const ms = (value: number): string => `${value.toFixed(value < 1 ? 3 : 1)} ms`

const result = await withSite({config: {probes: [FAR4], windows: {guardS: 0}}}, async (site) => {
  const agent = await site.start({program: [process.execPath, cli, 'agent', '--config']})
  if (agent.child.exitCode !== null) throw new Error(`the agent did not start: ${agent.log()}`)
  const pid = agent.child.pid!
  const idle = await idling(pid)
  const apply: number[] = []
  const rounds: number[] = []
  for (let i = 0; i < SWITCHES; i++) {
    const start = performance.now()
    const {t_apply_ms, state} = await site.ask({gw4: i % 2 === 0 ? NEW4 : OLD4, mode: 'replace'})
    if (state !== 'confirmed') throw new Error(`switch ${i}: ${state}`)
    apply.push(t_apply_ms!)
    rounds.push(performance.now() - start)
  }
  const after = memory(pid)
  await agent.kill('SIGTERM')
  return {idle, apply, rounds, after, kernel: kernelOnly(site), spawned: await spawned(site)}
})

/** CPU time in ms that the agent used while nothing came, and its memory. */
async function idling(pid: number): Promise<{cpuMs: number; rssMiB: number}> {
  await delay(500)
  const before = cpuMs(pid)
  await delay(IDLE_MS)
  return {cpuMs: cpuMs(pid) - before, rssMiB: memory(pid)}
}

/** proc_pid_stat(5), fields 14 and 15, in ticks of 10 ms. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

function memory(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024
}

/** The change alone, by rtnetlink in this process. */
function kernelOnly(site: Site): number[] {
  const socket = inNamespace(site.ns('vm'), openRouteSocket)
  const [route] = socket.defaultRoutes(4, 254)
  const times = Array.from({length: 1000}, (_, i) => {
    const next = viaGateway(route!, i % 2 === 0 ? NEW4 : OLD4)
    const start = performance.now()
    socket.replace(next, false)
    return performance.now() - start
  })
  socket.close()
  return times
}

/** The same by a program that is started for it. */
async function spawned(site: Site): Promise<number[]> {
  const times: number[] = []
  for (let i = 0; i < (quick ? 40 : 200); i++) {
    const start = performance.now()
    await runCommand('ip', [
      '-n',
      site.ns('vm'),
      'route',
      'replace',
      'default',
      'via',
      i % 2 === 0 ? NEW4 : OLD4,
      'dev',
      'eth0',
    ])
    times.push(performance.now() - start)
  }
  return times
}

const key = newPrivateKey()
const publicKey = readPublicKey(publicKeyText(key))!
const command: AgentCommand = {
  ...{v: 1, op: 'switch', vm: 'web-07', run: 'evac-12', seq: 7, iat: 1, exp: 61, nonce: 'AAAAAAAAAAAAAAAA'},
  ...{gw4: NEW4, from_gw4: OLD4, mode: 'rule', probe: [FAR4]},
} as const
const token = signCommand(command, {kid: 'site-y', privateKey: key})
const bytes = Buffer.from(token)

async function perSecond(work: () => unknown): Promise<number> {
  for (let i = 0; i < 200; i++) await work()
  const start = performance.now()
  for (let i = 0; i < SIGNATURES; i++) await work()
  return (SIGNATURES / (performance.now() - start)) * 1000
}

const payload = new TextEncoder().encode(JSON.stringify(command))
const speeds = {
  sign: await perSecond(() => signCommand(command, {kid: 'site-y', privateKey: key})),
  verify: await perSecond(() => openCommand(bytes, () => publicKey)),
  joseSign: await perSecond(() =>
    new CompactSign(payload).setProtectedHeader({alg: 'Ed25519', kid: 'site-y', typ: COMMAND_TYP}).sign(key),
  ),
  joseVerify: await perSecond(() => compactVerify(token, publicKey, {algorithms: ['Ed25519']})),
}

const p50 = quantile(result.apply, 0.5)
const rate = (value: number): string => `${Math.round(value)}/s`
console.log(
  `${cpus()[0]?.model}, ${cpus().length} CPUs; ${SWITCHES} switches; ${cli.endsWith('run.js') ? 'built' : 'from source'}`,
)
console.log(
  table(
    [
      ['', 'p50', 'p99', 'budget or peer', 'ratio'],
      [
        'datagram in to route changed',
        ms(p50),
        ms(quantile(result.apply, 0.99)),
        `${BUDGET_MS} ms p50`,
        (p50 / BUDGET_MS).toFixed(2),
      ],
      ['command out to confirmed', ms(quantile(result.rounds, 0.5)), ms(quantile(result.rounds, 0.99)), '', ''],
      ...compared('the change itself, rtnetlink', result.kernel, 'ip(8) started for it', result.spawned),
      [
        'signatures made',
        rate(speeds.sign),
        '',
        `jose ${rate(speeds.joseSign)}`,
        (speeds.sign / speeds.joseSign).toFixed(1),
      ],
      [
        'signatures checked',
        rate(speeds.verify),
        '',
        `jose ${rate(speeds.joseVerify)}`,
        (speeds.verify / speeds.joseVerify).toFixed(1),
      ],
      ['bytes of a command', String(token.length), '', '2048', (token.length / 2048).toFixed(2)],
      [
        'memory, waiting',
        `${result.idle.rssMiB.toFixed(1)} MiB`,
        '',
        `aim ${MEMORY_MIB} MiB`,
        (result.idle.rssMiB / MEMORY_MIB).toFixed(2),
      ],
      [`memory after ${SWITCHES} switches`, `${result.after.toFixed(1)} MiB`, '', '', ''],
      ['CPU while waiting', `${result.idle.cpuMs} ms`, '', `in ${IDLE_MS / 1000} s; aim 0`, ''],
    ],
    {align: ['left', 'right', 'right', 'right', 'right']},
  ),
)

function compared(name: string, ours: readonly number[], peer: string, theirs: readonly number[]): string[][] {
  const [own, other] = [quantile(ours, 0.5), quantile(theirs, 0.5)]
  return [[name, ms(own), ms(quantile(ours, 0.99)), `${peer}: ${ms(other)}`, (own / other).toFixed(3)]]
}
process.exitCode = p50 <= BUDGET_MS && result.idle.cpuMs <= 10 ? 0 : 1
