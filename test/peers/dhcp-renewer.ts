// A client of our own codec that renews one lease over and over, some hundred times a second.
import {setTimeout as sleep} from 'node:timers/promises'
import {BOOTREPLY, DHCP_CLIENT_PORT, DHCP_SERVER_PORT, parseDhcp, serializeDhcp} from '../../src/wire/dhcp.ts'
import {AUTH_ALGORITHM_HMAC_MD5, DHCPACK, DHCPREQUEST, dhcpOptions, readOption} from '../../src/wire/dhcp-options.ts'
import {parseFrame, udpFrame} from '../../src/wire/frames.ts'
import {clientMessage} from '../domain/dhcp/maker.ts'
import {linkIn} from './arp-link.ts'
import {type DhcpLab, GATEWAYS, SERVER_IP, until, VM_IP} from './dhcp-lab.ts'

export interface Renewals {
  readonly asked: number
  /** Not answered within a second. */
  readonly unanswered: number
  /** Of those, the ones that were not answered later either. */
  readonly lost: number
  /** Answers beyond the first. */
  readonly repeated: number
  /** ACKs by the router that they name. */
  readonly routers: Readonly<Record<string, number>>
  /** From each question to its answer, ms. */
  readonly delaysMs: readonly number[]
}

const PATIENCE_MS = 1000

export async function renewer(lab: DhcpLab) {
  const {client, server} = lab
  const link = await linkIn(client.namespace, client.interface)
  let routers: Record<string, number> = {}
  let [xid, asked, unanswered, repeated] = [0x5000_0000, 0, 0, 0]
  let delaysMs: number[] = []
  let last: string | undefined
  let destination: string | undefined
  let answered: (() => void) | undefined
  const open = new Set<number>()
  const ours = (at: number): boolean => at > 0x5000_0000 && at <= xid

  link.onFrame(({bytes}) => {
    const frame = parseFrame(bytes)
    if (frame.kind !== 'udp' || frame.udp.destinationPort !== DHCP_CLIENT_PORT) return
    const message = parseDhcp(frame.udp.payload)
    if (!ours(message.xid) || readOption(message.options, dhcpOptions.messageType) !== DHCPACK) return
    if (!open.delete(message.xid)) {
      repeated++
      return
    }
    last = readOption(message.options, dhcpOptions.router)?.join() ?? 'none'
    routers[last] = (routers[last] ?? 0) + 1
    destination = frame.ethernet.destination
    if (message.xid === xid) answered?.()
  })

  /**
   * One renewal; true if it was answered. `fresh`: as after a boot, to everybody, which a server takes without a lease;
   * with the flag by which the answer comes to everybody too, if `flags` have it.
   */
  async function once(fresh = false, flags = 0): Promise<boolean> {
    xid++
    open.add(xid)
    const header = {xid, flags, chaddr: client.mac, ...(fresh ? {} : {ciaddr: VM_IP})}
    const wanted = {
      parameterRequestList: [1, 3, 51, 58, 59],
      forcerenewNonceCapable: [AUTH_ALGORITHM_HMAC_MD5],
      ...(fresh && {requestedAddress: VM_IP}),
    }
    const payload = serializeDhcp(clientMessage(DHCPREQUEST, wanted, header))
    const to = fresh ? {destination: 'ff:ff:ff:ff:ff:ff'} : {destination: server.mac}
    const ends = fresh ? {source: '0.0.0.0', destination: '255.255.255.255'} : {source: VM_IP, destination: SERVER_IP}
    const done = new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), PATIENCE_MS)
      answered = () => {
        clearTimeout(timer)
        resolve(true)
      }
    })
    link.send(
      udpFrame({...to, source: client.mac}, ends, {
        sourcePort: DHCP_CLIENT_PORT,
        destinationPort: DHCP_SERVER_PORT,
        payload,
      }),
    )
    return done
  }
  async function run(go: () => boolean): Promise<Renewals> {
    routers = {}
    delaysMs = []
    asked = unanswered = repeated = 0
    const before = xid
    while (go()) {
      asked++
      const askedMs = performance.now()
      if (await once()) delaysMs.push(performance.now() - askedMs)
      else unanswered++
      // Below the rate beyond which a shim lets replies pass.
      await sleep(1)
    }
    // A second answer to the last one.
    await sleep(100)
    const lost = [...open].filter((each) => each > before).length
    return {asked, unanswered, lost, repeated, routers: {...routers}, delaysMs}
  }

  function renew(times: number): Promise<Renewals>
  function renew(): {stop(): Promise<Renewals>}
  function renew(times?: number) {
    if (times !== undefined) return run(() => asked < times)
    let going = true
    const running = run(() => going)
    return {
      stop() {
        going = false
        return running
      },
    }
  }
  return {
    /** Gets the address. */
    lease: (flags = 0) =>
      until(
        () => once(true, flags),
        () => 'no lease',
      ),
    renew,
    /** As many ACKs as its server would send, with the other site's router, all of them expected; frames. */
    flood(count: number): Uint8Array[] {
      routers = {}
      return Array.from({length: count}, () => {
        open.add(++xid)
        const options = {router: [GATEWAYS.rx.ip], leaseTime: 3600, serverIdentifier: SERVER_IP}
        const header = {op: BOOTREPLY, xid, chaddr: client.mac, yiaddr: VM_IP, ciaddr: VM_IP}
        const payload = serializeDhcp(clientMessage(DHCPACK, options, header))
        const ports = {sourcePort: DHCP_SERVER_PORT, destinationPort: DHCP_CLIENT_PORT}
        const addresses = {source: server.mac, destination: client.mac}
        return udpFrame(addresses, {source: SERVER_IP, destination: VM_IP}, {...ports, payload})
      })
    },
    /** ACKs by the router that they name, since the last renewals or the flood began. */
    heard: (): Readonly<Record<string, number>> => ({...routers}),
    /** The router of the last ACK, and to which MAC it came. */
    last: () => [last, destination],
    /** Waits for an ACK with this router that comes from now on. */
    async hears(router: string): Promise<void> {
      last = undefined
      for (const end = performance.now() + 20_000; last !== router; await sleep(5))
        if (performance.now() > end) throw new Error(`no ACK names ${router}, the last one ${last}`)
    },
    [Symbol.asyncDispose]: () => link.close(),
  }
}
