// "Did you mean …": the known word nearest to a mistyped one.

/**
 * The candidate with the fewest typing slips from `word`, if these are few enough to be slips; undefined otherwise.
 */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  const typed = word.toLowerCase()
  let best: string | undefined
  // One slip in every three letters; a word of one or two letters is not a slip of anything.
  let bestSlips = Math.floor(typed.length / 3) + 1
  for (const candidate of candidates) {
    const slips = editDistance(typed, candidate.toLowerCase())
    if (slips < bestSlips) {
      best = candidate
      bestSlips = slips
    }
  }
  return best
}

/** How many are named of those that there are. */
const MOST = 8

/** ` (did you mean "x"?)`, or some of the known words if none is near, or nothing if none is known. */
export function hint(word: string, candidates: readonly string[]): string {
  const near = closest(word, candidates)
  if (near !== undefined) return ` (did you mean "${near}"?)`
  return candidates.length === 0 ? '' : ` (known: ${someOf(candidates, word)})`
}

/** The nearest first, and how many more there are; all, as they stand, where these are few. */
function someOf(words: readonly string[], word: string): string {
  if (words.length <= MOST) return words.join(', ')
  const near = words.map((each) => ({each, slips: editDistance(word.toLowerCase(), each.toLowerCase())}))
  const first = near.toSorted((a, b) => a.slips - b.slips).slice(0, MOST)
  return `${first.map(({each}) => each).join(', ')} and ${words.length - MOST} more`
}

/** Insertions, deletions and replacements between two words (Levenshtein), where swapped neighbours count once. */
function editDistance(a: string, b: string): number {
  let before: readonly number[] = []
  let above = Array.from({length: b.length + 1}, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? before[j - 2]! + 1 : replaced
      row.push(Math.min(above[j]! + 1, row[j - 1]! + 1, replaced, swapped))
    }
    before = above
    above = row
  }
  return above[b.length]!
}
