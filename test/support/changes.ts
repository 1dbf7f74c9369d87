// What became different between looks at the same things, and when. Pure.

/** One look at everything, and when, ms since 1970. */
export interface Sample {
  readonly atMs: number
  readonly views: Readonly<Record<string, string>>
}

/**
 * One paragraph a view that is not at the end as it was at the beginning: its lines that went and came, and between which
 * two looks it last left what it was. What is as before again is no change.
 */
export function changesText(samples: readonly Sample[]): string[] {
  const [first, last] = [samples[0]!, samples.at(-1)!]
  return Object.keys(first.views).flatMap((name) => {
    const [before, after] = [first.views[name]!, last.views[name] ?? '']
    if (before === after) return []
    const since = samples.findLastIndex(({views}) => views[name] === before)
    const when = `between ${time(samples[since]!, first)} and ${time(samples[since + 1]!, first)}`
    const lines = [
      ...without(before, after).map((line) => `  - ${line}`),
      ...without(after, before).map((line) => `  + ${line}`),
    ]
    return [[`${name} changed ${when}:`, ...(lines.length > 0 ? lines : ['  (the order of its lines)'])].join('\n')]
  })
}

const time = ({atMs}: Sample, first: Sample): string =>
  `${new Date(atMs).toLocaleTimeString('en-GB')} (${Math.round((atMs - first.atMs) / 1000)} s)`

/** The lines of `text` that `other` does not have. */
function without(text: string, other: string): string[] {
  const known = new Set(other.split('\n'))
  return text.split('\n').filter((line) => !known.has(line))
}
