import {describe, expect, it} from 'vitest'
import type {ClientSighting} from '../../../src/strategies/dhcp/client-watch.ts'
import {type ReconfigureStage, reconfigureClient} from '../../../src/strategies/dhcp/reconfigure.ts'
import {type FakeWorld, fakeWorld} from '../../support/world.ts'
import {CLIENT} from './support.ts'

describe('an ACK that its server tells of', () => {
  const serverTells = (frames: (world: FakeWorld) => void) => {
    const world = fakeWorld()
    let told = 0
    let listener: ((sighting: ClientSighting) => void) | undefined
    const context: ReconfigureStage = {
      world,
      signal: new AbortController().signal,
      watch: {
        watch(_, heard) {
          listener = heard
          return () => {}
        },
      },
      trigger: {
        async fire() {
          frames(world)
          return {atNs: world.now(), text: 'trigger'}
        },
      },
      // Its log has the ACK 200 ms after the trigger.
      transaction: async () => ({xid: 1, serial: `${Math.min(told++, 1)}`, router: '10.0.0.2'}),
    }
    const see = async (sighting: object, afterMs: number): Promise<void> => {
      await world.sleep(afterMs)
      listener!({atNs: world.now(), mac: CLIENT.mac, ...sighting} as ClientSighting)
    }
    return {see, run: () => reconfigureClient(CLIENT, context, {attempts: 1, timeoutMs: 1000}), world}
  }
  const request = {kind: 'request', xid: 1, ip: CLIENT.ip, discover: false, traits: {kind: 'dhcpcd', canListen: true}}
  const ack = {kind: 'ack', xid: 1, ip: CLIENT.ip, router: '10.0.0.2'}

  it('is the frame where the REQUEST passed, though the frame comes late', async () => {
    const {see, run} = serverTells(() => {
      void see(request, 190)
      void see(ack, 600)
    })
    const report = await run()
    expect(report).toMatchObject({outcome: 'acted', toldBy: 'wire', traits: {canListen: true}})
    expect(report.ackMs).toBeCloseTo(600)
  })

  it('is its word where nothing passes, soon', async () => {
    const {run, world} = serverTells(() => {})
    const beganNs = world.now()
    expect(await run()).toMatchObject({outcome: 'acted', toldBy: 'configured', router: '10.0.0.2'})
    expect(Number(world.now() - beganNs) / 1e6).toBeCloseTo(250)
  })

  it('is its word where the REQUEST passed and the ACK does not', async () => {
    const {see, run} = serverTells(() => void see(request, 190))
    expect(await run()).toMatchObject({outcome: 'acted', toldBy: 'configured'})
  })

  it('is the ACK itself where the server keeps what it sent', async () => {
    const world = fakeWorld()
    const lines: string[] = []
    let told = 0
    const context: ReconfigureStage = {
      world,
      signal: new AbortController().signal,
      watch: {watch: () => () => {}},
      trigger: {fire: async () => ({atNs: world.now(), text: 'trigger'})},
      transaction: async () => ({xid: 1, serial: `${told++}`, router: '10.0.0.9', acked: '10.0.0.2'}),
      observe: ({text}) => lines.push(text),
    }
    expect(await reconfigureClient(CLIENT, context, {attempts: 1, timeoutMs: 1000})).toMatchObject({
      ...{outcome: 'acted', toldBy: 'server', router: '10.0.0.2'},
    })
    expect(lines.at(-1)).toBe('web-07: ACK with router 10.0.0.2 (told by the server)')
  })

  it.each([
    ['acted', undefined],
    ['refused', '10.0.0.9'],
  ] as const)('is %s where it says of the router %s', async (outcome, router) => {
    const world = fakeWorld()
    let told = 0
    const context: ReconfigureStage = {
      world,
      signal: new AbortController().signal,
      watch: {watch: () => () => {}},
      trigger: {fire: async () => ({atNs: world.now(), text: 'trigger'})},
      transaction: async () => ({xid: 1, serial: `${told++}`, router}),
    }
    const options = {attempts: 1, timeoutMs: 1000, router: '10.0.0.2'}
    expect(await reconfigureClient(CLIENT, context, options)).toMatchObject({outcome, toldBy: 'configured'})
  })
})
