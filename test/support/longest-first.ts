// In which order files begin: what takes longest first, so that nothing long begins when all else is done.
import {BaseSequencer, type TestSpecification} from 'vitest/node'

/** Of more than 25 s, the longest first. Only their order matters; the rest goes as vitest knows or guesses it. */
const LONG = ['peers/dhcp-reconfigure-clients']

/** 0 for the longest; those that are not listed come behind. */
function rank({moduleId}: TestSpecification): number {
  const place = LONG.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`))
  return place < 0 ? LONG.length : place
}

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b))
  }
}
