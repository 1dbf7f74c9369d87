// "The first five minutes" of the README, pasted step by step on the hypervisor of two VMs that moved: one whose sites have
// gateways of their own, one whose sites share a gateway IP. And the tutorial, from its first line to its last.
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {delimiter, join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {type FirstWalk, inventories, labSetUp, names, oldEntry, walks} from '../../scripts/docs/first-minutes.ts'
import {fencesOf} from '../../scripts/docs/markdown.ts'
import {moveVm} from '../../src/lab/vms.ts'
import {tryCommand} from '../../src/net/process/command.ts'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {useLab} from '../support/use-lab.ts'

const root = join(import.meta.dirname, '../..')
const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-first-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))
const bin = join(scratch, 'gwswitch')
writeFileSync(bin, `#!/bin/sh\nexec "${process.execPath}" "${join(root, 'bin/run.js')}" "$@"\n`, {mode: 0o755})

it('has the lab as its ground, and names in a line what a reader puts in place of ours', () => {
  expect(labSetUp).toContain('gwswitch lab up\ngwswitch lab move web-07 --to y ')
  expect(names).toBe('VM=web-07 PORT=web-07 BRIDGE=br-web-07     # B in the lab: VM=db-03 PORT=db-03 BRIDGE=br-db-03\n')
  expect(inventories).toHaveLength(2)
})

describe.skipIf(noNamespaces)('the first five minutes', () => {
  const lab = useLab()
  async function arrive(vm: FirstWalk['vm']): Promise<void> {
    await (await moveVm(lab().prefix, vm, 'y')).announced
    await lab().run(vm, 'sh', '-ec', oldEntry(vm))
  }

  /** A step as pasted, in a shell in which the names were set before. */
  async function paste(vm: string, node: string, step: string) {
    const env = {
      PATH: `${scratch}${delimiter}${process.env.PATH}`,
      GWSWITCH_JOURNAL: join(scratch, 'journal.db'),
      NO_COLOR: '1',
    }
    const set = Object.entries(env).map(([name, value]) => `${name}=${value}`)
    const text = `cd '${scratch}'\n${names.replaceAll('web-07', vm)}${step}`
    const [program, ...args] = namespaceCommand(lab().ns(node), ['env', ...set, 'bash', '-ec', text])
    const {code, stdout, stderr} = await tryCommand(program!, args)
    return {code, said: `${stdout}${stderr}`}
  }

  it.each(walks)('lead from the file to the proof and back for $vm', async ({vm, inventory, steps}) => {
    writeFileSync(join(scratch, 'gwswitch.yaml'), inventory)
    await arrive(vm)
    for (const {text, at, code, says} of steps) {
      const ended = await paste(vm, at === 'hv' ? 'hv' : vm, text)
      expect(ended, text).toMatchObject({code, said: expect.stringMatching(new RegExp(says, 'm'))})
      if (/gwswitch undo/.test(text)) expect(ended.said).toMatch(/^UNDONE/m)
    }
  })
})

describe.skipIf(noNamespaces)('the tutorial', () => {
  const lab = useLab()

  it('ends every command as it says', async () => {
    const {prefix} = lab()
    const young = `for s in ${prefix}-db-03; do ip netns exec $s ip neigh replace 10.1.0.254 lladdr 02:00:00:00:0a:02 dev eth0 nud reachable; done`
    const pasted = fencesOf(readFileSync(join(root, 'docs/tutorial.md'), 'utf8'))
      .filter(({language}) => language === 'sh')
      .flatMap(({text}) => text.trimEnd().split('\n'))
      // The lab is there, with a name of its own.
      .filter((line) => !/lab (?:up|down|status)/.test(line))
      .map((line) => line.replaceAll('gwlab', prefix).replace('/tmp/trombone.svg', join(scratch, 'trombone.svg')))
      .map((line) => (line.startsWith('gwswitch lab move') ? `${line} --prefix ${prefix}` : line))
      .flatMap((line) => {
        const code = /gwswitch /.test(line) ? [`echo "=> $?"`] : []
        // Its old ARP entry stays young, however slow this machine is.
        return /move db-03|undo db-03/.test(line) ? [line, ...code, young] : [line, ...code]
      })
    const set = [`PATH=${scratch}${delimiter}${process.env.PATH}`, 'NO_COLOR=1']
    const {stdout, stderr} = await tryCommand('env', [...set, 'bash', '-c', pasted.join('\n')])
    const codes = [...stdout.matchAll(/^=> (\d+)$/gm)].map(([, code]) => Number(code))
    const told = [0, 0, 10, 10, 0, 0, 0, 0, 0, 10, 0, 10, 0, 0]
    expect(codes, `${stdout}${stderr}`).toEqual(told)
    expect(readFileSync(join(scratch, 'trombone.svg'), 'utf8')).toMatch(/^<svg/)
  })
})
