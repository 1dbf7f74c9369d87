// Keys that come and go while an agent runs, by the commands that do it.
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {newPrivateKey, privateKeyText, publicKeyText, signCommand} from '../../src/wire/agent-message.ts'
import {FAR4, NEW4, withSite} from '../services/agent/site.ts'
import {gwswitch} from '../support/cli.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {until} from '../support/until.ts'

describe.skipIf(noNamespaces)('keys of a site', () => {
  it('follow each other, are revoked, and stay revoked after a restart', async () => {
    await withSite({config: {probes: [FAR4]}}, async (site) => {
      const next = newPrivateKey()
      for (const [name, key] of [
        ['site-y.key', site.keys.site],
        ['site-y-2027.key', next],
      ] as const)
        writeFileSync(join(site.directory, name), privateKeyText(key), {mode: 0o600})
      const rotate = (key: string, ...args: string[]) => {
        const by = ['--key', join(site.directory, key), '--agent-key', publicKeyText(site.keys.agent), '--id', 'web-07']
        return gwswitch(['agent', 'rotate', '10.0.0.10', ...by, '--timeout', '5', ...args], {namespace: site.ns('far')})
      }
      const list = async () => (await gwswitch(['agent', 'keys', '-c', site.configFile])).stdout
      let agent = await site.start()
      const introduced = await rotate('site-y.key', '--introduce', publicKeyText(next), '--as', 'site-y-2027')
      expect(introduced).toMatchObject({code: 0, stdout: expect.stringMatching(/^done +10\.0\.0\.10: key site-y-2027/)})
      expect(await rotate('site-y-2027.key', '--revoke', 'site-y')).toMatchObject({code: 0})
      expect(await list()).toMatch(
        /INVALID site-y \(.*was revoked by site-y-2027.*\n {2}valid {3}site-y-2027 .*introduced by site-y/,
      )
      await agent.kill('SIGTERM')
      agent = await site.start()
      const refused = await rotate('site-y.key', '--revoke', 'site-y-2027')
      expect(refused).toMatchObject({code: 4, stdout: expect.stringMatching(/^refused .*key site-y was revoked/)})

      // Above those of the commands.
      const order = site.command({gw4: NEW4, seq: Date.now() * 1000 + 60_000_000})
      const token = signCommand(order, {kid: 'site-y-2027', privateKey: next})
      await until(
        async () => {
          site.send(token)
          return site.answers.some(({seq, state}) => seq === order.seq && state === 'confirmed')
        },
        10_000,
        'the new key is obeyed',
      )
      expect(await site.ask({gw4: NEW4})).toMatchObject({state: 'refused', reason: 'key'})
    })
  })
})
