// Beacons as frames on the segment, IPv4 and IPv6, into the agent's one socket; and how far gateways are.
import {describe, expect, it} from 'vitest'
import {echoRtts} from '../../src/net/netlink/echo-rtt.ts'
import {inNamespace} from '../../src/net/process/netns.ts'
import {beaconFrames, beaconOf} from '../../src/services/site/beacon.ts'
import type {ServeSiteRequest} from '../../src/services/site/request.ts'
import {newPrivateKey, publicKeyText} from '../../src/wire/agent-message.ts'
import {FAR4, FAR6, NEW4, NEW6, OLD4, withSite} from '../services/agent/site.ts'
import {request, useKeyFile} from '../services/site/site-fixture.ts'
import {gwswitch} from '../support/cli.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {until} from '../support/until.ts'
import {linkIn} from './arp-link.ts'

useKeyFile()

describe.skipIf(noNamespaces)('on the segment', () => {
  it.each<[string, Partial<ServeSiteRequest>, number]>([
    ['by IPv4 broadcast, from an interface with an address', {source: NEW4}, 0],
    ['by IPv4 broadcast, from an interface without one', {source: undefined}, 0],
    ['by IPv6 to all nodes', {}, 1],
  ])('the agent hears a beacon %s, with a tag and without', async (_name, over, which) => {
    const key = newPrivateKey()
    const trusted = {'site-y': {key: publicKeyText(key), gateways: [NEW4, NEW6]}}
    await withSite({config: {beacons: true, trusted}}, async (site) => {
      await site.start()
      await using link = await linkIn(site.ns('r2'), 'eth0')
      const said: ServeSiteRequest = {...request(), key: {kid: 'site-y', privateKey: key}, gw6: NEW6, ...over}
      const now = BigInt(Date.now()) * 1_000_000n
      link.send(beaconFrames(said, beaconOf(said, now, 0), link.mac, true)[which]!)
      link.send(beaconFrames(said, beaconOf(said, now + 1000n, 0), link.mac, false)[which]!)
      const status = async () =>
        (await gwswitch(['agent', 'status', '--config', site.configFile, '--json'], {namespace: site.ns('vm')})).json
      let where: {counts: {heeded: number}} | undefined
      await until(
        async () => {
          where = (await status()).where
          return where?.counts.heeded === 2
        },
        10_000,
        'it is heard',
      )
      expect(where).toMatchObject({
        heard: [{kid: 'site-y', site: 'y', segment: 'tenant-a', gateways: [NEW4, NEW6]}],
        counts: {ignored: {}},
      })
    })
  })

  it('round trips are measured to what answers', async () => {
    await withSite({}, async (site) => {
      const signal = new AbortController().signal
      const rtts = await inNamespace(site.ns('vm'), () => echoRtts([OLD4, NEW6, '10.0.0.99'], 'eth0', signal))
      expect([...rtts.keys()].sort()).toEqual([OLD4, NEW6].sort())
      for (const ms of rtts.values()) expect(ms).toBeGreaterThan(0)
      const stopped = AbortSignal.abort()
      expect((await inNamespace(site.ns('vm'), () => echoRtts([FAR4, FAR6], 'eth0', stopped))).size).toBe(0)
    })
  })
})
