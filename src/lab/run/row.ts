// A row of `lab run`: one way to move the gateway of a VM that has been migrated, as data.
import type {LabRunRow, LabRunVm} from '../../domain/evaluation/lab-run.ts'
import type {CommandResult} from '../../net/process/command.ts'
import type {LabGateway, LabSite, LabVm} from '../topology.ts'
import type {DhcpGuest} from './dhcp-guest.ts'
import type {RunVm} from './vm.ts'

/** One VM, booted once, which has all rows of it in every round. */
export type SetName = 'shared' | 'per-site' | 'agent' | 'dhcp'

export interface RunRow extends Omit<LabRunRow, 'samples'> {
  readonly set: SetName
  /** Forms of `lab run` that it can have. */
  readonly vms: readonly LabRunVm[]
  /** Programs that it takes, of those that may not be installed. */
  readonly programs?: readonly string[]
  /** How long is looked at least, ms from RESUME; see {@link WINDOW_MS}. */
  readonly windowMs?: number
  /** What is there before the VM migrates: services, if it has any. What is started ends with the sample. */
  start(stage: Stage): Promise<Acts>
}

export const WINDOW_MS = 3000

/** What is done in the course of one migration. */
export interface Acts {
  /** Its destination waits for it. Resolves when it may come. */
  readonly awaited?: () => Promise<void>
  /** The moment it runs there. Resolves to what the tool said of it. */
  readonly resumed?: () => Promise<string | null>
  /** After the measuring: what would be in the way of the next. */
  readonly end?: () => Promise<void>
}

/** One migration, as a row sees it. */
export interface Stage {
  readonly prefix: string
  readonly vm: LabVm
  readonly machine: RunVm
  readonly from: LabSite
  readonly to: LabSite
  readonly gateways: Readonly<Record<LabSite, LabGateway>>
  /** Where the VM has a lease. */
  readonly dhcp: DhcpGuest | undefined
  /** Files of this sample. */
  file(name: string): string
  /** Runs a program in a node of the lab to its end. */
  run(node: string, argv: readonly string[]): Promise<CommandResult>
  /** What the inventory says, of which one may be made for a sample. */
  readonly inventory: string
  /** Runs gwswitch there with --json; what it says of how it ended. `inventory`: a file in place of the lab's. */
  gwswitch(node: string, args: readonly string[], inventory?: string): Promise<string>
  /** Starts a service of gwswitch there; resolves when it has said what matches. It ends with the sample. */
  serve(node: string, args: readonly string[], ready: RegExp): Promise<void>
}
