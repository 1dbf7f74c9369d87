// Hooks as the platforms start them: with the arguments and variables that these document, on hosts that have what they
// should, and on hosts that do not.
import {existsSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {afterAll, beforeAll, beforeEach, describe, expect, it} from 'vitest'
import {type HookHost, type HookHostFacts, hookHost} from '../support/hook-host.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {type SiteSocket, siteSocket} from '../support/site-socket.ts'
import {until} from '../support/until.ts'

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-hook-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))
const SOCKET = join(scratch, 'site.sock')
const STATES = join(scratch, 'states')

const INVENTORY = `version: 1
sites: { x: {}, y: {} }
`
const PVE_VM = `boot: order=scsi0
net0: virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1
net1: e1000=BC:24:11:00:00:02,bridge=vmbr1
ostype: l26

[before]
net0: virtio=BC:24:11:00:00:99,bridge=vmbr0
`
/** qm(1), which says a line of a file at each question, and the last one again and again. */
const QM = `[ "$1 $3" = 'status --verbose' ] || exit 1
echo "status: running"; echo "qmpstatus: $(head -n 1 ${STATES})"
[ "$(wc -l <${STATES})" -gt 1 ] && sed -i 1d ${STATES}`
/** xe(1), as XAPI prints lists. */
const XE = `case "$*" in
  'vm-param-get uuid=4f0a param-name=dom-id') echo 12 ;;
  'vif-list vm-uuid=4f0a params=MAC,device') printf 'MAC ( RO)       : 02:00:00:00:01:10\\n    device ( RO): 0\\n\\n\\n' ;;
  *) exit 1 ;;
esac`
const OVIRT_XML = `<domain type='kvm'><devices>
    <disk type='file'><target dev='sda' bus='scsi'/></disk>
    <interface type='bridge'>
      <mac address='56:6f:1a:00:00:01'/>
      <target dev='vnet7'/>
    </interface>
</devices></domain>
`
const PLACES = {
  proxmox: '/var/lib/vz/snippets/gwswitch',
  'xcp-ng': '/etc/xapi.d/vm-post-migrate/gwswitch',
  ovirt: '/usr/libexec/vdsm/hooks/after_vm_migrate_destination/50_gwswitch',
  generic: '/usr/local/sbin/gwswitch-hook',
} as const
type Kind = keyof typeof PLACES

let hosts = 0
/** A host with hooks at their places. */
const host = (facts: HookHostFacts = {}): Promise<HookHost> =>
  hookHost(join(scratch, `host${hosts++}`), {
    ...facts,
    programs: {qm: QM, xe: XE},
    files: {
      '/etc/gwswitch/gwswitch.yaml': INVENTORY,
      '/etc/pve/nodes/a/qemu-server/107.conf': PVE_VM,
      '/run/vdsm/domain.xml': OVIRT_XML,
      ...scripts,
      ...facts.files,
    },
  })

/** As they are printed for them. */
const scripts: Record<string, string> = {}
beforeAll(async () => {
  if (noNamespaces !== undefined) return
  await using plain = await host()
  const words = ['--site', 'y', '--socket', SOCKET, '--inventory', '/etc/gwswitch/gwswitch.yaml']
  for (const [kind, place] of Object.entries(PLACES)) {
    const {code, stdout, stderr} = await plain.hook('print', kind, ...words)
    expect(code, stderr).toBe(0)
    scripts[place] = stdout
  }
})

/** What the platform waits for: until it has ended, and closed what it writes to. */
async function called(at: HookHost, kind: Kind, args: readonly string[], env = {}): Promise<string> {
  const began = performance.now()
  const {code, stdout, stderr} = await at.inside([PLACES[kind], ...args], env)
  expect(performance.now() - began).toBeLessThan(1000)
  expect({code, stdout}).toEqual({code: 0, stdout: ''})
  return stderr
}

const NIC0 = 'BC:24:11:00:00:01'
const NIC1 = 'BC:24:11:00:00:02'
const ARRIVED = [`arrived ${NIC0} tap107i0`, `arrived ${NIC1} tap107i1`]

