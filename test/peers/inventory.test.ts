// `gwswitch inventory` as a program: files that include files, VMs of platforms, and a real bridge with real hosts.
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {withBridge} from '../support/bridge.ts'
import {gwswitch} from '../support/cli.ts'
import {INVENTORY} from '../support/inventory.ts'
import {noNamespaces} from '../support/namespaces.ts'

const root = mkdtempSync(join(tmpdir(), 'gwswitch-inventory-'))
afterAll(() => rmSync(root, {recursive: true}))
const CALM = INVENTORY.trimStart().replace('strategies: [agent, dhcp]', 'strategies: [dhcp]')

/** A folder with these files; its gwswitch.yaml. */
function filesIn(name: string, files: Readonly<Record<string, string>>): string {
  for (const [path, text] of Object.entries(files)) {
    const whole = join(root, name, path)
    mkdirSync(join(whole, '..'), {recursive: true})
    writeFileSync(whole, text)
  }
  return join(root, name, 'gwswitch.yaml')
}
const INCLUDING = `include: [vms/*.yaml]\n${CALM}`
const APP = 'vms:\n  app-1: { segment: tenant-a, ip: 10.0.0.20, mac: "02:00:00:00:00:20", site: x }\n'
const check = (file: string, ...args: string[]) => gwswitch(['inventory', 'check', '-f', file, ...args])

describe('an inventory that includes files', () => {
  it('is read anew when one of them has changed, came or went', async () => {
    const file = filesIn('changes', {'gwswitch.yaml': INCLUDING, 'vms/a.yaml': APP})
    const env = {XDG_CACHE_HOME: join(root, 'cache')}
    const from = async (vm: string): Promise<string> => {
      const {json, stderr} = await gwswitch(['switch', vm, '--to', 'y', '-f', file, '--strategy', 'x', '--json'], {env})
      return json?.error.message ?? stderr
    }
    // What is wrong with the VM is said before what is wrong with the strategy.
    const [known, unknown] = [/^no strategy x is installed/, /no VM "app-\d"/]
    for (let i = 0; i < 2; i++) expect(await from('app-1')).toMatch(known)
    expect(await from('app-2')).toMatch(unknown)
    filesIn('changes', {'vms/a.yaml': APP.replace('app-1', 'app-2')})
    expect(await from('app-2')).toMatch(known)
    filesIn('changes', {'vms/b.yaml': APP.replace('app-1', 'app-3').replaceAll(':20"', ':21"').replace('.20,', '.21,')})
    expect(await from('app-3')).toMatch(known)
    rmSync(join(root, 'changes/vms/b.yaml'))
    expect(await from('app-3')).toMatch(/no VM "app-3"/)
  })
})

describe('inventory check', () => {
  it('names every finding, in all files, with file, line and key', async () => {
    const file = filesIn('wrong', {
      'gwswitch.yaml': `include: [vms/*.yaml, gone.yaml, none/*.yaml]\n${CALM.replace('10.0.0.10', '10.9.0.10')}`,
      'vms/a.yaml': `${APP}  db-03: { segment: tenant-b, ip: 10.1.0.10, mac: "02:00:00:00:01:10" }\n`,
      'vms/b.yaml': 'vms: }\n',
    })
    const {json, code, stdout} = {...(await check(file, '--json')), stdout: (await check(file)).stdout}
    const at = (name: string): string => join(root, 'wrong', name)
    expect(json.findings.map(({severity, message}: Record<string, string>) => [severity, message])).toEqual([
      ['error', `${file}:1:23: include[1]: ${at('gone.yaml')}: no such file (named by include; want a file of VMs)`],
      ['warning', '"none/*.yaml" matches no other file'],
      ['error', expect.stringMatching(/^is already at .*gwswitch\.yaml:19:3 \(want it once\)$/)],
      ['error', `${at('vms/b.yaml')}:1:6: not YAML: Unexpected flow-map-end token in YAML stream: "}"`],
    ])
    expect(code).toBe(2)
    expect(stdout).toContain(`ERROR ${at('vms/a.yaml')}:3:3: vms.db-03 is already at ${file}:19:3 (want it once)\n`)
    expect(stdout).toMatch(/; 3 errors, 1 warnings\n$/)
  })

  it.each([
    ['nothing', CALM, 0, /^\S+: 2 sites, 2 segments, 2 VMs; 0 errors, 0 warnings\n$/],
    [
      'a file that is not there',
      CALM.replace('dciRttMs: 20', 'agentKey: /nonexistent/x.key'),
      10,
      /^warning \S+:3:47: sites\.x\.agentKey: \/nonexistent\/x\.key: no such file here\n/,
    ],
    ['an empty file', '# nothing\n', 2, /^ERROR \S+: is empty \(want "version: 1", sites, segments, vms\)\n/],
    ['no YAML', 'version: }\n', 2, /^ERROR \S+:1:10: not YAML: .*\n/],
  ])('of %s', async (name, text, exit, said) => {
    const {code, stdout, stderr} = await check(filesIn(name.replaceAll(' ', '-'), {'gwswitch.yaml': text}))
    expect(stdout).toMatch(said)
    expect([code, stderr]).toEqual([exit, ''])
  })

  it.each([
    ['--site', 'y'],
    ['-i', 'lo'],
  ])('takes %s for the network alone', async (...flag) => {
    const {code, stderr} = await check(filesIn('flags', {'gwswitch.yaml': CALM}), ...flag)
    expect([code, stderr]).toEqual([2, expect.stringMatching(/--against-network/)])
  })
})

