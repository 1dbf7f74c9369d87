import {existsSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, it} from 'vitest'
import {Failure} from '../../../src/errors.ts'
import {type ClientStore, copyClientStore, openClientStore} from '../../../src/strategies/dhcp/client-store.ts'
import {readClientSighting} from '../../../src/strategies/dhcp/client-watch.ts'
import {learnSighting6, readClientSighting6} from '../../../src/strategies/dhcp/client-watch6.ts'
import {forcerenewFrame} from '../../../src/strategies/dhcp/forcerenew.ts'
import {reconfigureNonce, serializeForcerenew} from '../../../src/wire/dhcp-auth.ts'
import {DHCPACK, dhcpOptions, writeOption} from '../../../src/wire/dhcp-options.ts'
import {
  DHCPV6_OPTION_AUTH,
  DHCPV6_OPTION_CLIENTID,
  DHCPV6_OPTION_SERVERID,
  DHCPV6_RENEW,
  DHCPV6_REPLY,
  dhcpv6ReconfigureKey,
  serializeDhcpv6,
  serializeDhcpv6Reconfigure,
} from '../../../src/wire/dhcpv6-reconfigure.ts'
import {answerFrame, CLIENT, frame6, NONCE, SERVER} from './support.ts'

let dir: string
let file: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gwswitch-store-'))
  file = join(dir, 'state.db')
})
afterEach(() => rmSync(dir, {recursive: true, force: true}))

describe('the record of clients', () => {
  it('is copied for a dry run, whose own findings are gone with it', async () => {
    expect((await copyClientStore(file)).all()).toEqual([])
    expect(existsSync(file)).toBe(false)
    const store = await openClientStore(file)
    store.learnTold(CLIENT, '10.0.0.1', 7n)
    const copy = await copyClientStore(file)
    expect(copy.read(CLIENT.mac)).toEqual(store.read(CLIENT.mac))
    copy.learnTold(CLIENT, '10.0.0.2', 8n)
    expect(copy.read(CLIENT.mac)?.router).toBe('10.0.0.2')
    expect(store.read(CLIENT.mac)?.router).toBe('10.0.0.1')
    for (const each of [copy, store]) each.close()
  })

  it('keeps what was seen over a restart, and never gives a replay value twice', async () => {
    const first = await openClientStore(file)
    first.learn({
      kind: 'request',
      atNs: 1n,
      mac: CLIENT.mac,
      xid: 0xfedcba98,
      ip: CLIENT.ip,
      discover: false,
      traits: {kind: 'dhcpcd', canListen: true},
    })
    first.learn({
      kind: 'ack',
      atNs: 2n,
      mac: CLIENT.mac,
      xid: 0xfedcba98,
      ip: CLIENT.ip,
      router: '10.0.0.1',
      serverId: '10.0.0.254',
      nonce: NONCE,
      leaseS: 60,
      renewS: 30,
    })
    // A later ACK without a nonce leaves the key as it is.
    first.learn({
      kind: 'ack',
      atNs: 3n,
      mac: CLIENT.mac,
      xid: 9,
      ip: CLIENT.ip,
      router: '10.0.0.2',
      serverId: undefined,
      nonce: undefined,
      leaseS: 60,
      renewS: 30,
    })
    expect(first.nextReplay(CLIENT.mac, 1000n)).toBe(1000n)
    first.close()
    const second = await openClientStore(file)
    expect(second.read(CLIENT.mac)).toMatchObject({
      xid: 9,
      nonce: NONCE,
      canListen: true,
      kind: 'dhcpcd',
      router: '10.0.0.2',
      ackedNs: 3n,
      serverId: '10.0.0.254',
    })
    // The clock went back.
    expect([
      second.nextReplay(CLIENT.mac, 5n),
      second.nextReplay(CLIENT.mac, 5n),
      second.nextReplay(CLIENT.mac, 2000n),
    ]).toEqual([1001n, 1002n, 2000n])
    second.close()
  })

  it('says in one line that its file is none', async () => {
    writeFileSync(file, 'no database at all, but long enough to be looked at as one')
    await expect(openClientStore(file)).rejects.toThrow(`${file}: cannot keep what DHCP clients said`)
  })
})
/** odhcpd's count of 2026: seconds << 32. */
const ODHCPD = 1_790_000_000n << 32n
/** NTP time of 2026: above what a signed integer holds. */
const NTP = 3_998_988_800n << 32n
const LAST = (1n << 64n) - 1n
const NOW = 1_790_000_000_000_000_000n
const received = (bytes: Uint8Array) => ({bytes, timestampNs: 5n, packetType: 'host'}) as const

/** An ACK that gives the nonce, counted by its server. */
const ackWith = (replay: bigint, nonce = NONCE) =>
  answerFrame({...CLIENT, xid: 9}, DHCPACK, [writeOption(dhcpOptions.authentication, reconfigureNonce(replay, nonce))])

const forcerenewWith = (replay: bigint, nonce = NONCE) =>
  forcerenewFrame(
    serializeForcerenew({xid: 9, ip: CLIENT.ip, chaddr: CLIENT.mac, authentication: {nonce, replay}}),
    CLIENT,
    {mac: SERVER.mac, ip: SERVER.ip, port: 67},
  )

