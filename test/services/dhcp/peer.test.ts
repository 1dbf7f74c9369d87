// Two servers in memory that tell each other what they are told.
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import type {ServerStatus} from '../../../src/domain/dhcp/control.ts'
import type {ServerFacts} from '../../../src/domain/dhcp/scope.ts'
import {Failure} from '../../../src/errors.ts'
import {controlSession, serverStatus, watchers} from '../../../src/services/dhcp/control.ts'
import {afterMs} from '../../../src/services/dhcp/forcerenew.ts'
import {peeringOf} from '../../../src/services/dhcp/peer.ts'
import {type PeerConnection, type PeerLink, peerLink} from '../../../src/services/dhcp/peer-link.ts'
import {type PeerSelf, readPeerRequest} from '../../../src/services/dhcp/peer-message.ts'
import {peerSession} from '../../../src/services/dhcp/peer-session.ts'
import {parseDhcp} from '../../../src/wire/dhcp.ts'
import {DHCPACK, DHCPFORCERENEW, DHCPNAK} from '../../../src/wire/dhcp-options.ts'
import {booksFor, factsFor, factsWithVmAt, NOW, option, STRANGER, VM_MAC} from '../../domain/dhcp/maker.ts'
import {until} from '../../support/until.ts'
import {engineFor, types, vmDiscover, vmRenew, vmSelect} from './engine-in-memory.ts'

const [A, B] = ['10.0.0.3', '10.0.0.4']
const SEGMENT = 'tenant-a'
const turn = async (): Promise<void> => {
  for (let i = 0; i < 50; i++) await null
}

interface Server extends ReturnType<typeof engineFor> {
  readonly self: PeerSelf
  readonly said: string[]
  readonly answers: Record<string, unknown>[]
  link?: PeerLink
  /** Time passes for what it waits for. */
  wait(ms: number): Promise<void>
  ask(request: unknown): Promise<Record<string, unknown>>
}

/** Their wire is up, cut, swallows all that is sent, or keeps whoever connects waiting until it fails. */
type Wire = 'up' | 'cut' | 'deaf' | 'hung'

