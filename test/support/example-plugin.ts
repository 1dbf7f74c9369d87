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

/** Builds it against `gwswitch`, an installed package, and installs what `npm pack` makes of it, both below `scratch`. */
export async function installExample(scratch: string, gwswitch = root): Promise<InstalledExample> {
  const [source, folder, tarballs] = ['example', 'plugins', 'tarballs'].map((name) => join(scratch, name))
  cpSync(join(root, 'examples/strategy-policy-route'), source!, {
    recursive: true,
    filter: (path) => !/\/(?:dist|node_modules)$/.test(path),
  })
  for (const path of [folder!, tarballs!, join(source!, 'node_modules')]) mkdirSync(path, {mode: 0o755})
  // As `npm install` of its devDependencies would have it, without a registry.
  symlinkSync(gwswitch, join(source!, 'node_modules/gwswitch'))
  symlinkSync(join(root, 'node_modules/@types'), join(source!, 'node_modules/@types'))
  const inFolder = (...argv: string[]) =>
    runCommand('env', ['-C', source!, `npm_config_cache=${join(scratch, 'cache')}`, 'npm_config_offline=true', ...argv])
  await inFolder(process.execPath, join(root, 'node_modules/typescript/bin/tsc'))
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
