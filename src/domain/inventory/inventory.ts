// The inventory file and those that it includes: text in, sites, segments, gateways and VMs out, or one line that says what
// is wrong with it.
import type * as z from 'zod'
import {Failure} from '../../errors.ts'
import {type Path, type Place, type Problem, pathText, readYaml, type YamlFile} from '../yaml-file.ts'
import {checkInventory} from './inventory-checks.ts'
import {includedSchema, includeField, inventorySchema, type Parsed, problemsOf} from './inventory-schema.ts'
import type {Inventory, Vm} from './site.ts'

export type {Inventory} from './site.ts'

/** A file that was read. `path` is the name that messages give it. */
export interface TextFile {
  readonly path: string
  readonly text: string
}

/** A path or a glob under `include`, and where it stands: `FILE:LINE:COLUMN: include[0]`. */
export interface Include {
  readonly pattern: string
  readonly at: string
}

/** Something wrong, with its place. */
export interface Flaw extends Place {
  readonly file: string
  /** `vms.web-07.mac`; empty: the whole file. */
  readonly key: string
  readonly message: string
}

/** What a file was found to be, wrong or not. */
export interface Examined {
  /** Undefined where it could not even be put together. */
  readonly inventory: Inventory | undefined
  /** In the order of the files and their lines. */
  readonly flaws: readonly Flaw[]
  /** Where something stands, in whichever file. */
  locate(path: Path, atKey: boolean): Place & {readonly file: string}
}

/**
 * Reads an inventory. `file` is the name that messages give it, `included` what its `include` names.
 *
 * Throws Failure('usage') on the first thing wrong, in the order of the file: `file:line:column: key: what, and what
 * would be right`.
 */
export function parseInventory(text: string, file: string, included: readonly TextFile[] = []): Inventory {
  const {inventory, flaws} = examineInventory(text, file, included)
  const [first, ...others] = flaws
  if (first !== undefined)
    throw new Failure('usage', `${flawText(first)}${others.length === 0 ? '' : ` [${others.length} more]`}`)
  return inventory!
}

/** All that is wrong with an inventory. @throws Failure `usage` for what is no YAML, or empty. */
export function examineInventory(text: string, file: string, included: readonly TextFile[] = []): Examined {
  const main = readYaml(text, file)
  if (main.value === null || main.value === undefined)
    throw new Failure('usage', `${file}: is empty (want "version: 1", sites, segments, vms)`)
  const others = included.map(({path, text}) => readYaml(text, path))
  const read = [readSource(main, inventorySchema), ...others.map((yaml) => readSource(yaml, includedSchema))]
  const locate = locator(read)
  const sources = read.flatMap(({yaml, parsed}) => (parsed === undefined ? [] : [{yaml, parsed}]))
  // What only a part of the files says would be called missing.
  if (sources.length < read.length)
    return {
      inventory: undefined,
      flaws: inOrder(
        read.flatMap(({flaws}) => flaws),
        read,
      ),
      locate,
    }
  const doubles = sources.flatMap(({yaml, parsed}) => doublesIn(yaml, parsed, locate))
  const merged = Object.assign({}, ...sources.map(({parsed}) => parsed).reverse()) as Parsed
  for (const kind of KINDS)
    Object.assign(merged, {[kind]: Object.assign({}, ...sources.map(({parsed}) => parsed[kind]))})
  const inventory = {
    ...inventoryOf(merged, file),
    ...(included.length > 0 && {included: included.map(({path}) => path)}),
  }
  const wrong = doubles.length > 0 ? [] : checkInventory(inventory).map((problem) => placed(problem, locate))
  return {inventory, flaws: inOrder([...doubles, ...wrong], read), locate}
}

/** What the inventory includes. @throws Failure `usage` for an `include` in what is no YAML. */
export function includesOf(text: string, file: string): readonly Include[] {
  // Most have none, and are taken apart once. A key may be written with escapes.
  if (!/include|\\/.test(text)) return []
  const yaml = readYaml(text, file)
  const value = yaml.valueAt(['include'])
  if (value === undefined || value === null) return []
  const parsed = includeField.safeParse(value)
  // What else is wrong is said with the rest of the file.
  if (!parsed.success) return []
  return parsed.data.map((pattern, i) => {
    const {line, column} = yaml.locate(['include', i], false)
    return {pattern, at: `${file}:${line}:${column}: include[${i}]`}
  })
}

