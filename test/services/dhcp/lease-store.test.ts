import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
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
  t1S: 1800,
  kind: n % 2 === 0 ? 'dhcpcd' : '',
})

/** The tables of version 1, as they were. */
const VERSION_1 = `
  CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 1), opened INTEGER NOT NULL) STRICT;
  INSERT INTO meta VALUES (1, 0);
  CREATE TABLE lease (
    segment TEXT, ip TEXT, client TEXT NOT NULL, mac TEXT NOT NULL, state TEXT NOT NULL, expiresAtMs INTEGER NOT NULL,
    xid INTEGER NOT NULL, lastSeenMs INTEGER NOT NULL, capable145 INTEGER NOT NULL, nonce TEXT NOT NULL,
    replay INTEGER NOT NULL, router TEXT NOT NULL, hostName TEXT NOT NULL, PRIMARY KEY (segment, ip)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE directive (
    segment TEXT, mac TEXT, site TEXT, nak INTEGER NOT NULL, PRIMARY KEY (segment, mac)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO lease VALUES ('lan', '10.0.0.1', 'id:1', '02:00:00:00:00:01', 'bound', 1700086400000, 7, 1700000000000, 1, '', 9, '10.0.0.1', 'web');
  INSERT INTO directive VALUES ('lan', '02:00:00:00:00:01', 'y', 1);
  PRAGMA application_id = ${0x4757646c}; PRAGMA user_version = 1
`

/** Of every test's own. */
let dir = ''
let file = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gwswitch-leases-'))
  file = join(dir, 'leases.db')
})
afterEach(() => rmSync(dir, {recursive: true, force: true}))

describe('the lease store', () => {
  it('gives back what it was given, also replay values beyond 2^53, and keeps the last of each address', async () => {
    const store = await openLeaseStore(file)
    const directive = {
      ...{segment: 'lan', mac: '02:00:00:00:00:01', site: undefined, nak: true, inventorySite: 'x'},
      ...{version: {sequence: 2 ** 52, origin: '10.0.0.3'}, receivedSite: ''},
    }
    store.commit([lease(1), lease(2), {...lease(1), router: '10.0.0.2'}], [directive])
    await store.close()
    const again = await openLeaseStore(file)
    expect(again.leases()).toEqual([{...lease(1), router: '10.0.0.2'}, lease(2)])
    expect(again.directives()).toEqual([directive])
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
    // 64 commits that wait for a disk that may be busy.
  }, 60_000)

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
      'is a lease store of version 9, and this gwswitch reads version 4',
    )
  })

  it('stops where it cannot be written', async () => {
    writeFileSync(join(dir, 'file'), '')
    await expect(openLeaseStore(join(dir, 'file', 'leases.db'))).rejects.toThrow(
      /the lease store cannot be written|cannot open the lease store/,
    )
  })
})

