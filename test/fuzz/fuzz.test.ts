// A short run over every target, always the same: `npm run fuzz` is the long one.
import {describe, expect, it} from 'vitest'
import {Failure} from '../../src/errors.ts'
import {WireError} from '../../src/wire/error.ts'
import {check, type Find, fuzz, hexOf, words} from './check.ts'
import {inputFor, randomOf} from './mutate.ts'
import {ofBytes, ofText} from './target.ts'
import {TARGETS} from './targets/index.ts'
import {fuzzWatched} from './watch.ts'

const targetOf = (name: string) => TARGETS.find((target) => target.name === name)!

describe('every reader of foreign bytes and text', {timeout: 60_000}, () => {
  it('has a name of its own', () => {
    expect(new Set(TARGETS.map(({name}) => name)).size).toBe(TARGETS.length)
  })

  it.each(TARGETS.map((target) => [target.name, target] as const))(
    '%s takes what its corpus holds',
    async (_, target) => {
      const corpus = target.corpus()
      expect(corpus.length).toBeGreaterThan(0)
      for (const input of corpus) expect(words(await check(target, input))).toBeUndefined()
    },
  )

  it.each(TARGETS.map((target) => [target.name, target] as const))('%s stands 200 inputs', async (_, target) => {
    expect((await fuzz(target, 1, 200)).map(words)).toEqual([])
  })
})

describe('the fuzzer', {timeout: 60_000}, () => {
  const corpus = () => [Uint8Array.of(1, 2, 3, 4, 5, 6)]
  const broken = (read: (input: Uint8Array) => unknown) => ofBytes({name: 'broken', corpus, read})

  it('makes the same inputs of the same seed', () => {
    const made = (seed: number): string[] => {
      const random = randomOf(seed, 'icmp')
      const target = targetOf('icmp')
      return Array.from({length: 50}, () => hexOf(inputFor(target, target.corpus(), random)))
    }
    expect(made(7)).toEqual(made(7))
    expect(made(7)).not.toEqual(made(8))
  })

  it('finds an error of another kind, once, and the shortest input for it', async () => {
    const target = broken((input) => {
      if (input.includes(0xff)) throw new TypeError('of undefined')
    })
    expect(await fuzz(target, 1, 2000)).toMatchObject([
      {what: expect.stringMatching(/^TypeError at .*fuzz\.test\.ts/), input: Uint8Array.of(0xff)},
    ])
  })

  it.each([
    ['its own', new WireError('x', 'malformed', 0, 'bad')],
    ["the layer's", new Failure('runtime', 'bad')],
  ])('takes %s error for an answer', async (_, error) => {
    const refuses = broken(() => {
      throw error
    })
    expect(await fuzz(refuses, 1, 10)).toEqual([])
  })

  it('finds an offset that lies outside the input', async () => {
    const target = broken((input) => {
      throw new WireError('x', 'truncated', input.length + 1, 'cut')
    })
    expect(await check(target, Uint8Array.of(1))).toMatchObject({what: expect.stringMatching(/^offset outside/)})
  })

  it('finds what does not come back as it was', async () => {
    const target = ofText({name: 'broken', corpus: ['a'], read: (text) => text.trim(), write: (text) => `${text}x`})
    expect(await check(target, Uint8Array.of(0x61))).toMatchObject({what: 'not idempotent'})
  })

  it('finds a reader that never returns, and says with which input', async () => {
    const finds: Find[] = []
    const module = new URL('./hanging.ts', import.meta.url).href
    await fuzzWatched({module, only: [], seed: 1, seconds: 30, hangMs: 1000, onFind: (find) => finds.push(find)})
    expect(finds).toMatchObject([{target: 'hanging', what: 'hangs'}])
    expect(finds[0]!.input.includes(0xff)).toBe(true)
  })
})
