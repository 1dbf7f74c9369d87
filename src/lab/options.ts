// What can be chosen about a lab.
import {Failure} from '../errors.ts'
import type {WireRule} from './wire-rules.ts'

/** How the two sites' segments are joined: VXLAN over an IP underlay, or a wire for each segment. */
export type DciKind = 'vxlan' | 'plain'

export interface LabOptions {
  /** Starts the name of everything the lab makes, so that several can run side by side. */
  readonly prefix: string
  /** One-way delay of the inter-site link, ms. */
  readonly dciDelayMs: number
  /** One-way delay between the sites' core routers, ms. */
  readonly wanDelayMs: number
  readonly dci: DciKind
  /** Rules of single wires, in place of a mere delay; the first that matches decides. */
  readonly wires: Readonly<Partial<Record<LabWireName, readonly WireRule[]>>>
}

/**
 * Wires that can have rules: the DCI and the WAN; a gateway's leg in tenant-a, its leg in the core, and the users' own.
 * The last six have no delay unless they have rules.
 */
export const WIRE_NAMES = ['dci', 'wan', 'gateway-x', 'gateway-y', 'core-x', 'core-y', 'user-x', 'user-y'] as const
export type LabWireName = (typeof WIRE_NAMES)[number]

export const DEFAULT_LAB: LabOptions = {prefix: 'gwlab', dciDelayMs: 10, wanDelayMs: 10, dci: 'vxlan', wires: {}}

const PREFIX = /^[a-z][a-z0-9-]{0,7}$/
const MAX_DELAY_MS = 1000

/** The defaults with `given` put over them. @throws Failure `usage` for what no lab can be. */
export function labOptions(given: Partial<LabOptions> = {}): LabOptions {
  const options = {...DEFAULT_LAB, ...given}
  checkPrefix(options.prefix)
  checkDelay('DCI', options.dciDelayMs)
  checkDelay('WAN', options.wanDelayMs)
  if (options.dci !== 'vxlan' && options.dci !== 'plain') {
    throw new Failure('usage', `lab: ${JSON.stringify(options.dci)} is no kind of DCI: want vxlan or plain`)
  }
  return options
}

/** @throws Failure `usage` for a prefix that cannot start a lab's names. */
export function checkPrefix(prefix: string): void {
  if (PREFIX.test(prefix)) return
  throw new Failure(
    'usage',
    `lab: prefix ${JSON.stringify(prefix)} will not do: want 1 to 8 of a-z, 0-9 and "-", a letter first, as in gwlab`,
  )
}

function checkDelay(which: string, delayMs: number): void {
  if (delayMs >= 0 && delayMs <= MAX_DELAY_MS) return
  throw new Failure('usage', `lab: ${which} delay ${delayMs} will not do: want 0 to ${MAX_DELAY_MS} ms, one way`)
}

/** One line for people: `DCI vxlan 10 ms, WAN 10 ms (one way)`. */
export const optionsText = ({dci, dciDelayMs, wanDelayMs}: LabOptions): string =>
  `DCI ${dci} ${dciDelayMs} ms, WAN ${wanDelayMs} ms (one way)`
