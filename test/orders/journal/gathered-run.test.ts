import {describe, expect, it} from 'vitest'
import {Failure} from '../../../src/errors.ts'
import {gatheredRun} from '../../../src/orders/journal/gathered-run.ts'
import type {Mark} from '../../../src/orders/journal/journal.ts'

const guarding = (n: number): Mark => ({n, state: 'guarding'})

function gathered(write: (marks: readonly Mark[]) => void) {
  return gatheredRun({id: 'run-7', file: '/j', plan: () => [1], planBegun: () => 1, mark: write})
}

describe('the marks of many switches', () => {
  it('are written in one transaction, in their order, and waited for', async () => {
    const written: (readonly number[])[] = []
    const run = gathered((marks) => void written.push(marks.map(({n}) => n)))
    expect([run.id, run.file]).toEqual(['run-7', '/j'])
    const first = [run.mark([guarding(1)]), run.mark([guarding(2), guarding(3)])]
    expect(written).toEqual([])
    await first[0]
    expect(written).toEqual([[1, 2, 3]])
    await run.mark([guarding(4)])
    expect(written).toEqual([[1, 2, 3], [4]])
  })

  it('fail for each of them where they cannot be written, and not for those that come after', async () => {
    let full = true
    const run = gathered(() => {
      if (full) throw new Failure('runtime', 'the disk is full')
    })
    const all = await Promise.allSettled([run.mark([guarding(1)]), run.mark([guarding(2)])])
    expect(all.map(({status}) => status)).toEqual(['rejected', 'rejected'])
    full = false
    await expect(run.mark([guarding(3)])).resolves.toBeUndefined()
  })
})
