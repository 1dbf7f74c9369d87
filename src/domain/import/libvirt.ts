// Domains as `virsh dumpxml` prints them (libvirt, Domain XML format): one, or several one after the other.
import {DOMParser, type Element, ParseError} from '@xmldom/xmldom'
import {usage} from '../../errors.ts'
import {readMac} from '../../wire/address.ts'
import {readIp} from '../../wire/ipv6-address.ts'
import type {Guest, GuestNic} from './guest.ts'

/** The channel of the QEMU guest agent. */
const AGENT_CHANNEL = 'org.qemu.guest_agent.0'
const DOMAIN_END = '</domain>'

/** `file` is the name that messages give it. @throws Failure `usage` for what is no domain. */
export function readLibvirt(text: string, file: string): readonly Guest[] {
  const parts = text.split(DOMAIN_END)
  const rest = parts.pop()!
  if (parts.length === 0 || rest.trim() !== '')
    throw usage(`${file}: is no domain of libvirt (want what virsh dumpxml prints)`)
  return parts.map((part) => guestOf(parsed(`${part.trim()}${DOMAIN_END}`, file), file))
}

function parsed(xml: string, file: string): Element {
  let wrong: string | undefined
  const onError = (_level: string, message: string): void => {
    wrong ??= message.split('\n')[0]
  }
  try {
    const root = new DOMParser({onError}).parseFromString(xml, 'text/xml').documentElement
    if (root?.tagName === 'domain' && wrong === undefined) return root
  } catch (error) {
    // What it reports and goes on from, it throws in the end.
    if (!(error instanceof ParseError)) throw error
    wrong ??= error.message
  }
  if (wrong !== undefined) throw usage(`${file}: not XML: ${wrong}`)
  throw usage(`${file}: is no domain of libvirt (want what virsh dumpxml prints)`)
}

const children = (element: Element | undefined, tag: string): Element[] =>
  [...(element?.childNodes ?? [])].filter((node) => node.nodeName === tag) as Element[]

const child = (element: Element | undefined, tag: string): Element | undefined => children(element, tag)[0]

const attribute = (element: Element | undefined, name: string): string | undefined =>
  element?.getAttribute(name) || undefined

function guestOf(domain: Element, file: string): Guest {
  const name = child(domain, 'name')?.textContent?.trim()
  if (!name) throw usage(`${file}: a domain has no name`)
  const devices = child(domain, 'devices')
  const left: string[] = []
  const nics = children(devices, 'interface').flatMap((nic) => {
    const mac = readMac(attribute(child(nic, 'mac'), 'address') ?? '')
    if (mac !== undefined) return [nicOf(nic, mac)]
    left.push(`a NIC of type ${attribute(nic, 'type') ?? 'unknown'} has no MAC`)
    return []
  })
  const isAgent = (channel: Element): boolean => attribute(child(channel, 'target'), 'name') === AGENT_CHANNEL
  const hasAgent = children(devices, 'channel').some(isAgent)
  return {name, nics, left, ...(hasAgent && {agent: {domain: name}})}
}

function nicOf(nic: Element, mac: string): GuestNic {
  const source = child(nic, 'source')
  const named = ['bridge', 'network', 'portgroup', 'dev'].map((key) => attribute(source, key))
  const tags = children(child(nic, 'vlan'), 'tag').map((tag) => Number(attribute(tag, 'id')))
  return {
    mac,
    networks: [...named, attribute(child(nic, 'target'), 'dev')].filter((name) => name !== undefined),
    // A trunk has several.
    vlan: tags.length === 1 ? tags[0] : undefined,
    ips: children(nic, 'ip').flatMap((ip) => readIp(attribute(ip, 'address') ?? '') ?? []),
  }
}
