// What bin/run.js starts. Bundled together with the commands, so that oclif is loaded once and from few files.
import {fileURLToPath} from 'node:url'
import {execute as start} from '@oclif/core/execute'
import {errorDocument} from './cli/error-document.ts'
import {Failure} from './errors.ts'
import {installedPlugins, provideSelf} from './net/file/plugin-folder.ts'
import {printJson, say} from './net/process/say.ts'

/** `dir` is the URL of a file of this package. */
export async function execute({dir}: {readonly dir: string}): Promise<void> {
  try {
    const plugins = installedPlugins(process.env.GWSWITCH_PLUGINS)
    if (plugins) provideSelf(new URL('.', import.meta.url))
    // One way to install a plugin: oclif's own folder under the user's home is not looked into.
    const additions = plugins && {pluginAdditions: {core: [...plugins.names], path: plugins.folder}}
    await start({dir, loadOptions: {root: fileURLToPath(dir), userPlugins: false, ...additions}})
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    const document = errorDocument(error)
    if (process.argv.includes('--json')) printJson(document, 2)
    else say(`gwswitch: ${error.message}`)
    process.exitCode = document.exitCode
  }
}
