// The filter in each of its forms, in a real kernel, with every kind of frame in both directions.
import {setTimeout as delay} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {ebtablesFilter} from '../../src/domain/filter/ebtables-text.ts'
import {nftFilter} from '../../src/domain/filter/nft-text.ts'
import {tcFilter} from '../../src/domain/filter/tc-text.ts'
import {tryCommand} from '../../src/net/process/command.ts'
import {icmpFrame} from '../../src/wire/frames.ts'
import {type BridgeHost, type TestBridge, withBridge} from '../support/bridge.ts'
import {GROUP_DROP, GROUPS_INVENTORY, ROUTER_DROP, TENANT_PASS} from '../support/fhrp-frames.ts'
import {FILTER_INVENTORY, GATEWAY, MUST_DROP, MUST_PASS, retagged, type TestFrame} from '../support/filter-frames.ts'
import {intentOf} from '../support/filter-order.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'

const intent = intentOf(FILTER_INVENTORY)
const withMacs = intentOf(FILTER_INVENTORY, {inboundMoves: true, gatewayMacs: true})
const byGroup = intentOf(GROUPS_INVENTORY, {force: true})
const inVlan = intentOf(FILTER_INVENTORY.replace('prefix:', 'vlan: 100\n    prefix:'))

/** What a segment's gateways share, and what their own redundancy protocol says. */
const DROP = [...MUST_DROP, ...ROUTER_DROP]
const PASS = [...MUST_PASS, ...TENANT_PASS]
/** What of it is there under every tag alike. */
const UNTAGGED = DROP.filter(({bytes}) => bytes[12] !== 0x81)
const under = (vlan: number | undefined): TestFrame[] =>
  UNTAGGED.map(({name, bytes}) => ({name, bytes: retagged(bytes, vlan)}))

/** Nothing that any filter here knows; sent last, so that all before it have passed or never will. */
const last = (sequence: number): Uint8Array =>
  icmpFrame(
    {destination: '02:00:00:00:0f:01', source: '02:00:00:00:0f:02'},
    {source: '192.0.2.1', destination: '192.0.2.2'},
    {kind: 'echo-request', identifier: 99, sequence, payload: new Uint8Array(8)},
  )

let sequence = 0

/** Names of the frames that arrived at `to`. */
async function arrivals(from: BridgeHost, to: BridgeHost, frames: readonly TestFrame[]): Promise<string[]> {
  const before = to.received.length
  for (const {bytes} of frames) from.send(bytes)
  const end = last(++sequence)
  from.send(end)
  expect(await to.sees(end)).toBe(true)
  // Frames of two processors may overtake each other.
  await delay(30)
  const arrived = to.received.slice(before).map(({bytes}) => Buffer.from(bytes))
  return frames.filter(({bytes}) => arrived.some((each) => each.equals(bytes))).map(({name}) => name)
}

/** What got through, each way. */
async function through({local, far}: TestBridge, frames: readonly TestFrame[]) {
  return {in: await arrivals(far, local, frames), out: await arrivals(local, far, frames)}
}

const names = (frames: readonly TestFrame[]): string[] => frames.map(({name}) => name)
const both = (frames: readonly TestFrame[]) => ({in: names(frames), out: names(frames)})

