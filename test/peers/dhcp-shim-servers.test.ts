// The shim before servers of every kind, a pair of them, and one behind a relay, with a client that takes its nonce.
import type {ChildProcess} from 'node:child_process'
import {once} from 'node:events'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {runCommand} from '../../src/net/process/command.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {startDhclient, startServer} from './dhcp-clients.ts'
import {type DhcpLab, GATEWAYS, textOf, until, withDhcpLab} from './dhcp-lab.ts'
import {startDhcpcd} from './dhcp-servers.ts'
import {askControl, askShim, keyed, type Shim, startShim, startShims, stop} from './dhcp-shims.ts'
import {startPlainDhcpd, startPlainKea} from './plain-servers.ts'
import {speaks, withTwoHypervisors} from './two-hypervisors.ts'

const X = GATEWAYS.rx.ip
const Y = GATEWAYS.ry.ip
/** Longer than anything here takes. */
const LONG_S = 300

const lacking = async (...programs: readonly string[]): Promise<string | undefined> => {
  const present = await Promise.all(programs.map(hasProgram))
  return noNamespaces ?? programs.find((_, i) => !present[i])
}

const startKeyed = (lab: DhcpLab, pollS: number): Promise<Shim> => startShim(lab, 'y', {pollS}, ...keyed(lab, 'y'))

/** Those that left by the VM's port. */
const acks = ({log}: Shim): readonly string[] => textOf(log).match(/event=\w+ type=DHCPACK .*port=eth0/g) ?? []

/** A FORCERENEW by the shim, and the ACK that comes of it. */
async function renewNow(lab: DhcpLab, shim: Shim): Promise<string> {
  const before = acks(shim).length
  expect(await askShim(lab, 'y', {do: 'forcerenew', vm: 'web-07'})).toMatchObject({ok: true})
  await until(
    () => acks(shim).length > before,
    () => textOf(shim.log),
  )
  return acks(shim).at(-1)!
}

const SERVERS = [
  {server: 'Kea', program: 'kea-dhcp4', start: (lab: DhcpLab) => startPlainKea(lab), adds: true},
  {server: 'ISC dhcpd', program: '/usr/sbin/dhcpd', start: startPlainDhcpd, adds: true},
  // It gives one of its own.
  {server: 'serve dhcp', program: 'nft', start: (lab: DhcpLab) => startServer(lab), adds: false},
]

for (const {server, program, start, adds} of SERVERS) {
  const missing = await lacking(program, 'dhcpcd')
  describe.skipIf(missing !== undefined)(`the shim before ${server}${missing ? ` (no ${missing})` : ''}`, () => {
    it(`has dhcpcd renew at once by ${adds ? 'the nonce that it adds' : 'the nonce of that server, which it leaves'}`, async () => {
      await withDhcpLab(
        'gwswitch',
        async (lab) => {
          await start(lab)
          const shim = await startKeyed(lab, LONG_S)
          await startDhcpcd(lab)
          expect(await lab.router()).toBe(Y)
          const ack = await renewNow(lab, shim)
          expect(ack).toContain(`router=${X}>${Y}`)
          for (const each of acks(shim)) expect(each.includes('nonce=added')).toBe(adds)
          await stop(shim)
        },
        {apart: true},
      )
    }, 120_000)
  })
}

const noClient = await lacking('nft', 'dhcpcd')
describe.skipIf(noClient !== undefined)(`the shims before serve dhcp${noClient ? ` (no ${noClient})` : ''}`, () => {
  it('tell each other the nonce that it gave, by which that server is still obeyed after the VM has come', async () => {
    await withTwoHypervisors(
      async (lab) => {
        await startServer(lab)
        const shims = await startShims(lab, LONG_S)
        await startDhcpcd(lab)
        await lab.moveTo('y')
        await speaks(lab)
        const [, here] = shims
        const acked = () => textOf(here!.log).match(/type=DHCPACK .*port=vm0/g) ?? []
        const renewed = (times: number) =>
          until(
            () => acked().length === times,
            () => textOf(here!.log) + textOf(join(lab.dir, 'serve.log')),
          )
        expect(await askShim(lab, 'y', {do: 'forcerenew', vm: 'web-07'})).toMatchObject({ok: true})
        await renewed(1)
        expect(await askControl(join(lab.dir, 'control'), {do: 'forcerenew', vm: 'web-07'})).toMatchObject({ok: true})
        await renewed(2)
        for (const each of acked()) expect(each).not.toContain('nonce=added')
        for (const shim of shims) await stop(shim)
      },
      {server: 'gwswitch'},
    )
  }, 120_000)
})

const PAIR = {primary: '10.9.0.1', standby: '10.9.0.4'} as const

/** Of one server of a pair: they notice within a second that the other one is gone, and need no client to be sure. */
async function pairOf(lab: DhcpLab, name: keyof typeof PAIR): Promise<object> {
  const folder = (await lab.server.run('sh', '-c', 'echo /usr/lib/*/kea/hooks')).trim()
  const peers = Object.entries(PAIR).map(([role, ip]) => ({name: role, role, url: `http://${ip}:8001/`}))
  const pair = {
    ...{'this-server-name': name, mode: 'hot-standby', peers, 'max-unacked-clients': 0},
    ...{'heartbeat-delay': 300, 'max-response-delay': 900, 'max-ack-delay': 500},
    'multi-threading': {'enable-multi-threading': true, 'http-dedicated-listener': true},
  }
  return {
    'multi-threading': {'enable-multi-threading': true, 'thread-pool-size': 2},
    'hooks-libraries': [
      {library: `${folder}/libdhcp_lease_cmds.so`},
      {library: `${folder}/libdhcp_ha.so`, parameters: {'high-availability': [pair]}},
    ],
  }
}

