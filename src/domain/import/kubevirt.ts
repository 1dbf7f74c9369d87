// VirtualMachineInstances as `kubectl get vmi -A -o json` prints them.
import * as z from 'zod'
import {usage} from '../../errors.ts'
import {readMac} from '../../wire/address.ts'
import {readIp} from '../../wire/ipv6-address.ts'
import type {Guest, GuestNic} from './guest.ts'

const named = z.looseObject({name: z.string()})
const VMI = z.looseObject({
  kind: z.literal('VirtualMachineInstance'),
  metadata: z.looseObject({name: z.string(), namespace: z.string().default('default')}),
  spec: z.looseObject({
    networks: z.array(named.extend({multus: z.looseObject({networkName: z.string()}).optional()})).default([]),
    domain: z.looseObject({
      devices: z
        .looseObject({interfaces: z.array(named.extend({masquerade: z.unknown().optional()})).default([])})
        .default({interfaces: []}),
    }),
  }),
  status: z
    .looseObject({
      interfaces: z
        .array(
          z.looseObject({
            name: z.string().optional(),
            mac: z.string().optional(),
            ipAddress: z.string().optional(),
            ipAddresses: z.array(z.string()).default([]),
          }),
        )
        .default([]),
    })
    .optional(),
})
type Vmi = z.output<typeof VMI>

/** A VM is called `NAMESPACE.NAME`. `file` is the name that messages give it. @throws Failure `usage` for what is none. */
export function readKubevirt(text: string, file: string): readonly Guest[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw usage(`${file}: is no JSON (want what kubectl get vmi -A -o json prints)`)
  }
  const list = z.looseObject({items: z.array(z.unknown())}).safeParse(value)
  return (list.success ? list.data.items : [value]).map((item, i) => {
    const vmi = VMI.safeParse(item)
    if (vmi.success) return guestOf(vmi.data)
    const {path, message} = vmi.error.issues[0]!
    throw usage(`${file}: item ${i} is no VirtualMachineInstance: ${path.join('.')}: ${message}`)
  })
}

function guestOf({metadata: {namespace, name}, spec, status}: Vmi): Guest {
  const nics: GuestNic[] = []
  const left: string[] = []
  if (!status?.interfaces.length) left.push('has no NIC in its status: it does not run')
  for (const {name: nic, mac: text, ipAddress, ipAddresses} of status?.interfaces ?? []) {
    const device = spec.domain.devices.interfaces.find((each) => each.name === nic)
    const network = spec.networks.find((each) => each.name === nic)?.multus?.networkName
    const mac = readMac(text ?? '')
    if (mac === undefined) left.push(`NIC ${nic ?? 'without a name'} has no MAC`)
    else if (device?.masquerade !== undefined)
      left.push(`NIC ${mac} left out: ${nic} is behind NAT of its pod (masquerade)`)
    else
      nics.push({
        mac,
        networks: [...new Set([network, network?.split('/').at(-1), nic])].filter((each) => each !== undefined),
        vlan: undefined,
        ips: [...new Set([ipAddress ?? '', ...ipAddresses].flatMap((ip) => readIp(ip) ?? []))],
      })
  }
  return {name: `${namespace}.${name}`, nics, left}
}
