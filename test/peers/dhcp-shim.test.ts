// The shim at a hypervisor's bridge, between real DHCP servers and real clients.
import {readFileSync, writeFileSync} from 'node:fs'
import {describe, expect, it} from 'vitest'
import {runCommand} from '../../src/net/process/command.ts'
import {DHCP_BROADCAST} from '../../src/wire/dhcp.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {eventually} from '../support/until.ts'
import {linkIn} from './arp-link.ts'
import {startDhclient, startNetworkd, startNetworkManager, startServer, startUdhcpc} from './dhcp-clients.ts'
import {type DhcpLab, type DhcpLabOptions, GATEWAYS, textOf, until, VM_IP, withDhcpLab} from './dhcp-lab.ts'
import {renewer} from './dhcp-renewer.ts'
import {SERVERS, startDhcpcd} from './dhcp-servers.ts'
import {keyed, startShim, stop} from './dhcp-shims.ts'

const RENEWALS = 10_000
const X = GATEWAYS.rx.ip
const Y = GATEWAYS.ry.ip

const routed = (lab: DhcpLab, ip: string): Promise<void> =>
  until(
    async () => (await lab.router()) === ip,
    () => `the client does not use ${ip}`,
  )

const rules = (lab: DhcpLab): Promise<string> =>
  runCommand('ip', ['netns', 'exec', lab.hypervisor, 'nft', 'list', 'ruleset'])

/** The VM is on its way between two hypervisors meanwhile, and none of its requests reaches a server. */
async function inFlight<T>(lab: DhcpLab, work: () => Promise<T>): Promise<T> {
  const nft = (...words: readonly string[]) => runCommand('ip', ['netns', 'exec', lab.hypervisor, 'nft', ...words])
  await nft('table bridge flight { chain c { type filter hook prerouting priority -300; udp dport 67 drop; }; }')
  const done = await work()
  await nft('delete table bridge flight')
  return done
}

interface Pair {
  readonly server: 'dnsmasq' | 'kea' | 'isc' | 'gwswitch'
  readonly client: string
  readonly program: string
  start(lab: DhcpLab): Promise<void>
  /** Of `serve dhcp`. */
  readonly serve?: readonly string[]
  readonly lab?: DhcpLabOptions
}

const PAIRS: readonly Pair[] = [
  {server: 'dnsmasq', client: 'dhcpcd', program: 'dhcpcd', start: startDhcpcd},
  {
    server: 'dnsmasq',
    client: 'dhcpcd, past a server on another host',
    program: 'dhcpcd',
    start: startDhcpcd,
    lab: {apart: true},
  },
  {server: 'kea', client: 'networkd', program: '/lib/systemd/systemd-networkd', start: startNetworkd},
  {server: 'isc', client: 'dhclient with the exit hook', program: 'dhclient', start: (lab) => startDhclient(lab, true)},
  {server: 'gwswitch', client: 'NetworkManager', program: 'NetworkManager', start: startNetworkManager},
  // It renews at half its lease, whatever T1 says.
  {server: 'gwswitch', client: 'udhcpc', program: 'busybox', start: startUdhcpc, serve: ['--lease', '10']},
]

for (const {server, client, program, start, serve = [], lab: options} of PAIRS) {
  const needed = [program, ...(server === 'gwswitch' ? [] : [SERVERS[server].program])]
  const present = await Promise.all(needed.map(hasProgram))
  const missing = noNamespaces ?? needed.find((_, i) => !present[i])

  describe.skipIf(missing !== undefined)(`${server} and ${client}${missing ? ` (no ${missing})` : ''}`, () => {
    it('has the client take the router of the site that it is in now at its next renewal, and leaves nothing', async () => {
      await withDhcpLab(
        server,
        async (lab) => {
          await (server === 'gwswitch' ? startServer(lab, ...serve) : SERVERS[server].start(lab))
          const there = await startShim(lab, 'x')
          await start(lab)
          expect(await lab.router()).toBe(X)
          await stop(there)
          expect(await rules(lab)).toBe('')

          const here = await inFlight(lab, () => startShim(lab, 'y'))
          const startedMs = performance.now()
          await routed(lab, Y)
          process.stdout.write(
            `${server}, ${client}: at ${Y} after ${((performance.now() - startedMs) / 1000).toFixed(1)} s\n`,
          )
          // The client may have its route before the shim has said why.
          await eventually(async () => expect(textOf(here.log)).toContain(`router=${X}>${Y}`))
          await stop(here)
          expect(await rules(lab)).toBe('')
          expect(textOf(here.log)).not.toMatch(/event=(?:failed|warning)/)
        },
        options,
      )
    }, 120_000)
  })
}

