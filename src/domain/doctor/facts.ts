// What `doctor` looks at: this host and the inventory, as they are. Nothing in it is a judgement.
import type {Inventory} from '../inventory/site.ts'

/** Capabilities that commands of gwswitch need (capabilities(7)). */
export const CAPABILITIES = ['CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_NET_BIND_SERVICE', 'CAP_SYS_ADMIN'] as const
export type Capability = (typeof CAPABILITIES)[number]

/** Something that the kernel (or this system) can do or not; `unknown` where this user may not try. */
export interface Ability {
  readonly state: 'yes' | 'no' | 'unknown'
  /** What stood against it, in the words of who said so. */
  readonly why: string | null
}

export const ABILITIES = ['raw-frames', 'nft-bridge', 'nft-timeouts', 'vlan-devices', 'conntrack'] as const
export type AbilityName = (typeof ABILITIES)[number]

/** Settings of an interface (ip-sysctl), as they are written there; those of `all` count too, by rules of their own. */
export const SETTINGS = [
  ...['accept_redirects', 'arp_accept', 'arp_announce', 'arp_ignore', 'forwarding', 'rp_filter'],
] as const
export type Settings = Readonly<Record<string, number | null>>

export interface DoctorInterface {
  readonly name: string
  readonly mac: string
  readonly up: boolean
  readonly carrier: boolean
  readonly addresses: readonly {readonly ip: string; readonly prefixLength: number}[]
  readonly isBridge: boolean
  /** The bridge that it is a port of. */
  readonly bridge: string | null
  readonly settings: Settings
  /** neigh/IFACE/locktime, hundredths of a second: how long an entry withstands another answer. */
  readonly locktime: number | null
}

export interface ServiceSocket {
  readonly service: string
  readonly path: string
  /** `dead`: there is a socket, and nobody listens at it. */
  readonly state: 'listening' | 'dead' | 'absent' | 'forbidden'
}

/** A finding of `inventory check`. */
export interface InventoryFinding {
  readonly severity: 'error' | 'warning'
  readonly text: string
}

/** A gateway or VM as the network answered for it. */
export interface NetworkAnswer {
  readonly kind: 'gateway' | 'vm'
  readonly name: string
  readonly ip: string
  readonly mac: string
  readonly standing: 'answers' | 'own' | 'other-mac' | 'twice' | 'silent'
  readonly others: readonly string[]
}

export interface DoctorFacts {
  readonly node: string
  readonly kernel: string
  readonly capabilities: ReadonlySet<Capability>
  readonly isRoot: boolean
  /** By the program's name: whether it was found. */
  readonly programs: Readonly<Record<string, boolean>>
  readonly abilities: Readonly<Record<AbilityName, Ability>>
  readonly interfaces: readonly DoctorInterface[]
  /** Those of `conf/all`. */
  readonly all: Settings
  /** bridge-nf-call-iptables; null: this kernel has no such thing loaded. */
  readonly bridgeNetfilter: number | null
  readonly sockets: readonly ServiceSocket[]
  /** Undefined: there is none. `inventory` is null where it cannot be used. */
  readonly inventory:
    | {
        readonly files: readonly string[]
        readonly inventory: Inventory | null
        readonly findings: readonly InventoryFinding[]
      }
    | undefined
  /** Files that the inventory names and that are readable here. */
  readonly readable: ReadonlySet<string>
  /** Undefined: it was not asked. */
  readonly network: readonly NetworkAnswer[] | undefined
  /** Names of the strategies that are installed, and what they say they need. */
  readonly strategies: readonly {readonly name: string; readonly needs: string}[]
  /** How this gwswitch is called, for commands to paste. */
  readonly program: string
}