function pair(over: {facts?: ServerFacts; selves?: readonly Partial<PeerSelf>[]} = {}) {
  const wire = {
    state: 'up' as Wire,
    messages: [0, 0],
    cut: [] as (() => void)[],
    fail: undefined as (() => void) | undefined,
  }
  const servers = ([A, B] as const).map((serverIdentifier, i) => made(serverIdentifier, over.selves?.[i] ?? {}))

  function made(serverIdentifier: string, self: Partial<PeerSelf>): Server {
    const facts = {...(over.facts ?? factsFor()), serverIdentifier}
    let link: PeerLink | undefined
    const parts = engineFor(
      {replicate: (directives) => directives.forEach((each) => void link?.tell(each))},
      facts,
      booksFor(facts),
    )
    const said: string[] = []
    const timers = new Set<{atMs: number; fn: () => void}>()
    const answers: Record<string, unknown>[] = []
    const control = {
      ...{engine: parts.engine, forcerenewer: parts.renewer, nowMs: () => parts.clock.nowMs, watchers: watchers()},
      ...{interfaceName: 'eth0', sinceMs: NOW, residentBytes: () => 1, warn: parts.outside.warn},
      get peer() {
        return link
      },
      status: (): ServerStatus => serverStatus(control),
    }
    const lines = {send: (value: unknown) => answers.push(value as Record<string, unknown>) * 0, close() {}}
    const session = controlSession(control, lines)
    return {
      ...parts,
      ...{self: {server: serverIdentifier, segment: SEGMENT, ...self}, said, answers},
      set link(next: PeerLink) {
        link = next
      },
      get link() {
        return link!
      },
      async wait(ms) {
        parts.clock.nowMs += ms
        for (const timer of [...timers]) {
          if (timer.atMs > parts.clock.nowMs) continue
          timers.delete(timer)
          timer.fn()
        }
        await turn()
      },
      async ask(request) {
        session.onLine(JSON.stringify(request))
        await turn()
        return answers.at(-1)!
      },
      after(ms: number, fn: () => void) {
        const timer = {atMs: parts.clock.nowMs + ms, fn}
        timers.add(timer)
        return {cancel: () => void timers.delete(timer)}
      },
    } as Server
  }

  const connection = (to: Server, i: number): PeerConnection => {
    const {promise: closed, resolve} = Promise.withResolvers<void>()
    const gone = Promise.withResolvers<never>()
    gone.promise.catch(() => {})
    let isOpen = true
    const close = (): void => {
      isOpen = false
      gone.reject(new Failure('silent', 'the peer went away'))
      resolve()
    }
    wire.cut.push(close)
    let answered: (value: unknown) => void = () => {}
    const send = (value: unknown): number => {
      answered(JSON.parse(JSON.stringify(value)))
      return 0
    }
    const {self, engine, renewer, clock, outside} = to
    const parts = {self, engine, forcerenewer: renewer, nowMs: () => clock.nowMs, warn: outside.warn}
    const session = peerSession(parts, {send, close() {}}, () => to.link?.retry())
    return {
      closed,
      close,
      ask(request) {
        wire.messages[i]!++
        if (!isOpen) return gone.promise
        if (wire.state === 'deaf') return gone.promise
        const answer = Promise.withResolvers<unknown>()
        answered = answer.resolve
        session.onLine(JSON.stringify(request))
        return Promise.race([answer.promise, gone.promise])
      },
    }
  }
  const start = (): void => {
    for (const [i, server] of servers.entries()) {
      const {self, engine, clock, said} = server
      server.link = peerLink({
        ...{peer: `${[B, A][i]}:647`, self, directives: engine.directives},
        async connect() {
          const nobody = new Failure('silent', 'nobody there')
          if (wire.state === 'hung') await new Promise((_, reject) => (wire.fail = () => reject(nobody)))
          if (wire.state === 'cut') throw nobody
          return connection(servers[1 - i]!, i)
        },
        lastSequence: () => engine.lastSequence,
        nowMs: () => clock.nowMs,
        after: (server as unknown as {after: Parameters<typeof peerLink>[0]['after']}).after,
        connected: () => said.push('connected'),
        lost: (why) => said.push(why),
      })
    }
  }
  return {
    a: servers[0]!,
    b: servers[1]!,
    wire,
    async start() {
      start()
      await turn()
    },
    async cut() {
      wire.state = 'cut'
      for (const close of wire.cut.splice(0)) close()
      await turn()
    },
    async mend() {
      wire.state = 'up'
      for (const server of servers) await server.wait(30_000)
    },
  }
}

const knows = ({engine}: Server) => {
  const {site, nak, version} = engine.directive(SEGMENT, VM_MAC) ?? {}
  return {site, nak, version}
}
const router = async (server: Server): Promise<unknown> => option((await server.deliver(vmDiscover()))[0], 'router')
const sentBy = ({sent}: Server) => sent.map(({payload}) => parseDhcp(payload))
/** The VM gets its address from this server, with a key for FORCERENEWs. */
async function leased(server: Server): Promise<void> {
  const capable = {forcerenewNonceCapable: [1]}
  await server.deliver(vmDiscover(capable))
  const select = vmSelect({...capable, serverIdentifier: server.self.server})
  expect(types(await server.deliver(select))).toEqual([DHCPACK])
  server.sent.length = 0
}
const relocate = (site: string | null, more = {}) => ({do: 'relocate', vm: 'web-07', site, ...more})

