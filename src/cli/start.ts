// The start of every form of gwswitch: dist/, its sources, the executable.
import {join} from 'node:path'
import type {Config} from '@oclif/core'
import type {PJSON} from '@oclif/core/interfaces'
import {textIfReadable} from '../net/file/text-file.ts'
import {print, printJson} from '../net/process/say.ts'
import {heedOutput} from './output.ts'

export interface Start {
  /** The folder that package.json is in, or stands for it. */
  readonly root: string
  readonly pjson: PJSON
  /** Commands are found by looking, not by oclif.manifest.json. */
  readonly ignoreManifest?: boolean
  /** A folder that npm installs plugins into (`npm install --prefix`), if there is one. */
  readonly plugins?: string
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
  if (argv[0] === '--version') await sayVersion(how, argv)
  else {
    const {execute} = await import('@oclif/core/execute')
    await execute({loadOptions: loadOptions(how)})
  }
}

const loadOptions = ({plugins, ...options}: Start) => ({
  ...options,
  ...(hasPlugins(plugins) && {pluginAdditions: {core: ['*', '@*/*'], path: plugins}}),
})

const isThere = (file: string): boolean => textIfReadable(file) !== undefined

const hasPlugins = (folder: string | undefined): folder is string =>
  folder !== undefined && isThere(join(folder, 'package.json'))

/** One line that names everything; with --json a document. oclif is loaded only where there may be a plugin. */
async function sayVersion(how: Start, argv: readonly string[]): Promise<void> {
  heedOutput()
  const {name, version} = how.pjson
  const document: VersionDocument = {
    schema: 'gwswitch.version/1',
    version,
    platform: `${process.platform}-${process.arch}`,
    node: process.version,
    plugins: mayHavePlugins(how) ? await installedPlugins(how) : [],
  }
  if (argv.includes('--json')) return printJson(document, 2)
  const plugins = document.plugins.map((plugin) => ` ${plugin.name}/${plugin.version}`).join('')
  print(`${name}/${version} ${document.platform} node-${document.node}${plugins}`)
}

/** Where oclif looks for them: our package.json, the user's folder of data (XDG), and the folder of this form. */
function mayHavePlugins({pjson, plugins}: Start): boolean {
  const data =
    process.env.GWSWITCH_DATA_DIR ||
    join(process.env.XDG_DATA_HOME || join(process.env.HOME || '/', '.local/share'), 'gwswitch')
  return (pjson.oclif.plugins ?? []).length > 0 || isThere(join(data, 'package.json')) || hasPlugins(plugins)
}

async function installedPlugins(how: Start): Promise<VersionDocument['plugins']> {
  const {Config} = await import('@oclif/core')
  const config: Config = await Config.load(loadOptions(how))
  return config
    .getPluginsList()
    .filter((plugin) => plugin.name !== how.pjson.name)
    .map((plugin) => ({name: plugin.name, version: plugin.version, root: plugin.root}))
}
