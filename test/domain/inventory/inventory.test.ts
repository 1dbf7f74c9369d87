import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {
  allGateways,
  findSegment,
  findVm,
  gatewaysAtSite,
  segmentOfIp,
  sharesGatewayIp,
} from '../../../src/domain/inventory/site.ts'
import {Failure} from '../../../src/errors.ts'

const FILE = 'gwswitch.yaml'
const INVENTORY = `version: 1
sites:
  x: { prefixes: [198.51.100.0/24, 203.0.0.0/16], dciRttMs: 20 }
  y: { prefixes: [203.0.113.0/24] }
segments:
  tenant-a:
    prefix: 10.0.0.0/24
    gateways:
      - { name: rx, site: x, ip: 10.0.0.1, mac: "02:00:00:00:0a:01" }
      - { name: ry, site: y, ip: 10.0.0.2, mac: "02:00:00:00:0b:01" }
  tenant-b:
    prefix: 10.1.0.0/24
    gateways:
      - { name: bx, site: x, ip: 10.1.0.254, mac: "02:00:00:00:0a:01" }
      - { name: by, site: y, ip: 10.1.0.254, mac: "02:00:00:00:0b:02" }
vms:
  web-07: { segment: tenant-a, ip: 10.0.0.10, mac: "02:00:00:00:00:10", strategies: [agent, dhcp] }
  db-01: { segment: tenant-b, ip: 10.1.0.10, mac: "02:00:00:00:00:10", site: y }
`
const inventory = parseInventory(INVENTORY, FILE)

function failureOf(text: string): Failure {
  try {
    parseInventory(text, FILE)
  } catch (error) {
    expect(error).toBeInstanceOf(Failure)
    return error as Failure
  }
  throw new Error('was accepted')
}

describe('an inventory', () => {
  it('is read into sites, segments, gateways and VMs', () => {
    expect(inventory.sites[0]).toEqual({
      name: 'x',
      prefixes: [
        {address: '198.51.100.0', length: 24},
        {address: '203.0.0.0', length: 16},
      ],
      dciRttMs: 20,
    })
    expect(inventory.segments[1]!.gateways[1]).toEqual({
      name: 'by',
      segment: 'tenant-b',
      site: 'y',
      ip: '10.1.0.254',
      mac: '02:00:00:00:0b:02',
    })
    expect(inventory.vms).toEqual([
      {
        name: 'web-07',
        segment: 'tenant-a',
        ip: '10.0.0.10',
        mac: '02:00:00:00:00:10',
        strategies: ['agent', 'dhcp'],
        site: undefined,
      },
      {name: 'db-01', segment: 'tenant-b', ip: '10.1.0.10', mac: '02:00:00:00:00:10', strategies: [], site: 'y'},
    ])
  })

  it.each(['02-00-00-00-0A-01', '0200.0000.0a01', '02:00:00:00:0A:01'])('takes a MAC as %s', (mac) => {
    const read = parseInventory(
      INVENTORY.replace('"02:00:00:00:0a:01" }\n      - { name: ry', `"${mac}" }\n      - { name: ry`),
      FILE,
    )
    expect(allGateways(read).find(({name}) => name === 'rx')!.mac).toBe('02:00:00:00:0a:01')
  })

  it('takes a MAC without quotes, though it may look like a number', () => {
    const read = parseInventory(
      INVENTORY.replace('"02:00:00:00:00:10", strategies', '02:00:00:00:00:10, strategies'),
      FILE,
    )
    expect(findVm(read, 'web-07')!.mac).toBe('02:00:00:00:00:10')
  })

  it('may be JSON, and may leave out what it does not need', () => {
    expect(parseInventory('{"version": 1}', FILE)).toEqual({file: FILE, sites: [], segments: [], vms: []})
    expect(parseInventory('version: 1\nsites:\n  y:\nvms:\n', FILE).sites).toEqual([
      {name: 'y', prefixes: [], dciRttMs: undefined},
    ])
  })
})

