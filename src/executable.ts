// The start of the executable. Everything is loaded when it is built, and lies in its snapshot; it runs from here.

import {beforehand, index, manifest, packageJson, programs} from 'gwswitch:parts'
import {registerHooks} from 'node:module'
import {startupSnapshot} from 'node:v8'
import {Config} from '@oclif/core'
import {home} from './cli/in-executable.ts'
import {start} from './cli/start.ts'
import Garp from './commands/garp.ts'
import {PROGRAM_PREFIX} from './net/process/program.ts'

function run(): void {
  const first = process.argv[2]
  if (first?.startsWith(PROGRAM_PREFIX)) {
    // As Node would start it: argv[1] is the program, its arguments follow.
    process.argv.splice(1, 2, first.slice(PROGRAM_PREFIX.length))
    void programs[process.argv[1]!]?.()
    return
  }
  process.env.SHELL ||= '/bin/sh'
  process.env.HOME ||= '/'
  void start({root: home(), pjson: packageJson, manifest, provideSelf: sharedWithPlugins})
}

/** A plugin that imports `gwswitch` gets what runs here, not another copy: errors are told apart by their class. */
function sharedWithPlugins(): void {
  const url = 'gwswitch:index'
  const key = 'gwswitch.index'
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'gwswitch' ? {url, format: 'module', shortCircuit: true} : next(specifier, context),
    load(wanted, context, next) {
      if (wanted !== url) return next(wanted, context)
      Object.assign(globalThis, {[key]: index})
      const names = Object.keys(index).map((name) => `export const ${name} = index.${name}`)
      const source = [`const index = globalThis[${JSON.stringify(key)}]`, ...names].join('\n')
      return {format: 'module', source, shortCircuit: true}
    },
  })
}

/** Reads a command line, and throws it away: what has run is in the snapshot as V8 compiled it. */
async function warmUp(): Promise<void> {
  await beforehand()
  class Reading extends Garp {
    async read(): Promise<void> {
      await this.parse(Garp)
    }
  }
  const config = await Config.load({root: home(), pjson: packageJson})
  await new Reading(['192.0.2.1', '--interface', 'eth0', '--dry-run'], config).read()
}

void warmUp()
startupSnapshot.setDeserializeMainFunction(run)
