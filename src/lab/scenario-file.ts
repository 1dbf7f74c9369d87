// A situation as data: the lab that it takes, what is set up and what happens, and what `trace` must say of it.
import {z} from 'zod'
import {REASONS} from '../domain/trace/decision-table.ts'
import {pathText, readYaml} from '../domain/yaml-file.ts'
import {Failure} from '../errors.ts'
import {WIRE_NAMES} from './options.ts'
import {FRAME_KINDS} from './wire-rules.ts'

const site = z.enum(['x', 'y'])
const ms = z.number().min(0).max(10_000)
const seconds = z.number().min(0).max(600)
const share = z.number().min(0).max(1)
const rule = z.strictObject({
  match: z.enum(FRAME_KINDS).default('any'),
  longerThan: z.int().min(0).optional(),
  from: z.string().optional(),
  delay: ms.default(0),
  jitter: ms.default(0),
  loss: share.default(0),
  burst: z.strictObject({on: seconds, off: seconds, delay: ms}).optional(),
})
/** One rule or several; behind them all, what no rule is about passes at once. */
const rules = z
  .union([rule, z.array(rule).min(1)])
  .transform((given) => (Array.isArray(given) ? [...given, rule.parse({})] : [given]))
/** Any of these will do. */
const anyOf = <T extends z.ZodType>(of: T) => z.union([of.transform((one) => [one]), z.array(of)])
const step = z.strictObject({in: z.string(), run: z.string()})

const schema = z.strictObject({
  title: z.string(),
  wires: z.partialRecord(z.enum(WIRE_NAMES), rules).default({}),
  /** Where web-07 is, and which gateway it uses. */
  vm: z.strictObject({site: site.default('y'), gateway: z.enum(['rx', 'ry']).default('rx')}).prefault({}),
  /** What the inventory says; false: there is none. */
  inventory: z
    .union([z.literal(false), z.strictObject({dciRttMs: ms.optional(), vmSite: site.optional()})])
    .default({dciRttMs: 20}),
  /** Shell commands in nodes, in order, before anything is traced. */
  setup: z.array(step).default([]),
  /** What happens while it is traced, in seconds from its first frame. */
  during: z.array(z.union([z.strictObject({at: seconds, move: site}), step.extend({at: seconds})])).default([]),
  /** Arguments of `gwswitch trace`, run on web-07. */
  trace: z.array(z.string()).default(['203.0.113.10']),
  /** How often it is traced. */
  runs: z.int().min(1).max(1000).default(1),
  expect: z.strictObject({
    code: anyOf(z.int()),
    verdict: anyOf(z.string()).optional(),
    reason: anyOf(z.enum(REASONS as [string, ...string[]])).optional(),
    inbound: anyOf(z.string()).optional(),
    /** Codes of remarks, all of which must be made. */
    flags: z.array(z.string()).default([]),
  }),
})

export type Scenario = z.infer<typeof schema>

/** Reads a scenario. @throws Failure `usage` with file, line and column. */
export function parseScenario(text: string, file: string): Scenario {
  const yaml = readYaml(text, file)
  const parsed = schema.safeParse(yaml.value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  const path = issue.path.map((key) => (typeof key === 'symbol' ? String(key) : key))
  const strange = issue.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : []
  const {line, column} = yaml.locate([...path, ...strange], strange.length > 0)
  throw new Failure('usage', `${file}:${line}:${column}: ${pathText(path)} ${issue.message}`)
}
