// `gwswitch doctor`: this host, the inventory, and if that is wanted the network, put together and judged.
import type {DoctorFacts, InventoryFinding, NetworkAnswer} from '../../domain/doctor/facts.ts'
import {type DoctorFinding, doctorExit} from '../../domain/doctor/finding.ts'
import {findingsOf} from '../../domain/doctor/rules.ts'
import {type StrategyPlace, strategyPlaces} from '../../domain/doctor/strategy-places.ts'
import {saidOf} from '../../domain/inventory/inventory.ts'
import type {Inventory} from '../../domain/inventory/site.ts'
import {namedFiles} from '../../domain/inventory/suspicions.ts'
import {Failure} from '../../errors.ts'
import {type InventoryPlace, readInventoryFile} from '../../net/file/inventory-file.ts'
import {whyUnusable} from '../../net/file/text-file.ts'
import type {World} from '../../net/world.ts'
import {hostFacts, type KnownSocket} from '../../probe/host-facts.ts'
import type {NetworkOrder} from '../inventory/ask-network.ts'
import {checkInventoryFile, type InventoryCheckDocument} from '../inventory/check.ts'
import {keptInventory} from '../inventory/kept-inventory.ts'

export interface DoctorDocument {
  readonly schema: 'gwswitch.doctor/1'
  /** ISO 8601. */
  readonly at: string
  readonly exitCode: 0 | 10 | 12
  readonly node: string
  readonly kernel: string
  readonly capabilities: readonly string[]
  readonly findings: readonly DoctorFinding[]
  readonly strategies: readonly StrategyPlace[]
}

export interface DoctorOrder {
  readonly place: InventoryPlace
  readonly sockets: readonly KnownSocket[]
  readonly strategies: DoctorFacts['strategies']
  /** Undefined: the network is not asked. */
  readonly network: NetworkOrder | undefined
  readonly program: string
}

export async function runDoctor(
  {place, sockets, strategies, network, program}: DoctorOrder,
  stage: {readonly world: World; readonly signal: AbortSignal},
): Promise<DoctorDocument> {
  const [host, read] = await Promise.all([
    stage.world.interfaces().then((interfaces) => hostFacts(interfaces, sockets)),
    readInventory(place, strategies, network, stage),
  ])
  const facts: DoctorFacts = {
    ...host,
    ...{inventory: read.inventory, network: read.network, strategies, program},
    readable: readableOf(read.inventory?.inventory ?? undefined),
  }
  const findings = findingsOf(facts)
  return {
    ...{schema: 'gwswitch.doctor/1', at: new Date().toISOString(), exitCode: doctorExit(findings)},
    ...{node: facts.node, kernel: facts.kernel, capabilities: [...facts.capabilities], findings},
    strategies: strategyPlaces(facts),
  }
}

const readableOf = (inventory: Inventory | undefined): ReadonlySet<string> =>
  new Set((inventory ? namedFiles(inventory) : []).flatMap(({file}) => (whyUnusable(file) === undefined ? [file] : [])))

type Read = Pick<DoctorFacts, 'inventory' | 'network'>

/** As `inventory check` reads it; what that refuses is a finding here, and no end. */
async function readInventory(
  place: InventoryPlace,
  strategies: DoctorFacts['strategies'],
  network: NetworkOrder | undefined,
  {world, signal}: {readonly world: World; readonly signal: AbortSignal},
): Promise<Read> {
  const order = {place, installed: strategies.map(({name}) => name), network}
  try {
    if (readInventoryFile(place) === undefined) return {inventory: undefined, network: undefined}
    const document = await checkInventoryFile(order, {world: async () => world, signal})
    return {inventory: await inventoryOf(document, place), network: answersOf(document)}
  } catch (error) {
    if (!(error instanceof Failure) || error.kind !== 'usage') throw error
    return {
      inventory: {files: [], inventory: null, findings: [{severity: 'error', text: error.message}]},
      network: undefined,
    }
  }
}

async function inventoryOf({files, findings}: InventoryCheckDocument, place: InventoryPlace) {
  const isWrong = findings.some(({severity}) => severity === 'error')
  const said: InventoryFinding[] = findings.map((finding) => ({
    severity: finding.severity,
    text: finding.line === null ? finding.message : `${finding.file}:${finding.line}: ${saidOf(finding)}`,
  }))
  return {files, inventory: isWrong ? null : ((await keptInventory(place, true)) ?? null), findings: said}
}

const answersOf = ({network}: InventoryCheckDocument): readonly NetworkAnswer[] | undefined =>
  network?.rows.map(({kind, name, ip, mac, standing, others}) => ({kind, name, ip, mac, standing, others}))
