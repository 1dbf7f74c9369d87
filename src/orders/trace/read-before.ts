// The earlier document that `gwswitch trace --compare` is given.
import type {EarlierTrace} from '../../domain/trace/before-after.ts'
import {TRACE_SCHEMA} from '../../domain/trace/report.ts'
import {usage} from '../../errors.ts'
import {readNamed} from '../../net/file/text-file.ts'
import {flag, list, number, record, text} from '../../net/json-shape.ts'

const WANT = 'a document of gwswitch trace --json'

/** As far as a comparison reads it: what is null there may be null. */
const orNull =
  (shape: (value: unknown) => string | undefined) =>
  (value: unknown): string | undefined =>
    value === null ? undefined : shape(value)
const SCHEMA = (json: unknown): string | undefined => {
  const {schema} = (json ?? {}) as {schema?: unknown}
  return schema === TRACE_SCHEMA ? undefined : `.schema is ${JSON.stringify(schema) ?? 'missing'}, not ${TRACE_SCHEMA}`
}
const check = record({answered: number})
const BEFORE = record({
  schema: text,
  startedAt: text,
  results: list(
    record({
      host: record({ip: text}),
      destination: record({ip: text}),
      probe: record({proto: text}),
      egress: record({alternative: orNull(number)}),
      inbound: record({verdict: text}),
      candidates: list(record({mac: text, works: orNull(record({small: check, syn: check, full: check}))})),
      pairs: list(
        record({alternative: number, warmUp: flag, currentMs: orNull(number), alternativeMs: orNull(number)}),
      ),
    }),
  ),
})

/** @throws Failure `usage` for a file that cannot be read, or is no document of `trace --json`. */
export function readBefore(file: string): EarlierTrace {
  return parseBefore(readNamed(file, WANT), file)
}

/** @internal */
export function parseBefore(content: string, file: string): EarlierTrace {
  let json: unknown
  try {
    json = JSON.parse(content)
  } catch {
    throw usage(`${file} is no JSON: want ${WANT}`)
  }
  const problem = SCHEMA(json) ?? BEFORE(json)
  if (problem !== undefined) throw usage(`${file}${problem}: want ${WANT}`)
  return json as EarlierTrace
}
