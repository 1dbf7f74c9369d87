import {closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {afterEach, beforeEach, describe, expect, it} from 'vitest'
import type {Lease} from '../../../src/domain/dhcp/lease.ts'
import {openLeaseStore} from '../../../src/services/dhcp/lease-store.ts'

const lease = (n: number): Lease => ({
  segment: 'lan',
  ip: `10.0.${n >> 8}.${n & 255}`,
  client: `id:${n}`,
  mac: '02:00:00:00:00:01',
  state: 'bound',
  expiresAtMs: 1_800_000_000_000 + n,
  xid: 0xffff_fffe,
  lastSeenMs: 1_700_000_000_000,
  capable145: n % 2 === 0,
  nonce: 'ab'.repeat(16),
  replay: 1_795_506_902_047_814_963n,
  router: '10.0.0.1',
  hostName: 'web',
})

describe('the lease store', () => {
  let dir = ''
  let file = ''
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'gwswitch-leases-'))
    file = join(dir, 'leases.db')
  })
  afterEach(() => rmSync(dir, {recursive: true, force: true}))

  it('gives back what it was given, also replay values beyond 2^53, and keeps the last of each address', async () => {
    const store = await openLeaseStore(file)
    store.commit(
      [lease(1), lease(2), {...lease(1), router: '10.0.0.2'}],
      [{segment: 'lan', mac: '02:00:00:00:00:01', site: undefined, nak: true}],
    )
    await store.close()
    const again = await openLeaseStore(file)
    expect(again.leases()).toEqual([{...lease(1), router: '10.0.0.2'}, lease(2)])
    expect(again.directives()).toEqual([{segment: 'lan', mac: '02:00:00:00:00:01', site: undefined, nak: true}])
    await again.close()
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  it('writes all of a commit or nothing', async () => {
    const store = await openLeaseStore(file)
    store.commit([lease(1)])
    const broken = {...lease(3), mac: null as unknown as string}
    expect(() => store.commit([lease(2), broken])).toThrow(expect.objectContaining({kind: 'runtime'}))
    store.commit([lease(4)])
    expect(store.leases().map(({ip}) => ip)).toEqual(['10.0.0.1', '10.0.0.4'])
    await store.close()
  })

  it('keeps what it has, whether or not a commit waits for the disk', async () => {
    for (const [i, sync] of (['full', 'normal'] as const).entries()) {
      const store = await openLeaseStore(file, sync)
      // Enough for syncs of its own, one of them under way when it is closed.
      for (let n = 0; n < 64; n++) store.commit([lease(i * 64 + n)])
      await store.close()
    }
    const again = await openLeaseStore(file)
    expect(again.leases()).toHaveLength(128)
    await again.close()
  })

  it('lets no second server in', async () => {
    const store = await openLeaseStore(file)
    await expect(openLeaseStore(file)).rejects.toThrow(`${file}: the lease store is in use by another server`)
    store.commit([lease(1)])
    await store.close()
  })

  it('stops at a corrupt file, in one line, and leaves every byte of it', async () => {
    const store = await openLeaseStore(file)
    store.commit(Array.from({length: 500}, (_, n) => lease(n)))
    await store.close()
    const fd = openSync(file, 'r+')
    writeSync(fd, Buffer.alloc(4096, 0x5a), 0, 4096, 8192)
    closeSync(fd)
    const before = readFileSync(file)
    await expect(openLeaseStore(file)).rejects.toThrow(
      /^.*leases\.db: the lease store is corrupt \([^\n]*\): restore it from a backup, or move it away to start with an empty one$/,
    )
    expect(readFileSync(file).equals(before)).toBe(true)
  })

  it('stops at what is no lease store, or a newer one', async () => {
    writeFileSync(file, 'this is a text file, long enough to be looked at'.repeat(100))
    await expect(openLeaseStore(file)).rejects.toThrow('the lease store is corrupt (file is not a database)')
    rmSync(file)
    const other = new DatabaseSync(file)
    other.exec('CREATE TABLE switches (id INTEGER)')
    other.close()
    await expect(openLeaseStore(file)).rejects.toThrow('leases.db: is no lease store')
    const newer = new DatabaseSync(join(dir, 'newer.db'))
    newer.exec(`CREATE TABLE meta (id INTEGER); PRAGMA application_id = ${0x4757646c}; PRAGMA user_version = 9`)
    newer.close()
    await expect(openLeaseStore(join(dir, 'newer.db'))).rejects.toThrow(
      'is a lease store of version 9, and this gwswitch reads version 1',
    )
  })

  it('stops where it cannot be written', async () => {
    writeFileSync(join(dir, 'file'), '')
    await expect(openLeaseStore(join(dir, 'file', 'leases.db'))).rejects.toThrow(
      /the lease store cannot be written|cannot open the lease store/,
    )
  })
})