describe('a lease store whose server was killed', () => {
  /** What is on the disk after three commits, of one lease each, and no goodbye. */
  async function killed(): Promise<void> {
    const store = await openLeaseStore(join(dir, 'running'))
    for (const n of [1, 2, 3]) store.commit([lease(n)])
    for (const suffix of ['', '-wal']) copyFileSync(join(dir, `running${suffix}`), `${file}${suffix}`)
    await store.close()
    rmSync(join(dir, 'running'))
  }
  const flip = (path: string, at: number): void => {
    const bytes = readFileSync(path)
    bytes[at]! ^= 1
    writeFileSync(path, bytes)
  }
  const frame = 24 + 4096
  const state = (): Record<string, string> =>
    Object.fromEntries(readdirSync(dir).map((name) => [name, readFileSync(join(dir, name), 'latin1')]))
  const found = async (warn?: (line: string) => void): Promise<string[]> => {
    const store = await openLeaseStore(file, 'full', warn)
    const ips = store.leases().map(({ip}) => ip)
    await store.close()
    return ips
  }

  it('has all of them, and in the file itself once it is open', async () => {
    await killed()
    const store = await openLeaseStore(file)
    expect(store.leases()).toHaveLength(3)
    copyFileSync(file, join(dir, 'alone'))
    expect(new DatabaseSync(join(dir, 'alone')).prepare('SELECT count(*) AS n FROM lease').get()).toEqual({n: 3})
    expect(statSync(`${file}-wal`).size).toBe(32 + frame)
    await store.close()
  })

  it('has its tables in the file from the first moment', async () => {
    const store = await openLeaseStore(file)
    expect(readdirSync(dir).sort()).toEqual(['leases.db', 'leases.db-wal'])
    copyFileSync(file, join(dir, 'alone'))
    await store.close()
    expect(new DatabaseSync(join(dir, 'alone')).prepare('SELECT * FROM lease').all()).toEqual([])
  })

  it.each([
    ['is missing', () => rmSync(file)],
    ['is empty', () => truncateSync(file, 0)],
    ['holds no tables', () => writeFileSync(file, Buffer.alloc(16_384))],
  ])('is refused, and left as it is, where the file %s and its log is there', async (what, damage) => {
    await killed()
    damage()
    const before = state()
    await expect(found()).rejects.toThrow(
      `${file}: the lease store is corrupt (leases.db ${what}, and its log leases.db-wal holds ${32 + 4 * frame} bytes): put it back from a backup, or move both away to start with an empty one`,
    )
    expect(state()).toEqual(before)
  })

  it.each([
    ['the first', 32 + 24 + 100, 32, ', with 4 transactions behind'],
    ["the salt of the second's", 32 + frame + 9, 32 + frame, ', with 2 transactions behind'],
    ["the header's", 17, 0, ''],
  ])('is refused, and left as it is, with a bit of its log flipped: %s', async (_, at, whole, behind) => {
    await killed()
    flip(`${file}-wal`, at)
    const before = state()
    const refusal = `${file}: the lease store is corrupt (leases.db-wal is damaged after byte ${whole}${behind}): restore both files from a backup, or keep a copy of both and run "truncate -s ${whole} ${file}-wal" to go on with what is before`
    for (let i = 0; i < 2; i++) {
      await expect(found()).rejects.toThrow(expect.objectContaining({kind: 'runtime', message: refusal}))
      expect(state()).toEqual(before)
    }
    // What the line says to do helps.
    truncateSync(`${file}-wal`, whole)
    expect(await found()).toEqual([])
  })

  it('goes on without its last commit where a power cut may have torn that, says so, and keeps what it leaves out', async () => {
    await killed()
    flip(`${file}-wal`, 32 + 3 * frame + 2000)
    const before = state()['leases.db-wal']
    const said: string[] = []
    expect(await found((line) => said.push(line))).toEqual(['10.0.0.1', '10.0.0.2'])
    expect(said).toEqual([
      expect.stringMatching(/the end of its log is torn, and left out \(transactions: 1\); it is kept as .*damaged-/),
    ])
    expect(state()[said[0]!.split('/').at(-1)!]).toBe(before)
    expect(await found()).toHaveLength(2)
    expect(said).toHaveLength(1)
  })

  it('takes more of it for torn where commits did not wait for the disk', async () => {
    await killed()
    flip(`${file}-wal`, 32 + frame + 2000)
    const before = state()
    await expect(found()).rejects.toThrow('with 3 transactions behind')
    expect(state()).toEqual(before)
    const said: string[] = []
    const store = await openLeaseStore(file, 'normal', (line) => said.push(line))
    expect([store.leases(), said]).toEqual([[], [expect.stringContaining('(transactions: 3)')]])
    await store.close()
  })

  it('says nothing of a commit that was never finished', async () => {
    await killed()
    truncateSync(`${file}-wal`, 32 + 4 * frame - 100)
    const said: string[] = []
    expect([await found((line) => said.push(line)), said]).toEqual([['10.0.0.1', '10.0.0.2'], []])
    expect(readdirSync(dir)).toEqual(['leases.db'])
  })

  it('stops at a damaged page of the file, and leaves the log as it is too', async () => {
    await killed()
    truncateSync(file, 4096)
    const before = state()
    await expect(found()).rejects.toThrow(/the lease store is corrupt \(database disk image is malformed/)
    expect(state()).toEqual(before)
  })

  it('is not judged by its log while another process writes that', async () => {
    const module = JSON.stringify(new URL('../../../src/services/dhcp/lease-store.ts', import.meta.url).href)
    const script = `const {openLeaseStore} = await import(${module}); const store = await openLeaseStore(${JSON.stringify(file)})
      for (let i = 0; i < 3; i++) store.commit([], [{segment: 'lan', mac: 'm' + i, site: 'x', nak: false}])
      console.log('open'); setTimeout(() => {}, 60_000)`
    const other = spawn(process.execPath, ['--input-type=module', '-e', script], {stdio: ['ignore', 'pipe', 'inherit']})
    try {
      await once(other.stdout, 'data')
      // As good as a log that is begun anew just now.
      const fd = openSync(`${file}-wal`, 'r+')
      writeSync(fd, Buffer.alloc(8), 0, 8, 32 + 8)
      closeSync(fd)
      const before = state()
      await expect(found()).rejects.toThrow(`${file}: the lease store is in use by another server`)
      expect(state()).toEqual(before)
    } finally {
      other.kill('SIGKILL')
    }
  }, 30_000)
})

describe('a lease store of version 1', () => {
  it.each(['closed', 'killed before anything was in the file itself'])('is taken over: %s', async (how) => {
    const old = new DatabaseSync(join(dir, 'old'))
    old.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; BEGIN; ${VERSION_1}; COMMIT`)
    if (how === 'closed') old.close()
    for (const name of readdirSync(dir)) copyFileSync(join(dir, name), `${file}${name.slice('old'.length)}`)
    if (old.isOpen) old.close()
    for (let i = 0; i < 2; i++) {
      const store = await openLeaseStore(file)
      // T1 was not written down: the end of the lease is as late as the client can ask.
      expect(store.leases()).toMatchObject([{ip: '10.0.0.1', xid: 7, replay: 9n, t1S: 86_400, kind: ''}])
      expect(store.directives()).toEqual([{segment: 'lan', mac: '02:00:00:00:00:01', site: 'y', nak: true}])
      store.commit([lease(1)])
      store.commit([{...store.leases()[0]!, xid: 7, replay: 9n, t1S: 86_400, kind: ''}])
      await store.close()
    }
  })
})
