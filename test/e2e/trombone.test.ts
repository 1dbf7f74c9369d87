import {spawn} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import {startSession} from '../../src/lab/session.ts'
import {moveVm} from '../../src/lab/vms.ts'
import {tryCommand} from '../../src/net/process/command.ts'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import {parseEthernet} from '../../src/wire/ethernet.ts'
import {parsePcap} from '../../src/wire/pcap.ts'
import {gwswitch} from '../support/cli.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {useLab} from '../support/use-lab.ts'

const BX = '02:00:00:00:0a:02'
const BY = '02:00:00:00:0b:02'
const VM_MAC = '02:00:00:00:01:10'
const SHARED = '10.1.0.254'
const NEAR_Y = '203.0.113.10'
const NEAR_X = '198.51.100.10'
const DCI_RTT_MS = 20
/** As fast as it goes: the routers of the lab do not limit their ICMP. */
const FAST = ['--rate', '200', '--json']
/** The first destination's report in place of the document. */
const traced = async (run: ReturnType<typeof gwswitch>) => {
  const {json, ...rest} = await run
  return {...rest, document: json, json: json?.results?.[0]}
}

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-e2e-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

describe.skipIf(noNamespaces)('a moved VM on a segment with one shared gateway IP', () => {
  const lab = useLab()
  const inventory = () => ['-f', lab().inventoryFile]
  const trace = (...args: string[]) =>
    traced(gwswitch(['trace', ...args, ...inventory(), ...FAST], {namespace: lab().ns('db-03')}))
  const switchTo = (...args: string[]) =>
    gwswitch(['switch', 'db-03', '--to', 'y', ...args, ...inventory(), '--json'], {namespace: lab().ns('ry')})
  const entry = async (): Promise<string | undefined> =>
    /lladdr (\S+)/.exec(await lab().run('db-03', 'ip', 'neigh', 'show', SHARED))?.[1]
  const pointAt = (mac: string, state = 'reachable') =>
    lab().run('db-03', 'ip', 'neigh', 'replace', SHARED, 'lladdr', mac, 'dev', 'eth0', 'nud', state)

  it('has no trombone before it moves', async () => {
    const {code, json, document} = await trace(NEAR_Y)
    expect(code).toBe(0)
    expect(document).toMatchObject({schema: 'gwswitch.trace/2', failures: [], exitCode: 0})
    expect(json).toMatchObject({
      exitCode: 0,
      egress: {verdict: 'none'},
      host: {name: 'db-03', site: 'x'},
    })
    expect(await entry()).toBe(BX)
  })

  it('trombones after it, at the price of the DCI round trip', async () => {
    await (await moveVm(lab().prefix, 'db-03', 'y')).announced
    const {code, json} = await trace(NEAR_Y)
    expect(code).toBe(10)
    expect(json.egress).toMatchObject({verdict: 'trombone', reason: 'detour'})
    // The median holds what a busy machine adds to its two relays; the fastest of each does not.
    expect(Math.abs(json.egress.penaltyMs.min - DCI_RTT_MS)).toBeLessThan(DCI_RTT_MS / 10)
    expect(json.egress.penaltyMs.lo).toBeGreaterThan(json.egress.thresholdMs)
    const [current, alternative] = json.candidates
    expect(current).toMatchObject({role: 'current', name: 'bx', site: 'x', macSource: 'neigh'})
    expect(alternative).toMatchObject({role: 'alternative', name: 'by', site: 'y', local: true})
    expect(json.inbound).toMatchObject({verdict: 'local', via: [{gateway: 'by', site: 'y'}]})
    expect(current.hops.map((hop: {addr: string}) => hop.addr)).toEqual([
      '10.1.0.252',
      '172.16.1.2',
      '172.16.2.2',
      NEAR_Y,
    ])
    expect(current.hops[2]).toMatchObject({returnGateway: 'by'})
  })

  it('does not trombone towards what is near the old site', async () => {
    const {code, json} = await trace(NEAR_X)
    expect(code).toBe(0)
    expect(json.egress.verdict).toBe('none')
  })

  it('takes the worst of several destinations, and draws and records it', async () => {
    const svg = join(scratch, 'trace.svg')
    const pcap = join(scratch, 'trace.pcap')
    const {code, document} = await trace(NEAR_X, NEAR_Y, '--svg', svg, '--pcap', pcap)
    expect(code).toBe(10)
    expect(document.results.map((result: {exitCode: number}) => result.exitCode)).toEqual([0, 10])
    expect(readFileSync(svg, 'utf8')).toMatch(/^<svg[\s\S]*<\/svg>\s*$/)
    await expectCleanPcap(pcap, 'icmp')
  })

  it('keeps the rate that it promises, over all destinations, and gives each a line', async () => {
    const pcap = join(scratch, 'rate.pcap')
    const names = [NEAR_X, NEAR_Y, '203.0.113.1']
    const list = join(scratch, 'destinations.txt')
    writeFileSync(list, `# near each site\n${names.slice(1).join('\n')}\n`)
    const {stdout, code} = await gwswitch(
      ['trace', names[0]!, '--destinations', list, ...inventory(), '--rate', '30', '--pcap', pcap],
      {namespace: lab().ns('db-03')},
    )
    expect(code).toBe(10)
    for (const name of names) expect(stdout).toMatch(new RegExp(`^ {2}${name.replaceAll('.', '\\.')} .*inbound`, 'm'))
    const sent = parsePcap(readFileSync(pcap)).frames.filter(({bytes}) => parseEthernet(bytes).source === VM_MAC)
    expect(sent.length).toBeGreaterThan(60)
    const at = sent.map(({timestamp}) => Number(timestamp / 1000n) / 1000)
    for (const start of at) expect(at.filter((ms) => ms >= start && ms < start + 1000).length).toBeLessThanOrEqual(30)
  })

  it('tells in text what it found', async () => {
    const {stdout, stderr} = await gwswitch(['trace', NEAR_Y, ...inventory(), '--rate', '200'], {
      namespace: lab().ns('db-03'),
    })
    expect(stdout).toMatch(/EGRESS +TROMBONE {2}\+\d/)
    expect(stdout).toMatch(/VM\(y\) ══DCI══▶ bx\(x\) ──WAN──▶ y ──▶ dst/)
    expect(stdout).toMatch(/gwswitch switch db-03 --to y/)
    expect(stderr).toBe('')
  })

  it('is answered by its own site alone, as arping sees it', async ({skip}) => {
    if (!(await hasProgram('arping'))) skip('arping is not installed')
    const seen = await lab().run('db-03', 'arping', '-c', '3', '-w', '3', '-I', 'eth0', SHARED)
    expect(new Set(seen.match(/\[[0-9A-F:]{17}\]/g))).toEqual(new Set([`[${BY.toUpperCase()}]`]))
    // arping's own question, answered, does not move an entry that is in use: the trombone is still there.
    await pointAt(BX)
    expect((await trace(NEAR_Y)).code).toBe(10)
  })

  it('is moved by garp alone, and its session does not notice', async () => {
    await using session = await startSession(lab().prefix, 'db-03', 'user-y')
    await delay(500)
    await session.mark('after')
    const pcap = join(scratch, 'garp.pcap')
    const {code, json} = await gwswitch(
      ['garp', 'by', '--vm', 'db-03', '-i', 'seg-b', '--pcap', pcap, ...inventory(), '--json'],
      {namespace: lab().ns('ry')},
    )
    expect(code).toBe(0)
    expect(json).toMatchObject({schema: 'gwswitch.garp/1', verdict: 'moved', gatewayUsed: BY})
    expect(json.frames.filter((frame: {kind: string}) => frame.kind === 'ask')).toHaveLength(1)
    expect(await entry()).toBe(BY)
    await delay(500)
    const {tcp} = await session.stop()
    expect(tcp).toMatchObject({contiguous: true, reconnects: 0, echoed: tcp.sent})
    const [before, after] = tcp.phases
    expect(before!.rttMinMs! - after!.rttMinMs!).toBeGreaterThan(DCI_RTT_MS / 2)
    await expectCleanPcap(pcap, 'arp')
    expect((await trace(NEAR_Y)).code).toBe(0)
  })

  it('is moved by switch, verified, with a plan that --dry-run prints and does not do', async () => {
    await pointAt(BX)
    const planned = await switchTo('--dry-run')
    expect(planned).toMatchObject({
      code: 0,
      json: {schema: 'gwswitch.switch/1', dryRun: true, verified: null, plan: {strategy: 'arp', interface: 'seg-b'}},
    })
    expect(await entry()).toBe(BX)
    const done = await switchTo()
    expect(done).toMatchObject({
      code: 0,
      json: {end: 'switched', code: 'served', rolledBack: false, from: {name: 'bx'}, to: {name: 'by'}},
    })
    // What was seen before anything was done comes into it, and nothing else.
    expect(done.json.plan).toEqual({...planned.json.plan, before: {uses: null, away: true}})
    expect(await entry()).toBe(BY)
    expect((await trace(NEAR_Y)).code).toBe(0)
  })

  it('is moved through its own port too, where the new gateway is another host', async () => {
    await pointAt(BX)
    const args = ['garp', 'by', '--mac', BY, '--vm', 'db-03', '-i', 'db-03', ...inventory(), '--json']
    const {code, json} = await gwswitch(args, {namespace: lab().ns('hv')})
    expect(json).toMatchObject({verdict: 'moved', gatewayUsed: BY})
    expect(code).toBe(0)
    // Bridges learn from the Ethernet source; that of the frames was not the gateway's.
    expect(Buffer.from(json.frames[0].hex, 'hex').toString('hex', 6, 12)).not.toBe(BY.replaceAll(':', ''))
  })

  it('is left as it was where it cannot be moved: exit 3', async () => {
    await pointAt(BX, 'permanent')
    try {
      const {code, json} = await switchTo()
      expect(code).toBe(3)
      expect(json).toMatchObject({end: 'rolled-back', code: 'elsewhere', rolledBack: true, rollback: {ok: true}})
      expect(await lab().run('db-03', 'ip', 'neigh', 'show', SHARED)).toMatch(new RegExp(`lladdr ${BX} .*PERMANENT`))
      const alone = await gwswitch(
        ['garp', 'by', '--vm', 'db-03', '-i', 'seg-b', ...inventory(), '--json', '--count', '1'],
        {namespace: lab().ns('ry')},
      )
      expect(alone).toMatchObject({code: 4, json: {verdict: 'not-moved'}})
    } finally {
      await lab().run('db-03', 'ip', 'neigh', 'del', SHARED, 'dev', 'eth0')
    }
  })

  it('is put back when the switch is killed half way', async () => {
    await pointAt(BX)
    // It follows the first frame, but what it answers to far away is dropped: the switch waits for what the VM says itself.
    await lab().run(
      'db-03',
      'nft',
      'add table ip deaf; add chain ip deaf out { type filter hook output priority 0; }; add rule ip deaf out ip daddr != 10.1.0.0/24 icmp type echo-reply drop',
    )
    try {
      const [program, ...args] = namespaceCommand(lab().ns('ry'), [
        process.execPath,
        join(import.meta.dirname, '../../bin/run.js'),
        'switch',
        'db-03',
        '--to',
        'y',
        ...inventory(),
      ])
      const running = spawn(program!, args, {stdio: 'ignore'})
      for (let i = 0; i < 200 && (await entry()) !== BY; i++) await delay(20)
      expect(await entry()).toBe(BY)
      running.kill('SIGKILL')
      for (let i = 0; i < 500 && (await entry()) !== BX; i++) await delay(20)
      expect(await entry()).toBe(BX)
    } finally {
      await lab().run('db-03', 'nft', 'delete', 'table', 'ip', 'deaf')
    }
  })

  it('needs CAP_NET_RAW to be traced, garped, switched: exit 6', async () => {
    const under = ['setpriv', '--bounding-set=-net_raw', '--inh-caps=-net_raw']
    await pointAt(BX)
    const results = await Promise.all([
      gwswitch(['trace', NEAR_Y, ...inventory()], {namespace: lab().ns('db-03'), under}),
      gwswitch(['switch', 'db-03', '--to', 'y', ...inventory()], {namespace: lab().ns('ry'), under}),
    ])
    for (const {code, stdout, stderr} of results) {
      expect(`${stdout}${stderr}`).toMatch(/CAP_NET_RAW/)
      expect(code).toBe(6)
    }
  })
})

