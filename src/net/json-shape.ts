// JSON that other programs write: as it is expected, or one line that says where it is not. By hand: the schema library
// takes longer to load than most commands run.
import {Failure} from '../errors.ts'

/** What is wrong with a value, as where and what (`[0].mtu is no number`); undefined if it is a `T`. */
export type Shape<T> = ((value: unknown) => string | undefined) & {readonly type?: T}
/** What a shape says that a value is. */
export type Shaped<S> = S extends Shape<infer T> ? T : never

const primitive =
  <T>(type: 'string' | 'number' | 'boolean', name: string): Shape<T> =>
  (value) =>
    typeof value === type ? undefined : ` is no ${name}`

export const text = primitive<string>('string', 'text')
export const number = primitive<number>('number', 'number')
export const flag = primitive<boolean>('boolean', 'true or false')
export const anything: Shape<unknown> = () => undefined

export const optional =
  <T>(shape: Shape<T>): Shape<T | undefined> =>
  (value) =>
    value === undefined ? undefined : shape(value)

export const list =
  <T>(shape: Shape<T>): Shape<readonly T[]> =>
  (value) => {
    if (!Array.isArray(value)) return ' is no list'
    for (const [i, each] of value.entries()) {
      const problem = shape(each)
      if (problem !== undefined) return `[${i}]${problem}`
    }
    return undefined
  }

/** Keys that may be absent are `?` in the type. */
type RecordOf<S> = {readonly [K in keyof S as undefined extends Shaped<S[K]> ? never : K]: Shaped<S[K]>} & {
  readonly [K in keyof S as undefined extends Shaped<S[K]> ? K : never]?: Exclude<Shaped<S[K]>, undefined>
}

/** An object with these keys; what else it has is not looked at, and stays. */
export const record =
  <S extends Readonly<Record<string, Shape<unknown>>>>(shapes: S): Shape<RecordOf<S>> =>
  (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return ' is no object'
    for (const [key, shape] of Object.entries(shapes)) {
      const problem = shape((value as Readonly<Record<string, unknown>>)[key])
      if (problem !== undefined) return `.${key}${problem}`
    }
    return undefined
  }

/** `value`, if it is what `shape` says. @throws Failure `runtime` that says what `what` wrote instead. */
export function shaped<T>(value: unknown, what: string, shape: Shape<T>): T {
  const problem = shape(value)
  if (problem === undefined) return value as T
  throw new Failure('runtime', `${what}: the answer is not as expected: ${problem.trim()}`)
}

/** JSON of `shape`. @throws Failure `runtime` as {@link shaped} does, and for what is no JSON. */
export function readJson<T>(json: string, what: string, shape: Shape<T>): T {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    throw new Failure('runtime', `${what}: the answer is no JSON`)
  }
  return shaped(value, what, shape)
}

/**
 * What ip(8) and bridge(8) list: they write nothing where there is nothing, and older ones `{}` for what the question
 * leaves out. @throws Failure `runtime`
 */
export function listed<T>(output: string, what: string, shape: Shape<T>): readonly T[] {
  const all = output.trim() === '' ? [] : readJson(output, what, list(record({})))
  return shaped(
    all.filter((each) => Object.keys(each).length > 0),
    what,
    list(shape),
  )
}
