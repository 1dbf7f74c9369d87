// When may `trace` stop, and how often is it wrong then? The sequential rule against the one it took the place of: looks at
// 20, 40 and 60 pairs, each at the 99 % interval of the median. Simulated, with queues as processes in time; every figure
// is a share of runs of one seed, so that both rules see the same networks.
import {type PairValue, type Side, sideOf} from '../src/domain/trace/sequential.ts'
import {medianInterval, minimum, quantile} from '../src/domain/trace/statistics.ts'
import {lastStretch} from '../src/domain/trace/stretch.ts'
import {table} from '../src/render/table.ts'

const DCI_MS = 20
const THRESHOLD_MS = DCI_MS / 2
const PAIRS = 60
const runs = process.argv.includes('--quick') ? 150 : 600
/** Shares that differ by less are the same, at this number of runs. */
const TOLERANCE = 0.01

type Random = () => number
type Noise = (times: readonly number[], random: Random) => {current: number[]; alternative: number[]}

/** Uniform from 0 to 1, the same for the same seed (mulberry32). */
function seeded(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
const exponential = (mean: number, random: Random): number => -Math.log(1 - random()) * mean

/** A queue that comes and goes, with this mean time, s; DCI_MS to twice that while it is there. */
function onOff(meanS: number, times: readonly number[], random: Random): number[] {
  let on = random() < 0.5
  let next = exponential(meanS, random) * 1000
  return times.map((at) => {
    for (; at > next; next += exponential(meanS, random) * 1000) on = !on
    return on ? DCI_MS * (1 + random()) : 0
  })
}
const both = (times: readonly number[], one: () => number) => ({
  current: times.map(one),
  alternative: times.map(one),
})
const none = (times: readonly number[]): number[] => times.map(() => 0)

const NOISES: Readonly<Record<string, Noise>> = {
  calm: (times) => both(times, () => 0),
  jitter: (times, random) => both(times, () => exponential(DCI_MS * 0.3, random)),
  'jitter, spikes': (times, random) =>
    both(times, () => exponential(DCI_MS * 0.2, random) + (random() < 0.08 ? random() * 3 * DCI_MS : 0)),
  ...Object.fromEntries(
    [0.3, 1, 3, 10].map((mean): [string, Noise] => [
      `queue on the DCI, ${mean} s`,
      (times, random) => ({current: onOff(mean, times, random), alternative: none(times)}),
    ]),
  ),
  'queue beyond both, 1 s': (times, random) => {
    const queue = onOff(1, times, random)
    return {current: queue, alternative: queue.map((ms) => ms * (0.7 + 0.6 * random()))}
  },
  'congestion from the middle on': (times) => {
    const from = times[times.length >> 1]!
    const late = (at: number): number => (at >= from ? 30 : 0)
    return {current: times.map(late), alternative: times.map(late)}
  },
  'slow drift': (times) => ({current: times.map((at) => at / 1000), alternative: none(times)}),
  'queue on the DCI that is never empty for long': (times, random) => ({
    current: times.map(() => exponential(DCI_MS, random)),
    alternative: none(times),
  }),
}

interface Outcome {
  readonly side: Side | undefined
  readonly seconds: number
}
type Rule = (pairs: readonly PairValue[]) => Outcome

/** At most 60 pairs in a steady 200 ms, looked at three times. */
const before: Rule = (pairs) => {
  for (const n of [20, 40, 60]) {
    const seen = pairs.slice(0, n)
    const interval = medianInterval(
      seen.map(({currentMs, alternativeMs}) => currentMs - alternativeMs),
      0.99,
    )!
    const min = minimum(seen.map(({currentMs}) => currentMs)) - minimum(seen.map(({alternativeMs}) => alternativeMs))
    const seconds = seen.at(-1)!.atMs / 1000
    if (interval.lo > THRESHOLD_MS && min > THRESHOLD_MS) return {side: 'above', seconds}
    if (interval.hi < THRESHOLD_MS) return {side: 'below', seconds}
  }
  return {side: undefined, seconds: pairs.at(-1)!.atMs / 1000}
}

/** As it is now: looked at after every pair, and judged by the last stretch. */
const now: Rule = (pairs) => {
  for (let n = 8; n <= pairs.length; n++) {
    const {pairs: stretch} = lastStretch(pairs.slice(0, n), THRESHOLD_MS)
    const side = sideOf(stretch, THRESHOLD_MS, 0.01)
    if (side !== undefined) return {side, seconds: pairs[n - 1]!.atMs / 1000}
  }
  return {side: undefined, seconds: pairs.at(-1)!.atMs / 1000}
}

function simulate(noise: Noise, detourMs: number, random: Random, quick: boolean): PairValue[] {
  let at = 0
  const times = Array.from({length: PAIRS}, (_, i) => {
    at += (quick && i < 12 ? 75 : 200) * (0.5 + random())
    return at
  })
  const {current, alternative} = noise(times, random)
  return times.map((atMs, i) => ({
    atMs,
    currentMs: 5 + detourMs + current[i]! + exponential(0.1, random),
    alternativeMs: 5 + alternative[i]! + exponential(0.1, random),
  }))
}

/** Shares of runs that ended wrong and that ended open, and the times, s. */
function tried(rule: Rule, noise: Noise, detourMs: number, quick: boolean) {
  const truth: Side = detourMs > 0 ? 'above' : 'below'
  const outcomes = Array.from({length: runs}, (_, seed) => rule(simulate(noise, detourMs, seeded(seed + 1), quick)))
  const share = (of: (outcome: Outcome) => boolean): number => outcomes.filter(of).length / runs
  const seconds = outcomes.map((outcome) => outcome.seconds)
  return {
    wrong: share(({side}) => side !== undefined && side !== truth),
    open: share(({side}) => side === undefined),
    p50: quantile(seconds, 0.5),
    p90: quantile(seconds, 0.9),
  }
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
const words = ({wrong, open, p50, p90}: ReturnType<typeof tried>): string[] => [
  percent(wrong),
  percent(open),
  p50.toFixed(1),
  p90.toFixed(1),
]
const worse: string[] = []
const rows = Object.entries(NOISES).flatMap(([name, noise]) =>
  [0, DCI_MS].map((detourMs) => {
    const [then, today] = [tried(before, noise, detourMs, false), tried(now, noise, detourMs, true)]
    if (today.wrong > then.wrong + TOLERANCE) worse.push(`${name}, detour ${detourMs} ms`)
    return [name, `${detourMs} ms`, ...words(then), ...words(today)]
  }),
)
console.log(`${runs} runs a row; before: 20, 40 or 60 pairs; now: after every pair`)
console.log(
  table([['noise', 'detour', 'wrong', 'open', 's p50', 'p90', 'wrong now', 'open', 's p50', 'p90'], ...rows], {
    align: ['left', 'right', 'right', 'right', 'right', 'right', 'right', 'right', 'right', 'right'],
  }),
)
if (worse.length > 0) console.log(`more often wrong than before: ${worse.join('; ')}`)
process.exitCode = worse.length === 0 ? 0 : 1