describe.skipIf(noNamespaces)('inventory check --against-network', () => {
  it('says who answers, at which MAC, behind which port and at which site', {timeout: 60_000}, () =>
    withBridge(
      {
        local: {mac: '02:00:00:00:0b:02', addresses: ['10.1.0.254/24', '10.1.0.10/24']},
        far: {mac: '02:00:00:00:01:11', addresses: ['10.1.0.11/24', '10.1.0.12/24']},
      },
      async (bridge) => {
        const more =
          '  db-04: { segment: tenant-b, ip: 10.1.0.11, mac: "02:00:00:00:01:11", ips: [10.1.0.12], site: y }\n'
        const text = CALM.replace('prefix: 10.1.0.0/24', 'prefix: 10.1.0.0/24\n    ports: [vx0]').replace(
          '[arp] }\n',
          `[arp] }\n${more}`,
        )
        const file = filesIn('network', {'gwswitch.yaml': text})
        const args = [
          'inventory',
          'check',
          '-f',
          file,
          '--against-network',
          '--site',
          'y',
          '--timeout',
          '200',
          '-i',
          'br0',
        ]
        const {json, code} = await gwswitch([...args, '--json'], {namespace: bridge.namespace})
        const rows = json.network.rows.map((row: Record<string, unknown>) =>
          [row.name, row.ip, row.standing, ...(row.others as string[]), row.port, row.site].join(' '),
        )
        expect(rows).toEqual([
          'bx 10.1.0.254 silent  ',
          'by 10.1.0.254 answers loc y',
          'db-03 10.1.0.10 other-mac 02:00:00:00:0b:02 loc y',
          'db-04 10.1.0.11 answers vx0 x',
          'db-04 10.1.0.12 answers vx0 x',
        ])
        expect(json.network.unasked).toEqual([
          {segment: 'tenant-a', text: 'neither a gateway nor a VM of it answered at br0'},
        ])
        expect(code).toBe(10)

        // The router's leg in tenant-a is elsewhere, and its kernel answers for that here too.
        await bridge.local.run('ip', 'address', 'add', '10.0.0.2/32', 'dev', 'lo')
        const legs = await gwswitch([...args, '--json'], {namespace: bridge.namespace})
        expect(legs.json.network.unasked).toEqual([
          {
            segment: 'tenant-a',
            text: expect.stringMatching(/^gateways of other segments alone answered for it at br0,/),
          },
        ])
        await bridge.local.run('ip', 'address', 'del', '10.0.0.2/32', 'dev', 'lo')

        await bridge.local.run('ip', 'link', 'set', 'eth0', 'address', '02:00:00:00:0e:0e')
        const moved = await gwswitch(args, {namespace: bridge.namespace})
        expect(moved.stdout).toMatch(/^by +10\.1\.0\.254 .* ANOTHER MAC: 02:00:00:00:0e:0e +loc +y$/m)
        expect(moved.stdout).toMatch(/^db-04 +10\.1\.0\.11 .* answers +vx0 +x \(the inventory has y\)$/m)
        expect(moved.code).toBe(12)

        const nowhere = await gwswitch(args.slice(0, -2), {namespace: bridge.namespace})
        expect(nowhere.stderr).toBe(
          `gwswitch: no interface here has an address on a segment of ${file}: name one with -i\n`,
        )
        expect(nowhere.code).toBe(2)
      },
    ),
  )

  it('asks no more than it was told to, and changes no neighbour table', {timeout: 60_000}, () =>
    withBridge({local: {addresses: ['10.1.0.1/24']}}, async (bridge) => {
      const vms = Array.from(
        {length: 100},
        (_, i) => `  v${i}: { segment: s, ip: 10.1.0.${i + 100}, mac: "02:00:00:00:02:${(i + 16).toString(16)}" }`,
      )
      const text = `version: 1\nsites: {x: , y: }\nsegments:\n  s:\n    prefix: 10.1.0.0/24\n    gateways: [{ name: a, site: x, ip: 10.1.0.2, mac: "02:00:00:00:0a:01" }]\nvms:\n${vms.join('\n')}\n`
      const file = filesIn('bounded', {'gwswitch.yaml': text})
      const before = await bridge.local.run('ip', 'neigh')
      const began = performance.now()
      const rate = ['--rate', '100', '--timeout', '10', '-i', 'br0']
      await gwswitch(['inventory', 'check', '-f', file, '--against-network', ...rate], {namespace: bridge.namespace})
      // 101 addresses in three rounds, 20 at once, a hundred a second.
      expect(performance.now() - began).toBeGreaterThan(3000)
      const asked = bridge.local.received.filter(({bytes}) => bytes[12] === 8 && bytes[13] === 6)
      expect(asked.length).toBe(101 * 3 * 2)
      expect(await bridge.local.run('ip', 'neigh')).toBe(before)
    }),
  )
})