describe('two servers of one segment', () => {
  it('give a VM one router, whichever of them was told', async () => {
    const {a, b, start} = pair()
    await start()
    expect(await a.ask(relocate('y'))).toMatchObject({ok: true, peer: 'taken', router: '10.0.0.2'})
    expect(knows(b)).toEqual(knows(a))
    expect(b.stored.directives).toMatchObject([{mac: VM_MAC, site: 'y', version: {origin: A}}])
    expect([await router(a), await router(b)]).toEqual([['10.0.0.2'], ['10.0.0.2']])
    expect(await b.ask(relocate(null))).toMatchObject({ok: true, peer: 'taken', router: '10.0.0.1'})
    expect(knows(a)).toEqual(knows(b))
    expect(await a.ask({do: 'status'})).toMatchObject({
      peer: {
        peer: `${B}:647`,
        connected: true,
        lastSequence: b.engine.lastSequence,
      },
    })
  })

  it('a rebinding client whose address is reserved is answered by both, one with an address of the other half by none', async () => {
    const {a, b, start} = pair({facts: factsFor({share: '1/2'})})
    await start()
    await a.ask(relocate('y'))
    const rebind = vmRenew(9, {})[0]
    for (const server of [a, b]) {
      const [ack] = await server.deliver(rebind)
      expect([option(ack, 'messageType'), option(ack, 'router')]).toEqual([DHCPACK, ['10.0.0.2']])
      const stranger = {...rebind, chaddr: STRANGER, ciaddr: '10.0.0.103'}
      expect(await server.deliver(stranger)).toEqual([])
      // It has it from before the pool was shared.
      expect(types(await server.deliver([stranger, server.self.server]))).toEqual([DHCPNAK])
    }
  })

  it('end with the later word, each told while they did not hear each other', async () => {
    const {a, b, start, cut, mend} = pair()
    await start()
    await cut()
    expect(await a.ask({do: 'status'})).toMatchObject({peer: {connected: false}})
    expect(await a.ask(relocate('y'))).toMatchObject({ok: true, peer: 'unreachable', router: '10.0.0.2'})
    b.clock.nowMs += 1000
    expect(await b.ask(relocate('x'))).toMatchObject({ok: true, peer: 'unreachable', router: '10.0.0.1'})
    expect([await router(a), await router(b)]).toEqual([['10.0.0.2'], ['10.0.0.1']])
    await mend()
    expect([knows(a), knows(b)]).toMatchObject([{site: 'x'}, {site: 'x', version: {origin: B}}])
    expect(a.said).toEqual(['connected', 'the peer went away', 'connected'])
  })

  it('one that lost its store gets all of it from the other, in pages', async () => {
    const {a, b, start} = pair()
    for (let i = 0; i < 450; i++)
      a.engine.direct({segment: SEGMENT, mac: `02:00:00:01:${hex(i >> 8)}:${hex(i & 255)}`, site: 'y', nak: false})
    await start()
    expect(b.engine.directives()).toHaveLength(450)
    expect(b.log.filter((each) => each === 'commit')).toHaveLength(3)
  })

  it('the one that has the lease makes the client ask, once', async () => {
    const {a, b, start} = pair()
    await start()
    await leased(b)
    expect(await a.ask(relocate('y', {trigger: false}))).toMatchObject({trigger: 'none', peer: 'taken'})
    expect(b.sent).toEqual([])
    expect(await a.ask(relocate('y'))).toMatchObject({trigger: 'none', peer: 'taken'})
    expect(types(sentBy(b))).toEqual([DHCPFORCERENEW])
    // Told to the one that has the lease, it is sent by that alone.
    b.sent.length = 0
    expect(await b.ask(relocate('x'))).toMatchObject({trigger: 'forcerenew', peer: 'taken'})
    expect([a.sent.length, b.sent.length]).toEqual([0, 1])
  })

  it('of two leases the one that was asked last makes the client ask', async () => {
    const {a, b, start} = pair()
    await start()
    await leased(b)
    a.clock.nowMs += 1000
    await leased(a)
    expect(await a.ask(relocate('y'))).toMatchObject({trigger: 'forcerenew', peer: 'taken'})
    expect([a.sent.length, b.sent.length]).toEqual([1, 0])
    // The one that is told does not know that the other's is younger.
    expect(await b.ask(relocate('x'))).toMatchObject({trigger: 'forcerenew', peer: 'taken'})
    expect([a.sent.length, b.sent.length]).toEqual([2, 1])
  })

  it('an order to refuse a renewal is carried out by the one that hears it, and by the other one no more', async () => {
    const {a, b, start} = pair()
    await start()
    for (const server of [a, b]) {
      await server.deliver(vmDiscover())
      await server.deliver(vmSelect({serverIdentifier: server.self.server}))
    }
    expect(await a.ask({do: 'nak', vm: 'web-07'})).toMatchObject({trigger: 'nak', peer: 'taken'})
    expect(types(await b.deliver([vmRenew()[0], B]))).toEqual([DHCPNAK])
    await turn()
    expect([knows(a).nak, knows(b).nak]).toEqual([false, false])
    expect(types(await a.deliver(vmRenew()))).toEqual([DHCPACK])
  })

  it('a command waits a second for a peer that does not answer, and answers come in the order of the questions', async () => {
    const {a, start, wire} = pair()
    await start()
    wire.state = 'deaf'
    await a.ask(relocate('y'))
    await a.ask({do: 'site', vm: 'web-07'})
    await a.wait(999)
    expect(a.answers).toEqual([])
    await a.wait(1)
    expect(a.answers).toMatchObject([
      {ok: true, peer: 'unreachable', router: '10.0.0.2'},
      {ok: true, said: 'y'},
    ])
  })

  it('says once why the peer takes nothing, and tries less and less often', async () => {
    const {a, b, wire, start} = pair({selves: [{share: '1/2'}, {share: '1/2'}]})
    await start()
    for (let i = 0; i < 100; i++) for (const each of [a, b]) await each.wait(1000)
    expect(a.said).toEqual(['it takes nothing: both give out the share 1/2 of the pools'])
    expect(Math.max(...wire.messages)).toBeLessThan(10)
    expect(b.engine.directives()).toEqual([])
    await a.ask(relocate('y'))
    await a.wait(60_000)
    expect(b.engine.directives()).toEqual([])
  })

  it('is not said to have been told while there is more than one message, and the last is not taken', async () => {
    const {a, b, start, wire} = pair()
    for (let i = 0; i < 250; i++)
      a.engine.direct({segment: SEGMENT, mac: `02:00:00:01:${hex(i >> 8)}:${hex(i & 255)}`, site: 'y', nak: false})
    b.engine.take(a.engine.directives().slice(0, 200))
    b.clock.failCommits = true
    await start()
    for (let i = 0; i < 100; i++) await a.wait(1000)
    expect(a.said).toEqual([expect.stringMatching(/^it takes nothing: /)])
    expect(a.link!.status().connected).toBe(false)
    expect(wire.messages[0]).toBeLessThan(20)
  })

  it('one that is heard while it is being tried is tried again at once', async () => {
    const {a, b, wire, start, cut} = pair()
    await start()
    await cut()
    wire.state = 'hung'
    // Longer and longer pauses, and then an attempt that takes its time.
    for (let i = 0; i < 40; i++) await a.wait(1000)
    await a.ask(relocate('y'))
    a.link!.retry()
    wire.state = 'up'
    wire.fail!()
    await turn()
    expect(knows(b)).toEqual(knows(a))
  })

  it('the word stays where it is not stored there, and is told again', async () => {
    const {a, b, start} = pair()
    await start()
    b.clock.failCommits = true
    expect(await a.ask(relocate('y'))).toMatchObject({ok: true, peer: 'unreachable'})
    expect(b.engine.directive(SEGMENT, VM_MAC)).toBeUndefined()
    b.clock.failCommits = false
    await a.wait(1000)
    expect(knows(b)).toEqual(knows(a))
  })

  it('a word that came before the inventory was read again counts as it does where it was said', async () => {
    const {a, b, start} = pair({facts: factsWithVmAt('x')})
    await start()
    const reload = (server: Server, site: string) =>
      server.engine.reload({...factsWithVmAt(site), serverIdentifier: server.self.server}, server.books)
    // The first has the newer inventory already, and its word is newer still.
    reload(a, 'z')
    await a.ask(relocate('y'))
    expect([await router(a), await router(b)]).toEqual([['10.0.0.2'], ['10.0.0.2']])
    reload(b, 'z')
    expect([await router(a), await router(b)]).toEqual([['10.0.0.2'], ['10.0.0.2']])
    // A site that comes later is a newer word, for both.
    reload(b, 'elsewhere')
    await turn()
    expect([knows(a).site, knows(b).site]).toEqual([undefined, undefined])
    reload(b, 'z')
    expect(knows(b).site).toBeUndefined()
  })

  it('one that comes back is told at once, however long it was away', async () => {
    const {a, b, wire, start, cut} = pair()
    await start()
    await cut()
    for (let i = 0; i < 100; i++) await a.wait(1000)
    await a.ask(relocate('y'))
    wire.state = 'up'
    a.link!.retry()
    await turn()
    expect(knows(b)).toEqual(knows(a))
    // And it is looked for as often as at first.
    await cut()
    wire.state = 'up'
    await a.wait(1000)
    expect(a.said.at(-1)).toBe('connected')
  })

  it('two words about a client that go together are both taken, and make it ask', async () => {
    const {a, b, start} = pair()
    await start()
    await leased(b)
    const words = (['x', 'y'] as const).map((site) =>
      a.engine.direct({segment: SEGMENT, mac: VM_MAC, site, inventorySite: '', nak: false}),
    )
    expect(await Promise.all([a.link!.tell(words[0]!, 0), a.link!.tell(words[1]!)])).toEqual(['taken', 'taken'])
    expect(knows(b)).toMatchObject({site: 'y'})
    expect(types(sentBy(b))).toEqual([DHCPFORCERENEW])
  })

  it('stop at once, whatever they wait for', async () => {
    for (const state of ['up', 'cut', 'deaf'] as const) {
      const {a, b, wire, start} = pair()
      wire.state = state
      await start()
      await Promise.all([a.link!.stop(), b.link!.stop()])
    }
  })
})