describe.skipIf(noNamespaces)('the filter on a bridge', () => {
  it('is needed: without one every frame crosses, both ways', () =>
    withBridge({flooding: true}, async (bridge) => {
      expect(MUST_DROP.length).toBeGreaterThanOrEqual(20)
      expect(MUST_PASS.length).toBeGreaterThanOrEqual(7)
      const all = [...DROP, ...GROUP_DROP, ...PASS]
      expect(await through(bridge, all)).toEqual(both(all))
    }))

  it.each(['bridge', 'netdev'] as const)('as nft, family %s, holds back all it must and nothing else', (hook) =>
    withBridge({flooding: true}, async (bridge) => {
      await bridge.run(['nft', '-f', '-'], nftFilter(intent, hook))
      expect(await through(bridge, DROP)).toEqual({in: [], out: []})
      expect(await through(bridge, [...PASS, ...GROUP_DROP]), 'groups of nobody here pass').toEqual(
        both([...PASS, ...GROUP_DROP]),
      )
      await bridge.run(['nft', '-f', '-'], nftFilter(byGroup, hook))
      expect(await through(bridge, GROUP_DROP), 'in a segment of these groups').toEqual({in: [], out: []})
      expect(await through(bridge, PASS)).toEqual(both(PASS))
    }),
  )

  it.each(['bridge', 'netdev'] as const)('as nft, family %s, leaves other VLANs alone', (hook) =>
    withBridge({flooding: true}, async (bridge) => {
      await bridge.run(['nft', '-f', '-'], nftFilter(inVlan, hook))
      expect(await through(bridge, under(100))).toEqual({in: [], out: []})
      for (const other of [200, undefined]) expect(await through(bridge, under(other))).toEqual(both(under(other)))
      await bridge.run(['nft', '-f', '-'], nftFilter({...inVlan, untagged: ['vx0']}, hook))
      for (const own of [0, undefined]) expect(await through(bridge, under(own))).toEqual({in: [], out: []})
      expect(await through(bridge, under(100)), 'at a port that takes the tag off').toEqual(both(under(100)))
      await bridge.run(['nft', '-f', '-'], nftFilter({...intent, otherVlans: [200]}, hook))
      for (const own of [100, undefined]) expect(await through(bridge, under(own))).toEqual({in: [], out: []})
      expect(await through(bridge, under(200)), "another segment's").toEqual(both(under(200)))
    }),
  )

  it.each(['bridge', 'netdev'] as const)(
    "as nft, family %s, holds back the gateways' MACs where that was asked for",
    (hook) =>
      withBridge({flooding: true}, async (bridge) => {
        await bridge.run(['nft', '-f', '-'], nftFilter(withMacs, hook))
        const ofGateway = MUST_PASS.filter(({bytes}) => {
          const hex = Buffer.from(bytes.subarray(0, 12)).toString('hex')
          return hex.includes(GATEWAY.mac.replaceAll(':', ''))
        })
        expect(names(ofGateway)).toContain('a packet that the gateway routes')
        const others = MUST_PASS.filter((frame) => !ofGateway.includes(frame))
        expect(await through(bridge, MUST_PASS)).toEqual(both(others))
      }),
  )

  it('keeps the bridge from learning a virtual MAC from the other site', () =>
    withBridge({}, async (bridge) => {
      const virtual = GROUP_DROP.find(({name}) => name.startsWith('data from 00:00:5e:00:01:07'))!
      const learned = async (): Promise<boolean> =>
        (await bridge.run(['bridge', 'fdb', 'show', 'dev', 'vx0'])).includes('00:00:5e:00:01:07')
      await bridge.run(['nft', '-f', '-'], nftFilter(byGroup, 'bridge'))
      await arrivals(bridge.far, bridge.local, [virtual])
      expect(await learned()).toBe(false)
      await bridge.run(['nft', 'flush', 'ruleset'])
      await arrivals(bridge.far, bridge.local, [virtual])
      expect(await learned()).toBe(true)
    }))

  it('leaks tagged ARP where a listing of it was loaded again', () =>
    withBridge({flooding: true}, async (bridge) => {
      await bridge.run(['nft', '-f', '-'], nftFilter(intent, 'bridge'))
      const listing = await bridge.run(['nft', 'list', 'ruleset'])
      await bridge.run(['nft', '-f', '-'], `flush ruleset\n${listing}`)
      const {in: leaked} = await through(bridge, MUST_DROP)
      expect(leaked.length).toBeGreaterThan(0)
      expect(leaked.every((name) => name.startsWith('tagged'))).toBe(true)
    }))

  it('as a tc program holds back all it must and nothing else', async ({skip}) => {
    if (!(await hasProgram('tc'))) skip('tc(8) is not installed: iproute2')
    await withBridge({flooding: true}, async (bridge) => {
      await bridge.run(['sh', '-e'], tcFilter([intent, byGroup]).join('\n'))
      expect(await through(bridge, [...DROP, ...GROUP_DROP])).toEqual({in: [], out: []})
      expect(await through(bridge, PASS)).toEqual(both(PASS))
      await bridge.run(['sh', '-e'], tcFilter([inVlan]).join('\n'))
      expect(await through(bridge, under(100))).toEqual({in: [], out: []})
      for (const other of [200, undefined]) expect(await through(bridge, under(other))).toEqual(both(under(other)))
    })
  })

  it('as ebtables holds back all but what it says it cannot', async ({skip}) => {
    // In a namespace of its own: looking at a table makes it.
    const nat = await tryCommand('unshare', ['--net', 'ebtables', '-t', 'nat', '-L'])
    if (nat.code !== 0) skip(`ebtables(8) of Debian's iptables, which needs no part of the kernel's own: ${nat.stderr}`)
    await withBridge({flooding: true}, async (bridge) => {
      await bridge.run(['sh'], ebtablesFilter([intent, byGroup]).join('\n'))
      const all = [...DROP, ...GROUP_DROP]
      const leaks = all.filter(({ebtablesLeak}) => ebtablesLeak !== undefined)
      expect(await through(bridge, all)).toEqual(both(leaks))
      expect(await through(bridge, PASS)).toEqual(both(PASS))
    })
  })
})
