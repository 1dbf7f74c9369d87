// `gwswitch who` between its flags and its words.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import type {WhoDocument} from '../../domain/who.ts'
import {Failure} from '../../errors.ts'
import {recordingWorld} from '../../net/packet/recording.ts'
import type {World} from '../../net/world.ts'
import {type WhoOrder, who} from '../../probe/who.ts'
import {isIpv4} from '../../wire/address.ts'

export async function runWho(
  order: WhoOrder,
  inventory: Inventory,
  world: World,
  run: {pcap: string | undefined; signal: AbortSignal},
): Promise<WhoDocument> {
  if (!isIpv4(order.source)) throw new Failure('usage', `--source ${order.source} is not an IPv4 address`)
  const recording = run.pcap === undefined ? undefined : recordingWorld(world, run.pcap)
  try {
    return await who(order, inventory, recording?.world ?? world, run.signal)
  } finally {
    recording?.close()
  }
}
