// Who is asked and told about a VM's lease: what the inventory names, or the shim at this host that answers it anyway.
import {DEFAULT_SHIM_SOCKET} from '../../domain/dhcp/control.ts'
import type {SegmentDhcp} from '../../domain/inventory/segment-dhcp.ts'
import type {Segment} from '../../domain/inventory/site.ts'
import {Failure} from '../../errors.ts'
import {isListening} from '../../net/stream/unix-socket.ts'
import type {World} from '../../net/world.ts'
import type {DhcpBackend, DhcpClient, GivenGateway} from './backends/backend.ts'
import {shimKnows} from './backends/gwswitch.ts'

export interface ChosenServer {
  readonly dhcp: SegmentDhcp
  /** What a plan says of it. */
  readonly caution?: string | undefined
}

/**
 * A shim that has the VM at a port of this host changes what every server says to it: nothing that a server is told counts
 * then. @throws Failure `usage` where there is none, and the inventory names no server; what its socket said, where there is
 * one that was not asked.
 */
export async function chooseServer(
  segment: Segment,
  client: DhcpClient,
  to: GivenGateway,
  control = DEFAULT_SHIM_SOCKET,
): Promise<ChosenServer> {
  const {name} = segment
  const {dhcp, caution, unasked} = await whoAnswers(segment, client, to, control)
  if (dhcp) return {dhcp, caution}
  throw (
    unasked ??
    new Failure(
      'usage',
      `the dhcp strategy needs to know the DHCP server of ${name}: want segments.${name}.dhcp in the inventory, or gwswitch serve dhcp-shim at the VM's hypervisor`,
    )
  )
}

export interface Answering {
  /** Undefined where nobody is known. */
  readonly dhcp: SegmentDhcp | undefined
  readonly caution?: string | undefined
  /** Why a shim that is there was not asked. */
  readonly unasked?: Failure
}

/** The same, also where nobody is. */
export async function whoAnswers(
  segment: Segment,
  client: DhcpClient,
  to?: GivenGateway,
  control = DEFAULT_SHIM_SOCKET,
): Promise<Answering> {
  const {dhcp} = segment
  if (dhcp?.server === 'shim') return {dhcp}
  try {
    return (await shimFor(segment, client, to, control)) ?? {dhcp}
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    const isThere = error.kind !== 'silent' || (await isListening(control))
    if (!isThere) return {dhcp}
    const caution = `do not know whether a shim here changes what ${dhcp?.server} says: ${error.message}`
    return {dhcp, caution, unasked: error}
  }
}

/** Undefined where no shim has the VM at a port, and where it leaves to the server which gateway of its site that is. */
async function shimFor(
  {dhcp, gateways}: Segment,
  client: DhcpClient,
  to: GivenGateway | undefined,
  control: string,
): Promise<ChosenServer | undefined> {
  const known = await shimKnows(control, client)
  if (known === undefined || known.port === null) return undefined
  const isOfItsSite = gateways.some(({ip, site}) => ip === known.router && site === to?.site)
  if (isOfItsSite && known.router !== to?.ip) return undefined
  const {address, state, renewEvery} = dhcp ?? {}
  const inPlace = dhcp === undefined ? '' : `; ${dhcp.server}, the server of the inventory, is told nothing`
  return {
    dhcp: {server: 'shim', control, address, state, renewEvery},
    caution: `go by gwswitch serve dhcp-shim at ${control}, which has ${client.name} at ${known.port}${inPlace}`,
  }
}

/**
 * What a shim makes of a reply is at the client's own port: past the others of the bridge it goes as its server said it, if
 * at all. @throws Failure `usage` for one of these.
 */
export async function checkVantage(
  via: string,
  client: DhcpClient,
  {portOf}: Pick<DhcpBackend, 'portOf'>,
  {bridgeOf}: Pick<World, 'bridgeOf'>,
): Promise<void> {
  const port = await portOf?.(client)
  if (port === undefined || port === via) return
  const [own, other] = await Promise.all([port, via].map((name) => bridgeOf?.(name)))
  if (own?.portOf === undefined || own.portOf !== other?.portOf) return
  throw new Failure(
    'usage',
    `${client.name} is at ${port}, and what its shim gives it does not pass ${via}: want -i ${port}`,
  )
}
