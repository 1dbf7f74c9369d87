// What shims ask each other: the last transaction of a VM that has come from elsewhere. A FORCERENEW must carry its xid, and
// only the shim where the VM was has seen that.
import * as z from 'zod'
import {isIpv4, isMac, type Mac} from '../../wire/address.ts'
import {derivedNonce} from '../../wire/dhcp-auth.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {parseSealed, serializeSealed} from '../../wire/sealed.ts'
import {DHCP_CLIENTS} from '../inventory/segment-dhcp.ts'
import {nonceText, type ShimLease} from './shim-clients.ts'
import type {ShimVm} from './shim-scope.ts'

/** UDP, to everybody on the segment; shims keep it from the VMs. */
export const SHIM_PORT = 6744

const mac = z.string().refine(isMac)
const ipv4 = z.string().refine(isIpv4)
const whole = z.int().min(0)
const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`))

const ask = z.strictObject({v: z.literal(1), ask: hex(16), mac})
const told = z.strictObject({
  v: z.literal(1),
  /** The `ask` that it answers. */
  told: hex(16),
  mac,
  ip: ipv4,
  xid: whole.max(0xffff_ffff),
  /** By the clock of who tells, ms since 1970. */
  lastSeenMs: whole,
  expiresAtMs: whole,
  t1S: whole,
  capable145: z.boolean(),
  /** Its server's, which has crossed the segment as it is here; null: the one that everybody who has the secret knows. */
  nonce: z.union([hex(16), z.literal(''), z.null()]),
  replay: z.string().regex(/^\d{1,20}$/),
  router: z.union([ipv4, z.literal('')]),
  kind: z.enum([...DHCP_CLIENTS, '']),
  serverIdentifier: ipv4,
  vlan: z.strictObject({id: whole.max(4095), priority: whole.max(7), dropEligible: z.boolean()}).nullable(),
})

export interface PeerAsk {
  /** 32 unguessable hex digits: an answer from before carries others. */
  readonly id: string
  readonly mac: Mac
}

export type PeerWord =
  | ({readonly kind: 'ask'} & PeerAsk)
  | {readonly kind: 'told'; readonly id: string; readonly lease: ShimLease}

export const peerAsk = ({id, mac: of}: PeerAsk, secret: Uint8Array): Uint8Array =>
  serializeSealed({v: 1, ask: id, mac: of} satisfies z.infer<typeof ask>, secret)

export function peerAnswer(id: string, lease: ShimLease, secret: Uint8Array): Uint8Array {
  const {ip, xid, lastSeenMs, expiresAtMs, t1S, capable145, router, kind, serverIdentifier, vlan = null} = lease
  const nonce = lease.nonce === ownNonce(secret, lease.mac) ? null : lease.nonce
  const facts = {ip, xid, lastSeenMs, expiresAtMs, t1S, capable145, router, kind, serverIdentifier}
  const word = {v: 1 as const, told: id, mac: lease.mac, ...facts, nonce, replay: `${lease.replay}`, vlan}
  return serializeSealed(word satisfies z.infer<typeof told>, secret)
}

/** Undefined for what none of us said, and for a VM that is not of `vms`. */
export function readPeerWord(
  bytes: Uint8Array,
  vms: ReadonlyMap<Mac, ShimVm>,
  secret: Uint8Array,
): PeerWord | undefined {
  const word = ifWellFormed(() => parseSealed(bytes, secret))
  const asked = ask.safeParse(word)
  if (asked.success) return {kind: 'ask', id: asked.data.ask, mac: asked.data.mac}
  const {data} = told.safeParse(word)
  const vm = data && vms.get(data.mac)
  if (data === undefined || vm === undefined) return undefined
  const {v: _, told: id, vlan, nonce, replay, ...facts} = data
  const lease: ShimLease = {
    ...facts,
    ...{segment: vm.segment, client: `hw:1:${data.mac}`, state: 'bound', hostName: '', portIndex: undefined},
    ...{nonce: nonce ?? ownNonce(secret, data.mac), replay: BigInt(replay), vlan: vlan ?? undefined},
  }
  return {kind: 'told', id, lease}
}

const ownNonce = (secret: Uint8Array, of: Mac): string => nonceText(derivedNonce(secret, of))
