// The inventory, by itself and against this host; and against the network, where that was asked.
import type {DoctorFacts, NetworkAnswer} from './facts.ts'
import {broken, type DoctorFinding, fine, wrong} from './finding.ts'
import {bridgesOf, legsOf} from './legs.ts'

const SHOWN = 5

export function inventoryRule(facts: DoctorFacts): readonly DoctorFinding[] {
  const {inventory: read, program, interfaces} = facts
  if (read === undefined) {
    const at = bridgesOf(facts)[0] ?? interfaces.find(({up, carrier, name}) => up && carrier && name !== 'lo')
    const mend = at === undefined ? null : `${program} init -i ${at.name}`
    return [
      wrong('no-inventory', 'there is no inventory', 'switch, who, filter and watch know no gateway without', mend),
    ]
  }
  const [file = ''] = read.files
  const checks = read.findings
    .slice(0, SHOWN)
    .map(({severity, text}) =>
      severity === 'error'
        ? broken('inventory', text, 'every command refuses the inventory for it', null)
        : wrong('inventory', text, 'no command refuses it, and hardly anybody wants it so', null),
    )
  const more =
    read.findings.length > SHOWN
      ? [wrong('inventory', `${read.findings.length - SHOWN} more in ${file}`, 'they are not shown here', null)]
      : []
  if (read.inventory === null) return [...checks, ...more]
  const {sites, segments, vms} = read.inventory
  const counts = `${sites.length} sites, ${segments.length} segments, ${vms.length} VMs`
  return [
    fine('inventory', `${read.files.join(', ')}: ${counts}`),
    ...checks,
    ...more,
    ...portRule(facts),
    ...legNotes(facts),
  ]
}

/** Inter-site ports: of all bridge nodes together, so that some may be elsewhere. */
function* portRule(facts: DoctorFacts): Iterable<DoctorFinding> {
  for (const {name, ports = []} of facts.inventory?.inventory?.segments ?? []) {
    const here = ports.flatMap((port) => facts.interfaces.filter((each) => each.name === port))
    if (ports.length > 0 && here.length === 0 && bridgesOf(facts).length > 0)
      yield fine('ports', `segment ${name}: its ports (${ports.join(', ')}) are on another host; its filter runs there`)
    for (const port of here) {
      const what = `${port.name}, a port of segment ${name},`
      const [bridge, another] = bridgesOf(facts)
      if (port.bridge === null)
        yield broken(
          'port',
          `${what} is on no bridge`,
          'a filter there would see no frame',
          bridge && !another ? `ip link set ${port.name} master ${bridge.name}` : null,
        )
      else if (!port.up) yield broken('port', `${what} is down`, 'nothing crosses it', `ip link set ${port.name} up`)
      else if (!port.carrier) yield broken('port', `${what} has no carrier`, 'its other end is down', null)
      else yield fine('port', `${port.name} leads segment ${name} out of ${port.bridge}`)
    }
  }
}

const legNotes = (facts: DoctorFacts): readonly DoctorFinding[] =>
  legsOf(facts).map(({gateway, interface: leg}) =>
    fine('leg', `this host is gateway ${gateway.name} (site ${gateway.site}) at ${leg.name}`),
  )

/** Nobody says here what may be sent: the question was asked by whoever wanted it. */
export function networkRule({network}: DoctorFacts): readonly DoctorFinding[] {
  if (network === undefined) return []
  const found = network.flatMap(answerFinding)
  const answering = network.filter(({standing}) => standing === 'answers' || standing === 'own').length
  return [fine('network', `${answering} of ${network.length} addresses of the inventory answer at their MAC`), ...found]
}

function answerFinding({kind, name, ip, mac, standing, others}: NetworkAnswer): readonly DoctorFinding[] {
  const who = `${kind === 'gateway' ? 'gateway' : 'VM'} ${name}`
  const otherwise = others.join(', ')
  if (standing === 'other-mac')
    return [
      (kind === 'gateway' ? broken : wrong)(
        'network',
        `${who}: ${otherwise} answers for ${ip}, and ${mac} of the inventory does not`,
        'a switch would use the MAC of the inventory',
        null,
      ),
    ]
  if (standing === 'twice')
    return [wrong('network', `${who}: ${otherwise} answers for ${ip} too`, 'two stations have one address', null)]
  if (standing === 'silent' && kind === 'gateway')
    return [wrong('network', `${who}: nobody answers for ${ip}`, 'it was asked from here alone', null)]
  return []
}