/** `FILE:LINE:COLUMN: KEY: what`. */
const flawText = ({file, line, column, ...flaw}: Flaw): string => `${file}:${line}:${column}: ${saidOf(flaw)}`

/** `KEY: what`, as one sentence. */
export const saidOf = ({key, message}: Pick<Flaw, 'key' | 'message'>): string =>
  key === '' ? message : `${key}${/^is\b/.test(message) ? ' ' : ': '}${message}`

const KINDS = ['sites', 'segments', 'vms'] as const

interface Source {
  readonly yaml: YamlFile
  readonly parsed: Parsed | undefined
  readonly flaws: readonly Flaw[]
}

type Locate = Examined['locate']

function readSource(yaml: YamlFile, schema: z.ZodType<Parsed>): Source {
  // A list of VMs may be empty, or all in comments.
  const parsed = schema.safeParse(yaml.value ?? {})
  const locate: Locate = (path, atKey) => ({file: yaml.file, ...yaml.locate(path, atKey)})
  if (parsed.success) return {yaml, parsed: parsed.data, flaws: []}
  const problems = parsed.error.issues.flatMap((issue) => problemsOf(issue, yaml))
  return {yaml, parsed: undefined, flaws: problems.map((problem) => placed(problem, locate))}
}

/** Whoever has a name first has it; what no file has is the inventory's own. */
const locator =
  (sources: readonly Source[]): Locate =>
  (path, atKey) => {
    const {yaml} = sources.find((each) => each.yaml.valueAt(path.slice(0, 2)) !== undefined) ?? sources[0]!
    return {file: yaml.file, ...yaml.locate(path, atKey)}
  }

function placed({path, message, atKey, other}: Problem, locate: Locate): Flaw {
  const at = locate(path, atKey === true)
  const its = other && locate(other, false)
  const elsewhere = its && its.file !== at.file ? `; that is at ${its.file}:${its.line}:${its.column}` : ''
  return {...at, key: pathText(path), message: `${message}${elsewhere}`}
}

/** Names that a file before this one has. */
function doublesIn(yaml: YamlFile, parsed: Parsed, locate: Locate): Flaw[] {
  return KINDS.flatMap((kind) =>
    Object.keys(parsed[kind]).flatMap((name) => {
      const first = locate([kind, name], true)
      if (first.file === yaml.file) return []
      const message = `is already at ${first.file}:${first.line}:${first.column} (want it once)`
      return [{file: yaml.file, ...yaml.locate([kind, name], true), key: pathText([kind, name]), message}]
    }),
  )
}

function inOrder(flaws: readonly Flaw[], sources: readonly Source[]): readonly Flaw[] {
  const files = sources.map(({yaml}) => yaml.file)
  return [...flaws].sort(
    (a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column,
  )
}

function inventoryOf(parsed: Parsed, file: string): Inventory {
  return {
    file,
    sites: Object.entries(parsed.sites).map(([name, site]) => ({
      name,
      prefixes: site.prefixes,
      ...(site.probes && {probes: site.probes}),
      dciRttMs: site.dciRttMs,
    })),
    segments: Object.entries(parsed.segments).map(([name, segment]) => ({
      name,
      prefix: segment.prefix,
      gateways: segment.gateways.map((gateway) => {
        const agentKey = parsed.sites[gateway.site]?.agentKey
        return {...gateway, segment: name, ...(agentKey !== undefined && {agentKey})}
      }),
      ...(segment.vlan !== undefined && {vlan: segment.vlan}),
      ...(segment.ports && {ports: segment.ports}),
      ...(segment.dhcp && {dhcp: segment.dhcp}),
    })),
    vms: Object.entries(parsed.vms).flatMap(([name, vm]) => nicsOf(name, vm)),
  }
}

/** A VM of one NIC is that NIC; of several each is a VM of its own to all that acts on one, and has the VM's name before its own. */
function nicsOf(name: string, {nics = [], ...first}: Parsed['vms'][string]): readonly Vm[] {
  const {strategies, site, dhcp, agent} = first
  const whole = {strategies, site, ...(dhcp && {dhcp}), ...(agent && {agent})}
  if (nics.length === 0) return [{...first, name, site}]
  return [first, ...nics].map(({segment, ip, mac, ips, ip6, ...more}, at) => ({
    ...{segment, ip, mac, ...(ips && {ips}), ...(ip6 && {ip6}), ...whole},
    name: `${name}/${('name' in more && more.name) || segment}`,
    nicOf: {vm: name, at},
  }))
}
