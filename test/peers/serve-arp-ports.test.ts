// `serve arp` as a command on a bridge whose ports come and go, and for a VM that has not asked.
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {type SegmentLab, withSegmentLab, X_MAC, Y_MAC} from '../support/segment-lab.ts'
import {until} from '../support/until.ts'

const bin = join(import.meta.dirname, '../../bin/run.js')

interface Service {
  readonly child: ChildProcess
  /** Waits for a line on standard error. */
  says(text: string): Promise<void>
  /** Its document, after SIGTERM. */
  // biome-ignore lint/suspicious/noExplicitAny: a document
  end(): Promise<any>
}

/** Started on the bridge of the segment, for site y. */
function serve(lab: SegmentLab, ...args: readonly string[]): Service {
  const argv = [process.execPath, bin, 'serve', 'arp', '--site', 'y', '-f', lab.inventoryFile, ...args]
  const [program = '', ...rest] = namespaceCommand(lab.ns('sw'), [...argv, '--json', '--verbose'])
  const child = spawn(program, rest, {stdio: ['ignore', 'pipe', 'pipe']})
  const exited = once(child, 'close')
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  return {
    child,
    says: (text) => until(async () => stderr.includes(text), 15_000, `"${text}" in: ${stderr}`),
    async end() {
      child.kill('SIGTERM')
      expect((await exited)[0], stderr).toBe(0)
      return JSON.parse(stdout)
    },
  }
}

const isOnY = (lab: SegmentLab): Promise<void> =>
  until(async () => (await lab.gateway()) === Y_MAC, 5000, 'the VM uses gateway Y')

describe.skipIf(noNamespaces)('serve arp', () => {
  it('goes on for the others when a port goes down or away, and takes up those that come', () =>
    withSegmentLab({}, async (lab) => {
      const service = serve(lab, '-i', 'vnet*', '-i', 'tap9')
      try {
        await service.says('answering on vnet0: 10.1.0.254 is at 02:00:00:00:0b:02; waiting for tap9')
        await lab.run('sw', 'ip link add vnet1 type veth peer name peer1; ip link set peer1 up; ip link set vnet1 up')
        await service.says('answering on vnet1')
        await lab.run('sw', 'ip link del vnet1')
        await service.says('vnet1 is gone, or down: waiting for it')
        await lab.run('sw', 'ip link add tap9 type veth peer name peer9; ip link set peer9 up; ip link set tap9 up')
        await service.says('answering on tap9')

        // Nobody else answers: X does not hear it.
        await lab.run('gx', 'ip link set eth0 down')
        await lab.run('gy', 'ip link set eth0 down')
        await lab.run('sw', 'ip link set vnet0 down')
        await service.says('vnet0 is gone, or down: waiting for it')
        await lab.run('sw', 'ip link set vnet0 up')
        await service.says('answering on vnet0\n')
        await lab.run('vm', 'ip neigh flush all nud all; ping -c1 -W1 10.1.0.254 || true')
        await isOnY(lab)
        const document = await service.end()
        expect(document).toMatchObject({schema: 'gwswitch.serve-arp/1', awaited: [], exitCode: 0})
        const ports = document.ports.map(({interface: name}: {interface: string}) => name)
        expect(ports).toEqual(['vnet0', 'vnet1', 'tap9'])
        expect(document.ports[0].answered).toBeGreaterThan(0)
      } finally {
        service.child.kill()
      }
    }))

  it('waits where no port is there yet', () =>
    withSegmentLab({}, async (lab) => {
      const service = serve(lab, '-i', 'tap*')
      await service.says('answering on no port yet: 10.1.0.254 is at 02:00:00:00:0b:02; waiting for tap*')
      expect(await service.end()).toMatchObject({ports: [], awaited: ['tap*']})
    }))

  it('holds a VM that is named and has not asked against what the far gateway checks by itself', () =>
    withSegmentLab({}, async (lab) => {
      // Its only address is the shared one, so that its own check of the VM speaks for it.
      await lab.run('gx', 'ip address flush dev eth0; ip address add 10.1.0.254/24 dev eth0')
      await lab.run('vm', `ip neigh replace 10.1.0.254 lladdr ${Y_MAC} dev eth0 nud reachable`)
      const check = () => lab.run('gx', 'ip neigh replace 10.1.0.10 lladdr 02:00:00:00:01:10 dev eth0 nud probe')
      await check()
      await until(async () => (await lab.gateway()) === X_MAC, 5000, 'the check alone moves it')
      await lab.run('vm', `ip neigh replace 10.1.0.254 lladdr ${Y_MAC} dev eth0 nud reachable`)

      const service = serve(lab, '-i', 'vnet0', '--hold', '--vm', 'db-03')
      await service.says('answering on vnet0')
      await check()
      await service.says(`${X_MAC} told 10.1.0.10 otherwise (unicast request who-has 10.1.0.10 tell 10.1.0.254)`)
      await isOnY(lab)
      const {ports} = await service.end()
      expect(ports).toMatchObject([{interface: 'vnet0', answered: 0, asked: 0}])
      expect(ports[0].held).toBeGreaterThan(0)
    }))
})
