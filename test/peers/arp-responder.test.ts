// The site-local responder against a real far gateway behind a DCI that takes its time.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {moveVm} from '../../src/lab/vms.ts'
import {CAP_NET_RAW} from '../../src/net/process/confine.ts'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import {type ResponderOptions, responderFilter, startResponder} from '../../src/services/arp-responder/responder.ts'
import {announcementFrame} from '../../src/strategies/arp/frames.ts'
import {heldRights} from '../support/held-rights.ts'
import {noNamespaces, type TestLab, withLab, withPair} from '../support/namespaces.ts'
import {BX, BY, gatewayOfVm, setUp, until} from './arp-lab.ts'
import {linkIn, worldIn} from './arp-link.ts'

const GATEWAY = {name: 'by', ip: '10.1.0.254', mac: BY}
const options = (over: Partial<ResponderOptions> = {}): ResponderOptions => ({
  gateways: [GATEWAY],
  vms: undefined,
  hold: false,
  log: () => {},
  ...over,
})

/** The VM at site Y, where no router has the shared address: only the far one answers, 0.4 s away and before the VM asks again. */
async function withVmAtY<T>(fn: (lab: TestLab) => Promise<T>): Promise<T> {
  return withLab({dciDelayMs: 200, wanDelayMs: 1}, async (lab) => {
    await setUp(lab, {filter: 'none', inbound: 'y'})
    await lab.run('ry', 'ip', 'address', 'del', '10.1.0.254/32', 'dev', 'seg-b')
    await (await moveVm(lab.prefix, 'db-03', 'y')).announced
    return await fn(lab)
  })
}

const resolve = (lab: TestLab): Promise<string> =>
  lab.run('db-03', 'sh', '-c', 'ip neigh flush dev eth0; ping -c1 -W1 10.1.0.254 || true')
const respond = async (lab: TestLab, over: Partial<ResponderOptions> = {}) => {
  const world = worldIn(lab.ns('hv'))
  const link = await world.openLink('db-03', {filter: responderFilter, promiscuous: true, outgoing: over.hold ?? false})
  return {link, ...startResponder(link, world, options(over))}
}

describe.skipIf(noNamespaces)('serve arp', () => {
  it('answers before the far gateway, asks in turn a VM that checks the far one, and nobody else', async () => {
    await withVmAtY(async (lab) => {
      await resolve(lab)
      expect(
        await until(
          () => gatewayOfVm(lab),
          (mac) => mac !== undefined,
        ),
      ).toBe(BX)

      const other = await respond(lab, {vms: new Set(['02:00:00:00:01:11'])})
      await resolve(lab)
      expect(
        await until(
          () => gatewayOfVm(lab),
          (mac) => mac !== undefined,
        ),
      ).toBe(BX)
      expect(other.counters.answered).toBe(0)
      other.stop()
      await other.link.close()

      const ours = await respond(lab)
      try {
        await resolve(lab)
        expect(
          await until(
            () => gatewayOfVm(lab),
            (mac) => mac !== undefined,
          ),
        ).toBe(BY)
        expect(ours.counters).toEqual({answered: 1, asked: 0, held: 0})

        // The kernel of the VM checks the far gateway by itself, as it does before it trusts an old entry again.
        await lab.run('db-03', 'ip', 'neigh', 'replace', '10.1.0.254', 'lladdr', BX, 'dev', 'eth0', 'nud', 'probe')
        expect(
          await until(
            () => gatewayOfVm(lab),
            (mac) => mac === BY,
          ),
        ).toBe(BY)
        expect(ours.counters).toMatchObject({asked: 1, held: 0})
      } finally {
        ours.stop()
        await ours.link.close()
      }
    })
  })

  it('holds the VM against what the far gateway says unasked', async () => {
    await withVmAtY(async (lab) => {
      const ours = await respond(lab, {hold: true})
      try {
        await resolve(lab)
        expect(
          await until(
            () => gatewayOfVm(lab),
            (mac) => mac !== undefined,
          ),
        ).toBe(BY)
        // The far gateway's answer to the same question comes later.
        await until(
          async () => ours.counters.held,
          (held) => held > 0,
        )
        expect(ours.counters.held).toBe(1)
        await using far = await linkIn(lab.ns('rx'), 'seg-b')
        const vm = {ip: '10.1.0.10', mac: '02:00:00:00:01:10'}
        far.send(announcementFrame('ask', {ip: '10.1.0.254', mac: BX}, {vm}, far.mac).bytes)
        expect(
          await until(
            async () => ours.counters.held,
            (held) => held > 1,
          ),
        ).toBe(2)
        expect(
          await until(
            () => gatewayOfVm(lab),
            (mac) => mac === BY,
          ),
        ).toBe(BY)
      } finally {
        ours.stop()
        await ours.link.close()
      }
    })
  })

  it('runs as a command until SIGTERM, and says what it did', async () => {
    await withVmAtY(async (lab) => {
      const bin = join(import.meta.dirname, '../../bin/run.js')
      const argv = [
        process.execPath,
        bin,
        'serve',
        'arp',
        '--gateway',
        `10.1.0.254=${BY}`,
        '-i',
        'db-03',
        '--json',
        '--verbose',
      ]
      const [program = '', ...args] = namespaceCommand(lab.ns('hv'), argv)
      const service = spawn(program, args, {stdio: ['ignore', 'pipe', 'pipe']})
      const exited = once(service, 'exit')
      let [stdout, stderr] = ['', '']
      service.stdout.on('data', (chunk) => {
        stdout += chunk
      })
      service.stderr.on('data', (chunk) => {
        stderr += chunk
      })
      try {
        await until(
          async () => stderr,
          (text) => text.includes('answering on db-03'),
          30_000,
        )
        expect(heldRights(service.pid!)).toEqual({capabilities: [CAP_NET_RAW], noNewPrivileges: true})
        await resolve(lab)
        expect(
          await until(
            () => gatewayOfVm(lab),
            (mac) => mac !== undefined,
          ),
        ).toBe(BY)
      } finally {
        service.kill('SIGTERM')
      }
      expect(await exited).toEqual([0, null])
      expect(JSON.parse(stdout)).toMatchObject({
        schema: 'gwswitch.serve-arp/1',
        gateways: [{ip: '10.1.0.254', mac: BY}],
        ports: [{interface: 'db-03', answered: 1, asked: 0, held: 0}],
        exitCode: 0,
      })
      expect(stderr).toMatch(
        /db-03: told 10\.1\.0\.10 \(02:00:00:00:01:10\) that 10\.1\.0\.254 is at 02:00:00:00:0b:02/,
      )
    })
  })

  it('answers neighbour solicitations', async () => {
    await withPair(async (vm, wire) => {
      await vm.run(
        'sh',
        '-ec',
        'sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.eth0.disable_ipv6=0; ip address add 2001:db8:1::10/64 dev eth0 nodad',
      )
      const world = worldIn(wire.namespace)
      await using link = await world.openLink('eth0', {filter: responderFilter, promiscuous: true})
      const {counters, stop} = startResponder(
        link,
        world,
        options({gateways: [{name: 'by', ip: '2001:db8:1::1', mac: BY}]}),
      )
      await vm.run('sh', '-c', 'ping -6 -c1 -W1 2001:db8:1::1 || true')
      const [entry] = JSON.parse(await vm.run('ip', '-json', '-6', 'neigh', 'show', '2001:db8:1::1')) as {
        lladdr?: string
        router?: null
      }[]
      expect(entry).toMatchObject({lladdr: BY})
      expect(entry).toHaveProperty('router')
      expect(counters.answered).toBeGreaterThan(0)
      stop()
    })
  })
})
