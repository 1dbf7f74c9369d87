import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {down, isUp} from '../../src/lab/lab.ts'
import {labNamespaces} from '../../src/lab/topology.ts'
import {tryCommand} from '../../src/net/process/command.ts'
import {namespaces} from '../../src/net/process/netns.ts'
import {noNamespaces, withPrefix} from '../support/namespaces.ts'

// As it is installed: from dist/, which `npm test` builds first.
const program = join(import.meta.dirname, '../../bin/run.js')
const clean = (prefix: string): Promise<void> => down(prefix).then(() => {})
const left = (prefix: string): string[] => namespaces().filter((name) => labNamespaces(prefix).includes(name))

describe.skipIf(noNamespaces)('the demo', () => {
  it('finds the trombone, switches, proves it, and leaves nothing', () =>
    withPrefix(clean, async (prefix) => {
      const {code, stdout, stderr} = await tryCommand(process.execPath, [program, 'lab', 'demo', '--prefix', prefix])
      expect(stderr).toBe('')
      expect(stdout).toMatch(
        /EGRESS {3}no trombone[\s\S]*EGRESS {3}TROMBONE[\s\S]*SWITCHED[\s\S]*EGRESS {3}no trombone[\s\S]*All as it should be\./,
      )
      expect(code).toBe(0)
      expect(left(prefix)).toEqual([])
    }))

  it.each(['SIGINT', 'SIGTERM'] as const)('leaves nothing when it ends by %s', (signal) =>
    withPrefix(clean, async (prefix) => {
      const demo = spawn(process.execPath, [program, 'lab', 'demo', '--prefix', prefix], {stdio: 'ignore'})
      for (let i = 0; i < 400 && !isUp(prefix); i++) await delay(20)
      expect(isUp(prefix)).toBe(true)
      await delay(300)
      const ended = once(demo, 'exit')
      demo.kill(signal)
      expect((await ended)[0]).toBe(signal === 'SIGINT' ? 130 : 143)
      expect(left(prefix)).toEqual([])
    }),
  )
})
