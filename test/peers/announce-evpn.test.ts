// A VM that moved without a word, in an EVPN fabric of FRR: the border leaf loses its host route, and gets it back when the
// VM is spoken for.
import {setTimeout as sleep} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {gwswitch} from '../support/cli.ts'
import {until} from '../support/until.ts'
import {type EvpnLab, GATEWAY, type Leaf, noEvpn, VM, withEvpn} from './evpn-lab.ts'

const announce = (lab: EvpnLab, leaf: Leaf, port = 'vnet0') =>
  gwswitch(['garp', `g${leaf}`, '--announce', 'db-03', '-i', port, '-f', lab.inventory, '--json'], {
    namespace: lab.host(leaf),
  })

const isGone = async (lab: EvpnLab): Promise<boolean> => (await lab.hostRoute()) === undefined

/** The fabric has taken the host route away, and does not bring it back by itself. */
async function isForgotten(lab: EvpnLab): Promise<void> {
  await until(() => isGone(lab), 20_000, 'the host route is withdrawn')
  for (let i = 0; i < 10; i++) {
    expect(await lab.hostRoute()).toBeUndefined()
    await sleep(100)
  }
}

describe.skipIf(noEvpn)('garp --announce in an EVPN fabric', () => {
  it('brings the host route of an idle VM back, from a leaf that is its hypervisor', async () => {
    await withEvpn({apart: false}, async (lab) => {
      await lab.move('b')
      await isForgotten(lab)
      const {code, json} = await announce(lab, 'b')
      expect({code, json}).toMatchObject({
        code: 0,
        json: {
          verdict: 'known',
          leg: 'br100',
          neighbours: [{ip: VM.ip, writes: 1, settled: true, way: 'br100'}],
          answers: [{ip: GATEWAY.ip, mac: GATEWAY.mac}],
          evidence: [
            `br100 has ${VM.ip} at ${VM.mac} (written once), and packets for it leave there`,
            expect.stringMatching(/^gb answered db-03 for 10\.1\.0\.254 from 02:00:00:00:0e:01 after [\d.]+ ms$/),
          ],
        },
      })
      await until(async () => (await lab.hostRoute()) === 'b', 20_000, 'the host route leads to leaf B')

      // Back, and at once: the fabric still holds the word of leaf B against it.
      await lab.move('a')
      expect((await announce(lab, 'a')).json).toMatchObject({verdict: 'known'})
      await until(async () => (await lab.hostRoute()) === 'a', 20_000, 'the host route leads to leaf A')
    })
  })

  it('does it from a hypervisor behind a leaf, by the frames alone, and refuses at the one that the VM has left', async () => {
    await withEvpn({apart: true}, async (lab) => {
      await lab.move('b')
      await isForgotten(lab)
      // There, the VM is behind the uplink now, or nowhere, if nothing of it came by yet.
      const refused = await announce(lab, 'a', 'uplink')
      expect(refused).toMatchObject({
        code: 1,
        json: {
          error: {
            message: expect.stringMatching(
              /^(behind uplink there (is|are) .* beside db-03: |no bridge of this host has learned ).*--force/,
            ),
          },
        },
      })
      expect(await isGone(lab)).toBe(true)
      const {json} = await announce(lab, 'b')
      expect(json).toMatchObject({verdict: 'known', leg: null, neighbours: []})
      expect(json.frames.filter(({kind}: {kind: string}) => kind === 'ask')).toHaveLength(5)
      await until(async () => (await lab.hostRoute()) === 'b', 20_000, 'the host route leads to leaf B')
    })
  })
})
