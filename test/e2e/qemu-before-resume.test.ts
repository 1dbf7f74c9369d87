// A real guest, live-migrated: what waits in the tap of its destination is what it gets first.
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import {type GuestImage, guestImage} from '../../src/lab/guest/image.ts'
import {migrateGuest, type RunningGuest, startGuest} from '../../src/lab/guest/machine.ts'
import {moveVm} from '../../src/lab/vms.ts'
import {runCommand} from '../../src/net/process/command.ts'
import {namespaceCommand, spawnIn} from '../../src/net/process/netns.ts'
import {gwswitch} from '../support/cli.ts'
import {startEcho} from '../support/echo-stream.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {until} from '../support/until.ts'
import {useLab} from '../support/use-lab.ts'

const image = noNamespaces ?? (await guestImage())
const VM_MAC = '02:00:00:00:01:10'
const BX = '02:00:00:00:0a:02'
const SOURCE = 'tap-source'
const DESTINATION = 'tap-target'

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-resume-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

describe.skipIf(typeof image === 'string')(
  `a QEMU guest that is awaited${typeof image === 'string' ? ` (${image})` : ''}`,
  () => {
    const lab = useLab({dci: 'plain', dciDelayMs: 2, wanDelayMs: 2})
    let guest: RunningGuest
    const options = (name: string, tap: string) => ({
      ...{namespace: lab().ns('hv'), tap, mac: VM_MAC, mtu: 1400, address: '10.1.0.10/24', gateway: '10.1.0.254'},
      ...{scratch, name},
    })

    beforeAll(async () => {
      await lab().run('db-03', 'ip', 'link', 'set', 'eth0', 'down')
      for (const tap of [SOURCE, DESTINATION]) {
        await runCommand('ip', ['-n', lab().ns('hv'), 'tuntap', 'add', tap, 'mode', 'tap'])
        await runCommand('ip', ['-n', lab().ns('hv'), 'link', 'set', tap, 'up', 'master', 'br-db-03'])
      }
      guest = await startGuest(image as GuestImage, options('guest', SOURCE))
    }, 300_000)
    afterAll(async () => guest?.stop())

    const awaited = (seconds: number) =>
      gwswitch(
        [
          ...['switch', 'db-03', '--to', 'y', '-i', DESTINATION, '--before-resume', `${seconds}`, '--json'],
          ...['-f', lab().inventoryFile],
        ],
        {namespace: lab().ns('hv')},
      )
    /** Watches a tap by tcpdump, from when it resolves; lines that were said so far. */
    async function watchTap(tap: string) {
      const what = `(arp and ether dst ${VM_MAC}) or (ip and ether src ${VM_MAC} and ether dst ${BX})`
      const child = spawnIn(lab().ns('hv'), ['tcpdump', '-l', '-e', '-n', '-i', tap, what])
      let [said, heading] = ['', '']
      child.stdout?.on('data', (chunk: Buffer) => {
        said += chunk
      })
      child.stderr?.on('data', (chunk: Buffer) => {
        heading += chunk
      })
      await until(async () => heading.includes('listening on'), 30_000, 'tcpdump listens')
      const count = (pattern: RegExp): number => said.split('\n').filter((line) => pattern.test(line)).length
      return {
        asks: () => count(/Request who-has 10\.1\.0\.10 tell 10\.1\.0\.254/),
        detour: () => count(new RegExp(`> ${BX}, ethertype IPv4`)),
        [Symbol.dispose]: () => void child.kill('SIGKILL'),
      }
    }

    it('is moved by what waits in its tap, before its traffic takes the detour', async () => {
      const stream = startEcho(lab().ns('user-y'), '10.1.0.10')
      await until(async () => stream.echoed() > 10, 30_000, 'the guest echoes')
      using tap = await watchTap(DESTINATION)
      let switching: ReturnType<typeof awaited> | undefined
      try {
        guest = await migrateGuest(guest, image as GuestImage, options('moved', DESTINATION), {
          whenAwaited: async () => {
            switching = awaited(60)
            await until(async () => tap.asks() >= 2, 30_000, 'frames wait in the tap')
          },
        })
        await moveVm(lab().prefix, 'db-03', 'y')
        const {json, code, stderr} = await switching!
        expect({end: json.end, code: json.code, exit: code, stderr}).toMatchObject({
          end: 'switched',
          code: 'served',
          exit: 0,
        })
        const so = stream.echoed()
        await until(async () => stream.echoed() > so + 20, 30_000, 'the session goes on')
        const {sent, echoed} = await stream.stop()
        expect(echoed).toBe(sent)
      } finally {
        await switching
      }
      expect(tap.detour()).toBeLessThanOrEqual(2)
    }, 180_000)

    it('is not waited for any longer when its port goes', async () => {
      const spare = 'tap-spare'
      await runCommand('ip', ['-n', lab().ns('hv'), 'tuntap', 'add', spare, 'mode', 'tap'])
      // Held open, as by a destination that waits: without anybody at its other end a tap has no carrier.
      const argv = ['qemu-system-x86_64', '-nodefaults', '-nographic', '-accel', 'tcg', '-S', '-netdev']
      const holder = spawnIn(lab().ns('hv'), [...argv, `tap,id=n0,ifname=${spare},script=no,downscript=no`], {
        stdio: 'ignore',
      })
      await runCommand('ip', ['-n', lab().ns('hv'), 'link', 'set', spare, 'up', 'master', 'br-db-03'])
      await until(async () => /LOWER_UP/.test(await showLink(lab().ns('hv'), spare)), 30_000, 'the tap is held')
      using tap = await watchTap(spare)
      const args = ['switch', 'db-03', '--to', 'x', '-i', spare, '--before-resume', '120', '-f', lab().inventoryFile]
      const running = gwswitch([...args, '--json'], {namespace: lab().ns('hv')})
      await until(async () => tap.asks() >= 2, 30_000, 'frames wait in the tap')
      holder.kill('SIGKILL')
      await runCommand('ip', ['-n', lab().ns('hv'), 'link', 'del', spare])
      const {json, code} = await running
      expect(json).toMatchObject({end: 'rolled-back', error: {message: expect.stringMatching(/^db-03 did not come/)}})
      expect(code).toBe(5)
    }, 120_000)
  },
)

const showLink = (namespace: string, name: string): Promise<string> => {
  const [program = '', ...args] = namespaceCommand(namespace, ['ip', 'link', 'show', name])
  return runCommand(program, args)
}