describe.skipIf(noNamespaces)('the shim and others', () => {
  it('leaves a second one out, and comes back after whoever loads a firewall anew', async () => {
    await withDhcpLab('dnsmasq', async (lab) => {
      const first = await startShim(lab, 'y')
      const second = await lab.gwswitch(
        'serve',
        'dhcp-shim',
        'y',
        '-i',
        'rx',
        '--json',
        '--control',
        `${lab.dir}/second.sock`,
      )
      expect([second.code, second.stdout]).toEqual([1, expect.stringContaining('another program reads the packets')])
      await lab.server.run('nft', 'flush', 'ruleset')
      await until(
        async () => (await rules(lab)).includes('table bridge gwswitch_shim'),
        () => textOf(first.log),
      )
      expect(textOf(first.log)).toContain('the rules were gone, and are loaded again')
      await lab.server.run('ip', 'link', 'add', 'tap9', 'type', 'veth', 'peer', 'name', 'guest9')
      await lab.server.run('ip', 'link', 'set', 'tap9', 'master', 'br0')
      // The port of a VM that arrives.
      await until(
        () => textOf(first.log).includes('tap9'),
        () => textOf(first.log),
      )
      await stop(first)
      expect(await rules(lab)).toBe('')
    })
  })

  it('plans without a trace, and refuses what is no bridge port and who is nowhere', async () => {
    await withDhcpLab('dnsmasq', async (lab) => {
      const shim = (...args: string[]) => lab.gwswitch('serve', 'dhcp-shim', ...args)
      const plan = await shim('y', '-i', 'rx', '--poll', '30', '--dry-run')
      expect(plan).toMatchObject({code: 0, stdout: expect.stringContaining(`web-07 (${lab.client.mac}): router ${Y}`)})
      expect(plan.stdout).toContain('set ports { type ifname; flags timeout;')
      expect(await rules(lab)).toBe('')
      expect(await shim('y', '-i', 'lo')).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('neither a bridge here'),
      })
      expect(await shim('z', '-i', 'rx')).toMatchObject({code: 2, stderr: expect.stringContaining('no site "z"')})
    })
  })
})

