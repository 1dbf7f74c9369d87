import {describe, expect, it} from 'vitest'
import {CHAIN_START, type ChainRecord, chainHash, checkChain} from '../../../src/domain/journal/chain.ts'

function chainOf(count: number, start = CHAIN_START): ChainRecord[] {
  const records: ChainRecord[] = []
  for (let i = 1; i <= count; i++) {
    const seq = start.seq + i
    const record = {seq, run: 'r1', n: 1, atMs: 1000 + i, kind: 'planned', vm: 'db-03', mac: null, body: `{"i":${i}}`}
    records.push({...record, hash: chainHash(records.at(-1)?.hash ?? start.hash, record)})
  }
  return records
}

const whole = chainOf(5)
const head = whole.at(-1)!
const changed = (seq: number, over: Partial<ChainRecord>): ChainRecord[] =>
  whole.map((record) => (record.seq === seq ? {...record, ...over} : record))
const rehashed = (seq: number, over: Partial<ChainRecord>): ChainRecord[] => {
  const record = {...whole[seq - 1]!, ...over}
  return changed(seq, {...over, hash: chainHash(whole[seq - 2]!.hash, record)})
}

describe('checkChain', () => {
  it('has nothing to say about a chain that is whole, from its beginning or from where it was pruned', () => {
    expect(checkChain(whole, CHAIN_START, head)).toEqual({records: 5, fault: undefined})
    expect(checkChain(whole.slice(2), whole[1]!, head)).toEqual({records: 3, fault: undefined})
    expect(checkChain([], CHAIN_START, CHAIN_START)).toEqual({records: 0, fault: undefined})
  })

  it.each<[string, readonly ChainRecord[], number, 'changed' | 'missing']>([
    ['a body', changed(3, {body: '{"i":4}'}), 3, 'changed'],
    ['a time', changed(3, {atMs: 0}), 3, 'changed'],
    ['a kind', changed(3, {kind: 'ended'}), 3, 'changed'],
    ['a VM', changed(3, {vm: null}), 3, 'changed'],
    ['a MAC', changed(3, {mac: ''}), 3, 'changed'],
    ['a run', changed(3, {run: 'r2'}), 3, 'changed'],
    ['a number', changed(3, {n: 2}), 3, 'changed'],
    ['a hash', changed(3, {hash: 'f00'}), 3, 'changed'],
    ['a body and the hash that goes with it', rehashed(3, {body: '{}'}), 4, 'changed'],
    ['the last body and its hash', rehashed(5, {body: '{}'}), 6, 'missing'],
    ['a record that was taken out', whole.filter(({seq}) => seq !== 3), 3, 'missing'],
    ['the first one taken away', whole.slice(1), 1, 'missing'],
    ['the last one taken away', whole.slice(0, 4), 5, 'missing'],
    ['all of them taken away', [], 1, 'missing'],
  ])('names the record of %s', (_, records, seq, why) => {
    expect(checkChain(records, CHAIN_START, head).fault).toMatchObject({seq, why})
  })
})
