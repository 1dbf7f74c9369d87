// What the interfaces of this host are (ip-link(8)).
import type {Mac} from '../wire/address.ts'
import {anything, listed, optional, record, text} from './json-shape.ts'
import {runCommand} from './process/command.ts'

/** A network interface, by what it is. */
export interface HostLink {
  readonly name: string
  readonly mac: Mac
  /** ip-link(8)'s kind, a tun(4) device's own (`tap`, `tun`); `device` for a card's. */
  readonly kind: string
  /** What it is a port of, and that one's kind. */
  readonly master: {readonly name: string; readonly kind: string} | undefined
}

const RAW_LINK = record({
  ifname: text,
  address: optional(text),
  master: optional(text),
  linkinfo: optional(
    record({info_kind: optional(text), info_slave_kind: optional(text), info_data: optional(anything)}),
  ),
})

/** Every interface of this network namespace. */
export const hostLinks = async (): Promise<HostLink[]> =>
  readHostLinks(await runCommand('ip', ['-d', '-json', 'link', 'show']))

/** @internal */
export const readHostLinks = (output: string): HostLink[] =>
  listed(output, 'ip link show', RAW_LINK).map(({ifname, address, master, linkinfo}) => {
    const {info_kind: kind, info_slave_kind: slave, info_data: data} = linkinfo ?? {}
    return {
      name: ifname,
      mac: address ?? '00:00:00:00:00:00',
      kind: kind === 'tun' ? tunType(data) : (kind ?? 'device'),
      master: master === undefined ? undefined : {name: master, kind: slave ?? 'unknown'},
    }
  })

/** `tap` or `tun`; the other kinds' data have no such type, or another. */
const tunType = (data: unknown): string => ((data as {type?: unknown} | undefined)?.type === 'tap' ? 'tap' : 'tun')