describe('errors name file, line, key and what would be right', () => {
  it.each([
    [
      '"02:00:00:00:0a:01" }\n      - { name: ry',
      '"02:00:zz" }\n      - { name: ry',
      `${FILE}:9:49: segments.tenant-a.gateways[0].mac: "02:00:zz" is not a MAC address (want 02:00:00:00:0a:01)`,
    ],
    [
      '"02:00:00:00:0b:01"',
      '20000000012',
      `${FILE}:10:49: segments.tenant-a.gateways[1].mac: 20000000012 is not a MAC address (want 02:00:00:00:0a:01)`,
    ],
    [
      '"02:00:00:00:0b:01"',
      '"01:00:5e:00:00:01"',
      `${FILE}:10:49: segments.tenant-a.gateways[1].mac: "01:00:5e:00:00:01" is a multicast MAC (want a station's own, 02:00:00:00:0a:01)`,
    ],
    [
      '"02:00:00:00:0b:01"',
      '"00:00:00:00:00:00"',
      `${FILE}:10:49: segments.tenant-a.gateways[1].mac: "00:00:00:00:00:00" is the zero MAC (want a station's own, 02:00:00:00:0a:01)`,
    ],
    [
      'ip: 10.0.0.2',
      'ip: 10.0.0.256',
      `${FILE}:10:34: segments.tenant-a.gateways[1].ip: "10.0.0.256" is not an IPv4 address (want 10.0.0.1)`,
    ],
    [
      'ip: 10.0.0.2, ',
      '',
      `${FILE}:10:9: segments.tenant-a.gateways[1].ip is missing (want an IPv4 address: 10.0.0.1)`,
    ],
    [
      'ip: 10.0.0.2, ',
      'ip: 10.0.0.2, ra: { lifetime: 9001 }, ',
      `${FILE}:10:60: segments.tenant-a.gateways[1].ra.lifetime: 9001 is not a router lifetime (want 1 to 9000 s)`,
    ],
    [
      'ip: 10.0.0.2, ',
      'ip: 10.0.0.2, ra: { preference: highest }, ',
      `${FILE}:10:62: segments.tenant-a.gateways[1].ra.preference: "highest" is not "low" or "medium" or "high"`,
    ],
    [
      '10.0.0.0/24',
      '10.0.0.7/24',
      `${FILE}:7:13: segments.tenant-a.prefix: "10.0.0.7/24" is not a prefix (want 10.0.0.0/24)`,
    ],
    [
      '10.0.0.0/24',
      '10.0.0.0',
      `${FILE}:7:13: segments.tenant-a.prefix: "10.0.0.0" is not a prefix (want 10.0.0.0/24)`,
    ],
    [
      '    gateways:\n      - { name: rx',
      '    gatways:\n      - { name: rx',
      `${FILE}:8:5: segments.tenant-a.gatways is not a key of the inventory (did you mean "gateways"?)`,
    ],
    ['dciRttMs', 'dciRtt', `${FILE}:3:51: sites.x.dciRtt is not a key of the inventory (did you mean "dciRttMs"?)`],
    [
      'ip: 10.0.0.2',
      'address: 10.0.0.2',
      `${FILE}:10:9: segments.tenant-a.gateways[1].ip is missing (want an IPv4 address: 10.0.0.1) [1 more]`,
    ],
    ['version: 1', 'version: 2', `${FILE}:1:10: version: 2 is not 1`],
    ['version: 1', 'x-version: 1', `${FILE}:1:1: version is missing (want 1) [1 more]`],
    [
      'dciRttMs: 20',
      'dciRttMs: 0',
      `${FILE}:3:61: sites.x.dciRttMs: 0 is not a round trip time (want milliseconds above 0)`,
    ],
    [
      'dciRttMs: 20',
      'dciRttMs: -3',
      `${FILE}:3:61: sites.x.dciRttMs: -3 is not a round trip time (want milliseconds above 0)`,
    ],
    ['dciRttMs: 20', 'dciRttMs: fast', `${FILE}:3:61: sites.x.dciRttMs: "fast" is not a number`],
    ['[203.0.113.0/24]', '203.0.113.0/24', `${FILE}:4:18: sites.y.prefixes: "203.0.113.0/24" is not a list`],
    [
      '[203.0.113.0/24]',
      '[198.51.100.0/24]',
      `${FILE}:4:19: sites.y.prefixes[0]: 198.51.100.0/24 is already near site x (want it at one site)`,
    ],
    [
      'site: y, ip: 10.0.0.2',
      'site: z, ip: 10.0.0.2',
      `${FILE}:10:27: segments.tenant-a.gateways[1].site: "z" is not a site (known: x, y)`,
    ],
    [
      'ip: 10.0.0.2',
      'ip: 10.0.1.2',
      `${FILE}:10:34: segments.tenant-a.gateways[1].ip: 10.0.1.2 is outside 10.0.0.0/24 of segment tenant-a`,
    ],
    [
      'ip: 10.0.0.2',
      'ip: 10.0.0.255',
      `${FILE}:10:34: segments.tenant-a.gateways[1].ip: 10.0.0.255 is the network's or the broadcast address of 10.0.0.0/24 (want a host's)`,
    ],
    [
      'site: y, ip: 10.1.0.254',
      'site: x, ip: 10.1.0.254',
      `${FILE}:15:34: segments.tenant-b.gateways[1].ip: 10.1.0.254 is already bx's at site x (want one gateway an address and site)`,
    ],
    [
      'name: by',
      'name: rx',
      `${FILE}:15:17: segments.tenant-b.gateways[1].name: "rx" is already a gateway of segment tenant-a (want a name of its own)`,
    ],
    [
      'name: by',
      'name: 10.1.0.3',
      `${FILE}:15:17: segments.tenant-b.gateways[1].name: "10.1.0.3" is not a name (want letters, digits, "-", "_", "."; no address)`,
    ],
    [
      '"02:00:00:00:0b:01"',
      '"02:00:00:00:0a:01"',
      `${FILE}:10:49: segments.tenant-a.gateways[1].mac: 02:00:00:00:0a:01 is already rx's on segment tenant-a (want a MAC of its own)`,
    ],
    [
      '"02:00:00:00:00:10", s',
      '"02:00:00:00:0b:01", s',
      `${FILE}:17:52: vms.web-07.mac: 02:00:00:00:0b:01 is already ry's on segment tenant-a (want a MAC of its own)`,
    ],
    [
      'segment: tenant-a, ip',
      'segment: tenat-a, ip',
      `${FILE}:17:22: vms.web-07.segment: "tenat-a" is not a segment (did you mean "tenant-a"?)`,
    ],
    ['10.0.0.10', '10.1.0.10', `${FILE}:17:36: vms.web-07.ip: 10.1.0.10 is outside 10.0.0.0/24 of segment tenant-a`],
    ['10.0.0.10', '10.0.0.1', `${FILE}:17:36: vms.web-07.ip: 10.0.0.1 is the gateway rx's (want the VM's own)`],
    ['site: y }\n', 'site: q }\n', `${FILE}:18:78: vms.db-01.site: "q" is not a site (known: x, y)`],
    ['  db-01: {', '  web-07: {', `${FILE}:18:3: not YAML: Map keys must be unique`],
    [
      '  db-01: {',
      '  web 07: {',
      `${FILE}:18:3: vms["web 07"]: "web 07" is not a name (want letters, digits, "-", "_", "."; no address)`,
    ],
    ['vms:', 'vms: }', `${FILE}:16:6: not YAML: Unexpected flow-map-end token in YAML stream: "}"`],
  ])('%s -> %s', (right, wrong, message) => {
    expect(INVENTORY).toContain(right)
    const failure = failureOf(INVENTORY.replace(right, wrong))
    expect(failure.message).toBe(message)
    expect(failure.kind).toBe('usage')
  })

  it.each([
    ['', `${FILE}: is empty (want "version: 1", sites, segments, vms)`],
    ['# nothing\n', `${FILE}: is empty (want "version: 1", sites, segments, vms)`],
    ['[]', `${FILE}:1:1: a list is not a map of keys`],
    ['version: 1\n---\nversion: 1\n', `${FILE}:2:1: not YAML: a second document (want one)`],
    [
      'version: 1\nsites: *nowhere\n',
      `${FILE}:2:8: not YAML: Unresolved alias (the anchor must be set before the alias): nowhere`,
    ],
  ])('%j', (text, message) => expect(failureOf(text).message).toBe(message))

  it('follows an alias to the place of what is wrong', () => {
    const text = 'version: 1\nsites:\n  x: &s { prefixes: [10.0.0.0/33] }\n  y: *s\n'
    expect(failureOf(text).message).toMatch(/^gwswitch\.yaml:3:22: sites\.x\.prefixes\[0\]/)
  })

  it('survives any text: an inventory, or one line that begins with the file', () => {
    const lines = INVENTORY.split('\n')
    const mangled = fc
      .tuple(
        fc.nat(lines.length - 1),
        fc.oneof(fc.string(), fc.constantFrom('  - {', '*a', '&a [*a]', '? x', ':', '- -', '"', '!!map x', '<<: x')),
      )
      .map(([i, junk]) => lines.with(i, `${lines[i]}${junk}`).join('\n'))
    fc.assert(
      fc.property(fc.oneof(mangled, fc.string()), (text) => {
        try {
          parseInventory(text, FILE)
        } catch (error) {
          expect(error).toBeInstanceOf(Failure)
          expect((error as Failure).message).toMatch(/^gwswitch\.yaml:? ?[^\n]+$/)
        }
      }),
      {numRuns: 500},
    )
  })
})

