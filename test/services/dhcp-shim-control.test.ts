import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import type {ControlRequest} from '../../src/domain/dhcp/control.ts'
import {connectJson} from '../../src/net/stream/json-lines.ts'
import {parseDhcp} from '../../src/wire/dhcp.ts'
import {derivedNonce, verifyReconfigure} from '../../src/wire/dhcp-auth.ts'
import {DHCPFORCERENEW} from '../../src/wire/dhcp-options.ts'
import {parseFrame} from '../../src/wire/frames.ts'
import {NOW, option, SERVER, STRANGER, VM_IP, VM_MAC} from '../domain/dhcp/maker.ts'
import {PORT, SECRET, type ShimInMemory, shimInMemory, UPLINK, useScratch, wire} from './shim-in-memory.ts'

const scratch = useScratch()

async function asker(shim: ShimInMemory) {
  const path = join(scratch.dir, 'sock')
  await shim.listen(path, scratch.open)
  const peer = await connectJson(path, 'the shim')
  scratch.open.defer(() => peer.close())
  return (request: ControlRequest) => peer.ask(request)
}

const renewed = {lastSeen: new Date(NOW).toISOString(), renewsBy: new Date(NOW + 30_000).toISOString(), renewsEvery: 30}

describe('the control socket of a shim', () => {
  it('says what the ACK at the VM’s own port gave it, and what the next one will', async () => {
    const shim = shimInMemory('y')
    const ask = await asker(shim)
    expect(await ask({do: 'transaction', vm: 'web-07'})).toMatchObject({ok: false, error: {kind: 'usage'}})
    shim.lease(0xaabb)
    const nonce = Buffer.from(derivedNonce(SECRET, VM_MAC)).toString('hex')
    expect(await ask({do: 'transaction', vm: VM_IP})).toMatchObject({
      ...{ok: true, vm: 'web-07', ip: VM_IP, xid: '0x0000aabb', nonce, capable145: true, serverIdentifier: SERVER},
      ...{router: '10.0.0.2', nextRouter: '10.0.0.2', port: PORT.name, ...renewed},
    })
    expect(await ask({do: 'site', vm: 'web-07'})).toEqual({ok: true, vm: 'web-07', site: 'y', router: '10.0.0.2'})
    expect(await ask({do: 'status'})).toMatchObject({
      ...{ok: true, site: 'y', ports: ['vnet0'], replies: {changed: 1, unchanged: 0}},
      segments: [{segment: 'tenant-a', vms: 1, bound: 1}],
    })
  })

  it('sends a FORCERENEW that the client can verify out of its port, until it asks', async () => {
    const shim = shimInMemory('y')
    const ask = await asker(shim)
    shim.lease(0xaabb)
    shim.sent.length = 0
    expect(await ask({do: 'forcerenew', vm: 'web-07'})).toMatchObject({ok: true, trigger: 'forcerenew', site: 'y'})
    expect(shim.sent.map(({index}) => index)).toEqual([PORT.index])
    const frame = parseFrame(shim.sent[0]!.frame)
    expect(frame).toMatchObject({
      ethernet: {destination: VM_MAC, source: PORT.mac},
      ...{ip: {source: SERVER, destination: VM_IP}, udp: {destinationPort: 68}},
    })
    const payload = frame.kind === 'udp' ? frame.udp.payload : new Uint8Array()
    const message = parseDhcp(payload)
    expect([option(message, 'messageType'), message.xid, message.ciaddr]).toEqual([DHCPFORCERENEW, 0xaabb, VM_IP])
    expect(verifyReconfigure(payload, derivedNonce(SECRET, VM_MAC))).toBe(true)
    // Above that of the ACK.
    expect(option(message, 'authentication')?.replay).toBe(BigInt(NOW) * 1_000_000n + 1n)
  })

  it('sends it to who has an address now, whoever had it before', async () => {
    const shim = shimInMemory('y')
    const ask = await asker(shim)
    shim.lease(0xaabb)
    const {leases} = shim.clients
    const now = leases.get(VM_MAC)!
    leases.clear()
    leases.set(STRANGER, {...now, mac: STRANGER, lastSeenMs: NOW - 60_000}).set(VM_MAC, now)
    shim.sent.length = 0
    await ask({do: 'forcerenew', vm: 'web-07'})
    expect(shim.sent.map(({frame}) => parseFrame(frame).ethernet.destination)).toEqual([VM_MAC])
  })

  it.each<[string, (shim: ShimInMemory) => void, RegExp]>([
    ['that takes none', (shim) => shim.lease(1, {}), /takes no FORCERENEW: its client never sent option 145/],
    ['that has no lease here', () => {}, /has no lease here/],
    [
      'whose port is gone',
      (shim) => {
        shim.lease(1)
        shim.state.ports = []
      },
      /at no port of this host/,
    ],
    [
      'whose port is down',
      (shim) => {
        shim.lease(1)
        shim.state.sending = 'ENETDOWN'
      },
      /vnet0: ENETDOWN/,
    ],
  ])('says that it sent none to a client %s', async (_, prepare, message) => {
    const shim = shimInMemory('y')
    const ask = await asker(shim)
    prepare(shim)
    expect(await ask({do: 'forcerenew', vm: 'web-07'})).toMatchObject({
      ok: false,
      error: {message: expect.stringMatching(message)},
    })
  })

  it('refuses a renewal once, unless its site is said again', async () => {
    const shim = shimInMemory('y')
    const ask = await asker(shim)
    shim.lease(1)
    expect(await ask({do: 'nak', vm: 'web-07'})).toMatchObject({ok: true, trigger: 'nak'})
    shim.lease(2)
    shim.lease(3)
    expect(shim.said.map(({answer}) => answer)).toEqual([undefined, 'DHCPNAK', undefined])
    await ask({do: 'nak', vm: 'web-07'})
    expect(await ask({do: 'relocate', vm: 'web-07', site: 'y', trigger: false})).toMatchObject({ok: true})
    shim.lease(4)
    expect(shim.said.at(-1)).not.toHaveProperty('answer')
  })

  it.each<[string, (shim: ShimInMemory) => void, number, boolean]>([
    ['that is due', (shim) => shim.lease(1), 59_000, true],
    ['that came so late that it was elsewhere meanwhile', (shim) => shim.lease(1), 61_000, false],
    [
      'of one that is overdue',
      (shim) => {
        shim.lease(1)
        shim.clock.nowMs += 60_000
      },
      29_000,
      true,
    ],
    ['of one that it has not heard', () => {}, 86_000_000, true],
    ['of one that it has not heard for a day', () => {}, 87_000_000, false],
  ])('refuses, or does not, a renewal %s', async (_, before, afterMs, isRefused) => {
    const shim = shimInMemory('y')
    const ask = await asker(shim)
    before(shim)
    await ask({do: 'nak', vm: 'web-07'})
    shim.clock.nowMs += afterMs
    shim.lease(2)
    expect(shim.said.at(-1)!.answer === 'DHCPNAK').toBe(isRefused)
  })

  it('gives the gateway of its own site, whatever is wanted', async () => {
    const ask = await asker(shimInMemory('y'))
    expect(await ask({do: 'relocate', vm: 'web-07', site: 'x'})).toMatchObject({
      ok: false,
      error: {kind: 'usage', message: expect.stringContaining('the gateway of their site, here y, whatever is wanted')},
    })
  })

  it('tells watchers of what it passed', async () => {
    const shim = shimInMemory('y')
    await shim.listen(join(scratch.dir, 'sock'), scratch.open)
    const peer = await connectJson(join(scratch.dir, 'sock'), 'the shim')
    scratch.open.defer(() => peer.close())
    const heard = new Promise((resolve) => peer.onEvent(resolve))
    await peer.ask({do: 'watch'})
    shim.lease(7)
    expect(await heard).toMatchObject({
      ...{vm: 'web-07', message: 'DHCPREQUEST', state: 'renewing', answer: 'DHCPACK', router: '10.0.0.2', site: 'y'},
      xid: '0x00000007',
    })
  })
})

