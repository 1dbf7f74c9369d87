import {setTimeout as delay} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {firstOf} from '../../src/probe/together.ts'

const never = new AbortController().signal
type Task = (signal: AbortSignal) => Promise<string | undefined>
const says =
  (answer: string | undefined, ms: number, ended: string[] = []): Task =>
  async (signal) => {
    try {
      await delay(ms, undefined, {signal})
      return answer
    } finally {
      ended.push(`${answer}${signal.aborted ? ', told to end' : ''}`)
    }
  }
const fails =
  (ms: number): Task =>
  async (signal) => {
    await delay(ms, undefined, {signal})
    throw new Error('broken')
  }

describe('the first of several answers', () => {
  it('ends the other questions, and waits for them', async () => {
    const ended: string[] = []
    expect(
      await firstOf(never, [says('late', 60_000, ended), says(undefined, 1, ended), says('soon', 20, ended)]),
    ).toBe('soon')
    expect(ended).toEqual(['undefined', 'soon', 'late, told to end'])
  })
  it.each<[string, readonly Task[]]>([
    ['nobody has one', [says(undefined, 1), says(undefined, 5)]],
    ['nobody was asked', []],
  ])('is none where %s', async (_, tasks) => expect(await firstOf(never, tasks)).toBeUndefined())
  it.each<[string, readonly Task[]]>([
    ['before any answer', [fails(1), says('late', 60_000)]],
    ['and nobody else has one', [says(undefined, 1), fails(5)]],
  ])('is the failure of one, %s', async (_, tasks) => {
    await expect(firstOf(never, tasks)).rejects.toThrow('broken')
  })
  it('is the reason of whoever stopped it', async () => {
    const stop = new AbortController()
    const running = firstOf(stop.signal, [says('late', 60_000)])
    stop.abort(new Error('stopped'))
    await expect(running).rejects.toThrow('stopped')
  })
})
