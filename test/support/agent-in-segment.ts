// The agent of db-03 in a segment lab, and a gate on the way to it: what it says of a switch that is applied waits there.
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {createConnection, createServer, type Server, type Socket} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {afterAll, beforeAll} from 'vitest'
import {newPrivateKey, openAnswer, privateKeyText, publicKeyText} from '../../src/wire/agent-message.ts'
import {BEYOND, type SegmentLab} from './segment-lab.ts'

const agentProcess = join(import.meta.dirname, '../services/agent/agent-process.ts')

export interface AgentInSegment {
  /** The inventory with the agent's key and ours; by its socket, through the gate, or by UDP. */
  inventory(yaml: string, by: 'socket' | 'udp'): string
  /** Called once, before the word that the switch is applied passes the gate. */
  onApplied: (() => unknown) | undefined
  /** Ends it, as if it had crashed: its socket is gone. */
  kill(): Promise<void>
  /** Starts it, if it does not run, or not with these addresses to ask beyond a gateway. */
  start(probes?: readonly string[]): Promise<void>
}

/** For all tests of a block; started before the first. It lets go of its route once a switch is confirmed. */
export function useAgentInSegment(lab: () => SegmentLab): AgentInSegment {
  const folder = mkdtempSync(join(tmpdir(), 'gwswitch-agent-segment-'))
  const file = (name: string): string => join(folder, name)
  const keys = {site: newPrivateKey(), agent: newPrivateKey()}
  const config = {
    ...{version: 1, vm: 'db-03', key: file('agent.key'), windows: {probeMs: 1500, guardS: 0}},
    trusted: {'site-y': {key: publicKeyText(keys.site), gateways: ['10.1.0.1', '10.1.0.2', 'fe80::a', 'fe80::b']}},
    ...{socket: file('agent.sock'), state: file('state')},
  }
  let child: ChildProcess | undefined
  let asks: readonly string[] = []
  let gate: Server | undefined

  const self: AgentInSegment = {
    onApplied: undefined,
    inventory(yaml, by) {
      const socket = by === 'socket' ? `, socket: ${file('gate.sock')}` : ''
      return yaml
        .replace('  y: { ', `  y: { agentKey: ${file('site-y.key')}, `)
        .replace('db-03: { ', `db-03: { agent: { key: ${publicKeyText(keys.agent)}${socket} }, `)
    },
    async kill() {
      if (child === undefined) return
      gate?.close()
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      child = undefined
    },
    async start(probes = [BEYOND]) {
      if (child !== undefined && probes.join() === asks.join()) return
      await self.kill()
      asks = probes
      writeFileSync(file('agent.yaml'), JSON.stringify({...config, probes}))
      const argv = ['netns', 'exec', lab().ns('vm'), process.execPath, agentProcess, file('agent.yaml')]
      child = spawn('ip', argv, {stdio: ['ignore', 'ignore', 'pipe'], env: {...process.env, NODE_NO_WARNINGS: '1'}})
      const lines = createInterface({input: child.stderr!})
      for await (const line of lines) if (line.includes('listens on')) break
      child.stderr!.resume()
      gate = createServer(passOn).listen(file('gate.sock'))
      await once(gate, 'listening')
    },
  }

  /** Passes lines both ways, each in its turn. */
  const passOn = (controller: Socket): void => {
    const agent = createConnection(file('agent.sock'))
    for (const socket of [controller, agent]) socket.on('error', () => {})
    controller.pipe(agent)
    controller.on('close', () => agent.destroy())
    const answers = async (): Promise<void> => {
      for await (const line of createInterface({input: agent})) {
        const opened = openAnswer(Buffer.from(line), () => keys.agent)
        if (opened.ok && opened.message.state === 'applied') {
          const hook = self.onApplied
          self.onApplied = undefined
          await hook?.()
        }
        controller.write(`${line}\n`)
      }
    }
    // An agent that is killed in the middle resets what it had open.
    void answers()
      .catch(() => {})
      .then(() => controller.end())
  }

  beforeAll(async () => {
    writeFileSync(file('site-y.key'), privateKeyText(keys.site), {mode: 0o600})
    writeFileSync(file('agent.key'), privateKeyText(keys.agent), {mode: 0o600})
    await self.start()
  })
  afterAll(async () => {
    await self.kill()
    rmSync(folder, {recursive: true, force: true})
  })
  return self
}
