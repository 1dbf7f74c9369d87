// What was found once is stood from then on.
import {expect, it} from 'vitest'
import {check, words} from './check.ts'
import {FINDS} from './finds.ts'
import {TARGETS} from './targets/index.ts'

it.each(FINDS.map((row) => [row.target, row.name, row.input] as const))('%s: %s', async (name, _, input) => {
  const target = TARGETS.find((each) => each.name === name)!
  expect(words(await check(target, input))).toBeUndefined()
})
