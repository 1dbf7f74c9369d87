// The lab's life: up, seen, down, and everything that can go wrong on the way.
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync} from 'node:fs'
import {constants, tmpdir} from 'node:os'
import {setTimeout as sleep} from 'node:timers/promises'
import {fileURLToPath} from 'node:url'
import {describe, expect, it} from 'vitest'
import {presentNamespaces} from '../../src/lab/build.ts'
import {inventoryYaml} from '../../src/lab/inventory.ts'
import {down, isUp, requireUp, up} from '../../src/lab/lab.ts'
import {DEFAULT_LAB} from '../../src/lab/options.ts'
import {labProcesses} from '../../src/lab/processes.ts'
import {labFiles} from '../../src/lab/state.ts'
import {status, statusText} from '../../src/lab/status.ts'
import {labNamespaces} from '../../src/lab/topology.ts'
import {runCommand, tryCommand} from '../../src/net/process/command.ts'
import {inNamespace} from '../../src/net/process/netns.ts'
import {noNamespaces, withLab, withPrefix} from '../support/namespaces.ts'
import {until} from '../support/until.ts'

const removeLab = (prefix: string): Promise<void> => down(prefix).then(() => {})

/** What there is of a lab anywhere. */
const traces = (prefix: string): unknown[] => [
  ...presentNamespaces(prefix),
  ...labProcesses(prefix),
  ...[labFiles(prefix).directory, labFiles(prefix).lock].filter(existsSync),
]

const PROGRAM = fileURLToPath(new URL('../../bin/run.js', import.meta.url))

/** The arguments of a Node that does something with a lab, as the command line does. */
function script(work: string): string[] {
  const from = (file: string): string => JSON.stringify(new URL(`../../src/${file}`, import.meta.url).href)
  const source = `import {down, up} from ${from('lab/lab.ts')}
    import {Failure} from ${from('errors.ts')}
    process.stdout.write('started')
    try {
      ${work}
    } catch (error) {
      process.stderr.write(error instanceof Failure ? error.kind + ': ' + error.message + '\\n' : error.stack)
      process.exitCode = 1
    }`
  return ['--input-type=module', '-e', source]
}

const upScript = (prefix: string): string[] => script(`await up({prefix: '${prefix}'})`)

const start = (args: readonly string[]): ChildProcess =>
  spawn(process.execPath, args, {stdio: ['ignore', 'pipe', 'pipe']})

const startUp = (prefix: string): ChildProcess => start(upScript(prefix))

/** For sh(1): DIRECTORY COMMAND...: runs the command in a chroot that has everything and is no mount point. */
const CHROOT = `set -e
root=$1
shift
for path in /*; do
  if [ -L "$path" ]; then cp -P "$path" "$root$path"; continue; fi
  [ -d "$path" ] || continue
  mkdir "$root$path"
  mount --rbind "$path" "$root$path"
done
exec chroot "$root" "$@"`

/** How long an `up` takes on this machine, ms; measured when it is first needed. */
let upMs: number | undefined

async function timeOfUp(prefix: string): Promise<number> {
  const building = startUp(prefix)
  const exit = once(building, 'exit')
  await once(building.stdout!, 'data')
  const began = performance.now()
  expect((await exit)[0]).toBe(0)
  return performance.now() - began
}

