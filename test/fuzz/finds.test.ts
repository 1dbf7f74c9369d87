// What was found once is stood from then on, in silence.
import {expect, it, vi} from 'vitest'
import {check, words} from './check.ts'
import {FINDS} from './finds.ts'
import {TARGETS} from './targets/index.ts'

it.each(FINDS.map((row) => [row.target, row.name, row.input] as const))('%s: %s', async (name, _, input) => {
  const warned = vi.spyOn(process, 'emitWarning')
  const target = TARGETS.find((each) => each.name === name)!
  expect(words(await check(target, input))).toBeUndefined()
  expect(warned.mock.calls).toEqual([])
  warned.mockRestore()
})