describe.skipIf(noNamespaces !== undefined)('a hook that the platform starts', {timeout: 60_000}, () => {
  let service: SiteSocket
  let here: HookHost
  beforeAll(async () => {
    service = await siteSocket(SOCKET)
    here = await host()
  })
  afterAll(async () => {
    await here?.[Symbol.asyncDispose]()
    await service[Symbol.asyncDispose]()
  })
  beforeEach(() => service.forget())

  it.each([
    [
      'proxmox: a VM that is started is told of too: whether it moved the service knows',
      ['proxmox', ['107', 'post-start'], {}],
      ['running'],
      ARRIVED,
    ],
    ['proxmox: other phases are nothing', ['proxmox', ['107', 'pre-start'], {}], ['running'], []],
    ['proxmox: a stop is nothing', ['proxmox', ['107', 'post-stop'], {}], ['stopped'], []],
    [
      'xcp-ng: at the destination',
      ['xcp-ng', ['-vmuuid', '4f0a', '-reason', 'destination'], {}],
      [],
      ['arrived 02:00:00:00:01:10 vif12.0'],
    ],
    ['xcp-ng: at the source', ['xcp-ng', ['-vmuuid', '4f0a', '-reason', 'source'], {}], [], []],
    ['xcp-ng: without arguments', ['xcp-ng', [], {}], [], []],
    ['xcp-ng: a VM that nobody knows', ['xcp-ng', ['-vmuuid', 'none', '-reason', 'destination'], {}], [], []],
    [
      'ovirt: with the file that it names',
      ['ovirt', [], {_hook_domxml: '/run/vdsm/domain.xml', vmId: '4f0a'}],
      [],
      ['arrived 56:6f:1a:00:00:01 vnet7'],
    ],
    ['ovirt: without it', ['ovirt', [], {vmId: '4f0a'}], [], []],
    ['generic: arrived', ['generic', ['arrived', 'web-07', 'vnet0'], {}], [], ['arrived web-07 vnet0']],
    ['generic: arrived somewhere', ['generic', ['arrived', 'web-07'], {}], [], ['arrived web-07']],
    ['generic: expect', ['generic', ['expect', 'web-07'], {}], [], ['expect web-07 3600']],
    ['generic: left', ['generic', ['left', 'web-07'], {}], [], ['left web-07']],
    ['generic: cancelled', ['generic', ['cancelled', 'web-07'], {}], [], ['cancelled web-07']],
  ] as const)('%s', async (_title, [kind, args, env], qm, lines) => {
    writeFileSync(STATES, `${qm.join('\n')}\n`)
    await called(here, kind, args, env)
    await here.settled()
    expect(service.texts()).toEqual(lines)
  })

  it('says to a person what it wants, and ends with 0', async () => {
    expect(await called(here, 'generic', [])).toMatch(/^usage: .* expect\|arrived\|left\|cancelled VM\|MAC \[PORT\]\n$/)
    expect(await called(here, 'generic', ['arrived'])).toMatch(/which VM\?\n$/)
  })

  const EXPECTED = [`expect ${NIC0} 3600`, `expect ${NIC1} 3600`]

  describe('of a VM of Proxmox that waits for its memory', () => {
    beforeEach(async () => {
      const link = `echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
        ip link add tap107i0 type veth peer name guest && ip link set tap107i0 up && ip link set guest up`
      expect(await here.inside(['sh', '-c', link])).toMatchObject({code: 0})
      writeFileSync(STATES, 'inmigrate\n')
      await called(here, 'proxmox', ['107', 'post-start'], {PVE_MIGRATED_FROM: 'b'})
      await until(async () => service.texts().length === 2, 10_000, 'it watches')
      expect(service.texts()).toEqual(EXPECTED)
    })
    /** What QEMU does as soon as the VM runs: it announces it. */
    const speaks = () => here.inside(['arping', '-c', '1', '-w', '1', '-I', 'guest', '-s', '10.0.0.10', '10.0.0.10'])
    const unplugged = () => here.inside(['ip', 'link', 'delete', 'tap107i0'])

    it('tells that it runs, when it is heard', async () => {
      writeFileSync(STATES, 'running\n')
      const began = performance.now()
      await speaks()
      await here.settled()
      expect(performance.now() - began).toBeLessThan(8000)
      expect(service.texts()).toEqual([...EXPECTED, ...ARRIVED])
      await unplugged()
    })

    it('tells that it does not come, when its QEMU ends', async () => {
      writeFileSync(STATES, 'stopped\n')
      await unplugged()
      await here.settled()
      expect(service.texts()).toEqual([...EXPECTED, `cancelled ${NIC0}`, `cancelled ${NIC1}`])
    })

    it('of two that watch it, the newer alone tells', async () => {
      await called(here, 'proxmox', ['107', 'post-start'])
      await until(async () => service.texts().length === 4, 10_000, 'the other one watches')
      writeFileSync(STATES, 'running\n')
      await speaks()
      await here.settled()
      expect(service.texts()).toEqual([...EXPECTED, ...EXPECTED, ...ARRIVED])
      await unplugged()
    })
  })

  // The last one: what it reads is gone then.
  it('reads what VDSM removes when the hook has returned before it returns', async () => {
    const go = `_hook_domxml=/run/vdsm/domain.xml ${PLACES.ovirt}; rm /run/vdsm/domain.xml`
    expect(await here.inside(['sh', '-c', go])).toMatchObject({code: 0})
    await here.settled()
    expect(service.texts()).toEqual(['arrived 56:6f:1a:00:00:01 vnet7'])
  })
})

