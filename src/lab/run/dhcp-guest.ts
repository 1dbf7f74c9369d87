// A guest whose address and gateway are a lease of dhcpcd's: a stock dnsmasq at site x that knows the gateway there, and the
// shim of either site.
import {randomBytes} from 'node:crypto'
import {mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {ControlRequest, ControlResponse} from '../../domain/dhcp/control.ts'
import {Failure} from '../../errors.ts'
import {connectJson} from '../../net/stream/json-lines.ts'
import {dhcpGuestImage} from '../guest/dhcp-image.ts'
import {guestImage} from '../guest/image.ts'
import {type LabSite, type LabVm, SITES, segmentOf} from '../topology.ts'
import {until} from '../until.ts'
import {type Service, startService} from './service.ts'
import {type Listeners, qemuVm, type RunVm} from './vm.ts'

/** By itself the client asks after longer than a run takes. */
const NEVER_S = 36_000
const LEASE_S = 2 * NEVER_S
const LEASED_MS = 60_000

export interface DhcpGuest {
  readonly machine: RunVm
  /** Text of the inventory, by the shim of each site. */
  readonly inventory: (site: LabSite) => string
  /** A word to the shim of a site. */
  ask(site: LabSite, request: ControlRequest): Promise<ControlResponse>
}

/** Made in the folder `scratch`. @throws Failure `runtime` if there can be none here. */
export async function dhcpGuest(
  prefix: string,
  vm: LabVm,
  inventory: string,
  scratch: string,
  listeners: Listeners,
): Promise<DhcpGuest> {
  const base = await guestImage()
  if (typeof base === 'string') throw new Failure('runtime', `lab run: ${base}`)
  mkdirSync(scratch, {recursive: true})
  const {name, letter, gateways} = segmentOf(vm)
  const control = (site: LabSite): string => join(scratch, `shim-${site}.sock`)
  const known = (site: LabSite): string =>
    inventory.replace(`  ${name}:\n`, `  ${name}:\n    dhcp: { server: shim, control: ${control(site)} }\n`)
  const key = join(scratch, 'shims.key')
  writeFileSync(key, `${randomBytes(32).toString('hex')}\n`, {mode: 0o600})
  const services: Service[] = []
  const [{ip: router, node, interface: leg}] = gateways.filter(({site}) => site === 'x') as [(typeof gateways)[number]]
  const config = [
    ...['port=0', `interface=${leg}`, 'bind-interfaces', 'dhcp-authoritative', 'user=root', 'log-facility=-'],
    ...[`dhcp-range=${router},static,255.255.255.0,${LEASE_S}`, `dhcp-host=${vm.mac},${vm.ip}`],
    ...[`dhcp-option=option:router,${router}`, `dhcp-leasefile=${scratch}/leases`, `pid-file=${scratch}/pid`, ''],
  ]
  writeFileSync(join(scratch, 'dnsmasq.conf'), config.join('\n'))
  try {
    const server = ['dnsmasq', '--keep-in-foreground', '-C', join(scratch, 'dnsmasq.conf')]
    services.push(await startService(prefix, node, server, /started/))
    for (const site of SITES) {
      const file = join(scratch, `shim-${site}.yaml`)
      writeFileSync(file, known(site))
      const args = [
        'serve',
        'dhcp-shim',
        site,
        '-i',
        `dci-${letter}`,
        '--poll',
        `${NEVER_S}`,
        '--control',
        control(site),
      ]
      services.push(await startService(prefix, `sw-${site}`, [...args, '--key', key, '-f', file], /event=ready/, true))
    }
    const image = await dhcpGuestImage(base, scratch, '', ['dash', 'dhcpcd'])
    const machine = await qemuVm(prefix, vm, image, scratch, listeners, 'gw.client=dhcpcd')
    const leased = async (): Promise<boolean> => /^default via .* proto dhcp/m.test(await machine.sh('ip route show'))
    await until(leased, LEASED_MS, 'dhcpcd has a lease')
    return {
      inventory: known,
      async ask(site, request) {
        const peer = await connectJson(control(site), 'the shim')
        try {
          return (await peer.ask(request)) as ControlResponse
        } finally {
          peer.close()
        }
      },
      machine: {
        ...machine,
        async end() {
          await machine.end()
          await Promise.all(services.map((service) => service.end()))
        },
      },
    }
  } catch (error) {
    await Promise.all(services.map((service) => service.end()))
    throw error
  }
}
