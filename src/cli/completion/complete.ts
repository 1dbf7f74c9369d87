// `gwswitch __complete SHELL ...`, which the scripts of packaging/completions/ ask at every Tab: without oclif, and with
// the inventory as it was last read.
import type {Inventory} from '../../domain/inventory/site.ts'
import {interfaceNames} from '../../net/interface-names.ts'
import {printRow} from '../../net/process/say.ts'
import {keptInventory} from '../../orders/inventory/kept-inventory.ts'
import {harmless} from '../../wire/printable.ts'
import {type Manifest, type NameKind, type Offer, offersFor} from './offers.ts'
import {bashReply, typedLine} from './shell-words.ts'

/** Those that bring none of their own: plugins are not loaded for this. */
const OWN_STRATEGIES = ['arp', 'dhcp', 'agent', 'mac-proxy']

/**
 * Prints `names`, `files` or `directories`, and then an offer a line: for bash as it is to be inserted, for others the value and
 * a tab and what it is. `argv`: `bash LINE WORDBREAKS`; or `zsh|fish WORD... CURRENT`, unquoted. What goes wrong offers nothing.
 */
export async function complete(manifest: Manifest, [shell, ...argv]: readonly string[]): Promise<void> {
  const typed = shell === 'bash' ? typedLine(argv[0] ?? '', argv[1] ?? '') : undefined
  const words = typed === undefined ? argv.slice(0, -1) : typed.words.slice(1)
  const current = typed?.current ?? argv.at(-1) ?? ''
  const {offers, names, paths, before, inventory, given} = offersFor(manifest, words, current)
  const all = [...offers, ...(await namesOf(names, inventory))].filter(({value}) => !given.includes(value))
  const fitting = all
    .map(({value, about}) => ({value: before + value, about}))
    // fish compares by itself, and not only beginnings.
    .filter(({value}) => value === harmless(value) && (shell === 'fish' || value.startsWith(current)))
  printRow([fitting.length === 0 && paths !== undefined ? paths : 'names'])
  for (const {value, about = ''} of fitting) {
    const reply = typed === undefined ? value : bashReply(value, typed)
    if (reply !== undefined) printRow(typed === undefined ? [reply, about] : [reply])
  }
}

async function namesOf(kinds: readonly NameKind[], flag: string | undefined): Promise<Offer[]> {
  if (kinds.length === 0) return []
  const found = kinds.some((kind) => kind !== 'INTERFACE') ? await inventoryIfReadable(flag) : undefined
  const unique = new Map(kinds.flatMap((kind) => NAMES[kind](found)).map((offer) => [offer.value, offer]))
  return [...unique.values()]
}

/** Whoever runs the command is told what is wrong with it. */
const inventoryIfReadable = (flag: string | undefined): Promise<Inventory | undefined> =>
  keptInventory({flag, env: process.env.GWSWITCH_INVENTORY, cwd: process.cwd()}, false).catch(() => undefined)

const NAMES: Readonly<Record<NameKind, (inventory: Inventory | undefined) => readonly Offer[]>> = {
  VM: (inventory) => inventory?.vms.map(({name, ip, segment}) => ({value: name, about: `${ip} ${segment}`})) ?? [],
  SITE: (inventory) => inventory?.sites.map(({name}) => ({value: name, about: 'site'})) ?? [],
  GATEWAY: (inventory) =>
    inventory?.segments.flatMap(({gateways}) =>
      gateways.map(({name, ip, site}) => ({value: name, about: `gateway ${ip} of site ${site}`})),
    ) ?? [],
  SEGMENT: (inventory) => inventory?.segments.map(({name}) => ({value: name, about: 'segment'})) ?? [],
  STRATEGY: (inventory) =>
    [...OWN_STRATEGIES, ...(inventory?.vms.flatMap(({strategies}) => strategies) ?? [])].map((value) => ({value})),
  INTERFACE: () => interfaceNames().map((value) => ({value, about: 'interface'})),
}
