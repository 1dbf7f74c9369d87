import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, expect, it} from 'vitest'
import {neighbourRoom} from '../../src/net/neighbour-room.ts'

const root = mkdtempSync(join(tmpdir(), 'gwswitch-room-'))
afterAll(() => rmSync(root, {recursive: true}))

const STAT = 'entries  allocs   destroys\n0000013a 00028f25 00028627\n0000013a 000271d8 00027ac3\n'

it.each<[string, string | undefined, string | undefined, ReturnType<typeof neighbourRoom>]>([
  ['what the kernel says', '1024\n', STAT, {most: 1024, held: 314}],
  ['nothing in a namespace of its own', undefined, undefined, undefined],
  ['nothing where it says something else', '1024\n', 'entries\n', undefined],
])('the room for neighbours is %s', (_what, most, stat, found) => {
  const place = mkdtempSync(join(root, 'p-'))
  for (const [folder, file, text] of [
    ['proc/sys/net/ipv4/neigh/default', 'gc_thresh3', most],
    ['proc/net/stat', 'arp_cache', stat],
  ] as const) {
    mkdirSync(join(place, folder), {recursive: true})
    if (text !== undefined) writeFileSync(join(place, folder, file), text)
  }
  expect(neighbourRoom(place)).toEqual(found)
})
