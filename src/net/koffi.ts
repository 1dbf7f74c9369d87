// koffi, which calls foreign functions: the one place that knows where its binary lies.
import {createRequire} from 'node:module'
import {dirname, join} from 'node:path'
import type Koffi from 'koffi'
import {isExecutable} from './process/program.ts'

let loaded: typeof Koffi | undefined

/**
 * koffi, loaded on first use. Its binary is opened without its own JavaScript, which looks for it for half as long as Node
 * takes to start, and brings nothing that is used here.
 */
export function koffi(): typeof Koffi {
  loaded ??= load()
  return loaded
}

function load(): typeof Koffi {
  // Beside the program, in a folder that is root's.
  if (isExecutable) return open(join(dirname(process.execPath), 'koffi.node'))
  const require = createRequire(import.meta.url)
  try {
    const folder = dirname(require.resolve(`@koromix/koffi-${process.platform}-${process.arch}`))
    return open(join(folder, `${process.platform}_${process.arch}`, 'koffi.node'))
  } catch {
    // A system with another C library, or a package manager that puts it elsewhere: it finds itself.
    return require('koffi') as typeof Koffi
  }
}

function open(file: string): typeof Koffi {
  const module = {exports: {}}
  process.dlopen(module, file)
  return module.exports as typeof Koffi
}
