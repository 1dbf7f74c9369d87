// A plugin as whoever writes one has it: the example, built by itself, installed by npm, run by the program, on real packets.
import {chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import {runCommand} from '../../src/net/process/command.ts'
import {gwswitch} from '../support/cli.ts'
import {type InstalledExample, installExample} from '../support/example-plugin.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {BEYOND, type SegmentLab, useSegmentLab, X_MAC, Y_MAC} from '../support/segment-lab.ts'

const NAME = 'gwswitch-strategy-policy-route'
const OWN = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as {version: string}
const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-plugin-'))
let example: InstalledExample
beforeAll(async () => {
  example = await installExample(scratch)
}, 240_000)
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

describe('an installed plugin', () => {
  it('passes its own tests', {timeout: 60_000}, async () => {
    const said = await runCommand('env', ['-C', example.source, process.execPath, '--test', 'test/strategy.test.js'])
    expect(said).toMatch(/\bpass [1-9]\d*\n(?:.*\n)*.*\bfail 0\n/)
  })

  it('is listed with its strategies, each with its plugin and version', async () => {
    const env = {GWSWITCH_PLUGINS: example.folder}
    const [text, document] = await Promise.all([
      gwswitch(['strategies'], {env}),
      gwswitch(['strategies', '--json'], {env}),
    ])
    expect(text.stdout).toMatch(new RegExp(`^policy-route .* ${NAME} 0\\.1\\.0$`, 'm'))
    const rows = document.json.strategies.map(({name, plugin, version}: Record<string, string>) => [
      name,
      plugin,
      version,
    ])
    expect(rows).toContainEqual(['arp', 'gwswitch', OWN.version])
    expect(rows).toContainEqual(['policy-route', NAME, '0.1.0'])
    expect(text.stderr + document.stderr).toBe('')
  })

  const folder = (name: string, made: (path: string) => void): string => {
    const path = join(scratch, name)
    mkdirSync(path, {mode: 0o755})
    made(path)
    return path
  }
  const withPackage = (text: string) => (path: string) => writeFileSync(join(path, 'package.json'), text)
  const NEEDS = JSON.stringify({dependencies: {[NAME]: '0.1.0'}})
  it.each<[string, (path: string) => void, number, RegExp]>([
    [
      'is empty',
      () => {},
      2,
      /^gwswitch: GWSWITCH_PLUGINS: \S+ has no package\.json \(npm install --prefix \S+ PLUGIN makes one\)\n$/,
    ],
    ['has a package.json that is none', withPackage('{'), 2, /^gwswitch: \S+\/package\.json: is no JSON\n$/],
    [
      'is a plugin short',
      withPackage(NEEDS),
      1,
      /^gwswitch: the plugin gwswitch-strategy-policy-route is not in (\S+) \(npm install --prefix \1 brings it back\)\n$/,
    ],
    [
      'others may write to',
      (path) => {
        withPackage(NEEDS)(path)
        chmodSync(path, 0o777)
      },
      2,
      /^gwswitch: (\S+): others may write it: no plugin is loaded from it \(chmod go-w \1\)\n$/,
    ],
    [
      'has a plugin that fails',
      (path) => {
        cpSync(example.folder, path, {recursive: true})
        writeFileSync(
          join(path, 'node_modules', NAME, 'dist/hook.js'),
          'export default () => { throw new Error("no") }',
        )
      },
      1,
      /^gwswitch: the plugin gwswitch-strategy-policy-route gives no strategies: no\n$/,
    ],
  ])('from a folder that %s is refused in one line', async (what, made, exit, message) => {
    const path = folder(what.replaceAll(' ', '-'), made)
    const {code, stderr} = await gwswitch(['strategies'], {env: {GWSWITCH_PLUGINS: path}})
    expect(stderr).toMatch(message)
    expect(code).toBe(exit)
    const {json} = await gwswitch(['strategies', '--json'], {env: {GWSWITCH_PLUGINS: path}})
    expect(json).toMatchObject({error: {exit}, exitCode: exit})
  })
})

describe.skipIf(noNamespaces)('policy-route on the router of a VM', () => {
  const segment = useSegmentLab({shared: false, vmKeys: 'strategies: [policy-route]'})
  /** On gateway X; what lies beyond sends back by gateway Y, as it would once routes have moved, or by X. */
  const switchTo = async (lab: SegmentLab, to: string, back: 'x' | 'y', ...flags: string[]) => {
    await lab.run('net', `ip route replace 10.1.0.0/24 via ${back === 'y' ? '172.16.2.1' : '172.16.1.1'}`)
    const flag = ['--verify-to', BEYOND, '--json', '-f', lab.inventoryFile, ...flags]
    return gwswitch(['switch', 'db-03', '--to', to, ...flag], {
      namespace: lab.ns('gx'),
      env: {GWSWITCH_PLUGINS: example.folder},
    })
  }
  const rules = (lab: SegmentLab) => lab.run('gx', 'ip rule; ip route show table all | grep -v "table local" || true')
  /** The routers that a packet of the VM passes on its way out. */
  const way = async (lab: SegmentLab): Promise<string> => {
    const said = await lab.run('vm', `for t in 1 2; do ping -c1 -W2 -t$t ${BEYOND} || true; done`)
    return [...said.matchAll(/From (\S+) .*Time to live exceeded/g)].map(([, from]) => from).join(' ')
  }

  it('leads the VM to the other gateway, proves it, and leads it back', {timeout: 60_000}, async () => {
    const lab = segment()
    const before = await rules(lab)
    expect(await way(lab)).toBe('10.1.0.1')
    const dry = await switchTo(lab, 'y', 'y', '--dry-run')
    expect(dry.json.describe).toContain(
      'add a rule to bx: what comes from db-03 (10.1.0.10) at eth0 goes to 10.1.0.2 (by, site y), by table 167837706',
    )
    expect(await rules(lab)).toBe(before)

    const {json, code} = await switchTo(lab, 'y', 'y')
    expect(json).toMatchObject({strategy: 'policy-route', code: 'served', before: {mac: X_MAC}, uses: {mac: Y_MAC}})
    expect(code).toBe(0)
    expect(await way(lab)).toBe('10.1.0.1 10.1.0.2')
    const again = await switchTo(lab, 'y', 'y')
    expect(again.json).toMatchObject({code: 'already', exitCode: 0})

    const back = await switchTo(lab, 'x', 'x')
    expect(back.json).toMatchObject({code: 'served', before: {mac: Y_MAC}, uses: {mac: X_MAC}})
    expect(await rules(lab)).toBe(before)
    expect(await way(lab)).toBe('10.1.0.1')
  })

  it('takes it back where nothing beyond is seen to answer, and begins nothing at a dead gateway', {
    timeout: 60_000,
  }, async () => {
    const lab = segment()
    const before = await rules(lab)
    const unproved = await switchTo(lab, 'y', 'x')
    expect(unproved.json).toMatchObject({
      code: 'unverified',
      rolledBack: true,
      rollback: {ok: true, uses: {mac: X_MAC}},
    })
    expect(unproved.code).toBe(3)
    expect(await rules(lab)).toBe(before)

    await lab.run('gy', 'ip link set eth0 down')
    const dead = await switchTo(lab, 'y', 'x')
    expect(dead.json).toMatchObject({code: 'target-dead', end: 'not-begun'})
    expect(dead.code).toBe(3)
    expect(await rules(lab)).toBe(before)
  })
})
