import {describe, expect, it} from 'vitest'
import {changesText} from './changes.ts'

const look = (second: number, views: Record<string, string>) => ({atMs: second * 1000, views})

describe('what changed during a run', () => {
  it('is nothing where all is as it was, whatever was in between', () => {
    expect(changesText([look(0, {a: '1', b: '2'}), look(5, {a: '9', b: '2'}), look(10, {a: '1', b: '2'})])).toEqual([])
  })

  it('is told by its lines, and between which looks it happened', () => {
    const [text, ...more] = changesText([
      look(0, {a: 'stays\ngoes', b: '1'}),
      look(5, {a: 'stays\ngoes', b: '1'}),
      look(10, {a: 'stays\ncomes', b: '1'}),
      look(15, {a: 'stays\ncomes', b: '1'}),
    ])
    expect(more).toEqual([])
    expect(text).toMatch(/^a changed between \S+ \(5 s\) and \S+ \(10 s\):\n {2}- goes\n {2}\+ comes$/)
  })

  it('may be the order alone', () => {
    expect(changesText([look(0, {a: '1\n2'}), look(5, {a: '2\n1'})])[0]).toMatch(/order of its lines/)
  })
})