describe('look-ups', () => {
  it('find a VM by name, address or MAC', () => {
    expect(findVm(inventory, 'db-01')!.ip).toBe('10.1.0.10')
    expect(findVm(inventory, '10.0.0.10')!.name).toBe('web-07')
    expect(findVm(inventory, '10.0.0.11')).toBeUndefined()
    expect(() => findVm(inventory, '02:00:00:00:00:10')).toThrow(/is the MAC of web-07 .* and db-01 .*give the name/)
    const alone = {...inventory, vms: inventory.vms.map((vm) => ({...vm, mac: `02:00:00:00:0a:${vm.ip.slice(-2)}`}))}
    expect(findVm({...alone, vms: alone.vms.slice(0, 1)}, '02:00:00:00:0A:10')!.name).toBe('web-07')
    expect(findVm(inventory, '02:00:00:00:00:11')).toBeUndefined()
  })

  it('find the segment of an address', () => {
    expect(segmentOfIp(inventory, '10.1.0.9')!.name).toBe('tenant-b')
    expect(segmentOfIp(inventory, '10.2.0.9')).toBeUndefined()
  })

  it('do not guess between segments of one prefix', () => {
    const twins = {
      ...inventory,
      segments: inventory.segments.map((segment) => ({...segment, prefix: {address: '10.0.0.0', length: 24}})),
    }
    expect(segmentOfIp(twins, '10.0.0.9')).toBeUndefined()
  })

  it('know the gateways of a site and whether the sites share an address', () => {
    const [a, b] = ['tenant-a', 'tenant-b'].map((name) => findSegment(inventory, name)!)
    expect(gatewaysAtSite(a!, 'y').map(({name}) => name)).toEqual(['ry'])
    expect(sharesGatewayIp(a!)).toBe(false)
    expect(sharesGatewayIp(b!)).toBe(true)
    expect(sharesGatewayIp({...b!, gateways: b!.gateways.slice(1)})).toBe(false)
  })
})