const hex = (value: number): string => value.toString(16).padStart(2, '0')

describe('what the peer says', () => {
  const good = {
    self: {server: B, segment: SEGMENT, share: '2/2'},
    told: [
      {
        directive: {segment: SEGMENT, mac: VM_MAC, site: 'y', nak: false, version: {sequence: 5, origin: B}},
        askSinceMs: 0,
      },
    ],
  }
  it('is read, without what else it has', () => {
    const more = {...good.told[0]!.directive, receivedSite: 'x', other: 1}
    expect(readPeerRequest(JSON.stringify({...good, told: [{directive: more, askSinceMs: 0}]}))).toEqual(good)
  })

  it('makes the client ask once, however often it is said', async () => {
    const {engine, renewer, outside, deliver, sent} = engineFor()
    const capable = {forcerenewNonceCapable: [1]}
    await deliver(vmDiscover(capable))
    await deliver(vmSelect(capable))
    sent.length = 0
    const parts = {self: {server: A, segment: SEGMENT}, engine, forcerenewer: renewer, nowMs: () => NOW}
    const session = peerSession({...parts, warn: outside.warn}, {send: () => 0, close() {}})
    for (let i = 0; i < 3; i++) session.onLine(JSON.stringify(good))
    expect(sent).toHaveLength(1)
  })

  const [first] = good.told
  const other = (directive: object) => ({...good, told: [{directive: {...first!.directive, ...directive}}]})
  it.each<[string, unknown]>([
    ['the peer: the answer is not as expected: is no object', 'no JSON'],
    ['the peer: the answer is not as expected: .told is no list', {...good, told: {}}],
    ['.told[0].directive.mac is no MAC', other({mac: 'web-07'})],
    ['.told[0].directive.site is no name of 1 to 255 characters', other({site: ''})],
    ['.told[0].directive.version.sequence is no whole number', other({version: {sequence: 2 ** 52 + 1, origin: B}})],
    ['.told[0].directive.version.sequence is no whole number', other({version: {sequence: 1.5, origin: B}})],
    ['.told[0].directive.version is no object', other({version: undefined})],
    ['the peer: more than 200 directives', {...good, told: Array(201).fill(first)}],
  ])('is refused: %s', (why, request) => {
    expect(() => readPeerRequest(JSON.stringify(request))).toThrow(why)
  })

  it.each<[string, PeerSelf]>([
    [`both call themselves ${A}`, {server: A, segment: SEGMENT}],
    [`one serves segment ${SEGMENT}, the other eth0: name it with --segment`, {server: B, segment: 'eth0'}],
    ['both give out the share 1/2 of the pools', {server: B, segment: SEGMENT, share: '1/2'}],
  ])('is not taken from a server that cannot be the other one: %s', (error, self) => {
    const {engine, renewer, outside} = engineFor()
    const said: unknown[] = []
    const own = {server: A, segment: SEGMENT, share: '1/2'} as const
    const parts = {self: own, engine, forcerenewer: renewer, nowMs: () => NOW, warn: outside.warn}
    const session = peerSession(parts, {send: (value) => said.push(value), close() {}})
    session.onLine(JSON.stringify({...good, self}))
    expect(said).toEqual([{ok: false, error}])
    expect(engine.directives()).toEqual([])
  })
})

