// The state is an agent's memory of whom it obeyed. What cannot be read is no reason to begin a new one.
import {chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {EMPTY_MEMORY} from '../../../src/domain/agent/memory.ts'
import {Failure} from '../../../src/errors.ts'
import {systemKernel} from '../../../src/services/agent/kernel.ts'
import {openStore} from '../../../src/services/agent/store.ts'
import {memoryOf, orders} from './agent-in-memory.ts'
import {fakeKernel} from './fake-kernel.ts'

const {command, on} = orders()
const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-state-'))
chmodSync(scratch, 0o755)
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

/** Calls `fn` as somebody who is not root and owns nothing here. */
function asNobody<T>(fn: () => T): T {
  if (process.geteuid?.() !== 0) return fn()
  process.seteuid!(65534)
  try {
    return fn()
  } finally {
    process.seteuid!(0)
  }
}

/** A directory with a state in it; `closed` to everybody else. */
function state(name: string, closed: 'directory' | 'file'): string {
  const directory = join(scratch, name)
  mkdirSync(directory)
  writeFileSync(
    join(directory, 'agent-state.json'),
    JSON.stringify({...EMPTY_MEMORY, keys: {'site-y': {seq: 7, nonces: []}}}),
  )
  chmodSync(closed === 'directory' ? directory : join(directory, 'agent-state.json'), 0)
  return directory
}

describe('a state that is there and cannot be read', () => {
  const kernel = systemKernel(() => {})
  afterAll(() => kernel.close())

  it.each(['directory', 'file'] as const)('is a missing privilege, not an empty state (%s closed)', (closed) => {
    const directory = state(`closed-${closed}`, closed)
    const open = () => asNobody(() => openStore({state: directory}, kernel))
    expect(open).toThrow(Failure)
    expect(open).toThrow(
      expect.objectContaining({
        kind: 'privilege',
        message: `${directory}/agent-state.json: cannot be read: EACCES: run this as root, or as the user that the agent runs as`,
      }),
    )
  })

  it('is a failure also for any other reason', () => {
    const directory = join(scratch, 'odd')
    mkdirSync(join(directory, 'agent-state.json'), {recursive: true})
    expect(() => openStore({state: directory}, kernel)).toThrow(/agent-state\.json: cannot be read: EISDIR$/)
    writeFileSync(join(scratch, 'plain'), '')
    expect(() => openStore({state: join(scratch, 'plain')}, kernel)).toThrow(/cannot be read: ENOTDIR$/)
  })

  it('is none only if there is none', () => {
    expect(openStore({state: join(scratch, 'nowhere')}, kernel).memory).toEqual(EMPTY_MEMORY)
  })

  it('where it cannot be made, that is said in one line', () => {
    const closed = join(scratch, 'parent')
    mkdirSync(closed, {mode: 0o555})
    const make = (): unknown => asNobody(() => openStore({state: join(closed, 'gwswitch')}, kernel).make())
    expect(make).toThrow(
      expect.objectContaining({
        kind: 'privilege',
        message: `${closed}/gwswitch/agent-state.json: cannot be written: EACCES: run this as root, or as the user that the agent runs as`,
      }),
    )
  })
})

describe('an agent', () => {
  it('does not start on a state that it may not read, and leaves it alone', async () => {
    const kernel = fakeKernel()
    await (await on(kernel)).ask(command())
    const before = new Map(kernel.files)
    kernel.read = (path) => {
      throw new Failure('privilege', `${path}: cannot be read: EACCES`)
    }
    await expect(on(kernel)).rejects.toMatchObject({kind: 'privilege'})
    expect(kernel.files).toEqual(before)
  })

  it('notices at its start that it may not write its state, and starts on a disk that is full for now', async () => {
    const closed = fakeKernel()
    closed.writeDurably = (path) => {
      throw new Failure('privilege', `${path}: cannot be written: EACCES`)
    }
    await expect(on(closed)).rejects.toMatchObject({
      kind: 'privilege',
      message: expect.stringMatching(/run this as root/),
    })
    const full = fakeKernel()
    full.room = 0
    const {ask} = await on(full)
    expect((await ask(command())).at(-1)).toMatchObject({state: 'refused', reason: 'persist_failed'})
    expect(full.logs.join('\n')).toMatch(/state not written: ENOSPC/)
  })

  it('has a command written down before it does anything for it', async () => {
    const kernel = fakeKernel()
    const {ask} = await on(kernel)
    const order = command()
    const seen: unknown[] = []
    const {replace} = kernel
    kernel.replace = (route, create) => {
      if (route.table === 143) seen.push(memoryOf(kernel).keys['site-y']?.seq, memoryOf(kernel).last?.phase)
      replace(route, create)
    }
    await ask(order)
    expect(seen).toEqual([order.seq, 'probing'])
  })

  // One write more than before the trial, and the ways to fail that are told apart by whether anything was changed.
  it.each([
    [0, 'refused'],
    [1, 'refused'],
    [2, 'rolled_back'],
    [3, 'rolled_back'],
    [4, 'confirmed'],
  ])('on a disk with room for %i writes ends in %s', async (room, end) => {
    const kernel = fakeKernel()
    const {ask} = await on(kernel)
    kernel.room = room
    expect((await ask(command())).at(-1)).toMatchObject(
      end === 'confirmed' ? {state: end} : {state: end, reason: 'persist_failed', gw4: '10.0.0.1'},
    )
  })
})

it('a state that was written is read back', () => {
  const kernel = systemKernel(() => {})
  const directory = join(scratch, 'kept')
  openStore({state: directory}, kernel).save({...EMPTY_MEMORY, keys: {'site-y': {seq: 9, nonces: []}}})
  expect(openStore({state: directory}, kernel).memory.keys['site-y']).toMatchObject({seq: 9})
  expect(readFileSync(join(directory, 'agent-state.json'), 'utf8')).toMatch(/\n$/)
  kernel.close()
})

describe('what the disk did not take', () => {
  const kernel = systemKernel(() => {})
  afterAll(() => kernel.close())
  const full = {
    ...kernel,
    writeDurably(path: string, text: string) {
      if (path.includes('/disk/')) throw new Failure('runtime', `${path}: cannot be written: ENOSPC`)
      kernel.writeDurably(path, text)
    },
  }
  const known = (seq: number) => ({...EMPTY_MEMORY, keys: {'site-y': {seq, nonces: []}}})
  const seqOf = (place: {state: string; socket: string}) => openStore(place, kernel).memory.keys['site-y']?.seq

  it('is found beside the socket, for as long as it is the newer', () => {
    const place = {state: join(scratch, 'disk/state'), socket: join(scratch, 'run/agent.sock')}
    openStore(place, kernel).save(known(1))
    expect(openStore(place, full).keep(known(2))).toMatchObject({message: expect.stringMatching(/ENOSPC/)})
    expect(seqOf(place)).toBe(2)
    openStore(place, kernel).save(known(3))
    expect(seqOf(place)).toBe(3)
    // Who moves the state away begins anew.
    rmSync(place.state, {recursive: true})
    expect(seqOf(place)).toBeUndefined()
  })

  it('does not come back once the state that it was newer than was taken away', () => {
    const place = {state: join(scratch, 'disk/away'), socket: join(scratch, 'run-away/agent.sock')}
    openStore(place, kernel).save(known(1))
    openStore(place, full).keep(known(2))
    rmSync(place.state, {recursive: true})
    openStore(place, kernel).save(known(7))
    expect(seqOf(place)).toBe(7)
  })

  it('is not looked for where every user could have laid it', () => {
    const place = {state: join(scratch, 'disk/open'), socket: join(scratch, 'open/agent.sock')}
    openStore(place, kernel).save(known(1))
    openStore(place, full).keep(known(2))
    expect(seqOf(place)).toBe(2)
    chmodSync(join(scratch, 'open'), 0o1777)
    expect(seqOf(place)).toBe(1)
  })
})
