import {describe, expect, it} from 'vitest'
import type {Gateway, Vm} from '../../../src/domain/inventory/site.ts'
import type {Offered} from '../../../src/domain/movement/dispatch.ts'
import {noteReader} from '../../../src/services/site/notes.ts'
import {newPrivateKey, signCommand, withTag} from '../../../src/wire/agent-message.ts'
import {keys, type NoteChange, note, request, signed, useKeyFile} from './site-fixture.ts'

useKeyFile()

const START_MS = 1_790_000_000_000

function reader(answer: Offered = 'begun') {
  let nowMs = START_MS
  const offers: string[] = []
  const logs: string[] = []
  const read = noteReader(request(), {
    nowMs: () => nowMs,
    steadyMs: () => nowMs - START_MS,
    offer(vm: Vm, from: Gateway) {
      offers.push(`${vm.name} ${from.name}`)
      return answer
    },
    waitMs: () => 4200,
    log: (line) => void logs.push(line),
  })
  return {
    ...{offers, logs, counts: read.counts},
    receive: (bytes: Uint8Array, from = '10.0.0.10') => read.receive(bytes, from),
    wait(ms: number) {
      nowMs += ms
    },
    hear: (over: NoteChange = {}) => read.receive(signed(note(nowMs, over)), '10.0.0.10'),
  }
}

describe('a note', () => {
  it('of a VM that was moved here becomes a switch, and a line', () => {
    const {hear, offers, logs, counts} = reader()
    hear()
    expect(offers).toEqual(['web-07 rx'])
    expect(logs).toEqual(['web-07 asks for the gateway of site y (notify_peers), uses rx: switching'])
    expect(counts).toEqual({valid: 1, refused: {}, silent: {}})
  })

  it.each<[string, NoteChange, string, RegExp]>([
    ['that is too old', {iat: START_MS / 1000 - 31}, 'clock', /issued 31 s ago/],
    ['from the future', {iat: START_MS / 1000 + 40}, 'clock', /issued 40 s in the future/],
    ['from before this service started', {iat: START_MS / 1000 - 5}, 'replayed', /before this service started/],
    ['that speaks of another VM', {vm: 'db-03'}, 'wrong_vm', /signed by web-07 and speaks of db-03/],
    ['of another NIC', {mac: '02:00:00:00:00:77'}, 'other_segment', /NIC 02:00:00:00:00:77/],
    ['from another site', {site: 'x'}, 'other_site', /believes to be in site x/],
    ['from nowhere', {site: undefined}, 'no_site', /if it runs at site y now: gwswitch switch web-07 --to y$/],
    ['of a VM that has what it wants', {gw4: '10.0.0.2'}, 'already', /uses ry \(site y\) already/],
    ['with a gateway that nobody knows', {gw4: '10.0.0.9'}, 'unknown_gateway', /uses 10\.0\.0\.9, which is no gateway/],
    ['with no gateway', {gw4: undefined}, 'unknown_gateway', /uses none/],
  ])('%s is not acted on, and it says why', (_name, over, reason, why) => {
    const {hear, offers, logs, counts} = reader()
    hear(over)
    expect(offers).toEqual([])
    expect(counts.refused).toEqual({[reason]: 1})
    expect(logs).toEqual([expect.stringMatching(new RegExp(`^note of web-07 not acted on: ${reason}: `))])
    expect(logs[0]).toMatch(why)
  })

  it('that comes twice, or after a later one, is not acted on again', () => {
    const {receive, counts, offers, wait} = reader()
    const first = signed(note(START_MS))
    const second = signed(note(START_MS))
    wait(2000)
    for (const bytes of [second, second, first]) receive(bytes)
    expect(offers).toHaveLength(1)
    expect(counts.refused).toEqual({replayed: 2})
  })

  it.each<[Offered, RegExp]>([
    ['queued', /: queued$/],
    ['under-way', /not acted on: under_way: it is being switched$/],
    ['too-soon', /not again for 5 s$/],
    ['backing-off', /its last switch failed; not again for 5 s$/],
    ['full', /too many others wait$/],
  ])('that cannot be granted at once says so: %s', (offered, line) => {
    const {hear, logs} = reader(offered)
    hear()
    expect(logs).toEqual([expect.stringMatching(line)])
  })
})

describe('what nobody known signed', () => {
  it('gets no line and no switch', () => {
    const {receive, logs, offers, counts} = reader()
    const stranger = newPrivateKey()
    const good = signed(note(START_MS))
    const now = START_MS / 1000
    const command = {v: 1, op: 'query', vm: 'web-07', run: 'r', seq: 1, iat: now, exp: now + 9} as const
    const asCommand = signCommand({...command, nonce: 'AAAAAAAAAAAAAAAA'}, {kid: 'web-07', privateKey: keys.agent})
    for (const bytes of [
      ...[Buffer.from(''), Buffer.alloc(3000, 65), good.subarray(0, 100), Buffer.from(asCommand)],
      ...[signed(note(START_MS), stranger), signed(note(START_MS), keys.agent, 'db-03')],
    ])
      receive(bytes)
    expect({logs, offers}).toEqual({logs: [], offers: []})
    expect(counts).toMatchObject({
      valid: 0,
      silent: {malformed: 2, oversized: 1, wrong_typ: 1, bad_signature: 1, unknown_key: 1},
    })
  })

  it('is not even checked when it is too much, and neither is what one VM says all the time', () => {
    const flood = reader()
    const forged = signed(note(START_MS), newPrivateKey())
    for (let i = 0; i < 500; i++) flood.receive(forged, `10.0.${i >> 8}.${i & 255}`)
    expect(flood.counts.silent).toEqual({bad_signature: 200, flooded: 300})
    // Nor do those that know no more than the name of a key take anything away from those that can make a tag.
    const {kid, privateKey} = {kid: 'web-07', privateKey: keys.agent}
    flood.receive(Buffer.from(withTag(signed(note(START_MS)).toString(), {kid, privateKey})))
    expect(flood.counts.valid).toBe(1)
    const chatty = reader('too-soon')
    for (let i = 0; i < 50; i++) chatty.hear()
    expect(chatty.counts).toMatchObject({valid: 8, silent: {flooded: 42}})
    expect(chatty.logs).toHaveLength(8)
    chatty.wait(4000)
    chatty.hear()
    expect(chatty.counts.valid).toBe(9)
  })
})
