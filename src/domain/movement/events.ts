// The platforms whose events say that a VM came or went, and the reader of each.
import {usage} from '../../errors.ts'
import {hint} from '../suggest.ts'
import {incusReader} from './incus.ts'
import {kubevirtReader} from './kubevirt.ts'
import {libvirtReader} from './libvirt.ts'
import type {Movement} from './movement.ts'
import {novaReader} from './nova.ts'
import {qmpReader} from './qmp.ts'
import {vcenterReader} from './vcenter.ts'

export const EVENT_KINDS = ['libvirt', 'kubevirt', 'vcenter', 'incus', 'nova', 'qmp'] as const
export type EventKind = (typeof EVENT_KINDS)[number]

/** What it says after one more line; never throws: what it does not know is no news. */
export type EventReader = (line: string) => readonly Movement[]

const READERS: Readonly<Record<EventKind, () => EventReader>> = {
  ...{libvirt: libvirtReader, kubevirt: kubevirtReader, vcenter: vcenterReader},
  ...{incus: incusReader, nova: novaReader, qmp: qmpReader},
}

/** A reader of lines as the platform's own program writes them; it remembers what it needs between them. */
export const eventReader = (kind: EventKind): EventReader => READERS[kind]()

/** Where events come from, as `KIND` or `KIND=WHERE`. */
export interface EventSource {
  readonly kind: EventKind
  /**
   * libvirt: its connection URI. kubevirt: a context of kubectl's. vcenter: an inventory path. incus: a remote. nova: the
   * file with the URL of its RabbitMQ. qmp: the monitor's socket. Undefined: what the platform's program takes by itself.
   */
  readonly where: string | undefined
}

/** @throws Failure `usage` for a kind that there is not, and for one that does not say where and has to. */
export function readEventSource(text: string): EventSource {
  const [, word = '', where] = /^([^=]*)(?:=(.*))?$/s.exec(text) ?? []
  const kind = EVENT_KINDS.find((each) => each === word)
  if (kind === undefined) throw usage(`there are no events of ${JSON.stringify(word)}${hint(word, EVENT_KINDS)}`)
  if (where === '' || where?.startsWith('-')) throw usage(`${kind}=${where}: is no place where its events are`)
  if (where === undefined && kind === 'qmp') throw usage("qmp wants the monitor's socket (qmp=/run/vm.qmp)")
  if (where === undefined && kind === 'nova')
    throw usage('nova wants the file with the URL of its RabbitMQ (nova=/etc/gwswitch/nova.url)')
  return {kind, where}
}

/**
 * Whether news are about one of these hosts, as the platform calls them (`--events-host`); of a source that names no host
 * all are, and without `hosts` too.
 */
export const isAbout = ({host}: Movement, hosts: readonly string[]): boolean =>
  hosts.length === 0 || host === null || hosts.includes(host)
