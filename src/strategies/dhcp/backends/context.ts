// What every back end needs beside its own controls.
import type {SegmentDhcp} from '../../../domain/inventory/segment-dhcp.ts'
import {Failure} from '../../../errors.ts'
import {tryLock} from '../../../net/file/file-lock.ts'
import {readText} from '../../../net/file/text-file.ts'
import type {World} from '../../../net/world.ts'
import {parseNonceFile} from '../nonce-file.ts'
import type {DhcpBackend} from './backend.ts'

export interface BackendStage {
  readonly segment: string
  readonly world: Pick<World, 'sleep'>
}

/** A server that is out of reach by now says nothing against what the VM does. */
export const orUnknown = <T>(asked: Promise<T>): Promise<T | undefined> =>
  asked.catch((error: unknown) => {
    if (error instanceof Failure) return undefined
    throw error
  })

/** Nonces of servers that hand out a fixed one: what their configuration says stands in the inventory's file too. */
export function nonceFrom({nonces}: SegmentDhcp): DhcpBackend['nonce'] {
  return async ({mac}) => {
    if (nonces === undefined) return undefined
    const text = readText(nonces)
    if (text === undefined)
      throw new Failure('runtime', `${nonces}: no such file (want the nonces that the DHCP server hands out)`)
    return parseNonceFile(text, nonces).of(mac)
  }
}

/** Where locks of what has no file of its own here lie. */
const LOCKS = '/run/lock'

/** Kea's is beside its socket; for a URL in the folder of locks, where every process of this host finds it. */
export const keaLock = (control: string): string =>
  control.startsWith('/') ? `${control}.gwswitch` : `${LOCKS}/gwswitch-kea-${encodeURIComponent(control)}`

export const omapiLock = (omapi: string): string => `${LOCKS}/gwswitch-omapi-${omapi.replace(':', '-')}`

const LOCK_MS = 20_000

/** One at a time, over all processes: what is read, changed and written back must not cross another's change. */
export async function alone<T>(lockFile: string, world: Pick<World, 'sleep'>, work: () => Promise<T>): Promise<T> {
  for (let waited = 0; ; waited += 20) {
    const lock = tryLock(lockFile)
    if (lock) {
      try {
        return await work()
      } finally {
        lock.release()
      }
    }
    if (waited >= LOCK_MS)
      throw new Failure(
        'runtime',
        `${lockFile}: another gwswitch has been changing the DHCP server for ${LOCK_MS / 1000} s`,
      )
    await world.sleep(20)
  }
}
