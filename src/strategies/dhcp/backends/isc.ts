// ISC dhcpd 4.4 by OMAPI, spoken through omshell(1).
import type {SegmentDhcp} from '../../../domain/inventory/segment-dhcp.ts'
import {Failure} from '../../../errors.ts'
import {readText, textIfReadable} from '../../../net/file/text-file.ts'
import {runCommand} from '../../../net/process/command.ts'
import type {Ipv4, Mac} from '../../../wire/address.ts'
import type {DhcpBackend, DhcpClient} from './backend.ts'
import {alone, type BackendStage, nonceFrom, omapiLock} from './context.ts'
import {type IscHost, iscHost, iscRouter, withIscRouter} from './isc-leases.ts'
import {
  hostRoutes,
  includedConfig,
  readIscConfig,
  routerOfRoutes,
  routesStatement,
  scopeRoutes,
  withoutRoutes,
} from './isc-routes.ts'
import {type LogReader, transactionLog} from './transaction-log.ts'

export const ISC_OMAPI = '127.0.0.1:7911'
/** Where Debian's dhcpd keeps leases, and the hosts that it was told of at run time. */
const ISC_LEASES = '/var/lib/dhcp/dhcpd.leases'
const ISC_CONFIG = '/etc/dhcp/dhcpd.conf'

export function iscBackend(dhcp: SegmentDhcp, {world}: BackendStage): DhcpBackend {
  const {omapi = ISC_OMAPI, omapiKey, leases = ISC_LEASES, config = ISC_CONFIG, log: logFile} = dhcp
  const log = logFile === undefined ? undefined : transactionLog(logFile, iscReader())
  const given = new Map<Mac, Ipv4>()

  /** Runs one omshell script; it ends with code 0 whatever happens, so its words are what counts. */
  async function omshell(lines: readonly string[]): Promise<string> {
    const [address, port] = omapi.split(':')
    const login = [
      `server ${address}`,
      `port ${port}`,
      ...(omapiKey === undefined ? [] : [`key ${keyIn(omapiKey)}`]),
      'connect',
    ]
    const output = await runCommand('omshell', [], {
      input: [...login, ...lines, ''].join('\n'),
      signal: AbortSignal.timeout(10_000),
    })
    const wrong = /(?:dhcpctl_connect|connect): (.*)/.exec(output)?.[1]
    if (wrong === undefined && output.includes('obj: <null>')) return output
    throw new Failure(
      wrong?.includes('refused') ? 'silent' : 'runtime',
      `dhcpd's OMAPI at ${omapi}: ${wrong ?? 'no connection'} (is dhcpd running, with omapi-port and this key?)`,
    )
  }
  const host = (mac: Mac): string[] => ['new host', `set hardware-address = ${mac}`, 'set hardware-type = 1', 'open']
  const create = ({name, ip, statements}: IscHost, mac: Mac): string[] => [
    'new host',
    `set name = "${name}"`,
    `set hardware-address = ${mac}`,
    'set hardware-type = 1',
    ...(ip === null ? [] : [`set ip-address = ${ip}`]),
    ...(statements === '' ? [] : [`set statements = "${statements.replaceAll('"', '\\"')}"`]),
    'create',
  ]

  /** Removes the client's host, if there is one, and makes another: an update of what is there fails ("already exists"). */
  async function replace({name, mac}: DhcpClient, made: IscHost | null): Promise<void> {
    await alone(omapiLock(omapi), world, async () => {
      const found = isFound(await omshell(host(mac)))
      await omshell([...(found ? [...host(mac), 'remove'] : []), ...(made === null ? [] : create(made, mac))])
      if (made !== null && !isFound(await omshell(host(mac))))
        throw new Failure('refused', `dhcpd took no host ${made.name} (${mac}): has another host that name?`)
      if (made === null && isFound(await omshell(host(mac))))
        throw new Failure('refused', `dhcpd keeps its host ${name} (${mac}), which was not there before`)
    })
  }

  const wholeConfig = (): string | undefined => includedConfig(config, textIfReadable)

  /** Option 121, and 249: of the client's host, else of everybody at its address, and what it may be called. */
  function routesFor({ip}: Pick<DhcpClient, 'ip'>, host: IscHost | undefined) {
    const known = readIscConfig(wholeConfig() ?? '')
    const own = hostRoutes(host?.statements ?? '', known)
    // One without a default route is the same whichever gateway: it need not be said of the client alone.
    const scope = scopeRoutes(known, ip).filter(
      (each) => !own.some(({code}) => code === each.code) && (!each.routes || routerOfRoutes([each]) !== undefined),
    )
    return {known, all: [...own, ...scope]}
  }

  /** The same. @throws Failure `refused` for one that cannot be read: another one in its place would take routes away. */
  function readRoutesFor(client: DhcpClient, host: IscHost | undefined) {
    const found = routesFor(client, host)
    const unread = found.all.find(({routes}) => !routes)
    if (!unread) return found
    throw new Failure(
      'refused',
      `dhcpd gives ${client.name} option ${unread.code}, which outweighs the router, and its value cannot be read`,
    )
  }

  return {
    kind: 'isc',
    reach: `dhcpd by OMAPI at ${omapi}`,
    async check(client) {
      await omshell(host(client.mac))
      readRoutesFor(client, iscHost(readText(leases) ?? '', client.mac))
      if (wholeConfig() !== undefined) return []
      return [
        `whether dhcpd gives everybody option 121, which outweighs the router, is not known: ${config} cannot be read here (segments.*.dhcp.config)`,
      ]
    },
    async setRouter(client, {ip}) {
      const told = iscHost(readText(leases) ?? '', client.mac)
      const {known, all} = readRoutesFor(client, told)
      const others = withIscRouter(withoutRoutes(told?.statements ?? '', known), ip)
      const statements = [others, ...all.map((each) => routesStatement(each, ip))].join(' ')
      await replace(client, {name: client.name, ip: client.ip, statements})
      given.set(client.mac, ip)
    },
    async statement({mac, ip}) {
      if (!isFound(await omshell(host(mac))))
        return {router: routerOfRoutes(routesFor({ip}, undefined).all) ?? null, own: null, legible: true}
      // OMAPI does not tell what a host's clients are given; dhcpd's leases file does.
      const text = readText(leases)
      const own = text === undefined ? undefined : iscHost(text, mac)
      return own
        ? {router: routerOfRoutes(routesFor({ip}, own).all) ?? iscRouter(own) ?? null, own: {...own}, legible: true}
        : {router: null, own: null, legible: false}
    },
    async restore(client, {own, legible}) {
      if (legible) return replace(client, own as unknown as IscHost | null)
      throw new Failure(
        'runtime',
        `what dhcpd gave ${client.name} before is not known: ${leases} does not hold its host (segments.*.dhcp.leases)`,
      )
    },
    async lastTransaction({mac}) {
      const found = log?.last(mac)
      return found && {...found, router: given.get(mac), serverId: dhcp.address}
    },
    nonce: nonceFrom(dhcp),
  }
}

