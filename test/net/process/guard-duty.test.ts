import {PassThrough} from 'node:stream'
import {describe, expect, it} from 'vitest'
import {guardDuty} from '../../../src/net/process/dead-man.ts'
import {until} from '../../support/until.ts'

function guard() {
  const input = new PassThrough()
  const said: string[] = []
  const acted: (readonly unknown[])[] = []
  const done = guardDuty(
    input,
    (line) => void said.push(line),
    async (orders) => void acted.push(orders),
  )
  const tell = (line: object): void => void input.write(`${JSON.stringify(line)}\n`)
  return {said, acted, done, tell, end: () => input.end()}
}

describe('guardDuty', () => {
  it('says of every order that it has it, and acts in one go for those that nobody took back when its input ends', async () => {
    const {tell, end, done, said, acted} = guard()
    for (const id of [1, 2, 3]) tell({id, deadlineMs: 60_000, order: `order ${id}`})
    tell({id: 2})
    end()
    await done
    expect({said, acted}).toEqual({said: ['1', '2', '3'], acted: [['order 1', 'order 3']]})
  })

  it('acts for one whose time is up while the others are kept, and for none twice', async () => {
    const {tell, end, done, acted} = guard()
    tell({id: 1, deadlineMs: 1, order: 'late'})
    tell({id: 2, deadlineMs: 60_000, order: 'kept'})
    await until(async () => acted.length > 0, 10_000, 'the first one is due')
    end()
    await done
    expect(acted).toEqual([['late'], ['kept']])
  })

  it('does nothing where nothing is left, and takes a word about what it does not know', async () => {
    const {tell, end, done, acted} = guard()
    tell({id: 1, deadlineMs: 60_000, order: 'one'})
    tell({id: 1})
    tell({id: 7})
    end()
    await done
    expect(acted).toEqual([])
  })
})
