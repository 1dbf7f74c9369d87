import {describe, expect, it} from 'vitest'
import {
  expectInjectable,
  type HostLink,
  type LearnedMac,
  macAtPort,
  portOfVm,
} from '../../../src/domain/vantage/vm-port.ts'

const VM = {label: 'db-03', mac: '02:00:00:00:01:10'}
const OTHER = '02:00:00:00:01:11'
const link = (name: string, kind: string, master?: HostLink['master'], mac = 'fe:00:00:00:00:01'): HostLink => ({
  name,
  kind,
  mac,
  master,
})
const br0 = {name: 'br0', kind: 'bridge'}
const LINKS: readonly HostLink[] = [
  link('vnet0', 'tap', br0),
  link('veth1', 'veth', br0),
  link('eth0', 'device', br0),
  link('vxlan7', 'vxlan', br0),
  link('ovs1', 'tap', {name: 'ovs-system', kind: 'openvswitch'}),
]
const at = (...ports: string[]): LearnedMac[] => ports.map((port) => ({mac: VM.mac, port}))

/** Where a VM is, and whether something may be sent there for it. */
const place = (learned: readonly LearnedMac[], wanted?: string, links = LINKS): string => {
  const port = portOfVm(VM, links, learned, wanted)
  expectInjectable(VM, port, learned, wanted !== undefined)
  return port.name
}

describe("a VM's place", () => {
  it.each(['vnet0', 'veth1'])('is its port %s', (port) => expect(place(at(port))).toBe(port))

  it('is the one of several that was named', () => {
    expect(() => place(at('vnet0', 'veth1'))).toThrow('db-03 was seen at vnet0 and veth1: say which with -i')
    expect(place(at('vnet0', 'veth1'), 'veth1')).toBe('veth1')
  })

  it('may have others behind it, if it was named', () => {
    const learned = [...at('vnet0'), {mac: OTHER, port: 'vnet0'}]
    expect(() => place(learned)).toThrow(/^behind vnet0 there is another station beside db-03: .* say -i vnet0$/)
    expect(place(learned, 'vnet0')).toBe('vnet0')
  })

  it.each<[string, readonly LearnedMac[], string | undefined, readonly HostLink[], string]>([
    [
      'at a card',
      at('eth0'),
      undefined,
      LINKS,
      'db-03 is behind eth0 (device), not on this host: run this where it is',
    ],
    [
      'at a card that was named',
      at('eth0'),
      'eth0',
      LINKS,
      'db-03 is behind eth0 (device), not on this host: run this where it is',
    ],
    [
      'behind a tunnel',
      at('vxlan7'),
      undefined,
      LINKS,
      'db-03 is behind vxlan7 (vxlan), not on this host: run this where it is',
    ],
    [
      'on a macvtap',
      [],
      undefined,
      [...LINKS, link('macvtap0', 'macvtap', undefined, VM.mac)],
      'db-03 is on macvtap0, a macvtap: nothing can stand or listen in its place there: run trace in the VM',
    ],
    [
      'nowhere',
      [],
      undefined,
      LINKS,
      'no bridge of this host has learned 02:00:00:00:01:10 (db-03): it is not here, or has sent nothing for long',
    ],
    ['elsewhere', at('vnet0'), 'veth1', LINKS, 'db-03 (02:00:00:00:01:10) is at vnet0, not at veth1'],
    ['at what is not there', at('vnet0'), 'vnet9', LINKS, 'no interface vnet9 here'],
    [
      'at Open vSwitch',
      [],
      'ovs1',
      LINKS,
      'ovs1 is a port of ovs-system (openvswitch), not of a Linux bridge: whether a VM is unharmed there cannot be seen',
    ],
    [
      'at a port that has just gone',
      at('gone'),
      undefined,
      LINKS,
      'gone is no port of a Linux bridge any more: nothing is known of db-03',
    ],
  ])('is refused %s', (_where, learned, wanted, links, message) => {
    expect(() => place(learned, wanted, links)).toThrow(expect.objectContaining({kind: 'runtime', message}))
  })
})

describe('the station at a port', () => {
  it('is the only one there', () =>
    expect(macAtPort('vnet0', [...at('vnet0'), {mac: OTHER, port: 'eth0'}])).toBe(VM.mac))

  it.each([
    [[], 'behind vnet0 nobody was seen yet: say whose traffic with --port-of VM'],
    [
      [...at('vnet0'), {mac: OTHER, port: 'vnet0'}],
      'behind vnet0 there are 2 stations: say whose traffic with --port-of VM',
    ],
  ])('is none of %j', (learned, message) => {
    expect(() => macAtPort('vnet0', learned)).toThrow(expect.objectContaining({kind: 'usage', message}))
  })
})
