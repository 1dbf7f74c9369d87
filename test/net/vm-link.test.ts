import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, it} from 'vitest'
import {flapLink} from '../../src/net/vm-link/flap.ts'
import {checkLink, linkText, setLink} from '../../src/net/vm-link/vm-link.ts'
import {hasProgram} from '../support/namespaces.ts'
import {type QmpDouble, type QmpDoubleOptions, qmpDouble} from '../support/qmp-double.ts'

const MAC = '02:00:00:00:00:10'
const macs = {net1: '02:00:00:00:00:11', net0: MAC.toUpperCase()}

let dir: string
let qemu: QmpDouble | undefined
const qmp = (): string => join(dir, 'qmp')
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gwswitch-qmp-'))
})
afterEach(() => {
  qemu?.close()
  qemu = undefined
  rmSync(dir, {recursive: true, force: true})
})

describe("a VM's link by QEMU's monitor", () => {
  it('is that of the NIC with its MAC, or with the name that was given', async () => {
    qemu = await qmpDouble(qmp(), {macs: {...macs, other: '52:54:00:00:00:01'}})
    expect(await checkLink({mac: MAC, qmp: qmp()})).toEqual({mac: MAC, qmp: qmp(), nic: 'net0'})
    expect(qemu.asked).toEqual([])
    await setLink({mac: MAC, qmp: qmp()}, false)
    await setLink({mac: MAC, qmp: qmp(), nic: 'other'}, true)
    expect(qemu.asked).toMatchObject([
      {name: 'net0', up: false},
      {name: 'other', up: true},
    ])
  })

  it.each([
    ['net0', undefined],
    ['e1000', undefined],
    ['x', 'query-rx-filter: invalid net client name: x'],
    ['net1', `the MAC of the NIC net1 is 02:00:00:00:00:11, not ${MAC}`],
  ])('of the NIC that was named %s is looked for before', async (nic, why) => {
    qemu = await qmpDouble(qmp(), {macs})
    const link = {mac: MAC, qmp: qmp(), nic}
    if (why === undefined) expect(await checkLink(link)).toEqual(link)
    else {
      await expect(checkLink(link)).rejects.toThrow(why)
      await expect(flapLink(link, 10)).rejects.toThrow(why)
    }
    expect(qemu.asked).toEqual([])
  })

  it.each<[string, QmpDoubleOptions | undefined, object, string, string]>([
    ['nobody listens', undefined, {}, 'silent', 'no such socket'],
    ['it is of something else', {greeting: 'SSH-2.0'}, {}, 'runtime', "is not QEMU's monitor"],
    [
      'no NIC has the MAC',
      {macs: {net1: macs.net1}},
      {},
      'usage',
      `no virtio NIC of this VM says that its MAC is ${MAC}`,
    ],
    ['the NIC that was named is not there', {macs}, {nic: 'x'}, 'refused', "set_link: Device 'x' not found"],
  ])('is not touched where %s', async (_, options, more, kind, message) => {
    if (options) qemu = await qmpDouble(qmp(), options)
    await expect(setLink({mac: MAC, qmp: qmp(), ...more}, false)).rejects.toMatchObject({
      kind,
      message: expect.stringContaining(message),
    })
    await expect(flapLink({mac: MAC, qmp: qmp(), ...more}, 10)).rejects.toMatchObject({kind})
  })

  it('is down for as long as was said, and comes up also where that is refused at first', async () => {
    qemu = await qmpDouble(qmp(), {macs, stubborn: 2})
    const before = Date.now()
    const upMs = await flapLink({mac: MAC, qmp: qmp()}, 300)
    const [down, ...ups] = qemu.asked
    expect([down?.up, ...ups.map(({up}) => up)]).toEqual([false, true, true, true])
    expect(ups[0]!.atMs - down!.atMs).toBeGreaterThanOrEqual(290)
    expect(upMs).toBeGreaterThanOrEqual(before + 290)
  })

  it('is put up, whatever that takes, where it may have gone down without an answer', async () => {
    qemu = await qmpDouble(qmp(), {macs, breaks: true, stubborn: 2})
    await expect(flapLink({mac: MAC, qmp: qmp()}, 300)).rejects.toMatchObject({
      kind: 'silent',
      message: expect.stringContaining('QEMU went away'),
    })
    expect(qemu.asked.map(({up}) => up)).toEqual([false, true, true, true])
  })
})

const virsh = await hasProgram('virsh')
describe.skipIf(!virsh)(`a VM's link by libvirt${virsh ? '' : ' (virsh is not installed)'}`, () => {
  /** libvirt's test driver, which keeps domains in memory and changes no link. */
  const domains = {away: '<link state="up"/>', isolated: '<link state="down"/>', '-web': '', '--help': ''}
  const connect = (): string => {
    const file = join(dir, 'node.xml')
    const xml = Object.entries(domains).map(
      ([name, link]) => `<domain type="test"><name>${name}</name><memory>1000</memory><os><type>hvm</type></os>
        ${name === 'away' ? '<runstate xmlns="http://libvirt.org/schemas/domain/test/1.0">5</runstate>' : ''}
        <devices><interface type="user"><mac address="${MAC}"/>${link}</interface></devices></domain>`,
    )
    writeFileSync(file, `<node>${xml.join('')}</node>`)
    return `test://${file}`
  }
  it.each([
    [
      'of a domain that runs somewhere else',
      'away',
      'silent',
      'libvirt domain away: does not run on this host (shut off)',
    ],
    [
      'that is down already',
      'isolated',
      'refused',
      `libvirt domain isolated: the link of ${MAC} is down already: left so`,
    ],
    ['of a domain that is not there', '--all', 'silent', "libvirt domain --all: failed to get domain '--all'"],
  ])('is not touched: one %s', async (_, domain, kind, message) => {
    const link = {mac: MAC, domain, connect: connect()}
    await expect(checkLink(link)).rejects.toMatchObject({kind, message})
    await expect(flapLink(link, 10)).rejects.toMatchObject({kind, message})
  })

  it.each(['-web', '--help'])(
    'is that of the domain %s, whatever virsh has for an option of that name',
    async (domain) => {
      const link = {mac: MAC, domain, connect: connect()}
      await checkLink(link)
      await expect(setLink(link, false)).rejects.toThrow(/not supported by the connection driver/)
    },
  )

  it('is given up where libvirt does not answer', {timeout: 20_000}, async () => {
    const socket = join(dir, 'libvirt')
    const deaf = createServer(() => {}).listen(socket)
    try {
      const link = {mac: MAC, domain: 'web-07', connect: `qemu+unix:///system?socket=${socket}`}
      await expect(checkLink(link)).rejects.toMatchObject({
        kind: 'silent',
        message: 'libvirt domain web-07: libvirt does not answer',
      })
    } finally {
      deaf.close()
    }
  })
})

it('a link is named by who holds it', () => {
  expect([linkText({mac: MAC, qmp: '/run/q'}), linkText({mac: MAC, domain: 'web-07'})]).toEqual([
    'QMP /run/q',
    'libvirt domain web-07',
  ])
})
