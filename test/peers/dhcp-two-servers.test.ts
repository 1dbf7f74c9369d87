// Two servers of one segment, as operators start them, and stock dhcpcd between them.
import {chmodSync, mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import type {ExchangeEvent} from '../../src/domain/dhcp/control.ts'
import {runCommand} from '../../src/net/process/command.ts'
import {DHCP_CLIENT_PORT, DHCP_SERVER_PORT, type Dhcp, serializeDhcp} from '../../src/wire/dhcp.ts'
import {DHCPDISCOVER, DHCPREQUEST} from '../../src/wire/dhcp-options.ts'
import {udpFrame} from '../../src/wire/frames.ts'
import {clientMessage} from '../domain/dhcp/maker.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {linkIn} from './arp-link.ts'
import {type DhcpLab, GATEWAYS, SERVER_IP, until, VM_IP, withDhcpLab} from './dhcp-lab.ts'
import {type RunningServer, startServer} from './dhcp-server-lab.ts'
import {startDhcpcd} from './dhcp-servers.ts'

const OTHER_IP = '10.9.0.4'
const missing = noNamespaces ?? ((await hasProgram('dhcpcd')) ? undefined : 'dhcpcd is not installed')

interface Place {
  readonly namespace: string
  readonly interfaceName: string
  readonly dir: string
  readonly args: readonly string[]
}

/** A host of its own, and the hypervisor, which gets an address on the segment. */
async function placesIn(lab: DhcpLab): Promise<readonly [Place, Place]> {
  chmodSync(lab.dir, 0o755)
  await runCommand('ip', ['-n', lab.hypervisor, 'address', 'add', `${OTHER_IP}/24`, 'dev', 'br0'])
  const place = (name: string, share: string, peer: string, namespace: string, interfaceName: string): Place => {
    const dir = join(lab.dir, name)
    mkdirSync(dir)
    writeKey(dir, 'a')
    const pool = ['--pool', '10.9.0.100-10.9.0.119', '--share', share, '--t1', '9', '--t2', '12']
    const own = ['-f', lab.inventory, ...pool, '--peer', peer, '--peer-key', join(dir, 'key')]
    return {namespace, interfaceName, dir, args: own}
  }
  return [
    place('one', '1/2', OTHER_IP, lab.server.namespace, lab.server.interface),
    place('two', '2/2', SERVER_IP, lab.hypervisor, 'br0'),
  ]
}

const writeKey = (dir: string, digit: string): void =>
  writeFileSync(join(dir, 'key'), `${digit.repeat(64)}\n`, {mode: 0o600})
const start = ({namespace, args, ...place}: Place): Promise<RunningServer> => startServer(namespace, place, args)
const count = (server: RunningServer, text: string): number => server.log().split(text).length - 1
const connects = (server: RunningServer, times = 1): Promise<void> =>
  until(() => count(server, 'state=connected') === times, server.log)

/** Both answers to a DISCOVER and a REBIND of the VM: server by server, which router each names. */
async function routersOf(lab: DhcpLab, servers: readonly RunningServer[]): Promise<unknown> {
  const watched = await Promise.all(servers.map((server) => server.watch()))
  const link = await linkIn(lab.client.namespace, lab.client.interface)
  const send = (message: Dhcp, source: string) =>
    link.send(
      udpFrame(
        {source: lab.client.mac, destination: 'ff:ff:ff:ff:ff:ff'},
        {source, destination: '255.255.255.255'},
        {sourcePort: DHCP_CLIENT_PORT, destinationPort: DHCP_SERVER_PORT, payload: serializeDhcp(message)},
      ),
    )
  const header = {chaddr: lab.client.mac, xid: 0x600d}
  const answered = (events: readonly ExchangeEvent[], message: string) =>
    events.find((each) => each.xid === '0x0000600d' && each.message === message)
  try {
    for (const [message, request, source] of [
      ['DHCPDISCOVER', clientMessage(DHCPDISCOVER, {}, header), '0.0.0.0'],
      ['DHCPREQUEST', clientMessage(DHCPREQUEST, {}, {...header, ciaddr: VM_IP}), VM_IP],
    ] as const) {
      send(request, source)
      await until(
        () => watched.every((events) => answered(events, message) !== undefined),
        () => `${message} is not answered by both`,
      )
    }
  } finally {
    await link.close()
  }
  return watched.map((events) =>
    ['DHCPDISCOVER', 'DHCPREQUEST'].map((message) => {
      const {answer, router, state} = answered(events, message)!
      return [state, answer, router]
    }),
  )
}

const bothGive = (router: string) =>
  [0, 1].map(() => [
    [undefined, 'DHCPOFFER', router],
    ['rebinding', 'DHCPACK', router],
  ])

describe.skipIf(missing !== undefined)(
  `two servers of one segment${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    it(
      'give a VM one router, whichever was told, also after one of them was killed and what it missed was said to the other',
      () =>
        withDhcpLab(
          'gwswitch',
          async (lab) => {
            const places = await placesIn(lab)
            const servers = await Promise.all(places.map(start))
            try {
              await Promise.all(servers.map((server) => connects(server)))
              await startDhcpcd(lab)
              expect(await lab.router()).toBe(GATEWAYS.rx.ip)
              const holds = servers[0]!.log().includes('event=DHCPACK') ? 0 : 1
              const [holder, other] = [servers[holds]!, servers[1 - holds]!]

              // Told to the one that has no lease, the other makes the client ask.
              const events = await holder.watch()
              const told = await other.ask({do: 'relocate', vm: 'web-07', site: 'y'})
              expect(told).toMatchObject({peer: 'taken', trigger: 'none', router: GATEWAYS.ry.ip})
              const answered = (answer: string) =>
                events.find((event) => event.answer === answer && event.router === GATEWAYS.ry.ip)
              await until(
                async () => (await lab.router()) === GATEWAYS.ry.ip && answered('DHCPACK') !== undefined,
                () => holder.log() + other.log(),
              )
              const [sent, asked] = [answered('DHCPFORCERENEW')!, answered('DHCPACK')!]
              process.stdout.write(`FORCERENEW to ACK: ${Number(BigInt(asked.atNs) - BigInt(sent.atNs)) / 1e6} ms\n`)
              // Again after a second, where the machine is too busy for the client to be quicker.
              expect(count(holder, 'event=DHCPFORCERENEW')).toBeGreaterThan(0)
              expect(count(other, 'event=DHCPFORCERENEW')).toBe(0)

              // The one with the lease is gone: the other is told, and answers the REBIND.
              await holder.end('SIGKILL')
              await until(() => other.log().includes('the peer is not told'), other.log)
              const alone = await other.ask({do: 'relocate', vm: 'web-07', site: 'x'})
              expect(alone).toMatchObject({peer: 'unreachable', router: GATEWAYS.rx.ip})
              expect((await other.ask({do: 'status'})).peer).toMatchObject({connected: false})
              await until(
                async () => (await lab.router()) === GATEWAYS.rx.ip,
                () => other.log(),
              )
              expect(other.log()).toMatch(
                /event=DHCPACK to=DHCPREQUEST state=rebinding vm=web-07 .*router=10\.9\.0\.2 /,
              )

              servers[holds] = await start(places[holds]!)
              await Promise.all([connects(servers[holds]!), connects(other, 2)])
              await until(
                async () => (await servers[holds]!.ask({do: 'site', vm: 'web-07'})).said === 'x',
                () => servers[holds]!.log(),
              )
              const [one, two] = await Promise.all(
                servers.map(async (server) => (await server.ask({do: 'status'})).peer!),
              )
              expect([one, two]).toMatchObject([
                {peer: `${OTHER_IP}:647`, connected: true, lastSequence: two!.lastSequence},
                {peer: `${SERVER_IP}:647`, connected: true},
              ])
              expect(await routersOf(lab, servers)).toEqual(bothGive(GATEWAYS.rx.ip))
              expect(await other.ask({do: 'relocate', vm: 'web-07', site: 'y', trigger: false})).toMatchObject({
                peer: 'taken',
              })
              expect(await routersOf(lab, servers)).toEqual(bothGive(GATEWAYS.ry.ip))
            } finally {
              await Promise.all(servers.map((server) => server.end('SIGTERM')))
            }
          },
          {apart: true},
        ),
      120_000,
    )

    it(
      'take nothing from each other where their keys differ, and say so in one line each way',
      () =>
        withDhcpLab(
          'gwswitch',
          async (lab) => {
            const places = await placesIn(lab)
            writeKey(places[1].dir, 'b')
            const servers = await Promise.all(places.map(start))
            const [one, two] = servers as [RunningServer, RunningServer]
            try {
              const refused = `message="the peer at ${OTHER_IP} is not listened to: it has another key"`
              const away = `message="the peer is not told: ${OTHER_IP}:647 has another key; tried again and again"`
              await until(() => [refused, away].every((line) => one.log().includes(line)), one.log)
              expect(await one.ask({do: 'relocate', vm: 'web-07', site: 'y'})).toMatchObject({peer: 'unreachable'})
              // The same server with the right key is told at once: as long as that takes, nothing more was said of it.
              await two.end('SIGTERM')
              writeKey(places[1].dir, 'a')
              expect(two.log()).not.toContain('state=connected')
              servers[1] = await start(places[1])
              await connects(one)
              expect((await servers[1]!.ask({do: 'site', vm: 'web-07'})).said).toBe('y')
              expect([count(one, refused), count(one, away)]).toEqual([1, 1])
            } finally {
              await Promise.all(servers.map((server) => server.end('SIGTERM')))
            }
          },
          {apart: true},
        ),
      120_000,
    )

    it.each([
      ['may be read by everybody', 0o644, 'a'.repeat(64), /key: holds a secret that every user may read/],
      ['is too short', 0o600, 'abc', /key: is no key \(want 64 hex digits/],
    ])('does not start with a key that %s', async (_, mode, text, why) => {
      await withDhcpLab('gwswitch', async (lab) => {
        const key = join(lab.dir, 'key')
        writeFileSync(key, text)
        chmodSync(key, mode)
        const args = [
          '-i',
          lab.server.interface,
          '--store',
          `${lab.dir}/leases/leases.db`,
          '--peer',
          OTHER_IP,
          '--share',
          '1/2',
        ]
        const {code, stderr} = await lab.gwswitch('serve', 'dhcp', ...args, '--peer-key', key)
        expect([code, stderr.trim().split('\n').length]).toEqual([2, 1])
        expect(stderr).toMatch(why)
      })
    })
  },
)
