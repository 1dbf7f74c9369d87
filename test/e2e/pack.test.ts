// The package that `npm pack` makes of a clone in which nothing was built yet.
import {cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {afterAll, expect, it} from 'vitest'
import {runCommand} from '../../src/net/process/command.ts'
import {installExample} from '../support/example-plugin.ts'

const root = join(import.meta.dirname, '../..')
const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-pack-'))
const clone = join(scratch, 'clone')
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

/** What a clone of the work tree as it is now would have; the packages that are installed are lent to it. */
async function cleanClone(): Promise<string[]> {
  const listed = await runCommand('git', ['-C', root, 'ls-files', '-z', '--cached', '--others', '--exclude-standard'])
  const files = listed.split('\0').filter(Boolean)
  for (const file of files) {
    mkdirSync(dirname(join(clone, file)), {recursive: true})
    cpSync(join(root, file), join(clone, file))
  }
  for (const folder of ['node_modules', 'tools/node/node_modules']) symlinkSync(join(root, folder), join(clone, folder))
  return files
}

it('has the program, its declarations, units, schemas, documentation, and runs with a plugin', {
  timeout: 240_000,
}, async () => {
  const files = await cleanClone()
  const npm = ['env', '-C', clone, `npm_config_cache=${join(scratch, 'cache')}`, 'npm', 'pack', '--json']
  const said = await runCommand(npm[0]!, [...npm.slice(1), '--pack-destination', scratch])
  // What is built says so on the same stream.
  const [{filename, files: packed}] = JSON.parse(said.slice(said.lastIndexOf('\n[\n') + 1))
  const paths: string[] = packed.map(({path}: {path: string}) => path)
  const {commands} = JSON.parse(readFileSync(join(root, 'oclif.manifest.json'), 'utf8'))
  const wanted = [
    ...[
      'bin/run.js',
      'dist/main.js',
      'dist/index.js',
      'dist/index.d.ts',
      'dist/testing.js',
      'dist/testing.d.ts',
      'dist/lab/relay-main.js',
    ],
    ...['package.json', 'oclif.manifest.json', 'README.md', 'LICENSE', 'CHANGELOG.md'],
    ...Object.values(commands as Record<string, {relativePath: string[]}>).map(({relativePath}) =>
      join(...relativePath),
    ),
    ...files.filter((file) => /^(?:packaging|docs|schemas)\//.test(file)),
  ]
  expect(wanted.filter((path) => !paths.includes(path))).toEqual([])
  expect(paths.filter((path) => /^(?:src|test|scripts|tools)\//.test(path))).toEqual([])

  await runCommand('tar', ['-xzf', join(scratch, filename), '-C', scratch])
  symlinkSync(join(root, 'node_modules'), join(scratch, 'package/node_modules'))
  const help = await runCommand(process.execPath, [join(scratch, 'package/bin/run.js'), 'lab', '--help'])
  expect(help).toMatch(/lab up/)

  // Built against the package and its declarations, and packed and installed by npm as well.
  const {folder} = await installExample(scratch, join(scratch, 'package'))
  const program = [process.execPath, join(scratch, 'package/bin/run.js'), 'strategies', '--json']
  const listed = JSON.parse(await runCommand('env', [`GWSWITCH_PLUGINS=${folder}`, ...program]))
  expect(listed.strategies.at(-1)).toMatchObject({
    ...{name: 'policy-route', plugin: 'gwswitch-strategy-policy-route', version: '0.1.0'},
  })
})
