// Many frames at once, without losing the answers: a burst of questions brings a burst of answers.
import type {Link} from '../net/packet/link.ts'
import type {World} from '../net/world.ts'

/**
 * Frames between two looks at what came in. Their answers fit the receive queue of a socket as Linux has it by default
 * (`net.core.rmem_default`, 208 KiB, where a small frame takes 768 bytes).
 */
const CHUNK = 128
/** Timers are behind what came in, on Node's event loop: this is time enough to take it all. */
const TURN_MS = 1

/** Sends all of them, and waits where the device's queue is full. @throws the signal's reason. */
export async function sendPaced(
  link: Link,
  frames: readonly Uint8Array[],
  world: Pick<World, 'sleep'>,
  signal: AbortSignal,
): Promise<void> {
  for (let sent = 0; sent < frames.length; ) {
    sent += link.sendMany(frames.slice(sent, sent + CHUNK))
    if (sent < frames.length) await world.sleep(TURN_MS, signal)
  }
}
