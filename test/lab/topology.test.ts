import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import {ipFailure} from '../../src/lab/build.ts'
import {inventoryYaml} from '../../src/lab/inventory.ts'
import {type DciKind, DEFAULT_LAB} from '../../src/lab/options.ts'
import {linkLines, namespaceLines, nodeLines} from '../../src/lab/recipe.ts'
import {labNamespaces, labTopology, SEGMENTS, type Topology, USERS, VMS} from '../../src/lab/topology.ts'
import {isMac} from '../../src/wire/address.ts'

const KINDS: DciKind[] = ['vxlan', 'plain']
const topologyOf = (dci: DciKind): Topology => labTopology({...DEFAULT_LAB, dci})
const interfacesOf = ({wires, bridges, tunnels}: Topology) => [
  ...wires.flatMap(({ends}) => ends),
  ...bridges,
  ...tunnels,
]

describe.each(KINDS)('topology with a %s DCI', (dci) => {
  const topology = topologyOf(dci)
  const all = interfacesOf(topology)

  it('gives no index and no MAC twice', () => {
    expect(new Set(all.map(({index}) => index)).size).toBe(all.length)
    expect(new Set(all.map(({mac}) => mac)).size).toBe(all.length)
    expect(all.filter(({mac}) => !isMac(mac))).toEqual([])
  })

  it('gives every interface a name that the kernel takes, once in its namespace', () => {
    expect(all.filter(({name}) => name.length > 15)).toEqual([])
    expect(new Set(all.map(({node, name}) => `${node}/${name}`)).size).toBe(all.length)
  })

  it('plugs ports only into bridges that are in the same namespace', () => {
    const bridges = new Set(topology.bridges.map(({node, name}) => `${node}/${name}`))
    const ports = all.filter(({bridge}) => bridge !== undefined)
    expect(ports.length).toBeGreaterThan(12)
    expect(ports.filter(({node, bridge}) => !bridges.has(`${node}/${bridge}`))).toEqual([])
  })

  it('joins the sites only through the relay', () => {
    const site = (node: string): string | undefined => /(?:^|-|^[rc])(x|y)$/.exec(node)?.[1]
    for (const {ends} of topology.wires) {
      const sites = ends.map(({node}) => site(node)).filter((found) => found !== undefined)
      expect(new Set(sites).size).toBeLessThan(2)
    }
    for (const {ends} of topology.relayed) {
      for (const end of ends) expect(all.filter(({node, name}) => node === 'relay' && name === end)).toHaveLength(1)
    }
  })

  it('attaches each VM to site X alone', () => {
    for (const {name} of VMS) {
      const attached = all.filter(({node, bridge}) => node === 'hv' && bridge === `br-${name}`)
      expect(attached.map((port) => port.name)).toEqual([name, `${name}-x`])
    }
  })

  it('makes everything it names', () => {
    expect(namespaceLines(topology)).toEqual(labNamespaces('gwlab').map((name) => `netns add ${name}`))
    const lines = [...linkLines(topology), ...topology.nodes.flatMap((node) => nodeLines(topology, node))]
    for (const {name} of all) expect(lines.some((line) => line.includes(` name ${name} `))).toBe(true)
  })
})

describe('inventoryYaml', () => {
  it('is an inventory that says what the topology is', () => {
    const inventory = parseInventory(inventoryYaml({...DEFAULT_LAB, dciDelayMs: 7}), 'gwswitch.yaml')
    expect(inventory.sites.map(({name, dciRttMs}) => [name, dciRttMs])).toEqual([
      ['x', 14],
      ['y', 14],
    ])
    expect(inventory.sites.flatMap(({prefixes}) => prefixes.map(({address}) => address))).toEqual(
      USERS.map(({prefix}) => prefix.split('/')[0]),
    )
    expect(inventory.segments.flatMap(({gateways}) => gateways)).toEqual(
      SEGMENTS.flatMap(({gateways}) =>
        gateways.map(({name, site, ip, mac, segment, ownIp}) => ({
          ...(ownIp && {ownIp}),
          name,
          site,
          ip,
          mac,
          segment,
        })),
      ),
    )
    expect(inventory.vms.map(({name, ip, mac, site}) => ({name, ip, mac, site}))).toEqual(
      VMS.map(({name, ip, mac}) => ({name, ip, mac, site: undefined})),
    )
  })
})

describe('ipFailure', () => {
  const lines = ['link add index 1 name a type bridge', 'link add index 2 name b type vxlan id 1', 'link set b up']
  const result = (stderr: string) => ({code: 1, stdout: '', stderr})

  it('says what the kernel lacks and what would do instead', () => {
    const vxlan = ipFailure(lines, result('Error: Unknown device type.\nCommand failed -:2\n'))
    expect(vxlan.kind).toBe('runtime')
    expect(vxlan.message).toBe(
      'lab: this kernel has no vxlan interfaces (CONFIG_VXLAN): join the sites by the plain kind of DCI instead',
    )
    const bridge = ipFailure(lines, result('RTNETLINK answers: Operation not supported\nCommand failed -:1\n'))
    expect(bridge.message).toBe('lab: this kernel has no bridge interfaces (CONFIG_BRIDGE): the lab cannot run on it')
  })

  it('names the line that was not done, and a privilege as such', () => {
    const failure = ipFailure(lines, result('RTNETLINK answers: Operation not permitted\nCommand failed -:3\n'))
    expect(failure.kind).toBe('privilege')
    expect(failure.message).toBe('lab: ip link set b up: RTNETLINK answers: Operation not permitted')
  })
})
