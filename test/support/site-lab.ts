// The lab with keys for its sites and the agent of web-07, an inventory and an agent.yaml that know them, and the programs
// of both ends as processes.
import {type ChildProcess, spawn} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll} from 'vitest'
import type {LabOptions} from '../../src/lab/options.ts'
import {labEnvironment} from '../../src/lab/processes.ts'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import {newPrivateKey, privateKeyText, publicKeyText} from '../../src/wire/agent-message.ts'
import {gwswitch} from './cli.ts'
import type {TestLab} from './namespaces.ts'
import {until} from './until.ts'
import {useLab} from './use-lab.ts'

const NEAR_Y = '203.0.113.10'
const NEAR_X = '198.51.100.10'
export const RX = '10.0.0.1'
export const RY = '10.0.0.2'
const bin = join(import.meta.dirname, '../../bin/run.js')
const agentProcess = join(import.meta.dirname, '../services/agent/agent-process.ts')

export interface Program {
  readonly child: ChildProcess
  /** What it wrote to stderr, and to stdout. */
  log(): string
  out(): string
  /** When it wrote the last line of stderr that matches, ms since 1970. */
  saidAt(what: RegExp): number | undefined
  /** Ends it, and waits for that. */
  end(signal?: NodeJS.Signals): Promise<void>
}

export interface SiteLab {
  readonly lab: () => TestLab
  readonly keys: {
    readonly x: ReturnType<typeof newPrivateKey>
    readonly y: ReturnType<typeof newPrivateKey>
    readonly agent: ReturnType<typeof newPrivateKey>
  }
  readonly inventory: string
  readonly agentConfig: string
  /** A file of its own. */
  file(name: string): string
  /** Writes agent.yaml, with lines in addition to the usual ones. */
  configure(...lines: string[]): void
  /** The agent in web-07; `hooked`: with SIGUSR2 for NOTIFY PEERS. */
  agent(hooked?: boolean): Promise<Program>
  /** `gwswitch serve site` at the router of a site; `under`: words before the program, `setpriv ...`. */
  serveUnder(under: readonly string[], site: 'x' | 'y', ...args: string[]): Promise<Program>
  /** The same, as root. */
  serve(site: 'x' | 'y', ...args: string[]): Promise<Program>
  status(): Promise<Record<string, unknown> & {where: Record<string, unknown>}>
  gateway(): Promise<string>
  setGateway(ip: string): Promise<void>
  /** Beacons stay in their site, or cross the DCI. */
  filterBeacons(on: boolean): Promise<void>
}

/** For all tests of a file. What runs when a test ends is ended with it only by the test, or at the end of the file. */
export function useSiteLab(options: Partial<Omit<LabOptions, 'prefix'>>): SiteLab {
  const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-site-lab-'))
  const lab = useLab({dci: 'plain', ...options})
  const keys = {x: newPrivateKey(), y: newPrivateKey(), agent: newPrivateKey()}
  const file = (name: string): string => join(scratch, name)
  const programs = new Set<Program>()
  for (const [name, made] of [
    ['site-x', keys.x],
    ['site-y', keys.y],
    ['agent', keys.agent],
  ] as const)
    writeFileSync(file(`${name}.key`), privateKeyText(made), {mode: 0o600})
  beforeAll(() => {
    const given = readFileSync(lab().inventoryFile, 'utf8')
      .replace(/ {2}"([xy])": \{/g, (line, site) => `${line} agentKey: ${file(`site-${site}.key`)},`)
      .replace('web-07: {', `web-07: { agent: { key: ${publicKeyText(keys.agent)} },`)
    writeFileSync(file('gwswitch.yaml'), given)
  })
  afterAll(async () => {
    await Promise.all([...programs].map((program) => program.end('SIGKILL')))
    rmSync(scratch, {recursive: true, force: true})
  })

  async function start(node: string, argv: readonly string[], ready: string): Promise<Program> {
    const [program, ...args] = namespaceCommand(lab().ns(node), argv)
    const child = spawn(program!, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {...process.env, ...labEnvironment(lab().prefix), NODE_NO_WARNINGS: '1'},
    })
    const said = {log: '', out: ''}
    const chunks: {readonly text: string; readonly atMs: number}[] = []
    child.stderr.on('data', (chunk: Buffer) => {
      said.log += chunk
      chunks.push({text: chunk.toString(), atMs: Date.now()})
    })
    child.stdout.on('data', (chunk: Buffer) => {
      said.out += chunk
    })
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
    const running: Program = {
      child,
      log: () => said.log,
      out: () => said.out,
      saidAt: (what) => chunks.findLast(({text}) => what.test(text))?.atMs,
      async end(signal = 'SIGTERM') {
        child.kill(signal)
        await ended
        programs.delete(running)
      },
    }
    programs.add(running)
    await until(async () => said.log.includes(ready) || child.exitCode !== null, 30_000, `${argv.join(' ')}: ${ready}`)
    return running
  }

  const self: SiteLab = {
    ...{lab, keys, file, inventory: file('gwswitch.yaml'), agentConfig: file('agent.yaml')},
    configure(...lines) {
      const usual = [
        ...['version: 1', 'vm: web-07', `key: ${file('agent.key')}`, 'trusted:'],
        `  site-x: { key: ${publicKeyText(keys.x)}, gateways: [${RX}] }`,
        `  site-y: { key: ${publicKeyText(keys.y)}, gateways: [${RY}] }`,
        ...[`probes: [${NEAR_Y}, ${NEAR_X}]`, `socket: ${file('agent.sock')}`, `state: ${file('state')}`],
      ]
      writeFileSync(self.agentConfig, [...usual, ...lines, ''].join('\n'))
    },
    agent: (hooked = false) =>
      start(
        'web-07',
        hooked
          ? [process.execPath, agentProcess, self.agentConfig]
          : [process.execPath, bin, 'agent', '--config', self.agentConfig],
        'listens on',
      ),
    serveUnder: (under, site, ...args) =>
      start(
        `r${site}`,
        [...under, process.execPath, bin, 'serve', 'site', site, '-i', 'seg-a', '-f', self.inventory, ...args],
        'listening for notes',
      ),
    serve: (site, ...args) => self.serveUnder([], site, ...args),
    async status() {
      const asked = await gwswitch(['agent', 'status', '--config', self.agentConfig, '--json'], {
        namespace: lab().ns('web-07'),
      })
      return asked.json
    },
    async gateway() {
      const shown = await lab().run('web-07', 'ip', 'route', 'show', 'default')
      return /via (\S+)/.exec(shown)?.[1] ?? ''
    },
    async setGateway(ip) {
      await lab().run('web-07', 'ip', 'route', 'replace', 'default', 'via', ip, 'dev', 'eth0')
    },
    async filterBeacons(on) {
      const table =
        'table bridge beacons { chain out { type filter hook postrouting priority 0; oifname "dci-a" udp dport 6742 drop; }; }'
      for (const node of ['sw-x', 'sw-y'])
        await lab().run(node, 'nft', on ? table : 'table bridge beacons; delete table bridge beacons')
    },
  }
  return self
}
