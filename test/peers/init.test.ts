// `gwswitch init` on real segments: what it writes is what was built.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import {prefixText} from '../../src/wire/address.ts'
import {arpFrame} from '../../src/wire/frames.ts'
import {withBridge} from '../support/bridge.ts'
import {gwswitch} from '../support/cli.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {type SegmentLab, type SegmentNode, VM_MAC, withSegmentLab, X_MAC, Y_MAC} from '../support/segment-lab.ts'
import {withTerminal} from '../support/terminal.ts'
import {until} from '../support/until.ts'

const folder = mkdtempSync(join(tmpdir(), 'gwswitch-init-'))
afterAll(() => rmSync(folder, {recursive: true}))
const bin = join(import.meta.dirname, '../../bin/run.js')
let files = 0
const newFile = (): string => join(folder, `${files++}.yaml`)
const SITES = ['--site', 'y', '--inter-site', 'p-gx=x']

/** The VM talks to somebody beyond its gateway, again and again. */
async function talking<T>(lab: SegmentLab, fn: () => Promise<T>): Promise<T> {
  const script = 'while :; do ip neigh flush all; ping -c1 -W1 203.0.113.1; sleep 0.5; done'
  const [program = '', ...args] = namespaceCommand(lab.ns('vm'), ['sh', '-c', script])
  const child = spawn(program, args, {stdio: 'ignore', detached: true})
  try {
    return await fn()
  } finally {
    process.kill(-child.pid!, 'SIGKILL')
    await once(child, 'exit')
  }
}

