// `switch` without -i on a gateway that has several legs with one MAC.
import {describe, expect, it} from 'vitest'
import {noNamespaces} from '../support/namespaces.ts'
import {withSegmentLab, Y_MAC} from '../support/segment-lab.ts'
import {switchIn} from './proof-switch.ts'

describe.skipIf(noNamespaces)('switch on a gateway whose legs have one MAC', () => {
  it('takes the leg on the segment, and refuses where two are', () =>
    withSegmentLab({}, async (lab) => {
      // Before the other in the order of the kernel, too.
      await lab.run(
        'gy',
        `ip link add a0 address ${Y_MAC} type veth peer name a1; ip link set a0 up; ip link set a1 up; ip address add 10.9.0.1/24 dev a0`,
      )
      const {json, exit} = await switchIn(lab, {at: 'gateway'})
      expect(json).toMatchObject({end: 'switched', plan: {interface: 'eth0'}})
      expect(exit).toBe(0)
      expect(await lab.leavesBy()).toBe(Y_MAC)

      await lab.run('gy', 'ip address add 10.1.0.250/24 dev a0')
      const refused = await switchIn(lab, {at: 'gateway'})
      expect(refused.exit).toBe(2)
      expect(refused.json).toMatchObject({
        error: {message: expect.stringMatching(/a0.*all have by's MAC .*: name the leg on segment tenant-b with -i$/)},
      })

      // On another segment alone: not this one's, whatever its MAC is.
      await lab.run('gy', 'ip address flush dev a0; ip address add 10.9.0.1/24 dev a0; ip address flush dev eth0')
      await lab.run('gy', 'ip address add 10.8.0.1/24 dev eth0')
      expect(await switchIn(lab, {at: 'gateway'})).toMatchObject({
        ...{exit: 2, json: {error: {message: expect.stringContaining('no interface here is on segment tenant-b')}}},
      })
    }))
})
