// `gwswitch inventory check`: everything that is wrong or suspicious in a file, and what the network says of it.
import type {AgainstRow} from '../../domain/inventory/against-network.ts'
import {checkExit} from '../../domain/inventory/against-network.ts'
import {
  type Examined,
  examineInventory,
  type Include,
  includesOf,
  type TextFile,
} from '../../domain/inventory/inventory.ts'
import {neededSite} from '../../domain/inventory/site.ts'
import {namedFiles, suspicionsOf} from '../../domain/inventory/suspicions.ts'
import {type Problem, pathText, readYaml} from '../../domain/yaml-file.ts'
import {Failure, usage} from '../../errors.ts'
import {type InventoryPlace, readIncluded, readInventoryFile} from '../../net/file/inventory-file.ts'
import {whyUnusable} from '../../net/file/text-file.ts'
import type {World} from '../../net/world.ts'
import {askNetwork, type NetworkOrder, type Unasked} from './ask-network.ts'

/** `error`: every command refuses the file for it. `warning`: none does, and hardly anybody wants it so. */
export interface Finding {
  readonly severity: 'error' | 'warning'
  readonly file: string
  /** From 1; null: the whole file. */
  readonly line: number | null
  readonly column: number | null
  /** `vms.web-07.mac`; empty: the whole file. */
  readonly key: string
  readonly message: string
}

export interface InventoryCheckDocument {
  readonly schema: 'gwswitch.inventory-check/1'
  readonly files: readonly string[]
  /** How many there are; null where the file could not be put together. A VM with several NICs counts once for each. */
  readonly counts: {readonly sites: number; readonly segments: number; readonly vms: number} | null
  readonly findings: readonly Finding[]
  /** Null where it was not asked. */
  readonly network: NetworkFound | null
  readonly exitCode: number
}

export interface NetworkFound {
  readonly ports: readonly string[]
  readonly rows: readonly AgainstRow[]
  readonly unasked: readonly Unasked[]
}

export interface CheckOrder {
  readonly place: InventoryPlace
  /** Names of the strategies that are installed. */
  readonly installed: readonly string[]
  /** Undefined: the file alone. */
  readonly network: NetworkOrder | undefined
}

/** @throws Failure `usage` where there is no inventory, or no interface at which to ask. */
export async function checkInventoryFile(
  {place, installed, network}: CheckOrder,
  stage: {readonly world: () => Promise<World>; readonly signal: AbortSignal},
): Promise<InventoryCheckDocument> {
  const file = readInventoryFile(place)
  if (!file) throw usage('no inventory: give -f FILE, or write ./gwswitch.yaml (see docs/inventory.md)')
  const {examined, texts, findings} = examine(file, place.cwd)
  const inventory = examined?.inventory
  const isRight = inventory !== undefined && findings.every(({severity}) => severity !== 'error')
  const all = isRight ? [...findings, ...suspicious(examined!, installed)] : findings
  const files = [file.path, ...texts.map(({path}) => path)]
  const known = {
    schema: 'gwswitch.inventory-check/1' as const,
    files,
    counts: inventory
      ? {sites: inventory.sites.length, segments: inventory.segments.length, vms: inventory.vms.length}
      : null,
    findings: inOrder(all, files),
  }
  const counted = {errors: 0, warnings: 0}
  for (const {severity} of all) counted[severity === 'error' ? 'errors' : 'warnings']++
  if (!isRight || network === undefined) return {...known, network: null, exitCode: checkExit(counted, undefined)}
  if (network.site !== undefined) neededSite(inventory, network.site)
  const {rows, unasked, ports, sites} = await askNetwork(inventory, network, await stage.world(), stage.signal)
  const found = {rows, unasked: unasked.length, siteOf: (segment: string) => sites.get(segment)}
  return {...known, network: {ports, rows, unasked}, exitCode: checkExit(counted, found)}
}

/** By files and lines. */
const inOrder = (findings: readonly Finding[], files: readonly string[]): readonly Finding[] =>
  findings.toSorted(
    (a, b) =>
      files.indexOf(a.file) - files.indexOf(b.file) ||
      (a.line ?? 0) - (b.line ?? 0) ||
      (a.column ?? 0) - (b.column ?? 0),
  )

interface Looked {
  /** Undefined where the inventory itself is no YAML. */
  readonly examined: Examined | undefined
  readonly texts: readonly TextFile[]
  readonly findings: readonly Finding[]
}

/** One file that cannot be read, or is no YAML, does not hide what is wrong with the others. */
function examine(file: TextFile, cwd: string): Looked {
  const findings: Finding[] = []
  const whole = <T>(path: string, work: () => T): T | undefined => {
    try {
      return work()
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      findings.push({severity: 'error', file: path, line: null, column: null, key: '', message: error.message})
      return undefined
    }
  }
  const includes = whole(file.path, () => includesOf(file.text, file.path)) ?? []
  const found = includes.map((include) => whole(file.path, () => readIncluded(file.path, [include], cwd)))
  const texts = [...new Map(found.flatMap((each) => each ?? []).map((each) => [each.path, each])).values()]
  const readable = texts.filter(({path, text}) => whole(path, () => readYaml(text, path)))
  // What is no YAML was said.
  const examined = findings.some((each) => each.file === file.path && /: not YAML: /.test(each.message))
    ? undefined
    : whole(file.path, () => examineInventory(file.text, file.path, readable))
  const flaws = (examined?.flaws ?? []).map((flaw): Finding => ({severity: 'error', ...flaw}))
  const none = includes.filter((_, i) => found[i]?.length === 0)
  return {
    examined,
    texts,
    findings: [
      ...findings,
      ...flaws,
      ...(examined ? none.map((each) => matchesNothing(each, includes, examined)) : []),
    ],
  }
}

const matchesNothing = (include: Include, includes: readonly Include[], {locate}: Examined): Finding => {
  const path = ['include', includes.indexOf(include)]
  return warning({path, message: `"${include.pattern}" matches no other file`}, locate)
}

function suspicious({inventory, locate}: Examined, installed: readonly string[]): readonly Finding[] {
  const files = namedFiles(inventory!).flatMap(({path, file}): Problem[] => {
    const why = whyUnusable(file, path.at(-1) === 'agentKey' ? 'private' : undefined)
    return why === undefined ? [] : [{path, message: why}]
  })
  return [...suspicionsOf(inventory!, installed), ...files].map((problem) => warning(problem, locate))
}

function warning({path, message, atKey, other}: Problem, locate: Examined['locate']): Finding {
  const at = other && locate(other, false)
  const there = at ? `; that is at ${at.file}:${at.line}:${at.column}` : ''
  return {severity: 'warning', ...locate(path, atKey === true), key: pathText(path), message: `${message}${there}`}
}
