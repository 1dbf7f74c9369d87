// A real guest at the lab's VM port, switched through QEMU's own guest agent: no program of ours runs in it.
import {spawn} from 'node:child_process'
import {mkdtempSync, rmSync} from 'node:fs'
import {createConnection} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import {type GuestImage, guestImage} from '../../src/lab/guest/image.ts'
import {type GuestOptions, migrateGuest, type RunningGuest, startGuest} from '../../src/lab/guest/machine.ts'
import {moveVm} from '../../src/lab/vms.ts'
import {runCommand} from '../../src/net/process/command.ts'
import {openGuestAgent} from '../../src/net/stream/qga.ts'
import {gwswitch} from '../support/cli.ts'
import {startEcho} from '../support/echo-stream.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {until} from '../support/until.ts'
import {useLab} from '../support/use-lab.ts'

const image = noNamespaces ?? (await guestImage())
const NEAR_Y = '203.0.113.10'
const RX = '10.0.0.1'
const RY = '10.0.0.2'
const TAP = 'tap-web-07'
/** Of the QEMU that it is migrated into. */
const OTHER_TAP = 'tap-moved'

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-qemu-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

describe.skipIf(typeof image === 'string')(
  `a QEMU guest without gwswitch${typeof image === 'string' ? ` (${image})` : ''}`,
  () => {
    const lab = useLab({dci: 'plain', dciDelayMs: 2, wanDelayMs: 2})
    let guest: RunningGuest

    const guestOptions = (name: string): GuestOptions => ({
      namespace: lab().ns('hv'),
      tap: TAP,
      mac: '02:00:00:00:00:10',
      mtu: 1400,
      address: '10.0.0.10/24',
      gateway: RX,
      scratch,
      name,
    })

    beforeAll(async () => {
      // The guest takes the place of the lab's own VM: its port, its MAC and its address.
      await lab().run('web-07', 'ip', 'link', 'set', 'eth0', 'down')
      const hypervisor = lab().ns('hv')
      for (const tap of [TAP, OTHER_TAP]) {
        await runCommand('ip', ['-n', hypervisor, 'tuntap', 'add', tap, 'mode', 'tap'])
        await runCommand('ip', ['-n', hypervisor, 'link', 'set', tap, 'up', 'master', 'br-web-07'])
      }
      guest = await startGuest(image as GuestImage, guestOptions('guest'))
      await until(async () => (await inGuest('ip', 'route')).includes(RX), 30_000, 'the guest has its route')
    }, 300_000)
    afterAll(async () => guest?.stop())

    async function inGuest(...argv: string[]): Promise<string> {
      const agent = await openGuestAgent(guest.agentSocket, AbortSignal.timeout(60_000))
      try {
        return (await agent.run(argv)).stdout
      } finally {
        agent.close()
      }
    }
    const routes = async (): Promise<string[]> =>
      (await inGuest('ip', 'route')).split('\n').filter((line) => line.startsWith('default'))
    const put = async (gateway: string): Promise<void> => {
      await inGuest(
        'ip',
        'route',
        'replace',
        'default',
        'via',
        gateway,
        'dev',
        'eth0',
        'proto',
        'static',
        'metric',
        '100',
      )
      await inGuest('sh', '-c', 'rm -f /run/gwswitch-*')
    }
    const through = (gateway: string): string => `default via ${gateway} dev eth0 proto static metric 100 `
    const notify = (...args: string[]) =>
      gwswitch(['notify-agent', '10.0.0.10', '--transport', 'qga', '--socket', guest.agentSocket, '--json', ...args])

    it("is switched under its own route's key, and its session and its answers do not notice", async () => {
      await put(RX)
      await (await moveVm(lab().prefix, 'web-07', 'y')).announced
      const stream = startEcho(lab().ns('user-y'))
      await until(async () => stream.echoed() > 10, 20_000, 'the guest echoes')
      const ping = runCommand('ip', [
        'netns',
        'exec',
        lab().ns('user-y'),
        'ping',
        '-q',
        '-i',
        '0.05',
        '-c',
        '120',
        '-W',
        '5',
        '10.0.0.10',
      ])
      const {code, json} = await notify('--gateway', RY, '--probe', NEAR_Y)
      expect(json.vms[0]).toMatchObject({state: 'confirmed', mode: 'replace', gateways: {v4: RY, v6: null}})
      expect(json.vms[0].timing.appliedMs).toBeLessThan(json.vms[0].timing.confirmedMs)
      expect(code).toBe(0)
      expect(await routes()).toEqual([through(RY)])
      expect(await ping).toMatch(/120 packets transmitted, 120 received/)
      const {sent, echoed} = await stream.stop()
      expect(echoed).toBe(sent)
      expect(sent).toBeGreaterThan(40)
    })

    it('leaves nothing behind in the guest', async () => {
      expect(await inGuest('sh', '-c', 'ls /run')).not.toMatch(/gwswitch/)
    })

    it.each([
      ['a gateway in no prefix of its interface', ['--gateway', '10.9.9.9'], 'gateway_off_link'],
      ['a gateway that answers no ARP', ['--gateway', '10.0.0.77'], 'gateway_silent'],
      ['another gateway in use than was said', ['--gateway', RY, '--from', '10.0.0.9'], 'from_gw'],
      ['a mode that takes an agent of ours', ['--gateway', RY, '--mode', 'drain'], 'mode'],
      ['neither a probe nor a confirmation', ['--gateway', RY, '--confirm-within', '0'], 'no_probe'],
    ])('is left as it is by %s', async (_, args, reason) => {
      await put(RX)
      const {code, json} = await notify(...args)
      expect(json.vms[0]).toMatchObject({state: 'refused', reason})
      expect(code).toBe(4)
      expect(await routes()).toEqual([through(RX)])
    })

    it('is taken back when nothing beyond the new gateway answers', async () => {
      await put(RX)
      const {code, json} = await notify('--gateway', RY, '--probe', '203.0.113.99')
      expect(json.vms[0]).toMatchObject({state: 'rolled_back', reason: 'probe_failed', gateways: {v4: RX}})
      expect(code).toBe(3)
      expect(await routes()).toEqual([through(RX)])
    })

    it('is heard and traced at its tap, from its hypervisor, and notices nothing', async () => {
      await put(RX)
      const tracedAtTap = async (...args: string[]) => {
        const all = ['trace', ...args, '--port-of', 'web-07', '--site', 'y', '-f', lab().inventoryFile, '--json']
        const {code, json} = await gwswitch(all, {namespace: lab().ns('hv')})
        expect(code).toBe(10)
        return json
      }
      const state = async (): Promise<unknown> => ({
        learned: (await lab().run('hv', 'bridge', 'fdb', 'show', 'br', 'br-web-07')).match(/^02:00:00:00:00:10 .*$/gm),
        links: await lab().run('hv', 'ip', '-br', 'link', 'show', 'type', 'tun'),
        routes: await routes(),
        gateway: (await inGuest('ip', 'neigh', 'show', RX)).split(' ')[4],
      })
      const stream = startEcho(lab().ns('user-y'))
      await until(async () => stream.echoed() > 10, 20_000, 'the guest echoes')
      const {peers, host} = await tracedAtTap('--passive', '1')
      expect(host).toMatchObject({name: 'web-07', iface: TAP, atPort: true})
      expect(peers).toMatchObject([{ip: NEAR_Y, out: [{gateway: 'rx'}], in: [{gateway: 'ry'}], reason: 'detour'}])
      // The guest's own time is not in it.
      expect(peers[0].tcp.minMs).toBeGreaterThanOrEqual(4)
      const before = await state()
      const {results} = await tracedAtTap(NEAR_Y, '--rate', '100')
      expect(results[0]).toMatchObject({
        host: {name: 'web-07', ip: '10.0.0.10', iface: TAP},
        candidates: [{name: 'rx'}, {name: 'ry', local: true}],
        egress: {verdict: 'trombone', reason: 'detour'},
      })
      expect(await state()).toEqual(before)
      const {sent, echoed} = await stream.stop()
      expect(echoed).toBe(sent)
    })

    it('shows another default route that takes precedence, instead of believing its own', async () => {
      await put(RX)
      await inGuest(
        'ip',
        'route',
        'add',
        'default',
        'via',
        '10.0.0.1',
        'dev',
        'eth0',
        'metric',
        '100',
        'proto',
        'static',
        'table',
        '77',
      )
      await inGuest('ip', 'rule', 'add', 'pref', '100', 'lookup', '77')
      const {code, json} = await notify('--gateway', RY, '--probe', NEAR_Y)
      await inGuest('ip', 'rule', 'del', 'pref', '100')
      await inGuest('ip', 'route', 'flush', 'table', '77')
      expect(json.vms[0]).toMatchObject({
        state: 'rolled_back',
        reason: 'apply_failed',
        detail: expect.stringMatching(/sends to 10\.0\.0\.1/),
      })
      expect(code).toBe(3)
      expect(await routes()).toEqual([through(RX)])
    })

    it('goes back by itself when whoever told it is killed before it is confirmed', async () => {
      await put(RX)
      const args = [
        'notify-agent',
        '10.0.0.10',
        '--transport',
        'qga',
        '--socket',
        guest.agentSocket,
        '--gateway',
        RY,
        // Time for a look at the guest before it goes back: every program takes long in it.
        '--confirm-within',
        '15',
        '--verbose',
      ]
      const killed = await killWhenSaid(args, /route replace default via 10\.0\.0\.2/)
      expect(killed).toBe('SIGKILL')
      expect(await routes()).toEqual([through(RY)])
      await until(async () => (await routes())[0] === through(RX), 60_000, 'the guest goes back')
      expect(await inGuest('sh', '-c', 'ls /run')).not.toMatch(/gwswitch/)
    }, 120_000)

    it('tells that nobody answers while somebody else holds the channel, and works after', async () => {
      const other = createConnection(guest.agentSocket)
      await new Promise((resolve) => other.once('connect', resolve))
      await delay(200)
      const busy = await notify('--gateway', RY)
      other.destroy()
      expect(busy.json.vms[0]).toMatchObject({state: 'silent', detail: expect.stringMatching(/is another connected\?/)})
      expect(busy.code).toBe(5)
      await put(RX)
      expect((await notify('--gateway', RY)).code).toBe(0)
    })

    describe('by the strategy agent', () => {
      let inventory: string
      const switchAt = (node: string, ...args: string[]) =>
        gwswitch(
          ['switch', 'web-07', '--to', 'y', '--from', 'rx', '--strategy', 'agent', '-f', inventory, '--json', ...args],
          {namespace: lab().ns(node)},
        )
      beforeAll(async () => {
        inventory = join(scratch, 'gwswitch.yaml')
        const agent = `agent: { qga: ${guest.agentSocket}, probes: [${NEAR_Y}] }`
        await runCommand('sh', ['-c', `sed 's#web-07: {#web-07: { ${agent},#' ${lab().inventoryFile} > ${inventory}`])
      })

      it('is switched, and seen to leave through the new gateway', async () => {
        await put(RX)
        const {code, json} = await switchAt('ry')
        expect(json.evidence).toEqual([
          'web-07 leaves through ry (02:00:00:00:0b:01)',
          expect.stringMatching(/^ry .* takes packets on: | answers web-07 through it$/),
          expect.stringMatching(/read back, says: confirmed, uses 10\.0\.0\.2/),
        ])
        expect(code).toBe(0)
        expect(await routes()).toEqual([through(RY)])
      })

      it('is taken back where nobody can see where it sends, whatever it says', async () => {
        await put(RX)
        const {code, json} = await switchAt('rx')
        expect(json).toMatchObject({end: 'rolled-back', code: 'unverified', rolledBack: true, rollback: {ok: true}})
        expect(json.rollback.evidence).toContain('web-07 leaves through rx (02:00:00:00:0a:01)')
        expect(code).toBe(3)
        expect(await routes()).toEqual([through(RX)])
      })
    })

    it('is switched where it was live-migrated to, and its open session goes on', async () => {
      await put(RX)
      await (await moveVm(lab().prefix, 'web-07', 'x')).announced
      const stream = startEcho(lab().ns('user-y'))
      await until(async () => stream.echoed() > 10, 20_000, 'the guest echoes')
      const before = guest.agentSocket
      guest = await migrateGuest(guest, image as GuestImage, {...guestOptions('moved'), tap: OTHER_TAP})
      await moveVm(lab().prefix, 'web-07', 'y')
      expect(guest.agentSocket).not.toBe(before)
      const {code, json} = await notify('--gateway', RY, '--from', RX, '--probe', NEAR_Y)
      expect(json.vms[0]).toMatchObject({state: 'confirmed', gateways: {v4: RY}})
      expect(code).toBe(0)
      const so = stream.echoed()
      await until(async () => stream.echoed() > so + 20, 20_000, 'the session goes on')
      const {sent, echoed} = await stream.stop()
      expect(echoed).toBe(sent)
    })

    // The last one: nothing can be run in it after that.
    it("says what to allow where the guest's agent may not run programs", {timeout: 240_000}, async () => {
      // An agent that is asked something right then may outlive a SIGTERM. Tried again and again: the port is taken until the
      // old one has let go of it, and that takes its time.
      const again =
        'sleep 1; kill -9 $(pidof qemu-ga); while :; do qemu-ga -m virtio-serial -p /dev/vport* -t /run -b guest-exec; sleep 0.5; done'
      await inGuest('sh', '-c', `(${again}) </dev/null >/dev/null 2>&1 &`)
      let last = await notify('--gateway', RY)
      await until(
        async () => {
          last = await notify('--gateway', RY)
          return last.code !== 0 && last.code !== 5
        },
        180_000,
        'its agent is another one',
      )
      expect(last.json.vms[0]).toMatchObject({
        state: 'refused',
        detail: expect.stringMatching(/does not take guest-exec.*block-rpcs/),
      })
      expect(last.code).toBe(4)
    })
  },
)

/** Runs the CLI until stderr matches, and kills it then, as a crash would; resolves to the signal that ended it. */
async function killWhenSaid(args: readonly string[], what: RegExp): Promise<string | null> {
  const bin = join(import.meta.dirname, '../../bin/run.js')
  const child = spawn(process.execPath, [bin, ...args], {stdio: ['ignore', 'ignore', 'pipe']})
  const {promise, resolve} = Promise.withResolvers<string | null>()
  child.once('exit', (_, signal) => resolve(signal))
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk
    if (what.test(said)) child.kill('SIGKILL')
  })
  return promise
}
