import {once} from 'node:events'
import {readlinkSync} from 'node:fs'
import {setTimeout as sleep} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {Failure} from '../../../src/errors.ts'
import {openPacketSocket} from '../../../src/net/packet/packet-socket.ts'
import {runCommand, tryCommand} from '../../../src/net/process/command.ts'
import {inNamespace, namespaceCommand, namespaces, spawnIn} from '../../../src/net/process/netns.ts'
import {noNamespaces, withPair} from '../../support/namespaces.ts'
import {until} from '../../support/until.ts'

const here = (): string => readlinkSync('/proc/thread-self/ns/net')

describe('tryCommand', () => {
  it('collects both outputs and the exit code, and passes input and environment', async () => {
    const options = {input: 'in', env: {GWSWITCH_TEST: 'env'}}
    const result = await tryCommand('sh', ['-c', 'cat; echo $GWSWITCH_TEST; echo err >&2; exit 7'], options)
    expect(result).toEqual({code: 7, stdout: 'inenv\n', stderr: 'err\n'})
  })

  it('outlives a program that does not read its input', async () => {
    const result = await tryCommand('true', [], {input: 'x'.repeat(1 << 20)})
    expect(result.code).toBe(0)
  })

  it('says which package a missing program of ours is in', async () => {
    const missing = tryCommand('gwswitch-no-such-program', [])
    await expect(missing).rejects.toThrow(Failure)
    await expect(missing).rejects.toThrow("the program 'gwswitch-no-such-program' was not found")
  })

  it('kills the program and what it started when aborted', async () => {
    const controller = new AbortController()
    const mine = `sleep 61.${process.pid}`
    const alive = async (): Promise<string[]> =>
      (await tryCommand('pgrep', ['-f', `^${mine}`])).stdout.split('\n').filter(Boolean)
    const running = tryCommand('sh', ['-c', `${mine} & ${mine}`], {signal: controller.signal})
    void until(async () => (await alive()).length === 2, 5000, 'both run').finally(() =>
      controller.abort(new Error('enough')),
    )
    await expect(running).rejects.toThrow('enough')
    await until(async () => (await alive()).length === 0, 5000, 'neither runs')
  })

  it('does not start at all when aborted before', async () => {
    const signal = AbortSignal.abort(new Error('too late'))
    await expect(tryCommand('true', [], {signal})).rejects.toThrow('too late')
  })
})

describe('runCommand', () => {
  it('turns a code into one line', async () => {
    const failing = runCommand('sh', ['-c', 'echo first >&2; echo second >&2; exit 1'])
    await expect(failing).rejects.toMatchObject({kind: 'runtime', message: expect.stringMatching(/^sh -c .*: first$/)})
    await expect(runCommand('sh', ['-c', 'exit 3'])).rejects.toThrow('it ended with code 3')
  })

  it('turns what is not permitted into a privilege', async () => {
    const failing = runCommand('sh', ['-c', 'echo "RTNETLINK answers: Operation not permitted" >&2; exit 2'])
    await expect(failing).rejects.toMatchObject({kind: 'privilege'})
  })
})

describe.skipIf(noNamespaces)('network namespaces', {timeout: 20_000}, () => {
  it('are entered and left again, and sockets opened inside stay inside', async () => {
    await withPair(async (a, b) => {
      const outside = here()
      expect(namespaces()).toEqual(expect.arrayContaining([a.namespace, b.namespace]))
      const inside = inNamespace(a.namespace, here)
      expect(inside).not.toBe(outside)
      expect(here()).toBe(outside)

      const sender = a.inside(() => openPacketSocket({interfaceIndex: a.index}))
      const receiver = b.inside(() => openPacketSocket({interfaceIndex: b.index}))
      const frame = Buffer.from(`ffffffffffff${a.mac.replaceAll(':', '')}88b5${'5a'.repeat(46)}`, 'hex')
      sender.send(frame)
      const seen: string[] = []
      receiver.drain(({bytes}) => void seen.push(Buffer.from(bytes).toString('hex')))
      expect(seen).toEqual([frame.toString('hex')])
      sender.close()
      receiver.close()
    })
  })

  it('are left again when what ran inside failed', async () => {
    await withPair(async (a) => {
      const outside = here()
      const failing = (): never => {
        throw new Error('inside')
      }
      expect(() => inNamespace(a.namespace, failing)).toThrow('inside')
      expect(here()).toBe(outside)
    })
  })

  it('are missed in one line', () => {
    const outside = here()
    expect(() => inNamespace('gwswitch-none', here)).toThrow('there is no network namespace gwswitch-none')
    expect(here()).toBe(outside)
  })

  it('run programs under the pid that was given back', async () => {
    await withPair(async (a) => {
      const child = spawnIn(a.namespace, ['sleep', '30'], {stdio: 'ignore'})
      // ip(8) has become the program once the namespace is the other one.
      while (readlinkSync(`/proc/${child.pid}/ns/net`) === here()) await sleep(5)
      expect(readlinkSync(`/proc/${child.pid}/ns/net`)).toBe(a.inside(here))
      child.kill()
      await once(child, 'exit')
      const [command = '', ...args] = namespaceCommand(a.namespace, ['ip', '-brief', 'address', 'show', 'dev', 'eth0'])
      expect(await runCommand(command, args)).toMatch(/^eth0\S*\s+UP\s+10\.9\.0\.1\/24/)
    })
  })

  it('are removed with the test that made them', async () => {
    let names: string[] = []
    const failing = withPair(async (a, b) => {
      names = [a.namespace, b.namespace]
      throw new Error('the test failed')
    })
    await expect(failing).rejects.toThrow('the test failed')
    expect(names).toHaveLength(2)
    expect(namespaces().filter((name) => names.includes(name))).toEqual([])
  })
})