describe.skipIf(noNamespaces)('a moved VM on a segment with a gateway IP per site', () => {
  const lab = useLab({dci: 'plain', dciDelayMs: 5, wanDelayMs: 5})
  beforeAll(async () => {
    await lab().run('web-07', 'ping', '-c', '3', '-W', '3', NEAR_Y)
    await (await moveVm(lab().prefix, 'web-07', 'y')).announced
  })

  it('is traced without an inventory', async () => {
    const {code, json} = await traced(
      gwswitch(['trace', NEAR_Y, '-i', 'eth0', '--via', '10.0.0.2', ...FAST], {namespace: lab().ns('web-07')}),
    )
    expect(code).toBe(10)
    expect(Math.abs(json.egress.penaltyMs.min - 10)).toBeLessThan(1.5)
    expect(json.candidates).toMatchObject([
      {ip: '10.0.0.1', name: null},
      {ip: '10.0.0.2', macSource: 'arp'},
    ])
  })

  it('agrees with scamper, told to go by the same routers', async ({skip}) => {
    if (!(await hasProgram('scamper'))) skip('scamper is not installed')
    const via = async (router: string): Promise<number> => {
      const out = await lab().run('web-07', 'scamper', '-I', `ping -c 20 -i 0.2 -r ${router} ${NEAR_Y}`)
      return Number(/min\/avg\/max\/stddev = ([\d.]+)/.exec(out)![1])
    }
    const theirs = (await via('10.0.0.1')) - (await via('10.0.0.2'))
    const {json} = await traced(
      gwswitch(['trace', NEAR_Y, '-i', 'eth0', '--via', '10.0.0.2', ...FAST], {namespace: lab().ns('web-07')}),
    )
    expect(Math.abs(json.egress.penaltyMs.min - theirs)).toBeLessThan(1)
  })

  it('cannot be switched by ARP, and says what would', async () => {
    const {code, stderr} = await gwswitch(
      ['switch', 'web-07', '--to', 'y', '--strategy', 'arp', '-f', lab().inventoryFile],
      {namespace: lab().ns('ry')},
    )
    expect(stderr).toMatch(
      /^gwswitch: the arp strategy keeps the gateway IP, but rx is 10\.0\.0\.1 and ry is 10\.0\.0\.2/m,
    )
    expect(code).toBe(2)
  })
})

/** tshark reads the file, with every checksum checked, and complains of nothing. */
async function expectCleanPcap(file: string, protocol: string): Promise<void> {
  if (!(await hasProgram('tshark'))) return
  const checks = ['-o', 'ip.check_checksum:TRUE', '-o', 'udp.check_checksum:TRUE']
  const complaints = await tryCommand('tshark', [
    '-r',
    file,
    ...checks,
    '-Y',
    '_ws.malformed || ip.checksum.status == 0 || icmp.checksum.status == 0',
  ])
  expect(complaints.stdout).toBe('')
  const frames = await tryCommand('tshark', ['-r', file, '-Y', protocol])
  expect(frames.stdout.trim().split('\n').length).toBeGreaterThan(1)
}