describe.skipIf(noNamespaces)('lab', {timeout: 60_000}, () => {
  it('comes up once, tells how it is, and goes down once', async () => {
    await withPrefix(removeLab, async (prefix) => {
      const lines: string[] = []
      const log = (line: string): void => void lines.push(line)
      expect(isUp(prefix)).toBe(false)
      expect(await status(prefix)).toEqual({prefix, state: 'down'})
      expect(() => requireUp(prefix)).toThrow(`lab ${prefix} is not up`)

      expect(await up({prefix}, {log})).toBe('built')
      expect(isUp(prefix)).toBe(true)
      const first = await status(prefix)
      expect(first.state).toBe('up')
      expect(first.vms?.map(({name, site}) => `${name} ${site}`)).toEqual(['web-07 x', 'db-03 x'])
      expect(labProcesses(prefix)).toEqual([first.relayPid])

      expect(await up({prefix}, {log})).toBe('already-up')
      expect((await status(prefix)).relayPid).toBe(first.relayPid)
      expect(lines).toEqual(Array(2).fill(`lab ${prefix} is up: DCI vxlan 10 ms, WAN 10 ms (one way)`))

      const {directory, inventory} = labFiles(prefix)
      expect(statSync(directory).mode & 0o777).toBe(0o700)
      expect(readFileSync(inventory, 'utf8')).toBe(inventoryYaml({...DEFAULT_LAB, prefix}))

      expect(await down(prefix, {log})).toBe(true)
      expect(traces(prefix)).toEqual([])
      expect(await down(prefix, {log})).toBe(false)
      expect(lines.slice(2)).toEqual([`lab ${prefix} is gone`, `lab ${prefix} is not up`])
    })
  })

  it('is seen with its addresses, delays and what can be run in it', async () => {
    await withLab({dci: 'plain', dciDelayMs: 3, wanDelayMs: 4}, async ({prefix, run}) => {
      // They know the gateway of the site they are at, as VMs that have run for a while do.
      await run('web-07', 'ip', 'neigh', 'flush', 'dev', 'eth0')
      const found = await status(prefix)
      expect(found.vms?.map(({gateway}) => gateway)).toEqual([undefined, {name: 'bx', site: 'x'}])
      const text = statusText(found)
      for (const part of ['DCI plain 3 ms, WAN 4 ms', 'user-y 203.0.113.10', 'leaves through bx (site x)']) {
        expect(text).toContain(part)
      }
      expect(text).toContain(`ip netns exec ${prefix}-db-03 gwswitch trace 203.0.113.10 -f ${found.inventoryFile}`)
    })
  })

  it('delays the WAN and the DCI as it was told, and routes inbound to the gateway near the user', async () => {
    await withLab({dciDelayMs: 60, wanDelayMs: 20}, async ({run}) => {
      // The least of several: a busy machine only adds, and never to all of them. Never sooner than told, and sooner than
      // with one wire more.
      const rtt = async (node: string, to: string): Promise<number> => {
        const output = await run(node, 'ping', '-c', '10', '-i', '0.05', '-W', '2', to)
        return Number(/= ([\d.]+)\//.exec(output)?.[1])
      }
      const between = async (told: number, node: string, to: string): Promise<void> => {
        const ms = await rtt(node, to)
        expect(ms, `${node} to ${to}`).toBeGreaterThan(told - 0.1)
        expect(ms, `${node} to ${to}`).toBeLessThan(told + 20)
      }
      // From site X: near user at once; far user out by the WAN (20), back in by the gateway at Y and the DCI (60).
      for (const vm of ['web-07', 'db-03']) {
        await between(0, vm, '198.51.100.10')
        await between(80, vm, '203.0.113.10')
      }
      // Between the users only the WAN, twice; to the far gateway only the DCI, twice.
      await between(40, 'user-x', '203.0.113.10')
      await between(120, 'web-07', '10.0.0.2')
    })
  })

  it('stands beside another one, each with its own wires', async () => {
    await withLab({wanDelayMs: 1}, async (one) => {
      await withLab({wanDelayMs: 1, dci: 'plain'}, async (two) => {
        expect(one.prefix).not.toBe(two.prefix)
        await one.run('user-x', 'ping', '-c', '1', '-W', '2', '203.0.113.10')
        await two.run('user-x', 'ping', '-c', '1', '-W', '2', '203.0.113.10')
        await down(one.prefix)
        expect(traces(one.prefix)).toEqual([])
        expect((await status(two.prefix)).state).toBe('up')
        await two.run('user-x', 'ping', '-c', '1', '-W', '2', '203.0.113.10')
      })
    })
  })

  it('is not changed by an up with other options', async () => {
    await withLab({}, async ({prefix}) => {
      const other = up({prefix, dciDelayMs: 11})
      await expect(other).rejects.toMatchObject({kind: 'usage', message: expect.stringMatching(/is up with other/)})
      expect((await status(prefix)).options?.dciDelayMs).toBe(10)
    })
  })

  it('leaves namespaces alone that have its names and are not its own', async () => {
    const removeBoth = async (prefix: string): Promise<void> => {
      await removeLab(prefix)
      await runCommand('ip', ['netns', 'del', `${prefix}-rx`])
    }
    await withPrefix(removeBoth, async (prefix) => {
      await runCommand('ip', ['netns', 'add', `${prefix}-rx`])
      await expect(up({prefix})).rejects.toThrow(`network namespace ${prefix}-rx exists and is not this lab's`)
      expect(await down(prefix)).toBe(false)
      expect(presentNamespaces(prefix)).toEqual([`${prefix}-rx`])
    })
  })

  it('is repaired when a part of it is gone', async () => {
    await withLab({}, async ({prefix, run}) => {
      process.kill((await status(prefix)).relayPid!, 'SIGKILL')
      while (labProcesses(prefix).length > 0) await sleep(5)
      expect((await status(prefix)).state).toBe('incomplete')
      expect(() => requireUp(prefix)).toThrow('is incomplete')
      expect(await up({prefix})).toBe('repaired')
      await run('user-x', 'ping', '-c', '1', '-W', '2', '203.0.113.10')
    })
  })

  it('goes down with programs still running in it, which lose the network and nothing else', async () => {
    await withPrefix(removeLab, async (prefix) => {
      await up({prefix})
      const guest = spawn('ip', ['netns', 'exec', `${prefix}-db-03`, 'sleep', '60'], {stdio: 'ignore'})
      // ip(8) has become the program once the namespace is the other one.
      while (readlinkSync(`/proc/${guest.pid}/ns/net`) === readlinkSync('/proc/self/ns/net')) await sleep(5)
      await down(prefix)
      expect(traces(prefix)).toEqual([])
      expect(guest.exitCode ?? guest.signalCode).toBeNull()
      guest.kill()
      await once(guest, 'exit')
    })
  })

  it.each([0, 15, 30, 45, 60, 80])('leaves nothing after a kill %d hundredths into up, and a down', async (percent) => {
    upMs ??= await withPrefix(removeLab, timeOfUp)
    await withPrefix(removeLab, async (prefix) => {
      const building = startUp(prefix)
      // It may have ended before, where it is faster than it was.
      const exit = once(building, 'exit')
      await once(building.stdout!, 'data')
      await sleep((upMs! * percent) / 100)
      building.kill('SIGKILL')
      await exit
      const left = existsSync(labFiles(prefix).directory)
      expect(await down(prefix)).toBe(left)
      expect(traces(prefix)).toEqual([])
    })
  })

  it('is built anew where a kill left half of it', async () => {
    await withPrefix(removeLab, async (prefix) => {
      const building = startUp(prefix)
      const exit = once(building, 'exit')
      while (presentNamespaces(prefix).length < labNamespaces(prefix).length) await sleep(2)
      building.kill('SIGKILL')
      await exit
      expect((await status(prefix)).state).toBe('incomplete')
      expect(await up({prefix})).toBe('repaired')
      expect((await status(prefix)).state).toBe('up')
    })
  })

  it.each([
    ['SIGINT', 0],
    ['SIGINT', 100],
    ['SIGTERM', 200],
    ['SIGINT', 300],
  ] as const)('leaves nothing after %s %d ms into up', async (signal, afterMs) => {
    await withPrefix(removeLab, async (prefix) => {
      const building = start([PROGRAM, 'lab', 'up', '--prefix', prefix])
      const exit = once(building, 'exit')
      while (traces(prefix).length === 0) await sleep(2)
      await sleep(afterMs)
      building.kill(signal)
      const [code] = await exit
      // Ended by the signal, or done before it came; null: done, and on its way out when it came.
      expect([0, null, 128 + constants.signals[signal]]).toContain(code)
      if (code === 0 || code === null) expect(isUp(prefix)).toBe(true)
      else expect(traces(prefix)).toEqual([])
    })
  })

  it.each([
    ['ip', ['sh'], "the program 'ip' was not found: install iproute2"],
    ['nft', ['sh', 'ip'], "the program 'nft' was not found: install nftables"],
  ] as const)('says in one line that %s is missing, and leaves nothing', async (_missing, present, message) => {
    await withPrefix(removeLab, async (prefix) => {
      const directory = mkdtempSync(`${tmpdir()}/gwswitch-path-`)
      try {
        for (const name of present) {
          const path = (await runCommand('sh', ['-c', `command -v ${name}`])).trim()
          symlinkSync(path, `${directory}/${name}`)
        }
        const {code, stderr} = await tryCommand(process.execPath, upScript(prefix), {env: {PATH: directory}})
        expect({code, stderr}).toEqual({code: 1, stderr: `runtime: ${message}\n`})
        expect(traces(prefix)).toEqual([])
      } finally {
        rmSync(directory, {recursive: true})
      }
    })
  })

  it.each(['net_admin', 'net_raw', 'sys_admin'])('says in one line that CAP_%s is missing', async (capability) => {
    await withPrefix(removeLab, async (prefix) => {
      const command = [`--bounding-set=-${capability}`, process.execPath, ...upScript(prefix)]
      const {code, stderr} = await tryCommand('setpriv', command)
      expect(code).toBe(1)
      expect(stderr).toBe(
        `privilege: the lab makes network namespaces, for which CAP_${capability.toUpperCase()} is missing: run it as root\n`,
      )
      expect(traces(prefix)).toEqual([])
    })
  })

  it('says in one line what to do in a plain chroot, where "/" is no mount point', async () => {
    await withPrefix(removeLab, async (prefix) => {
      const directory = mkdtempSync(`${tmpdir()}/gwswitch-chroot-`)
      try {
        const command = ['-c', CHROOT, 'sh', directory, process.execPath, ...upScript(prefix)]
        const {code, stderr} = await tryCommand('unshare', ['--mount', 'sh', ...command])
        expect(stderr).toMatch(/^runtime: the lab [^\n]+ bind the folder on itself [^\n]+ \(mount --bind DIR DIR\)\n$/)
        expect(code).toBe(1)
        expect(traces(prefix)).toEqual([])
      } finally {
        rmSync(directory, {recursive: true})
      }
    })
  })

  it('carries full frames between the sites, unfragmented', async () => {
    for (const dci of ['vxlan', 'plain'] as const) {
      await withLab({dci, dciDelayMs: 1}, async ({run}) => {
        const output = await run(
          'web-07',
          'ping',
          '-c',
          '2',
          '-i',
          '0.1',
          '-W',
          '2',
          '-M',
          'do',
          '-s',
          '1472',
          '10.0.0.2',
        )
        expect(output).toContain(' 0% packet loss')
      })
    }
  })

  it('builds one lab when two ask for it at once', async () => {
    await withPrefix(removeLab, async (prefix) => {
      expect((await Promise.all([up({prefix}), up({prefix})])).toSorted()).toEqual(['already-up', 'built'])
    })
  })

  it('changes nothing outside its namespaces, not even for a moment', async () => {
    const removeOuter = async (prefix: string): Promise<void> => {
      await removeLab(prefix)
      await runCommand('ip', ['netns', 'del', `${prefix}-outer`])
    }
    await withPrefix(removeOuter, async (prefix) => {
      const outer = `${prefix}-outer`
      await runCommand('ip', ['netns', 'add', outer])
      const state = async (): Promise<string[]> => [
        await runCommand('ip', ['-n', outer, '-details', 'address', 'show']),
        await runCommand('ip', ['-n', outer, 'route', 'show', 'table', 'all']),
        await runCommand('ip', ['netns', 'exec', outer, 'nft', 'list', 'ruleset']),
        await runCommand('ip', [
          'netns',
          'exec',
          outer,
          'sh',
          '-c',
          'grep -r . /proc/sys/net/ipv4/conf /proc/sys/net/ipv4/ip_forward',
        ]),
      ]
      const before = await state()
      const events = spawn('ip', ['-n', outer, 'monitor', 'link', 'address', 'route', 'neigh'], {stdio: 'pipe'})
      let seen = ''
      events.stdout.on('data', (chunk: Buffer) => {
        seen += chunk.toString()
      })
      await sleep(100)
      // The process that runs the lab lives in the outer namespace, so that nothing else happens around it.
      const works = `await up({prefix: '${prefix}'}); await down('${prefix}')`
      const working = inNamespace(outer, () => start(script(works)))
      expect((await once(working, 'exit'))[0]).toBe(0)
      expect(traces(prefix)).toEqual([])
      expect(seen).toBe('')
      expect(await state()).toEqual(before)
      // A change of our own is seen, or the silence would prove nothing.
      await runCommand('ip', ['-n', outer, 'link', 'set', 'lo', 'up'])
      await runCommand('ip', ['-n', outer, 'link', 'set', 'lo', 'down'])
      await until(async () => seen.includes('lo'), 5000, 'a change of our own is seen')
      events.kill()
      await once(events, 'exit')
    })
  })
})