describe('two that do not fit each other', () => {
  it('do not keep each other busy', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'gwswitch-peers-'))
    const peerKey = join(dir, 'key')
    writeFileSync(peerKey, 'ab'.repeat(32), {mode: 0o600})
    await using open = new AsyncDisposableStack()
    open.defer(() => rmSync(dir, {recursive: true}))
    let heard = 0
    const start = async (own: string, peer: string) => {
      const share = '1/2'
      const options = {peer: `${peer}:${PORT}`, listenPeer: `${own}:${PORT}`, peerKey, share} as const
      const peering = peeringOf(options, own)!
      const {engine, renewer, outside} = engineFor()
      const parts = {
        ...{engine, forcerenewer: renewer, nowMs: Date.now, warn: outside.warn},
        get self(): PeerSelf {
          heard++
          return {server: own, segment: SEGMENT, share}
        },
      }
      const said: string[] = []
      const listening = await peering.listen(
        parts,
        () => {},
        () => link.retry(),
      )
      open.defer(() => listening.close())
      const link: PeerLink = peering.link(parts, ({message}) => said.push(message!), afterMs)
      open.defer(() => link.stop())
      return said
    }
    const one = await start('127.0.0.2', '127.0.0.3')
    await until(async () => one.length > 0, 5000, 'nobody is there')
    const other = await start('127.0.0.3', '127.0.0.2')
    await until(async () => other.length > 0, 5000, 'it is refused')
    await delay(1000)
    expect(heard).toBeLessThan(10)
  })
})

/** Of no service, and of no connection of this host. */
const PORT = 4647

describe('what is asked for about the peer', () => {
  it.each([
    [{peerKey: 'k'}, '--peer-key is of no use without --peer ADDRESS, the other server'],
    [{listenPeer: '10.0.0.3'}, '--listen-peer is of no use without --peer ADDRESS, the other server'],
    [{peer: '10.0.0.4'}, '--peer wants --peer-key FILE'],
    [
      {peer: '10.0.0.4', peerKey: 'k'},
      '--peer wants --share 1/2 here and 2/2 there: no address may be given out twice',
    ],
    [
      {peer: 'dhcp2', peerKey: 'k', share: '1/2'},
      '--peer dhcp2: is not ADDRESS[:PORT] (want 10.0.0.4 or 10.0.0.4:647)',
    ],
    [{peer: '10.0.0.4', peerKey: '/no/key', share: '1/2'}, '/no/key: no such file (want 64 hex digits'],
  ] as const)('%o: %s', (options, why) => {
    expect(() => peeringOf(options, A)).toThrow(why)
  })

  it('nothing is nothing', () => expect(peeringOf({share: '1/2'}, A)).toBeUndefined())
})
