// scapy and we read each other: its packets with our codecs, field by field, and ours with its.
import {execFileSync} from 'node:child_process'
import {fileURLToPath} from 'node:url'
import {beforeAll, describe, expect, it} from 'vitest'
import {parseDhcp} from '../../src/wire/dhcp.ts'
import {type DhcpOptionCodec, dhcpOptions, readOption} from '../../src/wire/dhcp-options.ts'
import {type Frame, parseFrame} from '../../src/wire/frames.ts'
import {quotedProbe} from '../../src/wire/quote.ts'
import {hasProgram} from '../support/namespaces.ts'
import {SAMPLE_FRAMES} from '../support/sample-frames.ts'

// Debian's own Python: others do not see its packages.
const PYTHON = '/usr/bin/python3'
const missing = (await hasProgram(`${PYTHON} && ${PYTHON} -c 'import scapy'`)) ? undefined : 'scapy is not installed'
const SCRIPT = fileURLToPath(new URL('wire-packets.py', import.meta.url))
const SEED = 1

const scapy = (argv: readonly string[], input = ''): string[] =>
  execFileSync(PYTHON, [SCRIPT, ...argv], {encoding: 'utf8', input})
    .trimEnd()
    .split('\n')

/** A frame that scapy made, and its fields by our names, bytes as hex. */
interface Made {
  readonly name: string
  readonly hex: string
  readonly expect: {
    readonly probe?: object
    readonly dhcp?: object
    readonly options?: Readonly<Record<string, unknown>>
  }
}

const fromHex = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'))
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** A value as JSON can say it: bytes as hex. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return toHex(value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]))
}

/** What we make of a frame, with the parts that its codecs leave to others read too. */
function read(frame: Frame): object {
  if (frame.kind === 'icmp' && 'quoted' in frame.icmp) return {...frame, probe: quotedProbe(frame.icmp.quoted)}
  if (frame.kind === 'udp' && [67, 68].includes(frame.udp.destinationPort)) {
    const {options, ...dhcp} = parseDhcp(frame.udp.payload)
    const values = Object.entries<DhcpOptionCodec<unknown>>(dhcpOptions as never).map(
      ([name, codec]) => [name, readOption(options, codec)] as const,
    )
    return {...frame, dhcp, options: Object.fromEntries(values.filter(([, value]) => value !== undefined))}
  }
  return frame
}

describe.skipIf(missing)("scapy's packets", () => {
  let made: Made[]
  beforeAll(() => {
    made = scapy(['make', `${SEED}`]).map((line) => JSON.parse(line) as Made)
  })

  it('are read field by field as they were meant', () => {
    for (const {name, hex, expect: fields} of made) {
      const got = plain(read(parseFrame(fromHex(hex))))
      expect(got, `${name} ${hex}`).toMatchObject(fields)
      const {dhcp, options} = fields
      // Here to the last field, so that none is made up.
      if (dhcp) expect(got).toMatchObject({dhcp: expect.toSatisfy((all: object) => sameKeys(all, dhcp))})
      if (options) expect(got).toMatchObject({options: expect.toSatisfy((all: object) => sameKeys(all, options))})
    }
  })

  it('are of every kind', () => {
    const names = new Set(made.map(({name}) => name.split(' ')[0]))
    const wanted = ['arp', 'echo-request', 'echo-reply', 'udp', 'tcp', 'time-exceeded', 'destination-unreachable']
    expect([...names]).toEqual(expect.arrayContaining([...wanted, 'redirect', 'fragment', 'dhcp']))
    const extensions = JSON.stringify(made.map(({expect: fields}) => fields))
    for (const kind of ['mpls', 'interface', 'unknown']) expect(extensions).toContain(`"kind":"${kind}"`)
  })
})

const sameKeys = (one: object, other: object): boolean =>
  JSON.stringify(Object.keys(one).sort()) === JSON.stringify(Object.keys(other).sort())

describe.skipIf(missing)('our packets', () => {
  it('come back the same from scapy, which computes lengths and checksums anew', () => {
    const rebuilt = scapy(['rebuild'], SAMPLE_FRAMES.map(({bytes}) => `${toHex(bytes)}\n`).join(''))
    const ours = SAMPLE_FRAMES.map(({name, bytes}) => [name, toHex(bytes)])
    expect(rebuilt.map((hex, i) => [SAMPLE_FRAMES[i]!.name, hex])).toEqual(ours)
  })
})