/** omshell repeats the object after `open`; found ones have a name or a MAC as known to dhcpd. */
const isFound = (output: string): boolean => !/can't open object: not found/.test(output)

function keyIn(file: string): string {
  const words = readText(file)?.trim().split(/\s+/)
  if (words?.length === 2) return words.join(' ')
  throw new Failure(
    'usage',
    `${file}: ${words ? 'is not "NAME SECRET"' : 'no such file'} (want the name and the secret of dhcpd's omapi-key)`,
  )
}

/**
 * dhcpd does not log xids of its own accord: a `log` statement of ours in its configuration does, before the ACK. The
 * reader therefore remembers the last xid of each client until dhcpd's own line says that the ACK is out.
 * @internal
 */
export function iscReader(): LogReader {
  const asked = new Map<Mac, number>()
  return (line) => {
    const request = /gwswitch request ([0-9a-f:]+) xid ([0-9a-f]+)/.exec(line)
    if (request) {
      asked.set(macOf(request[1]!), Number.parseInt(request[2]!, 16))
      if (asked.size > 10_000) asked.delete(asked.keys().next().value!)
      return undefined
    }
    const mac = /DHCPACK on \S+ to ((?:[0-9a-f]{2}:){5}[0-9a-f]{2})/.exec(line)?.[1]
    const xid = mac === undefined ? undefined : asked.get(mac)
    return mac === undefined || xid === undefined ? undefined : {mac, xid, acked: true}
  }
}

/** dhcpd's binary-to-ascii writes 2:0:0:0:0:1. */
const macOf = (text: string): Mac =>
  text
    .split(':')
    .map((pair) => pair.padStart(2, '0'))
    .join(':')
