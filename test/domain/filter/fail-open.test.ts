import {describe, expect, it} from 'vitest'
import {CLOSED, failOpen, watchedGateways} from '../../../src/domain/filter/fail-open.ts'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {FILTER_INVENTORY} from '../../support/filter-frames.ts'

/** What is done at each question, a second apart: `1` was answered, `0` not. */
function actions(answers: string, holdMs = 3000): string {
  let state = CLOSED
  return [...answers]
    .map((answer, second) => {
      const step = failOpen(state, answer === '1', second * 1000, holdMs)
      state = step.state
      return step.action === undefined ? '-' : step.action[0]
    })
    .join('')
}

describe('a filter that gives way', () => {
  it.each([
    ['11111111', '--------'],
    ['11011011', '--------'],
    ['11000000', '----l---'],
    ['00011111', '--l---r-'],
    ['000110111111', '--l------r--'],
    ['0001111000', '--l---r--l'],
  ])('at answers %s does %s', (answers, done) => expect(actions(answers)).toBe(done))

  it('is of gateways that can be told from those of other sites', () => {
    const {segments} = parseInventory(FILTER_INVENTORY, 'i.yaml')
    expect(watchedGateways(segments[0]!, 'x').map(({name}) => name)).toEqual(['bx'])
    expect(() => watchedGateways(segments[0]!, 'z')).toThrow('segment tenant-b has no gateway at site z')
    const shared = parseInventory(FILTER_INVENTORY.replace('02:00:00:00:0b:02', '02:00:00:00:0a:02'), 'i.yaml')
    expect(() => watchedGateways(shared.segments[0]!, 'x')).toThrow('its death cannot be seen while the filter is off')
  })
})
