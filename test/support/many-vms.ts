// A namespace that is as many VMs as one likes: its kernel answers for all their addresses, and nftables gives each answer
// the MAC of its VM.
import {runCommand} from '../../src/net/process/command.ts'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import type {PairEnd} from './namespaces.ts'

export interface ManyVms {
  readonly vms: readonly {readonly name: string; readonly ip: string; readonly mac: string}[]
  /** An inventory of them, and of a gateway at each of two sites: `by` is the other end of the wire. */
  readonly inventory: string
  /** From now on so many frames of a hundred are lost, of those that come in and of those that leave. */
  lose(percent: number): Promise<void>
}

export const GATEWAY_IP = '10.19.255.254'
const OTHER_GATEWAY_MAC = '02:00:00:00:0a:02'
const byte = (n: number): string => n.toString(16).padStart(2, '0')

/** Makes one end of a wire `count` VMs, 65,000 at most, and the other one their gateway, which forwards. */
export async function manyVms(end: PairEnd, gateway: PairEnd, count: number): Promise<ManyVms> {
  const vms = Array.from({length: count}, (_, i) => ({
    name: `vm-${i}`,
    ip: `10.16.${(i + 1) >> 8}.${(i + 1) & 255}`,
    mac: `02:00:00:01:${byte(i >> 8)}:${byte(i & 255)}`,
  }))
  await gateway.run('ip', 'address', 'add', `${GATEWAY_IP}/14`, 'dev', gateway.interface)
  await gateway.run('sysctl', '-qw', 'net.ipv4.ip_forward=1')
  await end.run('sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=0', `net.ipv4.conf.${end.interface}.rp_filter=0`)
  await end.run('ip', 'route', 'add', 'local', '10.16.0.0/16', 'dev', 'lo')
  await end.run('ip', 'route', 'add', `${GATEWAY_IP}/32`, 'dev', end.interface)
  await end.run('ip', 'route', 'add', 'default', 'via', GATEWAY_IP, 'dev', end.interface)
  const nft = (text: string): Promise<string> => {
    const [program = '', ...args] = namespaceCommand(end.namespace, ['nft', '-f', '-'])
    return runCommand(program, args, {input: text})
  }
  const macs = vms.map(({ip, mac}) => `${ip} : ${mac}`).join(', ')
  await nft(`table netdev many {
  map macs { type ipv4_addr : ether_addr; elements = { ${macs} } }
  chain in { type filter hook ingress device "${end.interface}" priority 0; }
  chain out { type filter hook egress device "${end.interface}" priority 0; }
}`)
  const lose = async (percent: number): Promise<void> => {
    const drop = percent === 0 ? '' : `numgen random mod 100 < ${percent} drop`
    await nft(`flush chain netdev many in
flush chain netdev many out
table netdev many {
  chain in { ${drop}
    meta pkttype set host
  }
  chain out { ${drop}
    meta protocol ip ether saddr set ip saddr map @macs
    meta protocol arp ether saddr set arp saddr ip map @macs
  }
}`)
  }
  await lose(0)
  const inventory = [
    'version: 1\nsites: {x: {}, y: {}}\nsegments:\n  big:\n    prefix: 10.16.0.0/14\n    gateways:',
    `      - { name: bx, site: x, ip: ${GATEWAY_IP}, mac: "${OTHER_GATEWAY_MAC}" }`,
    `      - { name: by, site: y, ip: ${GATEWAY_IP}, mac: "${gateway.mac}" }`,
    'vms:',
    ...vms.map(({name, ip, mac}) => `  ${name}: { segment: big, ip: ${ip}, mac: "${mac}" }`),
  ].join('\n')
  return {vms, inventory, lose}
}
