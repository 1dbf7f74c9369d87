// The socket for signed messages, on a wire: who is answered from where, and what the kernel keeps away from it.
import {writeFileSync} from 'node:fs'
import {afterEach, describe, expect, it} from 'vitest'
import {openUdpListener, type Peer, type UdpListener} from '../../../src/net/stream/udp-listener.ts'
import {newPrivateKey, signCommand, withTag} from '../../../src/wire/agent-message.ts'
import {hintOf} from '../../../src/wire/agent-tag.ts'
import {noNamespaces, type PairEnd, withPair} from '../../support/namespaces.ts'
import {until} from '../../support/until.ts'

const key = {kid: 'site-y', privateKey: newPrivateKey()}
const hints = [hintOf(key.privateKey)]
const token = signCommand(
  {v: 1, op: 'query', vm: 'a', run: 'a', seq: 0, iat: 0, exp: 0, nonce: 'AAAAAAAAAAAAAAAA'},
  key,
)

const open: UdpListener[] = []
afterEach(() => Promise.all(open.splice(0).map((listener) => listener.close())))

/** What came, with the address that it came from and the one that it was sent to. */
type Heard = Peer & {readonly text: string}

function listen(end: PairEnd, address: string, port: number, answers: boolean) {
  const heard: Heard[] = []
  const listener = end.inside(() =>
    openUdpListener(
      {address, port},
      (bytes, from, self) => {
        heard.push({...from, text: Buffer.from(bytes).toString()})
        if (answers) self.send(token, from)
      },
      {hints, onError: (error) => expect.unreachable(error.message)},
    ),
  )
  open.push(listener)
  return {listener, heard}
}

/** IPv6 too, and a second address of each family at `a`, each of which answers. */
async function withAddresses({inside, run, interface: name}: PairEnd, ...addresses: string[]): Promise<void> {
  inside(() => {
    for (const key of ['all', 'default', name]) writeFileSync(`/proc/sys/net/ipv6/conf/${key}/disable_ipv6`, '0')
    writeFileSync('/proc/sys/net/ipv6/bindv6only', '1')
  })
  for (const address of addresses)
    await run('ip', 'address', 'add', address, 'dev', name, ...(address.includes(':') ? ['nodad'] : []))
}

describe.skipIf(noNamespaces)('a listener', () => {
  it('hears both families whatever bindv6only says, and answers from the address that was asked', async () => {
    await withPair(async (a, b) => {
      await withAddresses(a, '10.9.0.7/24', 'fd00::1/64', 'fd00::7/64')
      await withAddresses(b, 'fd00::2/64')
      const {heard} = listen(a, '::', 6742, true)
      const asker = listen(b, '::', 0, false)
      const asked = ['10.9.0.1', '10.9.0.7', 'fd00::1', 'fd00::7']
      await until(
        async () => {
          for (const address of asked) asker.listener.send(token, {address, port: 6742})
          return asked.every((each) => asker.heard.some(({address, port}) => address === each && port === 6742))
        },
        5000,
        'each is answered from',
      )
      expect(new Set(heard.map(({address, local}) => `${address} ${local}`))).toEqual(
        new Set(['10.9.0.2 10.9.0.1', '10.9.0.2 10.9.0.7', 'fd00::2 fd00::1', 'fd00::2 fd00::7']),
      )
    })
  })

  it('of one address is one of IPv4 alone, and says which port it has', async () => {
    await withPair(async (a, b) => {
      const {heard, listener} = listen(a, '10.9.0.1', 0, true)
      expect(listener.endpoint.port).toBeGreaterThan(0)
      expect(() => listen(a, '10.9.0.1', listener.endpoint.port, false)).toThrow(/cannot listen on UDP .*EADDRINUSE/)
      expect(() => listen(a, '10.9.0.99', 0, false)).toThrow(/EADDRNOTAVAIL/)
      const asker = listen(b, '10.9.0.2', 0, false)
      await until(
        async () => {
          asker.listener.send(token, {address: '10.9.0.1', port: listener.endpoint.port})
          return asker.heard.length > 0
        },
        5000,
        'it answers',
      )
      expect(heard[0]).toMatchObject({address: '10.9.0.2', local: '10.9.0.1', text: token})
    })
  })

  it('hears what has a tag through a flood of what has none, and next to nothing of the flood', async () => {
    await withPair(async (a, b) => {
      const {heard} = listen(a, '10.9.0.1', 6742, false)
      const stranger = listen(b, '10.9.0.2', 0, false)
      const to = {address: '10.9.0.1', port: 6742}
      const tagged = withTag(token, key)
      const noise = 'x'.repeat(600)
      const sent = {tagged: 0, untagged: 0}
      for (const endMs = performance.now() + 1500; performance.now() < endMs; ) {
        for (let i = 0; i < 20; i++) stranger.listener.send(i % 2 === 0 ? token : noise, to)
        sent.untagged += 10
        if (sent.untagged % 100 === 0) {
          stranger.listener.send(tagged, to)
          sent.tagged++
        }
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
      const arrived = (): number => heard.filter(({text}) => text === tagged).length
      await until(async () => arrived() === sent.tagged, 5000, 'all with a tag are heard')
      expect(heard.map(({text}) => text)).not.toContain(noise)
      // 25 a window of 100 ms, after the first one; a loaded machine sends less.
      expect(heard.length - arrived()).toBeLessThan(Math.max(sent.untagged * 0.7, 1000))
    })
  })
})
