// Whether a file is the document of a run: other programs and other versions may have written it.
import type {
  LabRun,
  LabRunFamily,
  LabRunProvenance,
  LabRunRow,
  LabRunSample,
  LabRunSession,
  LabRunStream,
} from '../../domain/evaluation/lab-run.ts'
import {usage} from '../../errors.ts'
import {readNamed} from '../../net/file/text-file.ts'
import {list, number, optional, record, type Shape, text} from '../../net/json-shape.ts'

const orNull =
  <T>(shape: Shape<T>): Shape<T | null> =>
  (value) =>
    value === null ? undefined : shape(value)

const oneOf =
  <T extends string>(...words: readonly T[]): Shape<T> =>
  (value) =>
    words.some((word) => word === value) ? undefined : ` is none of ${words.join(', ')}`

/** Values of one shape by whatever name. */
const named =
  <T>(shape: Shape<T>): Shape<Readonly<Record<string, T>>> =>
  (value) =>
    record({})(value) ?? record(Object.fromEntries(Object.keys(value as object).map((key) => [key, shape])))(value)

const pairOf =
  <T>(shape: Shape<T>): Shape<readonly [T, T]> =>
  (value) =>
    list(shape)(value) ?? ((value as readonly T[]).length === 2 ? undefined : ' is no pair')

const STREAM: Shape<LabRunStream> = record({
  ...{sent: number, lostAtMs: list(number), lostAfter: number, gapOutMs: number, gapInMs: number},
  rttMs: record({before: orNull(number), trombone: orNull(number), after: orNull(number)}),
})
const FAMILY: Shape<LabRunFamily> = record({toFirstMs: orNull(number), trombone: number, near: STREAM, far: STREAM})
const SESSION: Shape<LabRunSession> = record({end: oneOf('alive', 'cut', 'silent'), gapMs: number})
const SAMPLE: Shape<LabRunSample> = record({
  ...{round: number, from: oneOf('x', 'y'), to: oneOf('x', 'y'), at: text, void: optional(text)},
  ...{downtimeMs: orNull(number), windowMs: number, ipv4: FAMILY, ipv6: orNull(FAMILY)},
  tcp: record({plain: SESSION, nat: orNull(SESSION)}),
  ...{unreachable: orNull(number), said: orNull(text)},
})
const ROW: Shape<LabRunRow> = record({
  ...{id: text, title: text, kind: oneOf('control', 'gwswitch', 'other'), strategy: optional(text)},
  ...{control: text, how: text, samples: list(SAMPLE)},
})
const PROVENANCE: Shape<LabRunProvenance> = record({
  ...{gwswitch: text, node: text, kernel: text, distribution: text, cpus: number},
  ...{load: pairOf(number), span: pairOf(text), parts: named(text)},
})
const RUN: Shape<LabRun> = record({
  ...{schema: oneOf('gwswitch.lab-run/1'), vm: oneOf('qemu', 'netns'), repeat: number, seed: number},
  ...{delaysMs: record({dci: number, wan: number}), paceMs: number, provenance: PROVENANCE},
  ...{rows: list(ROW), left: list(record({id: text, why: text})), exitCode: number},
})

/** The run in a file. @throws Failure `usage` in one line for a file that is not there, and for one that holds none. */
export function readRun(file: string): LabRun {
  const json = readNamed(file, 'what `lab run` wrote')
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    throw usage(`${file}: is no JSON, and so no run`)
  }
  const problem = RUN(value)
  if (problem !== undefined) throw usage(`${file}: is no run of lab run: ${problem.trim().replace(/^\./, '')}`)
  return value as LabRun
}
