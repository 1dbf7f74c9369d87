// A reader that is caught in some inputs for ever: what the watch must notice.
import {ofBytes, type Target} from './target.ts'

export const TARGETS: readonly Target[] = [
  ofBytes({
    name: 'hanging',
    corpus: () => [Uint8Array.of(1, 2, 3)],
    read(input) {
      while (input.includes(0xff));
    },
  }),
]
