#!/usr/bin/env node
// Starts gwswitch from dist/. The syntax of this file runs on any Node of the last ten years, so that an old one gets a
// sentence and not a stack trace.
import {readFileSync} from 'node:fs'
import * as module from 'node:module'
import {homedir} from 'node:os'
import {join} from 'node:path'

const [major, minor, patch] = process.versions.node.split('.').map(Number)
const atLeast = (m, p) => minor > m || (minor === m && patch >= p)
if (major >= 26 || (major === 24 && atLeast(15, 0)) || (major === 22 && atLeast(22, 2))) {
  // Where a user has no entry in passwd(5), as in a container, Node throws when it or oclif looks for these.
  process.env.SHELL = process.env.SHELL || '/bin/sh'
  process.env.HOME = process.env.HOME || home()
  // Not Node's default under /tmp: what is cached there by one user is executed by another.
  module.enableCompileCache(join(process.env.XDG_CACHE_HOME || join(process.env.HOME, '.cache'), 'gwswitch', 'node'))
  const root = join(import.meta.dirname, '..')
  const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  import('../dist/main.js').then(({start}) => start({root, pjson}), unreadable)
} else {
  process.stderr.write(
    `gwswitch needs Node ^22.22.2, ^24.15 or >=26; this is ${process.versions.node}. ` +
      'In a clone, `npm run gwswitch -- ...` brings its own.\n',
  )
  process.exitCode = 1
}

/** Node's loader says it in ten lines, and names neither the user nor what to do. */
function unreadable(error) {
  const missing = /^Cannot find (?:module|package) '([^']+)'/.exec(error.message)
  if (!missing && error.code !== 'EACCES') throw error
  const what = missing ? missing[1] : error.path
  process.stderr.write(
    `gwswitch: cannot load ${what}, a part of this program: it is not there (npm run build makes dist/, npm ci the ` +
      "packages), or this user cannot read it (chmod -R go+rX on gwswitch's folder, and a folder that others can pass)\n",
  )
  process.exitCode = 1
}

function home() {
  try {
    return homedir()
  } catch (_error) {
    return '/'
  }
}
