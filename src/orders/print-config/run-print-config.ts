// `gwswitch serve dhcp --print-config SERVER`: between its flags and its words.
import {type Inventory, neededSegment, type Segment} from '../../domain/inventory/site.ts'
import {Failure, usage} from '../../errors.ts'
import {readText} from '../../net/file/text-file.ts'
import {parseNonceFile} from '../../strategies/dhcp/nonce-file.ts'
import {RECONFIGURE_KEY_LENGTH} from '../../wire/dhcp-auth.ts'
import {type ConfigBlock, configText, type PrintableServer, printConfig} from './print-config.ts'

export interface PrintConfigDocument {
  readonly schema: 'gwswitch.serve-dhcp-print-config/1'
  readonly server: PrintableServer
  readonly segment: string
  readonly blocks: readonly ConfigBlock[]
  readonly exitCode: 0
}

/**
 * The lines for one segment of the inventory. Nonces that its nonces file has already are kept; others are drawn.
 * @throws Failure `usage` without an inventory, or for a segment that is not there.
 */
export function runPrintConfig(
  server: PrintableServer,
  segmentName: string | undefined,
  inventory: Inventory | undefined,
): PrintConfigDocument {
  if (!inventory)
    throw new Failure('usage', '--print-config prints what the inventory says: give -f FILE, or write ./gwswitch.yaml')
  const segment = chosen(segmentName, inventory)
  const file = segment.dhcp?.nonces
  const text = file === undefined ? undefined : readText(file)
  const drawNonce = (): Uint8Array => crypto.getRandomValues(new Uint8Array(RECONFIGURE_KEY_LENGTH))
  const nonces = text === undefined ? undefined : parseNonceFile(text, file!)
  return {
    schema: 'gwswitch.serve-dhcp-print-config/1',
    server,
    segment: segment.name,
    blocks: printConfig({server, segment, vms: inventory.vms, nonces, drawNonce}),
    exitCode: 0,
  }
}

export const printConfigText = ({blocks}: PrintConfigDocument): string[] => configText(blocks)

function chosen(name: string | undefined, inventory: Inventory): Segment {
  if (name !== undefined) return neededSegment(inventory, name)
  const [only, ...others] = inventory.segments
  if (only && others.length === 0) return only
  throw usage(`say which segment with --segment (${inventory.segments.map((segment) => segment.name).join(', ')})`)
}
