// `gwswitch serve dhcp` as its control socket shows it: says what it was told to say, and remembers what it was asked.
import type {Transaction, Whereabouts} from '../../../src/domain/dhcp/control.ts'
import {serveJson} from '../../../src/net/stream/json-lines.ts'
import type {UnixServer} from '../../../src/net/stream/unix-socket.ts'
import {CLIENT, NONCE} from './support.ts'

export interface LeaseDouble {
  readonly ip: string
  readonly mac: string
  xid: number
  /** Undefined: it was given none. */
  nonce?: string | undefined
  /** When it was last heard, s: differs from exchange to exchange. */
  heard: number
  router: string
}

export interface ControlDouble extends UnixServer {
  /** `relocate x`, `relocate null`, `nak`, `transaction`, ..., in order. */
  readonly asked: string[]
  /** The site that was said of the VM, null for none: it is at x then. */
  said: string | null
  /** Most connections that were open at once. */
  readonly most: number
}

export const leaseDouble = (over: Partial<LeaseDouble> = {}): LeaseDouble => ({
  ip: CLIENT.ip,
  mac: CLIENT.mac,
  xid: 7,
  nonce: Buffer.from(NONCE).toString('hex'),
  heard: 0,
  router: '10.0.0.1',
  ...over,
})

const ROUTERS: Readonly<Record<string, string>> = {x: '10.0.0.1', y: '10.0.0.2'}
const EPOCH_MS = 1_700_000_000_000

interface Request {
  readonly do: string
  readonly vm?: string
  readonly site?: string | null
  readonly after?: number
}

/** Takes as many connections as the real one. `onAsked` may change leases, and have it hang up instead of answering. */
export async function controlDouble(
  path: string,
  leases: readonly LeaseDouble[],
  onAsked: (request: Request) => unknown = () => {},
): Promise<ControlDouble> {
  const asked: string[] = []
  let open = 0
  let most = 0
  const state = {said: null as string | null}
  const server = await serveJson(path, {lineLimit: 16_384, connectionLimit: 64}, (lines) => {
    most = Math.max(most, ++open)
    return {
      onLine(line) {
        const request = JSON.parse(line) as Request
        asked.push(request.site === undefined ? request.do : `${request.do} ${request.site}`)
        if (onAsked(request) === 'hang up') lines.close()
        else lines.send(answerTo(request, leases, state))
      },
      onTooLong: () => {},
      onClose: () => void open--,
    }
  })
  return {
    asked,
    get most() {
      return most
    },
    get said() {
      return state.said
    },
    set said(site) {
      state.said = site
    },
    close: server.close,
  }
}

function answerTo(request: Request, leases: readonly LeaseDouble[], state: {said: string | null}): object {
  const lease = leases.find(({mac}) => mac === request.vm)
  switch (request.do) {
    case 'status':
      return {ok: true, segments: [{segment: 'tenant-a', pool: {size: 0, free: 0}, bound: leases.length}]}
    case 'relocate':
      state.said = request.site!
      return {ok: true, ...whereabouts(state), trigger: 'renewal'}
    case 'site':
      return {ok: true, ...whereabouts(state)}
    case 'nak':
      return {ok: true, vm: 'web-07', trigger: 'nak'}
    case 'leases':
      return {ok: true, leases: leases.map(({ip, mac}) => ({ip, mac, state: 'bound'}))}
    default:
      return lease
        ? {ok: true, ...told(lease)}
        : {ok: false, error: {kind: 'usage', message: `no VM "${request.vm}" here`}}
  }
}

function whereabouts({said}: {said: string | null}): Whereabouts {
  const site = said ?? 'x'
  return {vm: 'web-07', said: said ?? undefined, site, router: ROUTERS[site]}
}

function told({ip, mac, xid, nonce, heard, router}: LeaseDouble): Transaction {
  const iso = (s: number): string => new Date(EPOCH_MS + s * 1000).toISOString()
  return {
    vm: 'web-07',
    segment: 'tenant-a',
    ip,
    mac,
    xid: `0x${xid.toString(16)}`,
    nonce,
    replay: '1',
    capable145: nonce !== undefined,
    lastSeen: iso(heard),
    expires: iso(heard + 3600),
    renewsBy: iso(heard + 8),
    renewsEvery: 8,
    kind: undefined,
    serverIdentifier: '10.0.0.254',
    router,
    nextRouter: undefined,
  }
}
