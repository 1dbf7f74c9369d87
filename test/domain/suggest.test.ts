import {describe, expect, it} from 'vitest'
import {hint} from '../../src/domain/suggest.ts'

const many = Array.from({length: 62}, (_, i) => `web-${String(i + 1).padStart(2, '0')}`)

describe('the hint at a word that is not known', () => {
  it.each([
    ['nothing where nothing is known', 'x', [], ''],
    ['the nearest, if it is near', 'swich', ['switch', 'who'], ' (did you mean "switch"?)'],
    ['all, where these are few', 'zz', ['a', 'b'], ' (known: a, b)'],
    [
      'the nearest few of many, and how many more there are',
      'database-61',
      many,
      ' (known: web-61, web-01, web-11, web-16, web-21, web-31, web-41, web-51 and 54 more)',
    ],
  ])('is %s', (_what, word, known, said) => {
    expect(hint(word, known)).toBe(said)
  })
})
