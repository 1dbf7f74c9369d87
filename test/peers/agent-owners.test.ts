import {once} from 'node:events'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {FAR4, NEW4, OLD4, type Site, withSite} from '../services/agent/site.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'

const NETWORKD = '/lib/systemd/systemd-networkd'
const missing = {
  dnsmasq: !(await hasProgram('dnsmasq')),
  dhcpcd: !(await hasProgram('dhcpcd')),
  networkd: !(await hasProgram(NETWORKD)),
}

/** Files that the owner may write to, which are nobody else's. */
const OWN_FILES = 'mount -t tmpfs none /run && touch /run/resolv.conf && mount --bind /run/resolv.conf /etc/resolv.conf'

interface Owner {
  readonly name: string
  readonly start: string
  readonly protocol: RegExp
}
const OWNERS: readonly Owner[] = [
  {
    name: 'dhcpcd',
    start: `${OWN_FILES} && mkdir -p /var/lib/dhcpcd && mount -t tmpfs none /var/lib/dhcpcd && exec dhcpcd -4 -B -C resolv.conf eth0`,
    protocol: /proto dhcp/,
  },
  {
    name: 'networkd',
    start: [
      OWN_FILES,
      'mkdir -p /run/systemd/network /run/systemd/netif/leases /run/systemd/netif/links /run/systemd/netif/lldp',
      'chown -R systemd-network /run/systemd/netif',
      'mount -o remount,ro /sys',
      "printf '[Match]\\nName=eth0\\n[Network]\\nDHCP=ipv4\\nLinkLocalAddressing=no\\n' >/run/systemd/network/1.network",
      `exec ${NETWORKD}`,
    ].join(' && '),
    protocol: /proto dhcp/,
  },
]

describe.skipIf(noNamespaces)('a route that a program owns', () => {
  for (const owner of OWNERS) {
    const skip = missing.dnsmasq || missing[owner.name as 'dhcpcd' | 'networkd']
    it.skipIf(skip)(
      `${owner.name}: is left alone by default; every mode works and can be taken back`,
      {timeout: 90_000},
      async () => {
        await withSite({plain: false, config: {probes: [FAR4], windows: {guardS: 0}}}, async (site) => {
          serve(site)
          const first = site.spawn('vm', 'unshare', '-m', 'sh', '-c', owner.start)
          await eventually(async () => expect(await site.gateway()).toBe(OLD4), first.log)
          const before = await defaults(site)
          expect(before).toMatch(owner.protocol)
          await site.start({inside: first.child.pid!})

          expect(await site.ask({run: 'auto', gw4: NEW4})).toMatchObject({state: 'confirmed', mode: 'rule', gw4: NEW4})
          expect(await defaults(site)).toBe(before)
          await site.ask({op: 'rollback', run: 'auto'})
          for (const mode of ['replace', 'drain', 'rule'] as const) {
            expect(await site.ask({run: mode, gw4: NEW4, mode}), mode).toMatchObject({
              state: 'confirmed',
              mode,
              gw4: NEW4,
            })
            expect(await site.gateway()).toBe(NEW4)
            if (mode !== 'rule') await site.ask({op: 'rollback', run: mode})
            if (mode === 'rule') break
            expect(await site.gateway()).toBe(OLD4)
            expect(await defaults(site)).toBe(before)
          }

          // The owner starts again, and takes away what it does not know.
          first.child.kill('SIGTERM')
          await once(first.child, 'exit')
          const second = site.spawn('vm', 'unshare', '-m', 'sh', '-c', owner.start)
          await eventually(async () => expect(await site.gateway()).toBe(NEW4), second.log)
          await eventually(async () => expect(await defaults(site)).toMatch(/default via 10\.0\.0\.1/), second.log)
          await eventually(async () => expect(await site.gateway()).toBe(NEW4), second.log)
          expect(await site.ask({op: 'rollback', run: 'rule'})).toMatchObject({state: 'rolled_back', gw4: OLD4})
        })
      },
    )
  }
})

/** As Debian's script does it, but for the files that are not ours. */
const UDHCPC_SCRIPT = `#!/bin/sh
case $1 in
  deconfig) ip link set $interface up ;;
  bound | renew)
    ip address replace $ip/$mask dev $interface
    while ip route del default dev $interface 2>/dev/null; do :; done
    ip route add default via $router dev $interface ;;
esac
`

describe.skipIf(noNamespaces || missing.dnsmasq || !(await hasProgram('udhcpc')))(
  'udhcpc, whose script makes a plain route',
  () => {
    it('is known for its owner; what it makes of a route that was rewritten is told', {timeout: 90_000}, async () => {
      await withSite({plain: false, config: {probes: [FAR4], windows: {guardS: 0}}}, async (site) => {
        serve(site)
        const script = join(site.directory, 'udhcpc.sh')
        writeFileSync(script, UDHCPC_SCRIPT, {mode: 0o755})
        const client = site.spawn('vm', 'udhcpc', '-f', '-i', 'eth0', '-s', script)
        await eventually(async () => expect(await site.gateway()).toBe(OLD4), client.log)
        const agent = await site.start()
        const renew = async (): Promise<void> => {
          const renewals = client.log().split('obtained').length
          client.child.kill('SIGUSR1')
          await eventually(
            async () => expect(client.log().split('obtained').length).toBeGreaterThan(renewals),
            client.log,
          )
        }
        expect(await site.ask({run: 'a', gw4: NEW4})).toMatchObject({state: 'confirmed', mode: 'rule'})
        await renew()
        await eventually(async () => expect(await site.gateway()).toBe(NEW4), agent.log)
        await site.ask({op: 'rollback', run: 'a'})
        expect(await site.ask({gw4: NEW4, mode: 'replace'})).toMatchObject({state: 'confirmed'})
        await renew()
        await eventually(
          async () => expect(agent.log()).toMatch(/is not in use any more: the VM sends by 10.0.0.1/),
          agent.log,
        )
      })
    })
  },
)

/** A DHCP server at the old gateway that gives the VM its usual address. */
function serve(site: Site): void {
  const flags = [
    '--port=0',
    '--interface=eth0',
    '--bind-interfaces',
    '--dhcp-range=10.0.0.10,10.0.0.10,1h',
    '--dhcp-option=3,10.0.0.1',
  ]
  site.spawn(
    'r1',
    'dnsmasq',
    '-k',
    '-C',
    '/dev/null',
    '--user=root',
    `--dhcp-leasefile=${site.directory}/leases`,
    '--pid-file',
    '--no-ping',
    '--dhcp-authoritative',
    ...flags,
  )
}

const defaults = async (site: Site): Promise<string> =>
  (await site.run('vm', 'ip', 'route', 'show', 'default')).replace(/ expires \S+/g, '').trim()

async function eventually(check: () => Promise<void>, log: () => string, withinMs = 25_000): Promise<void> {
  const deadline = performance.now() + withinMs
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (performance.now() > deadline) throw new Error(`${(error as Error).message}\n${log()}`)
    }
    await delay(100)
  }
}
