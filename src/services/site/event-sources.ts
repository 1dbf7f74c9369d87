// `--events` of `serve site`: which platforms it listens to, and of which hosts.
import {type EventSource, isAbout, readEventSource} from '../../domain/movement/events.ts'
import {type EventStage, openEvents} from './event-source.ts'
import type {Source} from './serve.ts'

export interface SiteEvents {
  readonly sources: readonly EventSource[]
  /** As their platform calls them; none: all that are told of. */
  readonly hosts: readonly string[]
}

/** @throws Failure `usage` for what is no source of events. */
export const siteEvents = (sources: readonly string[], hosts: readonly string[]): SiteEvents => ({
  sources: sources.map(readEventSource),
  hosts,
})

export const eventSources = ({sources, hosts}: SiteEvents, stage: EventStage): Source[] =>
  sources.map((source) => ({
    name: source.kind,
    open: (onMovement) =>
      openEvents(source, stage, (movement) => {
        if (isAbout(movement, hosts)) onMovement(movement)
      }),
  }))

/** Files that are read for them, and whether a socket of a hypervisor is opened. */
export const eventFiles = ({sources}: SiteEvents): {readonly read: readonly string[]; readonly monitors: boolean} => ({
  read: sources.flatMap(({kind, where}) => (kind === 'nova' && where !== undefined ? [where] : [])),
  monitors: sources.some(({kind}) => kind === 'qmp'),
})
