import {describe, expect, it} from 'vitest'
import {gatewayOf, readDefaultRoutes, throughGateway} from '../../../src/strategies/agent/guest-route.ts'

const rewritten = (output: string, gateway: string, family: 4 | 6 = 4): string =>
  throughGateway(readDefaultRoutes(output, family)[0]!, gateway).join(' ')

describe('default routes of a guest', () => {
  it.each([
    [
      'a bare one',
      'default via 10.0.0.1 dev eth0 \n10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.10',
      'default via 10.0.0.2 dev eth0',
    ],
    [
      'one with an owner and a metric',
      'default via 10.0.0.1 dev eth0 proto dhcp src 10.0.0.10 metric 1002',
      'default via 10.0.0.2 dev eth0 proto dhcp src 10.0.0.10 metric 1002',
    ],
    [
      'one on a dead link',
      'default via 10.0.0.1 dev eth0 proto static metric 100 linkdown',
      'default via 10.0.0.2 dev eth0 proto static metric 100',
    ],
    ['one that is onlink', 'default via 10.0.0.1 dev eth0 onlink', 'default via 10.0.0.2 dev eth0 onlink'],
    [
      'one with TCP parameters',
      'default via 10.0.0.1 dev eth0 initcwnd 20 mtu 1400',
      'default via 10.0.0.2 dev eth0 initcwnd 20 mtu 1400',
    ],
  ])('keeps everything but the gateway of %s', (_, output, want) => {
    expect(rewritten(output, '10.0.0.2')).toBe(want)
  })

  it('writes the lifetime of an IPv6 route as ip(8) takes it', () => {
    const output = 'default via fe80::1 dev eth0 proto ra metric 1024 expires 1790sec hoplimit 64 pref medium'
    expect(rewritten(output, 'fe80::2', 6)).toBe(
      'default via fe80::2 dev eth0 proto ra metric 1024 expires 1790 hoplimit 64 pref medium',
    )
  })

  it('puts the one in use first', () => {
    const output = 'default via 10.0.0.1 dev eth0 proto dhcp metric 1002\ndefault via 10.0.0.9 dev eth1 metric 50'
    expect(readDefaultRoutes(output, 4).map(({gateway}) => gateway)).toEqual(['10.0.0.9', '10.0.0.1'])
  })

  it('takes an absent metric for what the kernel makes of it', () => {
    expect(readDefaultRoutes('default via 10.0.0.1 dev eth0', 4)[0]!.metric).toBe(0)
    expect(readDefaultRoutes('default via fe80::1 dev eth0', 6)[0]!.metric).toBe(1024)
  })

  it.each([
    'default proto static\n\tnexthop via 10.0.0.1 dev eth0 weight 1\n\tnexthop via 10.0.0.2 dev eth0 weight 1',
    'default nhid 5 via 10.0.0.1 dev eth0',
  ])('knows those that have no one gateway', (output) => {
    expect(readDefaultRoutes(output, 4)[0]!.compound).toBe(true)
  })

  it('has none where there is none', () => {
    expect(readDefaultRoutes('10.0.0.0/24 dev eth0 proto kernel', 4)).toEqual([])
  })

  it('reads where the kernel would send', () => {
    expect(gatewayOf('192.0.0.8 via 10.0.0.2 dev eth0 src 10.0.0.10 uid 0 \n    cache')).toBe('10.0.0.2')
    expect(gatewayOf('10.0.0.9 dev eth0 src 10.0.0.10')).toBeUndefined()
    expect(gatewayOf('')).toBeUndefined()
  })
})
