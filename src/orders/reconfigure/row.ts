// What became of one client of `send-reconfigure`.
import type {DhcpClient} from '../../strategies/dhcp/backends/backend.ts'
import type {ClientReport} from '../../strategies/dhcp/reconfigure.ts'
import type {Ipv4} from '../../wire/address.ts'

/** A client that is not sent anything. */
export interface SkippedRow {
  readonly client: DhcpClient
  readonly outcome: 'skipped'
  readonly reason: string
  readonly traits: ClientReport['traits']
}

/** One client's run. */
export type ReportRow =
  | (ClientReport & {readonly wanted: Ipv4 | undefined; readonly sees: boolean; readonly signed: boolean})
  | SkippedRow
