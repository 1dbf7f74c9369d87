// A VM that is at the other site, seen on this site's bridge: nothing is done to it, whatever the strategy.
import {describe, expect, it} from 'vitest'
import {noNamespaces} from '../support/namespaces.ts'
import {type SegmentLab, useSegmentLab, X_MAC} from '../support/segment-lab.ts'
import {until} from '../support/until.ts'
import {switchIn} from './proof-switch.ts'

/** The VM and gateway X go to a bridge of their own, which one port of this one leads to. */
async function parted(lab: SegmentLab): Promise<void> {
  const there = lab.ns('net')
  await lab.run(
    'sw',
    `ip link set vnet0 nomaster; ip link set p-gx nomaster; ip link set vnet0 netns ${there}; ip link set p-gx netns ${there}
     ip link add dci type veth peer name dci0 netns ${there}; ip link set dci master br0 up`,
  )
  await lab.run(
    'net',
    'ip link add br0 type bridge; ip link set br0 type bridge forward_delay 0; ip link set br0 up; for p in vnet0 p-gx dci0; do ip link set $p master br0 up; done',
  )
  const carries = async (): Promise<boolean> =>
    (await lab.run(
      'gy',
      'ping -c1 -W1 10.1.0.10 >/dev/null && ping -c1 -W1 10.1.0.1 >/dev/null && echo yes || echo no',
    )) === 'yes\n'
  await until(carries, 10_000, 'the sites are joined')
}

describe.skipIf(noNamespaces)('a VM at the other site', () => {
  const lab = useSegmentLab({shared: false, vmKeys: 'agent: { qga: /nowhere/db-03.qga }'})

  it('is left alone, by agent and by mac-proxy', async () => {
    await parted(lab())
    const before = await lab().kept()
    for (const [strategy, flags] of [
      ['agent', ['-i', 'br0']],
      // Its port is found: the one behind which the bridge has learned the VM.
      ['mac-proxy', []],
    ] as const) {
      const {json, exit} = await switchIn(lab(), {at: 'bridge', strategy, flags})
      expect({strategy, code: json.code, end: json.end, exit}).toEqual({
        ...{strategy, code: 'not-here', end: 'not-begun', exit: 3},
      })
      expect(json.evidence[0]).toBe(
        'db-03 is not at site y: br0 has learned db-03 behind dci, with a gateway of another site, and by behind p-gy',
      )
      expect(await lab().kept()).toBe(before)
    }
    expect(await lab().gateway()).toBe(X_MAC)
    // Told otherwise, it is tried; what the VM sends does not come by here, and all is put back.
    const told = await switchIn(lab(), {at: 'bridge', strategy: 'mac-proxy', flags: ['--other-site']})
    expect(told.json).toMatchObject({end: 'rolled-back'})
    expect(told.json.evidence.join()).not.toContain('not at site')
    expect(await lab().kept()).toBe(before)
  })
})
