// The example plugin, built and installed as its documentation says: npm pack, npm install --prefix.
import {cpSync, mkdirSync, readdirSync, symlinkSync} from 'node:fs'
import {join} from 'node:path'
import {runCommand} from '../../src/net/process/command.ts'

const root = join(import.meta.dirname, '../..')

export interface InstalledExample {
  /** Where it was built: its own tests are here. */
  readonly source: string
  /** For GWSWITCH_PLUGINS. */
  readonly folder: string
}

const tsc = [process.execPath, join(root, 'node_modules/typescript/bin/tsc')]

/** What dist/ is for tests, with the declarations that only a package has. */
async function packageWithTypes(scratch: string): Promise<string> {
  const own = join(scratch, 'gwswitch')
  cpSync(join(root, 'dist'), join(own, 'dist'), {recursive: true})
  cpSync(join(root, 'package.json'), join(own, 'package.json'))
  symlinkSync(join(root, 'node_modules'), join(own, 'node_modules'))
  const out = ['--emitDeclarationOnly', '--outDir', join(own, 'dist')]
  await runCommand(tsc[0]!, [...tsc.slice(1), '-p', join(root, 'tsconfig.json'), ...out])
  return own
}

/**
 * Builds it against `gwswitch`, a whole package, by default one of this work tree, and installs what `npm pack` makes of it,
 * all below `scratch`.
 */
export async function installExample(scratch: string, gwswitch?: string): Promise<InstalledExample> {
  const [source, folder, tarballs] = ['example', 'plugins', 'tarballs'].map((name) => join(scratch, name))
  cpSync(join(root, 'examples/strategy-policy-route'), source!, {
    recursive: true,
    filter: (path) => !/\/(?:dist|node_modules)$/.test(path),
  })
  for (const path of [folder!, tarballs!, join(source!, 'node_modules')]) mkdirSync(path, {mode: 0o755})
  // As `npm install` of its devDependencies would have it, without a registry.
  symlinkSync(gwswitch ?? (await packageWithTypes(scratch)), join(source!, 'node_modules/gwswitch'))
  symlinkSync(join(root, 'node_modules/@types'), join(source!, 'node_modules/@types'))
  const inFolder = (...argv: string[]) =>
    runCommand('env', ['-C', source!, `npm_config_cache=${join(scratch, 'cache')}`, 'npm_config_offline=true', ...argv])
  await inFolder(...tsc)
  await inFolder('npm', 'pack', '--pack-destination', tarballs!)
  await inFolder(
    'npm',
    'install',
    '--no-audit',
    '--no-fund',
    '--prefix',
    folder!,
    join(tarballs!, readdirSync(tarballs!)[0]!),
  )
  return {source: source!, folder: folder!}
}
