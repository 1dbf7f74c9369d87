// Frames that come in at any interface, those that are made later too, by one socket.
import type {Instruction} from './bpf.ts'
import {openPacketSocket, type ReceivedFrame} from './packet-socket.ts'
import {watchReadable} from './readable.ts'

/** Bytes kept of a frame: announcements are shorter, whatever pads them. */
const SNAP = 128

/**
 * Calls `onFrame` for what the filter accepts, with the index of the interface. A frame that a bridge hands up comes twice:
 * from the port, and from the bridge. Until closed it keeps the process alive.
 * @throws Failure `privilege` without CAP_NET_RAW, `runtime` for anything else the kernel refuses.
 */
export function hearEverywhere(
  filter: readonly Instruction[],
  onFrame: (frame: ReceivedFrame) => void,
): {close(): Promise<void>} {
  const socket = openPacketSocket({interfaceIndex: 0, filter, snapLength: SNAP})
  const watch = watchReadable(socket.fd, () => void socket.drain(onFrame))
  return {
    async close() {
      await watch.stop()
      socket.close()
    },
  }
}
