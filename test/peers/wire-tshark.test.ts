// tshark reads what we write: every kind of frame without a complaint, and every format of capture file.
import {execFileSync} from 'node:child_process'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import {type CapturedFrame, PCAP_DEFAULT, type PcapFormat, serializePcap} from '../../src/wire/pcap.ts'
import {hasProgram} from '../support/namespaces.ts'
import {MANY_DOMAINS, SAMPLE_FRAMES} from '../support/sample-frames.ts'

const missing = (await hasProgram('tshark')) ? undefined : 'tshark is not installed'

/** Everything tshark can verify, verified, and RFC 4884 followed behind quotes that are not cut: by default neither. */
const SETTINGS = ['ip.check_checksum', 'udp.check_checksum', 'tcp.check_checksum', 'icmp.favor_icmp_mpls'].flatMap(
  (name) => ['-o', `${name}:TRUE`],
)

/** What a dissector says when it does not like a frame. */
const COMPLAINTS = [
  '_ws.malformed',
  '_ws.short',
  '_ws.expert.severity >= error',
  'ip.checksum.status == "Bad"',
  'udp.checksum.status == "Bad"',
  'tcp.checksum.status == "Bad"',
  'icmp.checksum.status == "Bad"',
  'icmp.ext.checksum.status == "Bad"',
].join(' || ')

const frames: readonly CapturedFrame[] = SAMPLE_FRAMES.map(({bytes}, i) => ({
  timestamp: 1_700_000_000_123_456_789n + BigInt(i),
  bytes,
  originalLength: bytes.length,
}))

describe.skipIf(missing)('tshark', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gwswitch-tshark-'))
  afterAll(() => rmSync(folder, {recursive: true, force: true}))

  const write = (name: string, captured: readonly CapturedFrame[], format: PcapFormat = PCAP_DEFAULT): string => {
    const file = join(folder, `${name}.pcap`)
    writeFileSync(file, serializePcap({...format, frames: captured}))
    return file
  }
  const tshark = (file: string, ...argv: readonly string[]): string =>
    execFileSync('tshark', ['-n', '-r', file, ...SETTINGS, ...argv], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  /** Frame by frame, the first value of each field; '' where a frame has none. */
  const fieldsOf = (file: string, names: readonly string[]): Record<string, string>[] => {
    const wanted = names.flatMap((name) => ['-e', name])
    const lines = tshark(file, '-T', 'fields', '-E', 'separator=/t', '-E', 'occurrence=f', ...wanted).split('\n')
    return lines.slice(0, -1).map((line) => {
      const values = line.split('\t')
      return Object.fromEntries(names.map((name, i) => [name, values[i]!]))
    })
  }

  it('complains about none of our frames', () => {
    expect(tshark(write('samples', frames), '-Y', COMPLAINTS)).toBe('')
  })

  it('does complain about broken ones, so that its silence means something', () => {
    const broken = frames.map((frame) => {
      const bytes = frame.bytes.slice()
      // Byte 33 is the end of the IPv4 destination: every checksum of a packet covers it.
      bytes[33]! ^= 0x55
      return {...frame, bytes}
    })
    const complaints = tshark(write('broken', broken), '-Y', COMPLAINTS).trimEnd().split('\n')
    const packets = SAMPLE_FRAMES.filter(({name}) => !name.includes('arp'))
    expect(complaints).toHaveLength(packets.length)
  })

  describe('reads as it was meant', () => {
    const checks = ['ip.proto', 'ip.checksum.status', 'udp.checksum.status', 'tcp.checksum.status']
    const names = [...new Set([...checks, ...SAMPLE_FRAMES.flatMap(({fields}) => Object.keys(fields))])]
    let rows: Record<string, string>[]
    beforeAll(() => {
      rows = fieldsOf(write('fields', frames), names)
    })

    it.each(SAMPLE_FRAMES.map((sample, i) => [sample.name, i] as const))('%s', (_name, i) => {
      const row = rows[i]!
      expect(row).toMatchObject(SAMPLE_FRAMES[i]!.fields)
      if (row['ip.proto'] !== '') expect(row['ip.checksum.status']).toBe('1')
      if (row['ip.proto'] === '17') expect(row['udp.checksum.status']).toBe('1')
      if (row['ip.proto'] === '6') expect(row['tcp.checksum.status']).toBe('1')
    })
  })

  it('joins the parts of a split option as we do', () => {
    const name = 'dhcp.option.dhcp_dns_domain_search_list_fqdn'
    const split = SAMPLE_FRAMES.findIndex((sample) => sample.name === 'dhcp ack with a split option')
    const file = write('split', frames.slice(split, split + 1))
    expect(tshark(file, '-T', 'fields', '-e', name).trim().split(',')).toEqual(MANY_DOMAINS)
  })

  it.each([
    ['microseconds', 'little', '123456000'],
    ['microseconds', 'big', '123456000'],
    ['nanoseconds', 'little', '123456789'],
    ['nanoseconds', 'big', '123456789'],
  ] as const)('reads a capture file in %s, %s-endian', (resolution, byteOrder, fraction) => {
    const format: PcapFormat = {resolution, byteOrder, snapLength: 65_535}
    const rows = fieldsOf(write(`${resolution}-${byteOrder}`, frames, format), ['frame.time_epoch', 'frame.len'])
    expect(rows.map((row) => Number(row['frame.len']))).toEqual(frames.map(({bytes}) => bytes.length))
    expect(rows[0]).toMatchObject({'frame.time_epoch': `1700000000.${fraction}`})
  })
})