describe('inventory import', () => {
  const XML = `<domain type='kvm'><name>web-09</name><devices>
    <interface type='bridge'><mac address='52:54:00:00:00:09'/><source bridge='br-a'/></interface>
    <interface type='bridge'><mac address='52:54:00:00:01:09'/><source bridge='br-x'/></interface>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel></devices></domain>\n`
  const file = filesIn('import', {
    'gwswitch.yaml': INCLUDING,
    'vms/a.yaml': '',
    'web-09.xml': XML,
    neigh: '10.0.0.9 dev br-a lladdr 52:54:00:00:00:09 REACHABLE\n',
  })
  const inFolder = (name: string): string => join(root, 'import', name)
  const ADDRESSES = ['--addresses', inFolder('neigh'), '-f', file]

  it('writes what inventory check finds nothing wrong with, and says what it left out', async () => {
    const out = inFolder('vms/hv1.yaml')
    const args = ['inventory', 'import', 'libvirt', inFolder('web-09.xml'), ...ADDRESSES, '--site', 'x']
    const printed = await gwswitch(args)
    expect(printed.stderr).toBe(
      'gwswitch: warning: web-09: NIC 52:54:00:00:01:09 left out: its segment is not known: it is on br-x (--network br-x=SEGMENT, or --segment)\n',
    )
    const written = await gwswitch([...args, '-o', out])
    expect([written.stdout, readFileSync(out, 'utf8')]).toEqual(['', printed.stdout])
    expect([printed.code, written.code]).toEqual([10, 10])
    const checked = await check(file, '--json')
    expect([checked.json.findings, checked.json.counts.vms, checked.code]).toEqual([[], 3, 0])

    const again = await gwswitch([...args, '-o', out])
    expect([again.code, again.stderr.split('\n').at(-2)]).toEqual([
      2,
      `gwswitch: ${out}: is there already (--force writes over it)`,
    ])
    expect((await gwswitch([...args, '-o', out, '--force', '--json'])).json).toMatchObject({
      schema: 'gwswitch.inventory-import/1',
      ...{file: out, vms: {'web-09': {segment: 'tenant-a', ip: '10.0.0.9', site: 'x', agent: {domain: 'web-09'}}}},
    })
  })

  it('reads standard input', async () => {
    const vmi = {
      kind: 'VirtualMachineInstance',
      metadata: {name: 'web', namespace: 'shop'},
      spec: {domain: {devices: {interfaces: [{name: 'lan', bridge: {}}]}}, networks: [{name: 'lan'}]},
      status: {interfaces: [{name: 'lan', mac: '02:00:00:00:00:77', ipAddress: '10.1.0.77'}]},
    }
    const {stdout, code, stderr} = await gwswitch(['inventory', 'import', 'kubevirt', '-f', file], {
      input: JSON.stringify({items: [vmi]}),
    })
    expect([stdout, stderr, code]).toEqual([
      'vms:\n  shop.web:\n    segment: tenant-b\n    ip: 10.1.0.77\n    mac: 02:00:00:00:00:77\n',
      ...['', 0],
    ])
  })

  it.each([
    ['a kind that there is not', ['vmware'], 2, /Expected vmware to be one of: libvirt, kubevirt/],
    [
      'a file that is not there',
      ['libvirt', '/nonexistent.xml'],
      2,
      /\/nonexistent\.xml: no such file \(want what virsh dumpxml prints\)/,
    ],
    ['a network without a segment', ['libvirt', '--network', 'br0'], 2, /--network br0 is not NETWORK=SEGMENT/],
    ['a site that there is not', ['libvirt', '--site', 'q'], 2, /no site "q"/],
    ['--force without a file', ['libvirt', '--force'], 2, /--output/],
  ])('refuses %s', async (_, args, exit, said) => {
    const {code, stderr} = await gwswitch(['inventory', 'import', ...args, '-f', file], {input: XML})
    expect(stderr).toMatch(said)
    expect(code).toBe(exit)
  })
})
