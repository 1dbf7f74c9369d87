// What tshark and tcpdump make of every frame that we send: opcode, addresses, flags, options, and right checksums.
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import {createPcapWriter} from '../../src/net/packet/pcap-file.ts'
import {runCommand} from '../../src/net/process/command.ts'
import {echoFrame, probeFrame} from '../../src/probe/vm-watch.ts'
import {answerTo} from '../../src/services/arp-responder/answers.ts'
import type {AnnouncedGateway, Form} from '../../src/strategies/arp/announcement.ts'
import {announcementFrame} from '../../src/strategies/arp/frames.ts'
import {BROADCAST, ZERO_MAC} from '../../src/wire/address.ts'
import {arpFrame} from '../../src/wire/frames.ts'
import {hasProgram} from '../support/namespaces.ts'

const B = '02:00:00:00:0b:02'
const VM = {ip: '10.1.0.10', mac: '02:00:00:00:01:10'}
const VM6 = {ip: '2001:db8:1::10', mac: VM.mac}
const G4: AnnouncedGateway = {ip: '10.1.0.254', mac: B}
const G6: AnnouncedGateway = {ip: 'fe80::1', mac: B, old: 'fe80::a', destination: '2001:db8:9::1'}
const LINK = {mac: B}
const noTshark = (await hasProgram('tshark')) ? undefined : 'tshark is not installed'
const noTcpdump = (await hasProgram('tcpdump')) ? undefined : 'tcpdump is not installed'

const frame4 = (form: Form, broadcast = false) => announcementFrame(form, G4, {vm: VM, broadcast}, B).bytes
const frame6 = (form: Form, broadcast = false) => announcementFrame(form, G6, {vm: VM6, broadcast}, B).bytes
const question = arpFrame(
  {destination: BROADCAST, source: VM.mac},
  {operation: 1, senderMac: VM.mac, senderIp: VM.ip, targetMac: ZERO_MAC, targetIp: G4.ip},
)

const ARP_FIELDS = [
  'eth.dst',
  'arp.opcode',
  'arp.src.hw_mac',
  'arp.src.proto_ipv4',
  'arp.dst.hw_mac',
  'arp.dst.proto_ipv4',
  'arp.isgratuitous',
]
const ND_FIELDS = [
  'eth.dst',
  'ipv6.src',
  'ipv6.dst',
  'ipv6.hlim',
  'icmpv6.type',
  'icmpv6.checksum.status',
  'icmpv6.opt.linkaddr',
]

