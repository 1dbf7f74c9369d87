import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {leaseBook} from '../../../src/domain/dhcp/book.ts'
import type {Lease} from '../../../src/domain/dhcp/lease.ts'
import {readRange} from '../../../src/domain/dhcp/scope.ts'

const T = 1_000_000
const POOL = [readRange('10.0.0.1-10.0.0.4')!]
const lease = (ip: string, client: string, over: Partial<Lease> = {}): Lease => ({
  segment: 'lan',
  ip,
  client,
  mac: '02:00:00:00:00:01',
  state: 'bound',
  expiresAtMs: T + 1000,
  xid: 1,
  lastSeenMs: T,
  capable145: false,
  nonce: '',
  replay: 0n,
  router: '',
  hostName: '',
  t1S: 0,
  kind: '',
  ...over,
})

describe('leaseBook', () => {
  it('gives out every address once, without the excluded, and then none', () => {
    const book = leaseBook(POOL, new Set(['10.0.0.2']))
    const given = []
    for (let i = 0; i < 3; i++) {
      const ip = book.pick(T)!
      given.push(ip)
      book.put(lease(ip, `c${i}`))
    }
    expect(given).toEqual(['10.0.0.1', '10.0.0.3', '10.0.0.4'])
    expect(book.pick(T)).toBeUndefined()
    expect(book.poolSize).toBe(3)
    expect(book.count(T)).toEqual({free: 0, bound: 3})
  })

  it('prefers what the client wants, if it is free and in the pool', () => {
    const book = leaseBook(POOL, new Set())
    expect(book.pick(T, '10.0.0.3')).toBe('10.0.0.3')
    book.put(lease('10.0.0.3', 'a'))
    expect(book.pick(T, '10.0.0.3')).toBe('10.0.0.1')
    expect(book.pick(T, '10.0.0.200')).toBe('10.0.0.1')
  })

  it('takes addresses back when leases run out or are released, the longest free first', () => {
    const book = leaseBook(POOL, new Set())
    for (const [i, end] of [30, 10, 20, 5000].entries()) {
      book.put(lease(`10.0.0.${i + 1}`, `c${i}`, {expiresAtMs: T + end}))
    }
    expect(book.pick(T)).toBeUndefined()
    const later = T + 2000
    for (const expected of ['10.0.0.2', '10.0.0.3', '10.0.0.1']) {
      expect(book.pick(later)).toBe(expected)
      book.put(lease(expected, `n${expected}`, {expiresAtMs: later + 9999}))
    }
    expect(book.pick(later)).toBeUndefined()
    book.put(lease('10.0.0.4', 'c3', {state: 'released'}))
    expect(book.pick(later)).toBe('10.0.0.4')
  })

  it('leads a client back to its address until somebody else has it', () => {
    const book = leaseBook(POOL, new Set())
    book.put(lease('10.0.0.1', 'a', {state: 'released'}))
    expect(book.byClient('a')?.ip).toBe('10.0.0.1')
    book.put(lease('10.0.0.1', 'b'))
    expect(book.byClient('a')).toBeUndefined()
    expect(book.byClient('b')?.ip).toBe('10.0.0.1')
    book.put(lease('10.0.0.1', 'b', {state: 'declined'}))
    expect(book.byClient('b')).toBeUndefined()
    expect(book.byIp('10.0.0.1')?.state).toBe('declined')
  })

  it('forgets a lease that was taken back, and gives its address out again', () => {
    const book = leaseBook(POOL, new Set())
    book.put(lease('10.0.0.1', 'a'))
    book.put(lease('10.0.0.2', 'b'))
    book.remove('10.0.0.1')
    expect(book.byClient('a')).toBeUndefined()
    expect(book.pick(T)).toBe('10.0.0.1')
  })

  it('finds by MAC whoever has it, the lease asked for last, whatever the client calls itself', () => {
    const book = leaseBook(POOL, new Set())
    const [a, b] = ['02:00:00:00:00:0a', '02:00:00:00:00:0b']
    const put = (ip: string, client: string, mac: string, over: Partial<Lease> = {}) =>
      book.put(lease(ip, client, {mac, ...over}))
    expect(book.byMac(a)).toBeUndefined()
    put('10.0.0.1', `hw:1:${a}`, a)
    put('10.0.0.2', 'id:b1', b)
    expect([book.byMac(a)?.ip, book.byMac(b)?.ip]).toEqual(['10.0.0.1', '10.0.0.2'])
    // A second identifier on the same card, and then a renewal of the first.
    put('10.0.0.3', 'id:b2', b, {lastSeenMs: T + 1})
    put('10.0.0.4', 'id:a', a, {lastSeenMs: T + 1})
    expect([book.byMac(a)?.ip, book.byMac(b)?.ip]).toEqual(['10.0.0.4', '10.0.0.3'])
    put('10.0.0.2', 'id:b1', b, {lastSeenMs: T + 2})
    expect(book.byMac(b)?.ip).toBe('10.0.0.2')
    // Another card, or somebody else, has the address now.
    put('10.0.0.2', 'id:b1', a, {lastSeenMs: T + 3})
    expect([book.byMac(a)?.ip, book.byMac(b)?.ip]).toEqual(['10.0.0.2', '10.0.0.3'])
    put('10.0.0.3', 'id:b2', b, {state: 'declined'})
    expect(book.byMac(b)).toBeUndefined()
    for (const ip of ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4']) book.remove(ip)
    expect([book.byMac(a), book.byMac(b)]).toEqual([undefined, undefined])
  })

  it('finds by MAC what a search through all finds', () => {
    const [macs, clients] = [
      ['m1', 'm2', 'm3'],
      ['id:1', 'id:2', 'id:3'],
    ]
    const step = fc.record({
      ip: fc.integer({min: 1, max: 4}).map((n) => `10.0.0.${n}`),
      mac: fc.constantFrom(...macs),
      client: fc.constantFrom('hw', ...clients),
      state: fc.constantFrom('offered', 'bound', 'declined', 'remove'),
    })
    fc.assert(
      fc.property(fc.array(step, {maxLength: 40}), (steps) => {
        const book = leaseBook(POOL, new Set())
        for (const [i, {ip, mac, client, state}] of steps.entries()) {
          const key = client === 'hw' ? `hw:1:${mac}` : client
          if (state === 'remove') book.remove(ip)
          else book.put(lease(ip, key, {mac, state: state as Lease['state'], lastSeenMs: T + i}))
          for (const each of macs) {
            const all = [...book.all()].filter((lease) => lease.mac === each && lease.state !== 'declined')
            // Of a client known by its MAC the book itself says which address is its own.
            const own = all.filter(({client, ip}) => client.startsWith('id:') || book.byClient(client)?.ip === ip)
            const latest = own.sort((x, y) => y.lastSeenMs - x.lastSeenMs)[0]
            expect(book.byMac(each)).toBe(latest)
          }
        }
      }),
    )
  })

  it('never gives an address that somebody holds, whatever happens before', () => {
    const step = fc.record({
      client: fc.integer({min: 0, max: 7}),
      passMs: fc.integer({min: 0, max: 900}),
      release: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(step, {maxLength: 60}), (steps) => {
        const book = leaseBook(
          [readRange('10.0.0.1-10.0.0.3')!, readRange('10.0.0.7-10.0.0.8')!],
          new Set(['10.0.0.2']),
        )
        let now = T
        for (const {client, passMs, release} of steps) {
          now += passMs
          const ip = book.pick(now)
          if (ip === undefined) {
            if (book.count(now).bound > 0) continue
            // All have run out since the last search; an exhausted pool is searched once a second.
            now += 1000
            expect(book.pick(now)).toBeDefined()
            continue
          }
          const holder = book.byIp(ip)
          expect(holder === undefined || holder.state === 'released' || holder.expiresAtMs <= now).toBe(true)
          expect(book.isPooled(ip)).toBe(true)
          book.put(lease(ip, `c${client}`, {state: release ? 'released' : 'bound', expiresAtMs: now + 700}))
        }
      }),
    )
  })
})
