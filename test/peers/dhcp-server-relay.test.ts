import {chmodSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {runCommand, tryCommand} from '../../src/net/process/command.ts'
import {namespaces, spawnIn} from '../../src/net/process/netns.ts'
import {hasProgram, noNamespaces, withPrefix} from '../support/namespaces.ts'
import {textOf, until} from './dhcp-lab.ts'
import {startServer} from './dhcp-server-lab.ts'

const missing =
  noNamespaces ??
  ((await hasProgram('dhcrelay'))
    ? (await hasProgram('busybox'))
      ? undefined
      : 'busybox is not installed'
    : 'dhcrelay is not installed')
const NODES = ['c', 'r', 's'] as const

const INVENTORY = `version: 1
sites: {x: {}, y: {}}
segments:
  servers: {prefix: 10.9.1.0/24}
  lan:
    prefix: 10.9.0.0/24
    gateways:
      - {name: rx, site: x, ip: 10.9.0.2, mac: "02:00:00:00:0a:01"}
      - {name: ry, site: y, ip: 10.9.0.3, mac: "02:00:00:00:0b:01"}
`

const SCRIPT = `#!/bin/sh
case $1 in
deconfig) ip address flush dev $interface ;;
bound|renew) ip address replace $ip/$mask dev $interface; ip route replace default via \${router%% *} dev $interface ;;
esac
echo "$1 $ip $router"
`

/** A client's LAN, a router that relays between it and the server's, for as long as `fn` runs. */
async function withRelay(fn: (ns: (node: (typeof NODES)[number]) => string) => Promise<void>): Promise<void> {
  const names = (prefix: string) => NODES.map((node) => `${prefix}-${node}`)
  await withPrefix(
    async (prefix) => {
      for (const name of names(prefix).filter((each) => namespaces().includes(each))) {
        const {stdout} = await tryCommand('ip', ['netns', 'pids', name])
        await tryCommand('kill', ['-9', ...stdout.split('\n').filter((pid) => pid !== '')])
        await tryCommand('ip', ['netns', 'del', name])
      }
    },
    async (prefix) => {
      const [c, r, s] = names(prefix) as [string, string, string]
      const lines = [
        ...[c, r, s].map((name) => `netns add ${name}`),
        `link add name eth0 address 02:00:00:00:00:77 netns ${c} type veth peer name lan address 02:00:00:00:0a:01 netns ${r}`,
        `link add name eth0 netns ${s} type veth peer name core netns ${r}`,
        `-n ${c} link set eth0 up`,
        `-n ${c} link add squatter link eth0 address 02:00:00:00:00:78 type macvlan mode bridge`,
        `-n ${c} address add 10.9.0.100/24 dev squatter`,
        `-n ${c} link set squatter up`,
        `-n ${c} route add 10.9.1.0/24 via 10.9.0.2 dev squatter`,
        `-n ${r} address add 10.9.0.2/24 dev lan`,
        `-n ${r} address add 10.9.0.3/24 dev lan`,
        `-n ${r} address add 10.9.1.2/24 dev core`,
        `-n ${r} link set lan up`,
        `-n ${r} link set core up`,
        `-n ${s} address add 10.9.1.1/24 dev eth0`,
        `-n ${s} link set eth0 up`,
        `-n ${s} route add 10.9.0.0/24 via 10.9.1.2`,
      ]
      for (const line of lines) await runCommand('ip', line.split(' '))
      await runCommand('ip', [
        'netns',
        'exec',
        r,
        'sysctl',
        '-qw',
        'net.ipv4.ip_forward=1',
        'net.ipv4.conf.all.rp_filter=0',
        'net.ipv4.conf.default.rp_filter=0',
      ])
      await runCommand('ip', [
        'netns',
        'exec',
        c,
        'sysctl',
        '-qw',
        'net.ipv4.conf.all.rp_filter=0',
        'net.ipv4.conf.all.arp_ignore=1',
      ])
      await fn((node) => `${prefix}-${node}`)
    },
  )
}

describe.skipIf(missing !== undefined)(`a relay${missing ? ` (${missing})` : ''}`, () => {
  it('gets the segment of its address, option 82 back, ICMP asked for fresh addresses, and renewals over the router', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'gwswitch-relay-'))
    chmodSync(dir, 0o755)
    writeFileSync(join(dir, 'gwswitch.yaml'), INVENTORY)
    writeFileSync(join(dir, 'script'), SCRIPT, {mode: 0o755})
    try {
      await withRelay(async (ns) => {
        const start = (node: (typeof NODES)[number], name: string, command: string) =>
          spawnIn(ns(node), ['sh', '-c', `exec ${command} >${dir}/${name}.log 2>&1`], {stdio: 'ignore'})
        const server = await startServer(ns('s'), {interfaceName: 'eth0', dir}, [
          ...['-f', join(dir, 'gwswitch.yaml'), '--pool', '10.9.0.100-10.9.0.101', '--probe-wait', '1000'],
        ])
        try {
          const events = await server.watch()
          start('r', 'relay', 'dhcrelay -4 -d -a -iu core -id lan 10.9.1.1')
          await until(
            () => textOf(`${dir}/relay.log`).includes('Sending on'),
            () => textOf(`${dir}/relay.log`),
          )
          const client = start('c', 'udhcpc', `busybox udhcpc -f -i eth0 -T 1 -t 20 -s ${dir}/script`)
          await until(
            () => textOf(`${dir}/udhcpc.log`).includes('bound 10.9.0.101 10.9.0.2'),
            () => textOf(`${dir}/udhcpc.log`) + server.log(),
          )
          await until(
            () => events.some(({answer}) => answer === 'DHCPACK'),
            () => server.log(),
          )
          expect(events.find(({answer}) => answer === 'DHCPACK')).toMatchObject({
            segment: 'lan',
            relay: '10.9.0.2',
            state: 'selecting',
          })
          expect(server.log()).toContain('10.9.0.100 is in use')

          // dhcrelay forwards replies without its own option 82 to nobody: that it came back is why there is a lease.
          expect(await server.ask({do: 'relocate', vm: '10.9.0.101', site: 'y'})).toMatchObject({
            trigger: 'renewal',
            router: '10.9.0.3',
          })
          client.kill('SIGUSR1')
          await until(
            () => textOf(`${dir}/udhcpc.log`).includes('renew 10.9.0.101 10.9.0.3'),
            () => textOf(`${dir}/udhcpc.log`) + server.log(),
          )
          await until(
            () => events.some(({state}) => state === 'renewing'),
            () => server.log(),
          )
          // Routed straight to the server; dhcrelay's raw socket overhears and relays it as well.
          expect(events.find(({state}) => state === 'renewing')).toMatchObject({
            answer: 'DHCPACK',
            segment: 'lan',
            router: '10.9.0.3',
            site: 'y',
          })
          expect(events.find(({state}) => state === 'renewing')?.relay).toBeUndefined()
        } finally {
          await server.end('SIGTERM')
        }
      })
    } finally {
      rmSync(dir, {recursive: true, force: true})
    }
  })
})