const FRAMES: readonly (readonly [string, Uint8Array, string, string])[] = [
  [
    'ask',
    frame4('ask'),
    [VM.mac, 1, B, G4.ip, ZERO_MAC, VM.ip, ''].join('|'),
    'Request who-has 10.1.0.10 tell 10.1.0.254',
  ],
  ['reply', frame4('reply'), [VM.mac, 2, B, G4.ip, B, G4.ip, 1].join('|'), 'Reply 10.1.0.254 is-at 02:00:00:00:0b:02'],
  [
    'request',
    frame4('request', true),
    [BROADCAST, 1, B, G4.ip, ZERO_MAC, G4.ip, 1].join('|'),
    'Request who-has 10.1.0.254 tell 10.1.0.254',
  ],
  [
    'ARP probe',
    probeFrame(LINK, VM),
    [VM.mac, 1, B, '0.0.0.0', ZERO_MAC, VM.ip, ''].join('|'),
    'Request who-has 10.1.0.10 tell 0.0.0.0',
  ],
  [
    'responder',
    answerTo(question, [{name: undefined, ...G4}], '02:00:00:00:00:99')!.frame,
    [VM.mac, 2, B, G4.ip, VM.mac, VM.ip, ''].join('|'),
    'Reply 10.1.0.254 is-at 02:00:00:00:0b:02',
  ],
  [
    'IPv6 ask',
    frame6('ask'),
    [VM.mac, 'fe80::1', VM6.ip, 255, 135, 1, B].join('|'),
    'neighbor solicitation, who has 2001:db8:1::10',
  ],
  [
    'IPv6 ask, multicast',
    frame6('ask', true),
    ['33:33:ff:00:00:10', 'fe80::1', 'ff02::1:ff00:10', 255, 135, 1, B].join('|'),
    'neighbor solicitation, who has 2001:db8:1::10',
  ],
  [
    'IPv6 reply',
    frame6('reply'),
    [VM.mac, 'fe80::1', 'ff02::1', 255, 136, 1, B].join('|'),
    'tgt is fe80::1, Flags [router, override]',
  ],
  [
    'IPv6 ra',
    frame6('ra', true),
    ['33:33:00:00:00:01', 'fe80::1', 'ff02::1', 255, 134, 1, B].join('|'),
    'Flags [none], pref medium, router lifetime 1800s',
  ],
  [
    'IPv6 withdraw',
    frame6('withdraw'),
    [VM.mac, 'fe80::a', 'ff02::1', 255, 134, 1, ''].join('|'),
    'router lifetime 0s',
  ],
  [
    'IPv6 redirect',
    frame6('redirect'),
    [VM.mac, 'fe80::a', VM6.ip, 255, 137, 1, B].join('|'),
    'redirect, 2001:db8:9::1 to fe80::1',
  ],
  [
    'IPv6 probe',
    probeFrame(LINK, VM6),
    [VM.mac, 'fe80::ff:fe00:b02', VM6.ip, 255, 135, 1, B].join('|'),
    'neighbor solicitation, who has 2001:db8:1::10',
  ],
  [
    'IPv6 echo',
    echoFrame(LINK, VM6, {gatewayIp: 'fe80::1', identifier: 7}, 1),
    [VM.mac, 'fe80::1', VM6.ip, 64, 128, 1, ''].join('|'),
    'echo request, id 7, seq 1',
  ],
]

describe.skipIf(noTshark ?? noTcpdump)('every frame of ours', () => {
  const directory = mkdtempSync(join(tmpdir(), 'gwswitch-'))
  const file = join(directory, 'frames.pcap')
  let tshark: string[] = []
  let tcpdump: string[] = []
  beforeAll(async () => {
    const writer = createPcapWriter(file)
    for (const [i, [, bytes]] of FRAMES.entries())
      writer.write(1_700_000_000_000_000_000n + BigInt(i) * 1_000_000n, bytes)
    writer.close()
    const fields = [...new Set([...ARP_FIELDS, ...ND_FIELDS])]
    const output = await runCommand('tshark', [
      '-r',
      file,
      '-o',
      'ipv6.use_geoip:FALSE',
      '-T',
      'fields',
      '-E',
      'separator=|',
      ...fields.flatMap((field) => ['-e', field]),
    ])
    const read = output
      .trimEnd()
      .split('\n')
      .map((line) => new Map(line.split('|').map((value, i) => [fields[i]!, value])))
    tshark = read.map((row) =>
      (row.get('arp.opcode') ? ARP_FIELDS : ND_FIELDS).map((field) => row.get(field)).join('|'),
    )
    tcpdump = (await runCommand('tcpdump', ['-nvv', '-r', file]))
      .split(/\n(?=\d\d:\d\d:)/)
      .map((text) => text.replace(/length \d+, /g, ''))
  })
  afterAll(() => rmSync(directory, {recursive: true}))

  it.each(FRAMES.map(([name, , fields, words], i) => ({name, fields, words, i})))('$name', ({fields, words, i}) => {
    expect(tshark[i]!.replace('|True', '|1').replace('|Good', '|1')).toBe(fields)
    expect(tcpdump[i]).toContain(words)
    expect(tcpdump[i]).not.toMatch(/bad|incorrect|truncated|invalid/i)
  })
})
