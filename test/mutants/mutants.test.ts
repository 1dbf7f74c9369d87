// `npm run mutate` takes minutes; that its rows still speak of lines that are there shows at once.
import {existsSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {expect, it} from 'vitest'
import {MUTANTS} from './mutants.ts'

const root = join(import.meta.dirname, '../..')

it.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))('%s', (_, {file, text, becomes, tests}) => {
  expect(readFileSync(join(root, file), 'utf8').split(text).length - 1, `how often ${file} holds ${text}`).toBe(1)
  expect(becomes).not.toBe(text)
  expect(tests.filter((test) => !existsSync(join(root, test)))).toEqual([])
})