describe.skipIf(noNamespaces)('the shim under a stream of renewals', () => {
  const withRenewals = (fn: (lab: DhcpLab, client: Awaited<ReturnType<typeof renewer>>) => Promise<void>) =>
    withDhcpLab(
      'dnsmasq',
      async (lab) => {
        await SERVERS.dnsmasq.start(lab)
        await lab.client.run('ip', 'address', 'add', `${VM_IP}/24`, 'dev', lab.client.interface)
        await using client = await renewer(lab)
        await client.lease()
        await fn(lab, client)
      },
      {apart: true},
    )

  it('loses none of 10,000 and sends none twice, each with a nonce, and tshark calls nothing malformed', async () => {
    await withRenewals(async (lab, client) => {
      const capture = lab.start(
        ...[lab.client, 'tcpdump', 'tcpdump', '-B', '32768', '-n', '-i', lab.client.interface],
        ...['-w', `${lab.dir}/dhcp.pcap`, 'udp port 67 or udp port 68'],
      )
      const said = (): string => textOf(`${lab.dir}/tcpdump.log`)
      await until(() => said().includes('listening'), said)
      const shim = await startShim(lab, 'y', {}, ...keyed(lab, 'y'))
      const startedMs = performance.now()
      const renewals = await client.renew(RENEWALS)
      process.stdout.write(`${RENEWALS} renewals in ${((performance.now() - startedMs) / 1000).toFixed(1)} s\n`)
      expect(renewals).toMatchObject({asked: RENEWALS, lost: 0, repeated: 0, routers: {[Y]: RENEWALS}})
      await stop(shim)
      expect(textOf(shim.log)).toContain(`${RENEWALS} replies changed, 0 passed as they were, 0 not sent`)
      expect(textOf(shim.log).match(/nonce=added port=eth0/g)).toHaveLength(RENEWALS)
      capture.kill('SIGINT')
      await until(() => said().includes('packets captured'), said)
      const shark = (filter: string): Promise<string> =>
        lab.client.run(
          ...[
            'tshark',
            '-n',
            '-r',
            `${lab.dir}/dhcp.pcap`,
            '-o',
            'udp.check_checksum:TRUE',
            '-o',
            'ip.check_checksum:TRUE',
          ],
          ...['-Y', filter],
        )
      const wrong =
        '_ws.malformed || _ws.expert.severity >= 0x00600000 || udp.checksum.status == 0 || ip.checksum.status == 0'
      expect(await shark(`udp.srcport == 67 && (${wrong})`)).toBe('')
      // A busy machine may keep some from tcpdump.
      const seen = (
        await shark(
          `dhcp.option.router == ${Y} && dhcp.option.dhcp_authentication.protocol == 3 && udp.checksum.status == 1`,
        )
      )
        .trim()
        .split('\n').length
      expect(seen).toBeGreaterThan(RENEWALS * 0.9)
    })
  }, 180_000)

  it('changes what goes to everybody as it does what goes to the VM alone, at every port that it leaves by', async () => {
    await withRenewals(async (lab, client) => {
      const shim = await startShim(lab, 'y')
      await client.lease()
      expect(client.last()).toEqual([Y, lab.client.mac])
      await client.lease(DHCP_BROADCAST)
      expect(client.last()).toEqual([Y, 'ff:ff:ff:ff:ff:ff'])
      await stop(shim)
      const log = textOf(shim.log)
      expect(log.match(/event=changed .* port=eth0/g)).toHaveLength(2)
      // It floods to this site's router too, and to the other one as its server sent it.
      expect(log.match(/event=changed .* port=ry/g)).toHaveLength(1)
      expect(log).not.toContain('port=rx')
    })
  }, 120_000)

  it('lets a flood pass that it could not keep up with, and loses none of it', async () => {
    await withRenewals(async (lab, client) => {
      const shim = await startShim(lab, 'y')
      await using server = await linkIn(lab.server.namespace, lab.server.interface)
      const flood = client.flood(6000)
      for (let sent = 0; sent < flood.length; ) sent += server.sendMany(flood.slice(sent))
      const total = (): number => Object.values(client.heard()).reduce((sum, count) => sum + count, 0)
      await until(
        () => total() === flood.length,
        () => `${JSON.stringify(client.heard())} of ${flood.length}`,
      )
      // Both ways were taken.
      expect(client.heard()[X]).toBeGreaterThan(0)
      expect(client.heard()[Y]).toBeGreaterThanOrEqual(1000)
      await stop(shim)
      expect(textOf(shim.log)).toContain(`${client.heard()[Y]} replies changed, 0 passed as they were, 0 not sent`)
    })
  }, 120_000)

  it('loses none as it takes another inventory, and goes by that one', async () => {
    await withRenewals(async (lab, client) => {
      const shim = await startShim(lab, 'y')
      const renewals = client.renew()
      await client.hears(Y)
      const known = readFileSync(lab.inventory, 'utf8')
      const told = async (text: string, what: string): Promise<void> => {
        writeFileSync(lab.inventory, text)
        shim.process.kill('SIGHUP')
        await until(
          () => textOf(shim.log).includes(what),
          () => textOf(shim.log),
        )
      }
      await told('nonsense: 1', 'inventory not taken')
      await client.hears(Y)
      await told(known.replace(`ip: ${Y}`, 'ip: 10.9.0.4'), 'event=reloaded')
      await client.hears('10.9.0.4')
      const {lost, repeated} = await renewals.stop()
      expect({lost, repeated}).toEqual({lost: 0, repeated: 0})
      await stop(shim)
    })
  }, 120_000)

  it('loses none as it starts, stops and starts again', async () => {
    await withRenewals(async (lab, client) => {
      const renewals = client.renew()
      for (let round = 0; round < 3; round++) {
        const shim = await startShim(lab, 'y')
        await client.hears(Y)
        await stop(shim)
        await client.hears(X)
      }
      const {asked, lost, repeated} = await renewals.stop()
      process.stdout.write(`${asked} renewals past 3 starts and stops\n`)
      expect({lost, repeated}).toEqual({lost: 0, repeated: 0})
    })
  }, 120_000)

  it.each(['SIGKILL', 'SIGSTOP'] as const)(
    'is as good as not there 2 s after %s',
    async (signal) => {
      await withRenewals(async (lab, client) => {
        const renewals = client.renew()
        const shim = await startShim(lab, 'y')
        await client.hears(Y)
        shim.process.kill(signal)
        const killedMs = performance.now()
        await client.hears(X)
        const openMs = performance.now() - killedMs
        process.stdout.write(`${signal}: answered by the server again after ${Math.round(openMs)} ms\n`)
        expect(openMs).toBeLessThan(2500)
        if (signal === 'SIGSTOP') shim.process.kill('SIGCONT')
        const next = signal === 'SIGSTOP' ? shim : await startShim(lab, 'y')
        await client.hears(Y)
        await stop(next)
        await renewals.stop()
        expect(await rules(lab)).toBe('')
      })
    },
    120_000,
  )
})