const TALKERS = ['perl', 'python3', 'socat', 'ncat', 'nc'] as const
const present = await Promise.all(TALKERS.map(hasProgram))

describe.skipIf(noNamespaces !== undefined)('a host that lacks', {timeout: 60_000}, () => {
  const ALONE =
    /gwswitch switch web-07 --to y -i vnet0 --inventory \/etc\/gwswitch\/gwswitch\.yaml: exit 2: gwswitch: .*no VM "web-07"/

  it.each(TALKERS.map((name, i) => [name, present[i]!] as const).filter(([, has]) => has))(
    'all but %s for the socket tells the service all the same',
    async (name) => {
      await using service = await siteSocket(SOCKET)
      {
        await using at = await host({lacks: TALKERS.filter((each) => each !== name)})
        await called(at, 'generic', ['arrived', 'web-07', 'vnet0'])
      }
      expect(service.texts()).toEqual(['arrived web-07 vnet0'])
    },
  )

  it.each([
    ['a service: no socket', {}, 'none'],
    ['a service that answers: its socket hangs', {}, 'hangs'],
    ['anything that speaks to a socket', {lacks: [...TALKERS]}, 'answers'],
    ['setsid', {lacks: ['setsid']}, 'none'],
    ['a folder for what it notes: /run is read only', {setup: 'mount -o remount,ro /run'}, 'none'],
    ['timeout', {lacks: ['timeout']}, 'none'],
  ] as const)('%s: the hook returns at once, and starts a gwswitch of its own, once', async (_what, facts, socket) => {
    await using _service = socket === 'none' ? undefined : await siteSocket(SOCKET, {answers: socket === 'answers'})
    let notes: string[]
    {
      await using at = await host(facts)
      await called(at, 'generic', ['arrived', 'web-07', 'vnet0'])
      await until(async () => at.notes().length > 0, 30_000, 'it has been tried')
      notes = at.notes()
    }
    expect(notes).toEqual([expect.stringMatching(ALONE)])
  })

  it('logger: nothing is said, and nothing else changes', async () => {
    await using service = await siteSocket(SOCKET)
    {
      await using at = await host({lacks: ['logger']})
      await called(at, 'generic', ['arrived', 'web-07', 'vnet0'])
    }
    expect(service.texts()).toEqual(['arrived web-07 vnet0'])
  })

  it('gwswitch, which is gone: the hook ends with 0, and it is noted', async () => {
    await using at = await host()
    const gone = `sed -i "s|^gwswitch() { '[^']*'|gwswitch() { '/opt/gone'|" ${PLACES.generic}`
    await at.inside(['sh', '-c', gone])
    await called(at, 'generic', ['arrived', 'web-07', 'vnet0'])
    await until(async () => at.notes().length > 0, 10_000, 'it has been tried')
    expect(at.notes()).toEqual([expect.stringMatching(/exit 127: .*\/opt\/gone/)])
  })
})