/** Runs a daemon in a node for as long as `fn` takes. */
async function beside<T>(
  lab: SegmentLab,
  node: SegmentNode,
  argv: readonly string[],
  fn: () => Promise<T>,
): Promise<T> {
  const [program = '', ...args] = namespaceCommand(lab.ns(node), argv)
  const child = spawn(program, args, {stdio: 'ignore'})
  try {
    return await fn()
  } finally {
    child.kill('SIGTERM')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
}

const init = (lab: SegmentLab, ...args: readonly string[]) =>
  gwswitch(['init', '-i', 'br0', ...(args.includes('--listen') ? [] : ['--listen', '6']), ...args], {
    namespace: lab.ns('sw'),
  })

/** What counts of an inventory: names are anybody's. */
function truthOf(file: string) {
  const {sites, segments, vms} = parseInventory(readFileSync(file, 'utf8'), file)
  return {
    sites: sites.map(({name}) => name),
    segments: segments.map(({prefix, ports, gateways}) => ({
      prefix: prefixText(prefix),
      ports,
      gateways: gateways.map(({site, ip, mac, ownIp, ip6}) => ({site, ip, mac, ownIp, ip6})),
    })),
    vms: vms.map(({ip, mac, site}) => ({ip, mac, site})),
  }
}

const VM = {ip: '10.1.0.10', mac: VM_MAC, site: 'y'}
const gateway = (site: string, ip: string, mac: string, ownIp?: string, ip6?: string[]) => ({site, ip, mac, ownIp, ip6})

describe.skipIf(noNamespaces)('gwswitch init', () => {
  it('finds two gateways with addresses of their own, and the VM, at their sites', () =>
    withSegmentLab({shared: false}, (lab) =>
      talking(lab, async () => {
        const file = newFile()
        const {code, stdout, stderr} = await init(lab, ...SITES, '-f', file)
        expect(stderr).toBe('')
        expect(code).toBe(0)
        expect(truthOf(file)).toEqual({
          sites: ['x', 'y'],
          segments: [
            {
              prefix: '10.1.0.0/24',
              ports: ['p-gx'],
              gateways: [gateway('x', '10.1.0.1', X_MAC), gateway('y', '10.1.0.2', Y_MAC)],
            },
          ],
          vms: [VM],
        })
        // Gateway Y has no usual address and nobody uses it: it was tried.
        expect(readFileSync(file, 'utf8')).toMatch(
          /seen: it took a packet on that was for elsewhere, and gave it back as 10.1.0.2/,
        )
        expect(stdout).toMatch(/br0-x +x +10\.1\.0\.1 +02:00:00:00:0a:02 +own address/)

        // A file is not written over, and a dry run writes none.
        const written = readFileSync(file, 'utf8')
        const again = await init(lab, '-f', file)
        expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('exists: give --force')])
        expect(readFileSync(file, 'utf8')).toBe(written)
        const dry = await init(lab, '-f', file, '--dry-run', '--json')
        expect(dry.json).toMatchObject({schema: 'gwswitch.init/1', exitCode: 0, written: false})
        expect(readFileSync(file, 'utf8')).toBe(written)

        // Nobody said which port leads elsewhere: two sites without a name, and it says so.
        const forced = await init(lab, '-f', file, '--force')
        expect(forced.code).toBe(0)
        expect(truthOf(file).segments[0]!.gateways.map(({site}) => site)).toEqual(['site-1', 'site-2'])
        expect(truthOf(file).vms).toEqual([{...VM, site: undefined}])
        expect(readFileSync(file, 'utf8')).toMatch(/guessed: nothing says which port leads to another site/)
      }),
    ))

  it('finds a shared address with two MACs, and the address that each router has of its own', () =>
    withSegmentLab({}, (lab) =>
      talking(lab, async () => {
        const file = newFile()
        expect((await init(lab, ...SITES, '-f', file)).stderr).toBe('')
        expect(truthOf(file)).toMatchObject({
          segments: [
            {
              gateways: [
                gateway('x', '10.1.0.254', X_MAC, '10.1.0.252'),
                gateway('y', '10.1.0.254', Y_MAC, '10.1.0.253'),
              ],
            },
          ],
          vms: [VM],
        })
        expect(readFileSync(file, 'utf8')).toMatch(/a shared address: several MACs answer for it/)
        // And the product's own check, against the very network.
        const checked = await gwswitch(
          ['inventory', 'check', '-f', file, '--against-network', '-i', 'br0', '--site', 'y', '--json'],
          {namespace: lab.ns('sw')},
        )
        expect(checked.json.findings).toEqual([])
        expect(checked.json.network.rows.map(({standing}: {standing: string}) => standing)).not.toContain('silent')
      }),
    ))

  it('changes no neighbour table and no route of anybody, and sends nothing with --silent', () =>
    withSegmentLab({}, async (lab) => {
      const before = await lab.gateway()
      await init(lab, '--prefix', '10.1.0.0/24', '-f', newFile())
      expect(await lab.gateway()).toBe(before)
      expect(await lab.run('vm', 'ip neigh show dev eth0')).not.toContain('br0')
      const sent = async (): Promise<number> =>
        Number(JSON.parse(await lab.run('sw', 'ip -j -s link show br0'))[0].stats64.tx.packets)
      const count = await sent()
      await init(lab, '--prefix', '10.1.0.0/24', '--silent', '--listen', '3', '-f', newFile())
      expect(await sent()).toBe(count)
    }))

  it('reads the hellos of keepalived: the virtual address is the gateway, and the router behind it has its own', async ({
    skip,
  }) => {
    if (!(await hasProgram('keepalived'))) skip('keepalived is not installed (package keepalived)')
    await withSegmentLab({}, async (lab) => {
      const conf = join(folder, 'keepalived')
      writeFileSync(
        conf,
        `vrrp_instance b { state MASTER; interface eth0; virtual_router_id 51; priority 150; advert_int 1
           virtual_ipaddress { 10.1.0.254/32 dev eth0 } }`.replaceAll(';', '\n'),
      )
      for (const node of ['gx', 'gy'] as const) await lab.run(node, 'ip address del 10.1.0.254/24 dev eth0')
      const pids = ['-p', 'a', '-r', 'b', '-c', 'c', '-b', 'd'].map((word, i) =>
        i % 2 === 0 ? word : join(folder, word),
      )
      await beside(lab, 'gx', ['keepalived', '--vrrp', '-n', '-f', conf, ...pids], async () => {
        const isMaster = async (): Promise<boolean> =>
          (await lab.run('gx', 'ip address show dev eth0')).includes('10.1.0.254/32')
        await until(isMaster, 15_000, 'it is master')
        await talking(lab, async () => {
          const file = newFile()
          expect((await init(lab, ...SITES, '-f', file)).stderr).toBe('')
          expect(truthOf(file).segments[0]!.gateways).toEqual([
            // Nobody has 10.1.0.254 at site Y: its router is seen by its own address.
            gateway('y', '10.1.0.253', Y_MAC),
            gateway('x', '10.1.0.254', X_MAC, '10.1.0.252'),
          ])
          const text = readFileSync(file, 'utf8')
          expect(text).toMatch(/the virtual address of a redundancy protocol/)
          expect(text).toMatch(/seen: VRRP hellos of group 51 from 10\.1\.0\.252, priority 150, for 10\.1\.0\.254/)
        })
      })
    })
  })

  it('reads router advertisements and DHCP offers, and takes no lease', async ({skip}) => {
    if (!(await hasProgram('dnsmasq'))) skip('dnsmasq is not installed (package dnsmasq-base)')
    await withSegmentLab({ip6: {x: 'fe80::a', y: 'fe80::b', vm: '2001:db8:1::10'}}, async (lab) => {
      const leases = join(folder, 'leases')
      const dnsmasq = [
        ...['dnsmasq', '-k', '-C', '/dev/null', '-p', '0', '-i', 'eth0', '--enable-ra', `--dhcp-leasefile=${leases}`],
        ...['--dhcp-range=2001:db8:1::,ra-only', '--dhcp-range=10.1.0.100,10.1.0.110,255.255.255.0'],
        ...['--dhcp-option=3,10.1.0.254', '--ra-param=eth0,high,60,600', '--dhcp-authoritative'],
        `--pid-file=${join(folder, 'dnsmasq.pid')}`,
      ]
      await beside(lab, 'gy', dnsmasq, () =>
        talking(lab, async () => {
          const file = newFile()
          expect((await init(lab, ...SITES, '--ask-dhcp', '--listen', '8', '-f', file)).stderr).toBe('')
          const text = readFileSync(file, 'utf8')
          const [segment] = parseInventory(text, file).segments
          expect(segment!.gateways.find(({site}) => site === 'y')).toMatchObject({
            ...{ip: '10.1.0.254', mac: Y_MAC, ra: {lifetime: 600, preference: 'high'}},
            ip6: [expect.stringMatching(/^fe80::/)],
          })
          expect(text).toMatch(/prefix: 10\.1\.0\.0\/24 # seen: offered by DHCP/)
          expect(text).toMatch(/seen: a DHCP server at 10\.1\.0\.25[34]/)
          expect(text).toMatch(/seen: the DHCP server \S+ offers 10\.1\.0\.254 as router/)
          // Nothing was leased for IPv4.
          expect(readFileSync(leases, 'utf8')).not.toMatch(/ 10\.1\.0\./)
        }),
      )
    })
  })

  it('tells the segments of VLANs apart by their tags', () =>
    withBridge({local: {mac: VM_MAC}, far: {mac: X_MAC}}, async (bridge) => {
      const tagged = (source: string, ip: string, operation = 1, target = '10.7.0.1') =>
        arpFrame(
          {destination: 'ff:ff:ff:ff:ff:ff', source, vlan: {id: 70, priority: 0, dropEligible: false}},
          {operation, senderMac: source, senderIp: ip, targetMac: '00:00:00:00:00:00', targetIp: target},
        )
      const timer = setInterval(() => {
        bridge.local.send(tagged(VM_MAC, '10.7.0.10'))
        bridge.far.send(tagged(X_MAC, '10.7.0.1', 2, '10.7.0.10'))
      }, 200)
      const file = newFile()
      try {
        const argv = ['init', '-i', 'br0', '--listen', '4', '--inter-site', 'vx0=x', '--site', 'y', '-f', file]
        expect((await gwswitch(argv, {namespace: bridge.namespace})).stderr).toBe('')
      } finally {
        clearInterval(timer)
      }
      const inventory = parseInventory(readFileSync(file, 'utf8'), file)
      expect(inventory.segments).toMatchObject([
        {name: 'vlan-70', vlan: 70, gateways: [{ip: '10.7.0.1', mac: X_MAC, site: 'x'}]},
      ])
      expect(inventory.vms).toMatchObject([{ip: '10.7.0.10', mac: VM_MAC, site: 'y'}])
      // Its questions had the tag too.
      const asked = bridge.far.received.some(({bytes}) =>
        Buffer.from(bytes).includes(Buffer.from('81000046080600', 'hex')),
      )
      expect(asked).toBe(true)
      expect(readFileSync(file, 'utf8')).toMatch(/guessed: it has the address 10\.7\.0\.1, where gateways usually are/)
    }))

  it('asks a person which port leads to the other site, and what the sites are called', async ({skip}) => {
    if (!(await hasProgram('tmux'))) skip('tmux is not installed')
    await withSegmentLab({shared: false}, (lab) =>
      talking(lab, async () => {
        const file = newFile()
        const argv = [process.execPath, bin, 'init', '-i', 'br0', '--listen', '6', '-f', file]
        const typed = namespaceCommand(lab.ns('sw'), argv).join(' ')
        await withTerminal(`${lab.ns('sw')}-init`, 120, async ({type, press, shows}) => {
          await type(`${typed}; echo "ended with $?"`)
          await shows(/listening at br0: \d+ s left, \d+ stations so far/)
          await shows(/Which ports lead to another site\?[\s\S]*p-g[xy] +gateway 10\.1\.0\.[12]/)
          await press('Space')
          await press('Enter')
          await shows(/What is this site called\?/)
          await type('paris')
          await shows(/What is the site behind p-\w+ called\?/)
          await type('rome')
          await shows(/ended with 0/)
        })
        const sites = truthOf(file).segments[0]!.gateways.map(({site}) => site)
        expect(new Set(sites)).toEqual(new Set(['paris', 'rome']))
      }),
    )
  })
})
