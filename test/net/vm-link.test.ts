import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, it} from 'vitest'
import {flapLink} from '../../src/net/vm-link/flap.ts'
import {checkLink, linkText, setLink} from '../../src/net/vm-link/vm-link.ts'
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
    await checkLink({mac: MAC, qmp: qmp()})
    expect(qemu.asked).toEqual([])
    await setLink({mac: MAC, qmp: qmp()}, false)
    await setLink({mac: MAC, qmp: qmp(), nic: 'other'}, true)
    expect(qemu.asked).toMatchObject([
      {name: 'net0', up: false},
      {name: 'other', up: true},
    ])
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
})

it('a link is named by who holds it', () => {
  expect([linkText({mac: MAC, qmp: '/run/q'}), linkText({mac: MAC, domain: 'web-07'})]).toEqual([
    'QMP /run/q',
    'libvirt domain web-07',
  ])
})