describe.skipIf(noNamespaces !== undefined)('what lies at the place of a hook', {timeout: 60_000}, () => {
  it('is removed while it is as it was written, and left with what differs when it is not', async () => {
    await using at = await host()
    expect(await at.hook('status', 'xcp-ng')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^xcp-ng: installed /),
    })
    await at.inside(['sh', '-c', `echo '# mine' >>${PLACES['xcp-ng']}`])
    const status = await at.hook('status', 'xcp-ng', '--json')
    expect(JSON.parse(status.stdout)).toMatchObject({
      ...{schema: 'gwswitch.hook/1', action: 'status', exitCode: 10},
      hooks: [{kind: 'xcp-ng', state: 'changed', differences: ['it has    # mine'], executable: true, calledAt: null}],
    })
    expect(status.code).toBe(10)
    const refused = {code: 2, stderr: expect.stringMatching(/was changed since .*it has {4}# mine/)}
    expect(await at.hook('remove', 'xcp-ng')).toMatchObject(refused)
    expect(await at.hook('install', 'xcp-ng', '--site', 'x')).toMatchObject(refused)
    expect(await at.hook('install', 'xcp-ng', '--site', 'x', '--force')).toMatchObject({code: 0})
    expect(await at.hook('remove', 'xcp-ng')).toMatchObject({code: 0, stdout: expect.stringMatching(/^REMOVED /)})
    expect(await at.hook('remove', 'xcp-ng')).toMatchObject({code: 0, stdout: expect.stringMatching(/^AS IT WAS /)})
    expect(await at.hook('status', 'xcp-ng')).toMatchObject({code: 10})
  })

  it('and is another hook stays, whatever is said', async () => {
    const other = '#!/bin/sh\nexit 0\n'
    await using at = await host({files: {[PLACES.ovirt]: other}})
    for (const words of [
      ['install', 'ovirt', '--site', 'y', '--force'],
      ['remove', 'ovirt', '--force'],
    ])
      expect(await at.hook(...words)).toMatchObject({code: 2, stderr: expect.stringMatching(/and stays/)})
    expect(await at.inside(['cat', PLACES.ovirt])).toMatchObject({stdout: other})
  })

  it('and is named by VMs of Proxmox VE stays: they would not start without it', async () => {
    const named = {'/etc/pve/nodes/b/qemu-server/112.conf': 'hookscript: local:snippets/gwswitch\nmemory: 512\n'}
    await using at = await host({files: named})
    const refused = {
      code: 2,
      stderr: expect.stringMatching(/would not start without it: 112 \(.*--delete hookscript\)/),
    }
    expect(await at.hook('remove', 'proxmox')).toMatchObject(refused)
    await at.inside(['sed', '-i', '/hookscript/d', '/etc/pve/nodes/b/qemu-server/112.conf'])
    expect(await at.hook('remove', 'proxmox')).toMatchObject({code: 0})
  })

  it('is shown, or said to be written there, and is not; then it is what was shown, executable', async () => {
    await using at = await host()
    const words = ['ovirt', '--site', 'y']
    await at.inside(['rm', '-r', dirname(PLACES.ovirt)])
    const shown = await at.hook('print', ...words)
    const dry = await at.hook('install', ...words, '--dry-run')
    expect(dry).toMatchObject({code: 0, stdout: expect.stringMatching(/^WOULD WRITE {2}ovirt/)})
    expect(await at.inside(['test', '-e', PLACES.ovirt])).toMatchObject({code: 1})
    expect(await at.hook('install', ...words)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^WRITTEN {2}ovirt/),
    })
    expect(await at.inside(['cat', PLACES.ovirt])).toMatchObject({stdout: shown.stdout})
    expect(await at.inside(['test', '-x', PLACES.ovirt])).toMatchObject({code: 0})
    await at.inside(['chmod', '-x', PLACES.ovirt])
    expect(await at.hook('status', 'ovirt')).toMatchObject({code: 10, stdout: expect.stringMatching(/chmod 755/)})
    expect(existsSync(PLACES.ovirt)).toBe(false)
  })

  it('is one of a site that the inventory knows', async () => {
    await using at = await host()
    const wrong = await at.hook('install', 'xcp-ng', '--site', 'z')
    expect(wrong).toMatchObject({code: 2, stderr: expect.stringMatching(/no site "z"/)})
  })
})
