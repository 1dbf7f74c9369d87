import {describe, expect, it} from 'vitest'
import {filterNews, type Look} from '../../../src/services/site/filter-sight.ts'

const look = (state: Look['state'], ...faults: string[]): Look => ({
  ...{state, faults, evidence: faults, filters: [], orphans: 0},
})
const FINE = look('as-meant')
const MISSING = look('missing', 'a: missing')
const OTHER = look('different', 'a: different, chain x: its rules are in another order')
const BLIND = look('unknown', 'run as root')

describe('what is said of the filter', () => {
  it.each<[string, Look | undefined, Look, RegExp | undefined]>([
    ['nothing where it stands from the beginning', undefined, FINE, undefined],
    ['nothing where none is meant from the beginning', undefined, look('none'), undefined],
    ['what is wrong from the beginning', undefined, MISSING, /^filter: a: missing$/],
    ['why nobody can look', undefined, BLIND, /^the filter cannot be looked at: run as root$/],
    ['nothing twice', MISSING, look('missing', 'a: missing'), undefined],
    ['not twice why nobody can look', BLIND, look('unknown', 'run as root'), undefined],
    ['another reason why nobody can look', BLIND, look('unknown', 'no nft'), /no nft/],
    ['that it is gone', FINE, MISSING, /a: missing/],
    ['what else is wrong', MISSING, OTHER, /a: different, chain x/],
    ['that it is right again', OTHER, FINE, /^filter: as meant$/],
    ['that it stands, once it can be looked at', BLIND, FINE, /^filter: as meant$/],
    ['that none is meant any more', FINE, look('none'), /^filter: none is meant here any more$/],
  ])('is %s', (_name, before, now, said) => {
    const news = filterNews(before, now)
    if (said === undefined) expect(news).toBeUndefined()
    else expect(news).toMatch(said)
  })
})
