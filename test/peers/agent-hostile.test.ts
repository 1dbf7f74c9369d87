import {sign} from 'node:crypto'
import {setTimeout as delay} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {type AgentCommand, COMMAND_TYP, newPrivateKey, signCommand} from '../../src/wire/agent-message.ts'
import {FAR4, NEW4, OLD4, type Site, withSite} from '../services/agent/site.ts'
import {noNamespaces} from '../support/namespaces.ts'

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

describe.skipIf(noNamespaces)('on the wire', () => {
  it('gets silence or a reason for what it must not obey, and nothing changes', async () => {
    await withSite({config: {probes: [FAR4]}}, async (site) => {
      await site.start()
      const before = await site.routing()
      // A first switch, taken back: everything of it is now old.
      const first = site.command({run: 'first', gw4: NEW4})
      const firstToken = site.sign(first)
      await settled(site, firstToken, first.seq)
      await site.ask({op: 'rollback', run: 'first'})
      expect(await site.routing()).toBe(before)
      const written = site.memory()

      const stranger = newPrivateKey()
      const good = (over: Partial<AgentCommand> = {}): AgentCommand => site.command({gw4: NEW4, ...over})
      const forged = (header: object, by = stranger): string => {
        const input = `${part(header)}.${part(good())}`
        return `${input}.${sign(null, Buffer.from(input), by).toString('base64url')}`
      }
      const token = site.sign(good())
      const silent: [string, Buffer | string][] = [
        ['nothing', ''],
        ['noise', Buffer.alloc(600, 0xa5)],
        ['oversized', `${token}${' '.repeat(2048)}`],
        ['a datagram of 60 kB', Buffer.alloc(60_000, 65)],
        ['truncated', token.slice(0, -20)],
        ['forged by another key', signCommand(good(), {kid: 'site-y', privateKey: stranger})],
        ['of a key that is not trusted', signCommand(good(), {kid: 'site-x', privateKey: stranger})],
        ['alg none', `${part({alg: 'none', kid: 'site-y', typ: COMMAND_TYP})}.${part(good())}.`],
        ['alg EdDSA', forged({alg: 'EdDSA', kid: 'site-y', typ: COMMAND_TYP})],
        [
          'with its own key in the header',
          forged({alg: 'Ed25519', kid: 'site-y', typ: COMMAND_TYP, jwk: stranger.export({format: 'jwk'})}),
        ],
        ['changed on the way', changed(token)],
      ]
      for (const [, bytes] of silent) site.send(bytes)

      const nowS = Math.floor(Date.now() / 1000)
      const refused: [string, AgentCommand, string][] = [
        ['for another VM', good({vm: 'web-08'}), 'wrong_vm'],
        ['from a clock 5 minutes ahead', good({iat: nowS + 300, exp: nowS + 360}), 'clock'],
        ['from a clock 5 minutes behind', good({iat: nowS - 300, exp: nowS - 240}), 'clock'],
        ['with a seq that is too old', {...good(), seq: first.seq - 1}, 'replayed'],
        ['with the seq of another message', {...good(), seq: first.seq}, 'replayed'],
        ['with a nonce used before', good({nonce: first.nonce}), 'nonce'],
        ['to a gateway that the key may not choose', good({gw4: '10.0.0.3'}), 'gateway_not_allowed'],
        ['from a gateway that is not in use', good({from_gw4: NEW4}), 'from_gw'],
        ['for a NIC that is not here', good({mac: '02:00:00:00:00:77'}), 'interface'],
      ]
      for (const [name, command, reason] of refused) {
        const answer = await settled(site, site.sign(command), command.seq, command.nonce)
        expect(answer, name).toMatchObject({state: 'refused', reason, nonce: command.nonce})
      }
      // The first message, replayed as it was: its answer is told again, and nothing is done.
      const told = site.answers.length
      site.send(firstToken)
      // Those of the last refusal may be told once more as well.
      const again = () => site.answers.slice(told).find(({seq}) => seq === first.seq)
      await until(() => again() !== undefined)
      expect(again()).toMatchObject({state: 'rolled_back', reason: 'requested'})
      await delay(200)

      expect(
        site.answers
          .filter(({state}) => state === 'received' || state === 'applied')
          .every(({seq}) => seq === first.seq),
      ).toBe(true)
      expect(new Set(site.answers.map(({seq}) => seq))).toEqual(
        new Set([first.seq, first.seq + 1, ...refused.map(([, command]) => command.seq)]),
      )
      expect(await site.routing()).toBe(before)
      expect(site.memory().last).toEqual(written.last)
    })
  })

  it('obeys once what comes twice, reordered, or at the same time', async () => {
    await withSite({config: {probes: [FAR4]}}, async (site) => {
      await site.start()
      const switched = site.command({run: 'r', gw4: NEW4, from_gw4: OLD4})
      const late = site.command({run: 'late', gw4: OLD4})
      const [token, lateToken] = [site.sign(switched), site.sign(late)]
      for (let i = 0; i < 20; i++) site.send(token)
      const done = await settled(site, token, switched.seq)
      expect(done).toMatchObject({state: 'confirmed'})
      const confirm = site.command({op: 'confirm', run: 'r'})
      await settled(site, site.sign(confirm), confirm.seq)
      // Sent before the confirmation, and overtaken by it.
      site.send(lateToken)
      expect(await settled(site, lateToken, late.seq)).toMatchObject({state: 'refused', reason: 'replayed'})
      expect(await site.gateway()).toBe(NEW4)
      expect(
        new Set(site.answers.filter(({seq}) => seq === switched.seq).map(({t_apply_ms}) => t_apply_ms)).size,
      ).toBeLessThanOrEqual(2)
    })
  })

  it('is confirmed, and applied once, when 30 % of the datagrams are lost both ways', async () => {
    await withSite({config: {probes: [FAR4], windows: {probeMs: 4000}}}, async (site) => {
      const agent = await site.start()
      const lossy = 'meta l4proto { udp, icmp } numgen random mod 100 < 30 drop'
      await site.run(
        'vm',
        'nft',
        `add table ip loss; add chain ip loss i { type filter hook input priority 0; }; add chain ip loss o { type filter hook output priority 0; }; add rule ip loss i ${lossy}; add rule ip loss o ${lossy}`,
      )
      for (const gw4 of [NEW4, OLD4, NEW4]) {
        const applies = site.answers.length
        const answer = await site.ask({gw4, confirm_s: 20}, ({state}) => state === 'applied', 20_000)
        expect(
          await site.ask({op: 'confirm', run: answer.run}, ({state}) => state === 'confirmed', 20_000),
        ).toMatchObject({gw4})
        const times = site.answers
          .slice(applies)
          .flatMap(({seq, t_apply_ms}) => (seq === answer.seq && t_apply_ms !== undefined ? [t_apply_ms] : []))
        expect(new Set(times).size).toBe(1)
      }
      expect(await site.gateway()).toBe(NEW4)
      expect(agent.log()).not.toMatch(/refused/)
    })
  })
})

/** Sends until there is an answer that decides. */
async function settled(site: Site, token: string, seq: number, nonce?: string) {
  const fits = () =>
    site.answers.find(
      (answer) =>
        answer.seq === seq &&
        (nonce === undefined || answer.nonce === nonce) &&
        answer.state !== 'received' &&
        answer.state !== 'applied',
    )
  await until(
    () => fits() !== undefined,
    () => site.send(token),
  )
  return fits()!
}

async function until(holds: () => boolean, again: () => void = () => {}): Promise<void> {
  for (let round = 0; round < 500; round++) {
    if (round % 15 === 0) again()
    await delay(20)
    if (holds()) return
  }
  throw new Error('it did not come to that')
}

/** With another gateway in its payload, under the same signature. */
function changed(token: string): string {
  const [header, payload, signature] = token.split('.') as [string, string, string]
  const command = JSON.parse(Buffer.from(payload, 'base64url').toString()) as AgentCommand
  return `${header}.${part({...command, gw4: '10.0.0.66'})}.${signature}`
}
