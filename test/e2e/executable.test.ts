// The executable of the .deb, made of the sources as they are now. The package itself is tried by `npm run package -- --check`.
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import {tryCommand} from '../../src/net/process/command.ts'
import {cannotBuild, executable} from '../support/executable.ts'

const root = join(import.meta.dirname, '../..')
const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-executable-'))
let program: string

afterAll(() => rmSync(scratch, {recursive: true, force: true}))

describe.skipIf(cannotBuild)('the executable', () => {
  beforeAll(async () => {
    program = join(await executable(), 'gwswitch')
  }, 300_000)

  it.each([
    [['--version']],
    [['--help']],
    [['switch', '--help']],
    [['strategies', '--json']],
    [['nonsense', '--json']],
  ])('says and does the same as the program of dist/: %s', async (args) => {
    const [ours, theirs] = await Promise.all([
      tryCommand(program, args),
      tryCommand(process.execPath, [join(root, 'bin/run.js'), ...args]),
    ])
    const timeless = ({stdout, ...rest}: typeof ours) => ({
      ...rest,
      stdout: stdout.replace(/"at": "[^"]+"/, '"at": ""'),
    })
    expect(timeless(ours)).toEqual(timeless(theirs))
  })

  it('calls the kernel by the binary beside it', async () => {
    const {code, stderr} = await tryCommand(program, ['garp', '192.0.2.1', '-i', 'lo', '--dry-run'])
    expect(stderr).toMatch(/the MAC of lo/)
    expect(code).toBe(2)
  })

  it('is its own programs, with options of Node', async () => {
    const words = [
      '--node-options=--lite-mode --max-semi-space-size=1',
      'program:services/agent/config-main',
      '/none.yaml',
    ]
    const {code, stderr} = await tryCommand(program, words)
    expect(stderr).toMatch(/^\/none\.yaml: no such file/)
    expect(code).toBe(2)
  })

  it('asks the terminal that it runs on, not the one that it was built on', async () => {
    const {stdout} = await tryCommand('env', ['FORCE_COLOR=1', 'OCLIF_COLUMNS=200', program, 'who', '--help'])
    const widest = Math.max(...stdout.split('\n').map((line) => line.length))
    expect(widest).toBeGreaterThan(100)
  })

  it('takes the plugins that are installed for it, and is what they import', async () => {
    const plugins = join(scratch, 'plugins')
    const folder = join(plugins, 'node_modules/push')
    mkdirSync(folder, {recursive: true})
    writeFileSync(join(plugins, 'package.json'), '{"dependencies":{"push":"1.2.3"}}')
    const hooks = {'gwswitch:strategies': './strategies.js'}
    const manifest = {name: 'push', version: '1.2.3', type: 'module', oclif: {hooks}}
    writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
    writeFileSync(
      join(folder, 'strategies.js'),
      [
        "import {CONTRACT, Failure} from 'gwswitch'",
        "export default async () => { throw new Failure('usage', 'by contract ' + CONTRACT) }",
      ].join('\n'),
    )
    const env = {...process.env, GWSWITCH_PLUGINS: plugins}
    const {stdout} = await tryCommand(program, ['--version'], {env})
    expect(stdout).toMatch(/^gwswitch\/\S+ linux-\S+ node-v\S+ push\/1\.2\.3\n$/)
    const {stderr} = await tryCommand(program, ['strategies'], {env})
    expect(stderr).toMatch(/^gwswitch: the plugin push gives no strategies: by contract \d/)
  })
})
