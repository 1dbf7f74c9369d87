// The same guest as a domain of libvirt, which holds its agent's socket.
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import type {GuestImage} from '../../src/lab/guest/image.ts'
import {flapLink} from '../../src/net/vm-link/flap.ts'
import {checkLink} from '../../src/net/vm-link/vm-link.ts'
import {gwswitch} from '../support/cli.ts'
import {domainXml, hasBooted, libvirtGuest, startLibvirt} from '../support/libvirt.ts'
import {RX, RY} from '../support/site-lab.ts'
import {until} from '../support/until.ts'
import {useLab} from '../support/use-lab.ts'

const NEAR_Y = '203.0.113.10'
const image = await libvirtGuest()
const missing = typeof image === 'string' ? image : undefined
const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-libvirt-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

describe.skipIf(missing !== undefined)(`a guest of libvirt${missing ? ` (${missing})` : ''}`, () => {
  const lab = useLab({dci: 'plain', dciDelayMs: 2, wanDelayMs: 2})

  it("is switched through libvirt, which holds the agent's socket", {timeout: 300_000}, async () => {
    // The guest takes the place of the lab's own VM: its port, its MAC and its address.
    await lab().run('web-07', 'ip', 'link', 'set', 'eth0', 'down')
    const libvirt = await startLibvirt(lab().ns('hv'), join(scratch, 'libvirt'))
    try {
      const console = join(scratch, 'domain.console')
      const file = join(scratch, 'domain.xml')
      const facts = {
        name: 'web-07',
        bridge: 'br-web-07',
        mac: '02:00:00:00:00:10',
        address: '10.0.0.10/24',
        gateway: RX,
        console,
      }
      writeFileSync(file, domainXml(image as GuestImage, facts))
      await libvirt.virsh('create', file)
      try {
        await until(async () => hasBooted(console), 180_000, 'the domain boots')
        const tell = (...args: string[]) =>
          gwswitch(['notify-agent', '10.0.0.10', '--connect', libvirt.uri, '--confirm-within', '60', '--json', ...args])
        const {code, json} = await tell('--domain', 'web-07', '--gateway', RY, '--probe', NEAR_Y)
        expect(json.vms[0]).toMatchObject({
          state: 'confirmed',
          gateways: {v4: RY},
          transport: 'QEMU guest agent of libvirt domain web-07',
        })
        expect(code).toBe(0)
        const nobody = await tell('--domain', 'nobody', '--gateway', RY)
        expect(nobody.json.vms[0]).toMatchObject({
          state: 'silent',
          detail: expect.stringMatching(/libvirt domain nobody: failed to get domain 'nobody'/),
        })
        expect(nobody.code).toBe(5)

        const link = {mac: facts.mac, domain: 'web-07', connect: libvirt.uri}
        const state = () => libvirt.virsh('domif-getlink', 'web-07', facts.mac)
        await checkLink(link)
        const flapped = flapLink(link, 2000)
        await until(async () => (await state()).includes('down'), 20_000, 'the link is down')
        await flapped
        expect(await state()).toContain('up')
        await expect(checkLink({...link, mac: '02:00:00:00:00:99'})).rejects.toThrow(
          /^libvirt domain web-07: .*02:00:00:00:00:99/,
        )
      } finally {
        await libvirt.virsh('destroy', 'web-07')
      }
    } finally {
      await libvirt.stop()
    }
  })
})
