// Events of hypervisors, as their own programs print them.
import {EVENT_KINDS, eventReader, readEventSource} from '../../../src/domain/movement/events.ts'
import {LINES} from '../../domain/movement/recorded.ts'
import {ofJson, ofText, type Target} from '../target.ts'

/** By value where it is JSON, by word where it is laid out or none: one line as it is, then all of them. */
export const EVENTS: readonly Target[] = [
  ...EVENT_KINDS.map((kind) =>
    ofText({
      name: `${kind} events`,
      corpus: [LINES[kind].join('\n')],
      read: (text) => text.split('\n').flatMap(eventReader(kind)),
    }),
  ),
  ...EVENT_KINDS.filter((kind) => kind !== 'libvirt').map((kind) =>
    ofJson({
      name: `${kind} event`,
      corpus: LINES[kind].filter((line) => line.endsWith('}') && line.startsWith('{"')),
      read(text) {
        const read = eventReader(kind)
        for (const line of LINES[kind]) read(line)
        return read(text)
      },
    }),
  ),
  ofText({name: 'event source', corpus: ['libvirt=qemu:///system', 'qmp=/run/vm.qmp', 'nova'], read: readEventSource}),
]
