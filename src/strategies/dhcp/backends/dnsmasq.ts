// dnsmasq (2.90 and others): the router of a VM is a line of the options file, read again at SIGHUP.
//
// Only the options file: `set:` tags in a hosts file make dnsmasq 2.81 to 2.90 abort at SIGHUP once the host was served.
import type {SegmentDhcp} from '../../../domain/inventory/segment-dhcp.ts'
import {Failure} from '../../../errors.ts'
import {dnsmasqSettings} from '../../../net/dhcp/dnsmasq-config.ts'
import {growingFile} from '../../../net/file/growing-file.ts'
import {isService, servicePid, signalService} from '../../../net/file/pid-file.ts'
import {replaceFile} from '../../../net/file/replace-file.ts'
import {readText} from '../../../net/file/text-file.ts'
import type {DhcpBackend, DhcpClient} from './backend.ts'
import {alone, type BackendStage, nonceFrom} from './context.ts'
import {isNeutrons, type PlacedLine, routerIn, routerLines, withLines, withRouter} from './dnsmasq-options.ts'
import {type LogReader, transactionLog} from './transaction-log.ts'

/** Where Debian's unit has dnsmasq write its pid. */
const DNSMASQ_PIDFILE = '/run/dnsmasq/dnsmasq.pid'
const NAME = 'dnsmasq'
/** It reads the file within a few ms of the signal; a loaded machine may take longer. */
const READ_MS = 2000
const QUIET_MS = 200

export function dnsmasqBackend(dhcp: SegmentDhcp, {world}: BackendStage): DhcpBackend {
  const {optsfile, pidfile = DNSMASQ_PIDFILE, log: logFile} = dhcp
  if (optsfile === undefined) throw new TypeError('the inventory lets no dnsmasq without an optsfile pass')
  const log = logFile === undefined ? undefined : transactionLog(logFile, dnsmasqLine)
  const options = (): string => {
    const text = readText(optsfile)
    if (text !== undefined) return text
    throw new Failure('runtime', `${optsfile}: no such file (want the file of dnsmasq's dhcp-optsfile=)`)
  }

  /** dnsmasq says in its log when it has read the file; without a log, being alive after a while must do. */
  async function reload(): Promise<void> {
    const news = logFile === undefined ? undefined : growingFile(logFile)
    let isRead = false
    news?.readNew(() => {})
    const pid = signalService(pidfile, NAME, 'SIGHUP')
    for (let waited = 0; waited < READ_MS; waited += 20) {
      await world.sleep(20)
      if (!isService(pid, NAME))
        throw new Failure(
          'runtime',
          `dnsmasq (pid ${pid}) ended at SIGHUP: see its log (set: tags in a dhcp-hostsfile do that)`,
        )
      news?.readNew((line) => {
        isRead ||= line.endsWith(` read ${optsfile}`)
      })
      if (news ? isRead : waited >= QUIET_MS) return
    }
    throw new Failure('runtime', `dnsmasq (pid ${pid}) did not read ${optsfile} again: is it its dhcp-optsfile=?`)
  }

  async function rewrite(change: (text: string) => string): Promise<void> {
    servicePid(pidfile, NAME)
    await alone(`${optsfile}.lock`, world, async () => {
      replaceFile(optsfile!, change(options()))
      await reload()
    })
  }

  return {
    kind: 'dnsmasq',
    reach: `dnsmasq by ${optsfile} and SIGHUP`,
    async check({name}) {
      if (isNeutrons(optsfile, options()))
        throw new Failure(
          'refused',
          `${optsfile}: is written by OpenStack Neutron, whole and anew at every change of a port, and nothing that is said there of ${name} stays: set the port's gateway in Neutron (extra DHCP options)`,
        )
      servicePid(pidfile, NAME)
      return []
    },
    async setRouter(client, {ip}) {
      const configured = dnsmasqSettings(servicePid(pidfile, NAME), ['dhcp-option', 'dhcp-option-force']).join('\n')
      await rewrite((text) => withRouter(text, client.name, ip, configured))
    },
    async statement({name}) {
      const text = options()
      return {router: routerIn(text, name) ?? null, own: routerLines(text, name), legible: true}
    },
    restore: ({name}, {own}) =>
      rewrite((text) => withLines(text, name, own as unknown as readonly PlacedLine[] | null)),
    async lastTransaction(client: DhcpClient) {
      const found = log?.last(client.mac)
      return found && {...found, router: routerIn(options(), client.name), serverId: dhcp.address}
    },
    nonce: nonceFrom(dhcp),
  }
}

/** With `log-dhcp` every line begins with the xid, in decimal. @internal */
export const dnsmasqLine: LogReader = (line) => {
  const found = /dnsmasq-dhcp\[\d+\]: (\d+) DHCPACK\([^)]*\) \S+ ((?:[0-9a-f]{2}:){5}[0-9a-f]{2})/.exec(line)
  return found ? {mac: found[2]!, xid: Number(found[1]), acked: true} : undefined
}