const DUIDS = {clientDuid: Uint8Array.of(0, 3, 0, 1, 9), serverDuid: Uint8Array.of(0, 3, 0, 1, 8)}
const replyWith = (replay: bigint) =>
  frame6(
    serializeDhcpv6({
      type: DHCPV6_REPLY,
      transactionId: 1,
      options: [
        {code: DHCPV6_OPTION_CLIENTID, data: DUIDS.clientDuid},
        {code: DHCPV6_OPTION_SERVERID, data: DUIDS.serverDuid},
        {code: DHCPV6_OPTION_AUTH, data: dhcpv6ReconfigureKey(replay, NONCE)},
      ],
    }),
  )
const reconfigureWith = (replay: bigint, key = NONCE) =>
  frame6(serializeDhcpv6Reconfigure({...DUIDS, messageType: DHCPV6_RENEW, key, replay}))

/** Both families, as `--learn` does it. */
function learn(store: ClientStore, frame: Uint8Array): void {
  const seen6 = readClientSighting6(received(frame))
  if (seen6) learnSighting6(store, seen6)
  const sighting = readClientSighting(received(frame))
  if (sighting) store.learn(sighting)
}

describe('the next replay value', () => {
  const families = [
    ['DHCPv4', ackWith, forcerenewWith],
    ['DHCPv6', replyWith, reconfigureWith],
  ] as const

  it.each(families)('is above whatever the server gave with the key (%s)', async (_, keyWith) => {
    const store = await openClientStore(file)
    learn(store, keyWith(ODHCPD))
    expect(store.nextReplay(CLIENT.mac, NOW)).toBe(ODHCPD + 1n)
    learn(store, keyWith(NTP))
    learn(store, keyWith(ODHCPD))
    expect(store.nextReplay(CLIENT.mac, NOW)).toBe(NTP + 1n)
    store.close()
    const again = await openClientStore(file)
    expect(again.nextReplay(CLIENT.mac, NOW)).toBe(NTP + 2n)
    // Across the sign of the column.
    learn(again, keyWith((1n << 63n) - 1n))
    expect(again.nextReplay(CLIENT.mac, NOW)).toBe(NTP + 3n)
    again.close()
  })

  it.each(families)(
    "is above another server's message, if the client takes that (%s)",
    async (_, keyWith, orderWith) => {
      const store = await openClientStore(file)
      learn(store, orderWith(ODHCPD))
      expect(store.nextReplay(CLIENT.mac, NOW), 'no key is known').toBe(NOW)
      learn(store, keyWith(1n))
      learn(store, orderWith(ODHCPD, new Uint8Array(16)))
      expect(store.nextReplay(CLIENT.mac, NOW), 'signed with another key').toBe(NOW + 1n)
      learn(store, orderWith(ODHCPD))
      expect(store.nextReplay(CLIENT.mac, NOW)).toBe(ODHCPD + 1n)
      store.close()
    },
  )

  it('passes from what a signed integer holds to what it does not', async () => {
    const store = await openClientStore(file)
    learn(store, ackWith((1n << 63n) - 2n))
    const values = [1, 2, 3].map(() => store.nextReplay(CLIENT.mac, NOW))
    expect(values).toEqual([(1n << 63n) - 1n, 1n << 63n, (1n << 63n) + 1n])
    store.close()
  })

  it('is none at the end of 64 bits, in one line', async () => {
    const store = await openClientStore(file)
    learn(store, ackWith(LAST - 1n))
    expect(store.nextReplay(CLIENT.mac, NOW)).toBe(LAST)
    expect(() => store.nextReplay(CLIENT.mac, NOW)).toThrow(Failure)
    expect(() => store.nextReplay(CLIENT.mac, NOW)).toThrow('begin with an empty --state FILE')
    // And the file is as usable as before.
    expect(store.nextReplay('02:00:00:00:00:11', NOW)).toBe(NOW)
    store.close()
  })

  it('is never given twice to two processes', async () => {
    const [one, other] = [await openClientStore(file), await openClientStore(file)]
    const values = Array.from({length: 50}, (_, i) => (i % 2 ? one : other).nextReplay(CLIENT.mac, NOW))
    expect(new Set(values).size).toBe(50)
    one.close()
    other.close()
  })

  it('goes on in a file of an earlier version', async () => {
    const {DatabaseSync} = await import('node:sqlite')
    const old = new DatabaseSync(file)
    old.exec(`CREATE TABLE client (
      mac TEXT PRIMARY KEY, ip TEXT, xid INTEGER, nonce BLOB, canListen INTEGER, kind TEXT, serverId TEXT, router TEXT,
      ackedNs INTEGER, leaseS INTEGER, renewS INTEGER, askedFor TEXT, askedNs INTEGER, replay INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;
    INSERT INTO client (mac, ip, replay) VALUES ('${CLIENT.mac}', '${CLIENT.ip}', ${NOW + 7n})`)
    old.close()
    const store = await openClientStore(file)
    expect(store.read(CLIENT.mac)).toMatchObject({ip: CLIENT.ip})
    expect(store.nextReplay(CLIENT.mac, NOW)).toBe(NOW + 8n)
    store.beginSwitch(CLIENT.mac, NOW)
    expect(store.evidence(CLIENT.mac)).toEqual({})
    store.close()
  })
})
