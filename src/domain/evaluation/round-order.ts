// The order of rows in a round: another one each time, and the same again by the same seed.

/** Mulberry32: uniform in [0, 1), enough to shuffle. */
function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Fisher and Yates. `round` from 1. */
export function shuffled<T>(values: readonly T[], seed: number, round: number): T[] {
  const random = generator(Math.imul(seed, 0x9e3779b1) ^ round)
  const out = [...values]
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[out[i], out[j]] = [out[j]!, out[i]!]
  }
  return out
}