describe('a VM that comes from another hypervisor', () => {
  const AT_PORT = {mac: VM_MAC, port: PORT.name, vlan: undefined, own: false, fixed: false}

  it('is known by what the shim there tells, and is reached at the port that the bridge has learned', async () => {
    const [there, here] = [shimInMemory('x'), shimInMemory('y')]
    wire(there, here)
    there.lease(0xaabb)
    here.fdb.push(AT_PORT)
    const ask = await asker(here)
    expect(await ask({do: 'transaction', vm: 'web-07'})).toMatchObject({
      ...{ok: true, xid: '0x0000aabb', router: '10.0.0.1', nextRouter: '10.0.0.2', port: PORT.name, ...renewed},
    })
    here.sent.length = 0
    expect(await ask({do: 'forcerenew', vm: 'web-07'})).toMatchObject({ok: true, trigger: 'forcerenew'})
    expect(here.sent.map(({index}) => index)).toEqual([PORT.index])
  })

  it('is known better there also where it has been here before', async () => {
    const [there, here] = [shimInMemory('x'), shimInMemory('y')]
    wire(there, here)
    here.lease(1)
    there.clock.nowMs += 60_000
    here.clock.nowMs += 70_000
    there.lease(2)
    here.fdb.push(AT_PORT)
    const ask = await asker(here)
    expect(await ask({do: 'transaction', vm: 'web-07'})).toMatchObject({ok: true, xid: '0x00000002', port: PORT.name})
  })

  it('is known better by a later answer of a shim that it left later, at the port where it is', async () => {
    const [before, last, here] = [shimInMemory('x'), shimInMemory('x'), shimInMemory('y')]
    before.lease(1)
    last.clock.nowMs += 60_000
    last.lease(2)
    wire(before, here)
    here.fdb.push(AT_PORT)
    const ask = await asker(here)
    expect(await ask({do: 'transaction', vm: 'web-07'})).toMatchObject({xid: '0x00000001', port: PORT.name})
    const question = here.sent[0]!.frame
    wire(last, here)
    last.peers.heard(question, UPLINK.index)
    expect(await ask({do: 'transaction', vm: 'web-07'})).toMatchObject({xid: '0x00000002', port: PORT.name})
  })

  it('is at no port here while the bridge has it beyond the uplink', async () => {
    const [there, here] = [shimInMemory('x'), shimInMemory('y')]
    wire(there, here)
    there.lease(1)
    here.fdb.push({...AT_PORT, port: UPLINK.name})
    const ask = await asker(here)
    const {port, ...known} = (await ask({do: 'transaction', vm: 'web-07'})) as {port?: string}
    expect([port, known]).toEqual([undefined, expect.objectContaining({ok: true, xid: '0x00000001'})])
  })

  it.each<[string, Uint8Array | null]>([
    ['with another key', new TextEncoder().encode('another secret, of another site, 32')],
    ['without one', null],
  ])('stays unknown to a shim %s', async (_, secret) => {
    const [there, here] = [shimInMemory('x'), shimInMemory('y', secret)]
    wire(there, here)
    there.lease(1)
    here.fdb.push(AT_PORT)
    expect(await (await asker(here))({do: 'transaction', vm: 'web-07'})).toMatchObject({ok: false})
  })

  it('is not known by an answer to a question of before', async () => {
    const [there, here] = [shimInMemory('x'), shimInMemory('y')]
    wire(there, here)
    there.lease(1)
    const ask = await asker(here)
    await ask({do: 'transaction', vm: 'web-07'})
    const answer = there.sent.at(-1)!.frame
    const stranger = shimInMemory('y')
    stranger.peers.heard(answer, UPLINK.index)
    expect(stranger.clients.leases.size).toBe(0)
  })

  it('is at no port any more when the bridge has it beyond the uplink, also without a key', async () => {
    const shim = shimInMemory('x', null)
    shim.lease(1)
    shim.clock.nowMs += 60_000
    shim.fdb.push({...AT_PORT, port: UPLINK.name})
    expect(await (await asker(shim))({do: 'transaction', vm: 'web-07'})).not.toHaveProperty('port')
  })

  it('is at a port of this shim, whatever another bridge has its MAC', async () => {
    const shim = shimInMemory('y', null)
    shim.lease(1)
    shim.clock.nowMs += 60_000
    shim.fdb.push({...AT_PORT, port: 'tap-of-another'}, AT_PORT)
    expect(await (await asker(shim))({do: 'transaction', vm: 'web-07'})).toMatchObject({port: PORT.name})
  })

  it('is looked for also after the clock was set back', async () => {
    const shim = shimInMemory('x', null)
    shim.lease(1)
    shim.clock.nowMs -= 3_600_000
    shim.fdb.push({...AT_PORT, port: UPLINK.name})
    expect(await (await asker(shim))({do: 'transaction', vm: 'web-07'})).not.toHaveProperty('port')
  })

  it('is known to everybody who asked before the answer came', async () => {
    const [there, here] = [shimInMemory('x'), shimInMemory('y')]
    there.lease(0xaabb)
    // It takes a while.
    here.sent.push = (...asked) =>
      asked.map(({frame}) => setTimeout(() => there.peers.heard(frame, UPLINK.index), 10)).length
    there.sent.push = (...said) => said.map(({frame}) => here.peers.heard(frame, UPLINK.index)).length
    here.fdb.push(AT_PORT)
    const ask = await asker(here)
    const second = await connectJson(join(scratch.dir, 'sock'), 'the shim')
    scratch.open.defer(() => second.close())
    const both = [ask, second.ask].map((each) => each({do: 'transaction', vm: 'web-07'}))
    expect(await Promise.all(both)).toEqual([1, 2].map(() => expect.objectContaining({xid: '0x0000aabb'})))
  })

  it('is asked about once a second, however often somebody wants to know', async () => {
    const here = shimInMemory('y')
    const ask = await asker(here)
    for (let i = 0; i < 5; i++) await ask({do: 'transaction', vm: 'web-07'})
    expect(here.sent).toHaveLength(1)
    here.clock.nowMs += 1000
    await ask({do: 'transaction', vm: 'web-07'})
    expect(here.sent).toHaveLength(2)
  })
})