const noPair = await lacking('kea-dhcp4', 'dhcpcd')
describe.skipIf(noPair !== undefined)(`the shim before a hot-standby pair${noPair ? ` (no ${noPair})` : ''}`, () => {
  it('gives its site’s gateway and a nonce whichever of the two answers, and its FORCERENEW is obeyed after the other one died', async () => {
    await withDhcpLab(
      'gwswitch',
      async (lab) => {
        await lab.server.run('ip', 'link', 'set', 'lo', 'up')
        const host = {...lab.server, namespace: lab.hypervisor, interface: 'br0'}
        await runCommand('ip', ['-n', lab.hypervisor, 'address', 'add', `${PAIR.standby}/24`, 'dev', 'br0'])
        const primary = await startPlainKea(lab, lab.server, 'primary', await pairOf(lab, 'primary'))
        const standby = await startPlainKea(lab, host, 'standby', await pairOf(lab, 'standby'))
        for (const {said} of [primary, standby]) await until(() => said().includes('to HOT-STANDBY state'), said)
        const shim = await startKeyed(lab, 3)
        await startDhcpcd(lab)
        expect(await lab.router()).toBe(Y)
        const firsts = acks(shim).length

        primary.process.kill('SIGKILL')
        await until(
          () => standby.said().includes('to PARTNER-DOWN state'),
          () => standby.said(),
        )
        const before = acks(shim).length
        await until(
          () => acks(shim).length > before,
          () => textOf(shim.log),
        )
        await renewNow(lab, shim)
        expect(firsts).toBeGreaterThan(0)
        for (const each of acks(shim))
          expect(each).toMatch(/event=changed .*router=10\.9\.0\.2>10\.9\.0\.3 .*nonce=added/)
        expect(await lab.router()).toBe(Y)
        await stop(shim)
      },
      {apart: true},
    )
  }, 120_000)
})

/** The server is beyond site x's router, which relays. */
const behindRelay = (fn: (lab: DhcpLab, relay: {process: ChildProcess; said(): string}) => Promise<void>) =>
  withDhcpLab(
    'gwswitch',
    async (lab) => {
      // It answers by the interface that a question came in by.
      await runCommand('ip', ['-n', lab.gateway('ry'), 'route', 'add', '10.61.0.0/30', 'via', X])
      const interfaces = {interfaces: ['u0'], 'dhcp-socket-type': 'udp'}
      await startPlainKea(lab, {namespace: lab.beyond, interface: 'u0'}, 'kea', {'interfaces-config': interfaces})
      const router = {...lab.server, namespace: lab.gateway('rx')}
      const argv = ['dhcrelay', '-4', '-d', '-a', '-id', 'seg', '-iu', 'wan', '10.61.0.2']
      const process = lab.start(router, 'relay', ...argv)
      const said = () => textOf(join(lab.dir, 'relay.log'))
      await until(() => said().includes('Sending on'), said)
      await fn(lab, {process, said})
    },
    {apart: true},
  )

const noRelay = await lacking('kea-dhcp4', 'dhcpcd', 'dhclient', 'dhcrelay')
describe.skipIf(noRelay !== undefined)(`the shim behind a relay${noRelay ? ` (no ${noRelay})` : ''}`, () => {
  it('changes what the relay passes on, and what the server beyond it sends to the VM itself', async () => {
    await behindRelay(async (lab, relay) => {
      const shim = await startKeyed(lab, LONG_S)
      await startDhcpcd(lab)
      expect(await lab.router()).toBe(Y)
      expect(relay.said()).toContain(`Forwarded BOOTREPLY for ${lab.client.mac}`)

      // A renewal goes to the server itself: no relay is needed for it.
      relay.process.kill('SIGKILL')
      await once(relay.process, 'exit')
      await renewNow(lab, shim)
      for (const each of acks(shim))
        expect(each).toMatch(/event=changed .*router=10\.9\.0\.2>10\.9\.0\.3 .*nonce=added/)
      await stop(shim)
    })
  }, 120_000)

  it('refuses a renewal of dhclient as it comes, which then has its lease by the relay, with the other router', async () => {
    await behindRelay(async (lab) => {
      const there = await startShim(lab, 'x')
      await startDhclient(lab, false)
      await stop(there)
      const here = await startShim(lab, 'y')
      await until(
        () => acks(here).some((each) => each.includes(`router=${X}>${Y}`)),
        () => textOf(here.log),
      )
      expect(await lab.router()).toBe(X)
      expect(await askShim(lab, 'y', {do: 'nak', vm: 'web-07'})).toMatchObject({ok: true})
      await until(
        async () => (await lab.router()) === Y,
        () => textOf(here.log),
      )
      expect(textOf(here.log).match(/answer=DHCPNAK/g)).toHaveLength(1)
      await stop(here)
    })
  }, 120_000)
})
