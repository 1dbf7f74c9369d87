// The start of every form of gwswitch: dist/, its sources, the executable.
import {join} from 'node:path'
import type {Config} from '@oclif/core'
import type {PJSON} from '@oclif/core/interfaces'
import {Failure} from '../errors.ts'
import {installedPlugins, type Plugins} from '../net/file/plugin-folder.ts'
import {textIfReadable} from '../net/file/text-file.ts'
import {print, printJson, say} from '../net/process/say.ts'
import {shareColour} from '../net/process/terminal.ts'
import {errorDocument} from '../orders/document.ts'
import type {Manifest} from './completion/offers.ts'
import {heedOutput} from './output.ts'

export interface Start {
  /** The folder that package.json is in, or stands for it. */
  readonly root: string
  readonly pjson: PJSON
  /** Where it is no file of that folder: oclif.manifest.json. */
  readonly manifest?: object
  /** Commands are found by looking, not by oclif.manifest.json. */
  readonly ignoreManifest?: boolean
  /** Lets plugins that import `gwswitch` have what runs here. */
  provideSelf(): void
}

interface VersionDocument {
  readonly schema: 'gwswitch.version/1'
  readonly version: string
  readonly platform: string
  readonly node: string
  readonly plugins: readonly {readonly name: string; readonly version: string; readonly root: string}[]
}

/** Not to be awaited: oclif never settles once `| head` has gone, and Node would then exit 13. */
export async function start(how: Start): Promise<void> {
  const argv = process.argv.slice(2)
  try {
    if (argv[0] === '__complete') {
      const {complete} = await import('./completion/complete.ts')
      const manifest =
        how.manifest ?? JSON.parse(textIfReadable(join(how.root, 'oclif.manifest.json')) ?? '{"commands":{}}')
      return await complete(manifest as Manifest, argv.slice(1))
    }
    shareColour(process.env)
    const plugins = installedPlugins(process.env.GWSWITCH_PLUGINS)
    if (plugins) how.provideSelf()
    if (argv[0] === '--version' || argv[0] === '-v')
      return await sayVersion(how.pjson, argv, plugins && loadOptions(how, plugins))
    const {execute} = await import('@oclif/core/execute')
    await execute({loadOptions: loadOptions(how, plugins)})
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    const document = errorDocument(error)
    if (argv.includes('--json')) printJson(document, 2)
    else say(`gwswitch: ${error.message}`)
    process.exitCode = document.exitCode
  }
}

/** One way to install a plugin: oclif's own folder under the user's home is not looked into. */
const loadOptions = ({root, pjson, ignoreManifest}: Start, plugins: Plugins | undefined) => ({
  ...{root, pjson, userPlugins: false},
  ...(ignoreManifest && {ignoreManifest}),
  ...(plugins && {pluginAdditions: {core: [...plugins.names], path: plugins.folder}}),
})

/** One line that names everything; with --json a document. oclif is loaded only where there is a plugin. */
async function sayVersion(
  pjson: PJSON,
  argv: readonly string[],
  withPlugins: ReturnType<typeof loadOptions> | undefined,
): Promise<void> {
  heedOutput()
  const {name, version} = pjson
  const document: VersionDocument = {
    schema: 'gwswitch.version/1',
    version,
    platform: `${process.platform}-${process.arch}`,
    node: process.version,
    plugins: withPlugins ? await loadedPlugins(withPlugins) : [],
  }
  if (argv.includes('--json')) return printJson(document, 2)
  const plugins = document.plugins.map((plugin) => ` ${plugin.name}/${plugin.version}`).join('')
  print(`${name}/${version} ${document.platform} node-${document.node}${plugins}`)
}

async function loadedPlugins(options: ReturnType<typeof loadOptions>): Promise<VersionDocument['plugins']> {
  const {Config} = await import('@oclif/core')
  const config: Config = await Config.load(options)
  return config
    .getPluginsList()
    .filter((plugin) => plugin.name !== options.pjson.name)
    .map((plugin) => ({name: plugin.name, version: plugin.version, root: plugin.root}))
}
