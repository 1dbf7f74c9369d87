// IPv6 for the lab's tenant-b, which has none by itself: link-local gateways at both sites, a user near site Y, and the way
// back from there through its own site.
import {readFileSync, writeFileSync} from 'node:fs'
import type {TestLab} from './namespaces.ts'

export const VM6 = '2001:db8:b::10'
export const NEAR_Y6 = '2001:db8:9::10'
const GATEWAYS = {x: 'fe80::a', y: 'fe80::b'} as const

/** Gives the lab its addresses and routes, db-03 beginning at gateway X; returns an inventory file that knows them. */
export async function giveIpv6(lab: TestLab, inventoryFile: string): Promise<string> {
  const sysctl =
    'sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 net.ipv6.icmp.ratelimit=0'
  const quiet = 'for f in /proc/sys/net/ipv6/conf/*/accept_dad; do echo 0 > $f; done'
  const give = (node: string, ...lines: string[]): Promise<string> =>
    lab.run(node, 'sh', '-ec', [sysctl, quiet, ...lines].join('\n'))
  const address = (ip: string, device: string): string => `ip address add ${ip}/64 dev ${device} nodad`
  const route = (to: string, via: string): string => `ip -6 route add ${to} via ${via}`
  const forward = 'sysctl -qw net.ipv6.conf.all.forwarding=1'
  await give('db-03', address(VM6, 'eth0'), `${route('default', GATEWAYS.x)} dev eth0`)
  await give('user-y', address(NEAR_Y6, 'eth0'), route('default', '2001:db8:9::1'))
  for (const [site, n] of [
    ['x', 1],
    ['y', 2],
  ] as const) {
    const core = `2001:db8:f${n}::`
    await give(
      `r${site}`,
      ...[forward, address(GATEWAYS[site], 'seg-b'), address(`2001:db8:b::${n}`, 'seg-b')],
      ...[address(`${core}1`, 'core'), route('default', `${core}2`)],
    )
    await give(
      `c${site}`,
      ...[forward, address(`${core}2`, 'gw'), address(`2001:db8:f0::${n}`, 'wan')],
      route('2001:db8:b::/64', `${core}1`),
    )
  }
  await lab.run(
    'cx',
    'sh',
    '-ec',
    [route('2001:db8:9::/64', '2001:db8:f0::2'), route('2001:db8:f2::/64', '2001:db8:f0::2')].join('\n'),
  )
  await lab.run(
    'cy',
    'sh',
    '-ec',
    [address('2001:db8:9::1', 'user'), route('2001:db8:f1::/64', '2001:db8:f0::1')].join('\n'),
  )
  const inventory = readFileSync(lab.inventoryFile, 'utf8')
    .replace(/(203\.0\.113\.0\/24)/, '$1, "2001:db8:9::/48"')
    .replace(/(name: bx\b.*?)(\s*\})/, `$1, ip6: ["${GATEWAYS.x}"]$2`)
    .replace(/(name: by\b.*?)(\s*\})/, `$1, ip6: ["${GATEWAYS.y}"]$2`)
    .replace(/(db-03: \{.*?)(\s*\})/, `$1, ip6: ["${VM6}"]$2`)
  writeFileSync(inventoryFile, inventory)
  return inventoryFile
}
