// The VM of a set of rows, booted, with what its kind takes.
import {readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {LabRunVm} from '../../domain/evaluation/lab-run.ts'
import {Failure} from '../../errors.ts'
import {guestImage} from '../guest/image.ts'
import {labFiles} from '../state.ts'
import type {LabGateway} from '../topology.ts'
import {agentGuest, startGuestAgent} from './agent-guest.ts'
import {dhcpGuest} from './dhcp-guest.ts'
import {type RunListeners, type RunRig, runRig, vmOf} from './rig.ts'
import type {SetName} from './row.ts'
import {namespaceVm, qemuVm, type RunVm} from './vm.ts'

let boots = 0

/** At site x. @throws Failure `runtime` if it does not boot. */
export async function bootedRig(
  prefix: string,
  form: LabRunVm,
  set: SetName,
  {addresses, ports}: RunListeners,
): Promise<RunRig> {
  const files = labFiles(prefix)
  // A file of an earlier guest would be taken for one of this one.
  const scratch = join(files.directory, `guest-${++boots}`)
  const vm = vmOf(set)
  const rig = (
    machine: RunVm,
    more: {inventory?: string; right?: (gateway: LabGateway) => Promise<unknown>} = {},
  ): RunRig => {
    const line = set === 'shared' ? ownNeighbour : ownRoute
    const usual = {inventory: files.inventory, right: (gateway: LabGateway) => machine.sh(line(gateway))}
    return runRig({prefix, set, machine, ports, ...usual, ...more})
  }
  if (form === 'netns') return rig(await namespaceVm(prefix, vm, addresses))
  const inventory = readFileSync(files.inventory, 'utf8')
  if (set === 'dhcp') {
    const guest = await dhcpGuest(prefix, vm, inventory, scratch, addresses)
    // By the shim, which the client believes: what is done to its route it would not know.
    const right = ({site}: LabGateway) => guest.ask(site, {do: 'forcerenew', vm: vm.name})
    return {...rig(guest.machine, {right}), dhcp: guest}
  }
  if (set === 'agent') {
    const guest = await agentGuest(vm, inventory, scratch)
    const machine = await qemuVm(prefix, vm, guest.image, scratch, addresses)
    await startGuestAgent(machine)
    const file = join(scratch, 'gwswitch.yaml')
    writeFileSync(file, guest.inventory)
    return rig(machine, {inventory: file})
  }
  const image = await guestImage()
  if (typeof image === 'string') throw new Failure('runtime', `lab run: ${image}`)
  return rig(await qemuVm(prefix, vm, image, scratch, addresses))
}

/** Raw, and not by gwswitch, which is what is measured. */
const ownNeighbour = ({ip, mac}: LabGateway): string => `ip neigh replace ${ip} lladdr ${mac} dev eth0 nud reachable`

/** As the guest has it from its start (image.ts), and no other. */
const ownRoute = ({ip}: LabGateway): string =>
  `ip route replace default via ${ip} dev eth0 proto static metric 100; ` +
  `ip route show default | grep -v "via ${ip} .*metric 100" | while read -r route; do ip route del $route; done; true`
