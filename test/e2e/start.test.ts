import {chmodSync, cpSync, mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {tryCommand} from '../../src/net/process/command.ts'
import {gwswitch} from '../support/cli.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {asNobody} from '../support/ordinary-user.ts'

const root = join(import.meta.dirname, '../..')
const built = join(root, 'bin/run.js')

describe('the program as it is installed', () => {
  it('says its version and lists its commands', async () => {
    const {version} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    expect((await tryCommand(process.execPath, [built, '--version'])).stdout).toMatch(`gwswitch/${version}`)
    expect((await tryCommand(process.execPath, [built, '--help'])).stdout).toMatch(/garp[\s\S]*switch[\s\S]*trace/)
  })

  it('finds its own strategy through the hook that plugins use', async () => {
    const {stdout, code} = await tryCommand(process.execPath, [built, 'strategies', '--json'])
    expect(code).toBe(0)
    const arp = JSON.parse(stdout).strategies.find(({name}: {name: string}) => name === 'arp')
    expect(arp).toMatchObject({plugin: 'gwswitch', layer: 'L2', gatewayIp: 'stays', sessions: 'kept'})
  })

  it.each([[['--version']], [['strategies', '--json']]])('is the same from its sources: %s', async (args) => {
    const bins = [built, join(root, 'bin/dev.js')]
    const [installed, sources] = await Promise.all(bins.map((bin) => tryCommand(process.execPath, [bin, ...args])))
    const timeless = (said: typeof installed) => ({...said, stdout: said!.stdout.replace(/"at": "[^"]*"/, '')})
    expect(timeless(sources)).toEqual(timeless(installed))
  })

  it.each(['18.20.0', '20.20.2', '22.12.0', '24.14.1', '25.9.0'])(
    'says on Node %s which Node it needs, in one line',
    async (version) => {
      const pretend = `data:text/javascript,Object.defineProperty(process.versions,'node',{value:'${version}'})`
      const {code, stderr, stdout} = await tryCommand(process.execPath, ['--import', pretend, built, '--version'])
      expect(stderr).toBe(
        `gwswitch needs Node ^22.22.2, ^24.15 or >=26; this is ${version}. In a clone, \`npm run gwswitch -- ...\` brings its own.\n`,
      )
      expect(stdout).toBe('')
      expect(code).toBe(1)
    },
  )

  it('starts for a user whom passwd does not know', async () => {
    // As libuv does: HOME, or what passwd says.
    const pretend = [
      "data:text/javascript,import os from 'node:os'",
      "import {syncBuiltinESMExports} from 'node:module'",
      "os.userInfo = () => { throw new Error('ENOENT') }",
      'os.homedir = () => process.env.HOME || os.userInfo()',
      'syncBuiltinESMExports()',
    ].join(';')
    const unset = ['-u', 'HOME', '-u', 'SHELL']
    const {code, stderr} = await tryCommand('env', [
      ...unset,
      process.execPath,
      '--import',
      pretend,
      built,
      '--version',
    ])
    expect(stderr).toBe('')
    expect(code).toBe(0)
  })

  it.skipIf(noNamespaces)(
    'says in one line what it cannot load, where it was not built or is not to be read',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'gwswitch-start-'))
      try {
        chmodSync(folder, 0o755)
        for (const name of ['bin/run.js', 'package.json']) cpSync(join(root, name), join(folder, name))
        const start = (under: readonly string[]) =>
          tryCommand('env', ['HOME=/nonexistent', ...under, process.execPath, join(folder, 'bin/run.js'), '--version'])
        const line = new RegExp(
          `^gwswitch: cannot load ${folder}/dist/main\\.js, [^\\n]+npm run build[^\\n]+go\\+rX[^\\n]+\\n$`,
        )
        const unbuilt = await start([])
        expect(unbuilt.stderr).toMatch(line)
        cpSync(join(root, 'dist'), join(folder, 'dist'), {recursive: true})
        chmodSync(join(folder, 'dist'), 0o700)
        const unreadable = await start(asNobody())
        expect(unreadable.stderr).toMatch(line)
        expect([unbuilt.code, unreadable.code]).toEqual([1, 1])
      } finally {
        rmSync(folder, {recursive: true})
      }
    },
  )

  it('ends with 0 when nobody reads on', async () => {
    const {code} = await tryCommand('bash', [
      '-c',
      `set -o pipefail; '${process.execPath}' '${built}' trace --help | head -1`,
    ])
    expect(code).toBe(0)
  })
})

describe('what the user got wrong', () => {
  it.each<[string, string[], RegExp]>([
    ['a missing flag', ['garp'], /^gwswitch: Missing required flag interface/],
    ['a missing argument', ['garp', '-i', 'lo'], /which gateway/],
    ['an unknown flag', ['trace', '192.0.2.1', '--vai', 'x'], /vai/],
    ['an unknown command', ['trombone'], /trombone/],
    [
      'a number out of range',
      ['garp', '10.0.0.1', '-i', 'eth0', '--count', '0'],
      /"0" is not a whole number from 1 to 1000/,
    ],
    ['a VM without its MAC', ['garp', '10.0.0.1', '-i', 'eth0', '--vm-ip', '10.0.0.9'], /vm-mac/],
    [
      'a file that is not there',
      ['switch', 'db-03', '--to', 'y', '-f', '/nonexistent.yaml'],
      /\/nonexistent\.yaml: no such file/,
    ],
    [
      'nobody to ask which VM',
      ['switch', '-f', join(root, 'test/support/empty-but-valid.yaml')],
      /give the VM and --to SITE/,
    ],
  ])('%s ends with 2 and no stack trace', async (_name, args, message) => {
    const {code, stderr} = await gwswitch(args)
    expect(stderr).toMatch(message)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(code).toBe(2)
  })

  it('is one object with three keys in a document of its own, under --json', async () => {
    const {json, code} = await gwswitch(['switch', 'db-03', '--to', 'y', '-f', '/nonexistent.yaml', '--json'])
    expect(json).toEqual({
      schema: 'gwswitch.error/1',
      at: expect.any(String),
      error: {kind: 'usage', exit: 2, message: expect.stringMatching(/no such file/)},
      exitCode: 2,
    })
    expect(code).toBe(2)
    const parse = await gwswitch(['garp', '--json'])
    expect(Object.keys(parse.json.error).sort()).toEqual(['exit', 'kind', 'message'])
    expect(parse.code).toBe(2)
  })
})
