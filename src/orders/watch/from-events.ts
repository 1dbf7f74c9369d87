// `gwswitch watch --from KIND`: events as the platform's own program prints them, on standard input.
import {type EventKind, eventReader, isAbout} from '../../domain/movement/events.ts'
import type {Movement} from '../../domain/movement/movement.ts'

/** Tells what the lines say, in their order, of these hosts (none: of all); resolves when there are no more. */
export async function readEvents(
  kind: EventKind,
  lines: AsyncIterable<string>,
  hosts: readonly string[],
  onMovement: (movement: Movement) => void,
): Promise<void> {
  const read = eventReader(kind)
  for await (const line of lines) for (const movement of read(line)) if (isAbout(movement, hosts)) onMovement(movement)
}

/** The line that tells the service of this site (`--tell`). A MAC is surer than a name; a name has no blank there. */
export function socketLine({kind, mac, vm}: Movement): string | undefined {
  const whom = mac ?? vm
  return whom === null || /\s/.test(whom) ? undefined : `${kind} ${whom}`
}
