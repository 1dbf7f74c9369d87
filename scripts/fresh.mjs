// Both commands of the README on a machine as a newcomer has it: a bare Debian 12 in a folder, with git, iproute2,
// ca-certificates, Node 20 and npm and nothing else, and a clone of this repository's HEAD in root's home.
// What works on the machine that one works on proves nothing.
//
//   npm run fresh                             npm run demo, then npm test
//   npm run fresh -- demo                     one of the two
//   npm run fresh -- test test/lab            with arguments of npm test
//   npm run fresh -- enter FOLDER [PROGRAM]   a shell, or a program, in a root that was kept
//   --keep                                    do not remove the root; it says where it is
//   --in FOLDER                               make it below this folder (/var/tmp)
import {parseArgs} from 'node:util'
import {say, stop} from './debian.mjs'
import {debianRoot, within} from './debian-root.mjs'
import {CLONE, clone, installNode, NODE, PACKAGES} from './newcomer.mjs'

const COMMANDS = {demo: ['npm', 'run', 'demo'], test: ['npm', 'test']}

const {keep, in: place, what, rest} = order(process.argv.slice(2))

function order(argv) {
  // What is run there has options of its own.
  if (argv[0] === 'enter') return {what: 'enter', rest: argv.slice(1)}
  const options = {keep: {type: 'boolean', default: false}, in: {type: 'string', default: '/var/tmp'}}
  try {
    const {values, positionals} = parseArgs({args: argv, options, allowPositionals: true})
    return {...values, what: positionals[0], rest: positionals.slice(1)}
  } catch (error) {
    return stop(error.message)
  }
}

const seconds = (sinceMs) => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`

async function main() {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    stop('a root of a system is made by root, on Linux: sudo npm run fresh')
  if (what === 'enter') {
    if (rest.length === 0) stop('enter wants the FOLDER of a root that was kept (--keep)')
    const [folder, ...program] = rest
    const outcome = await within(folder, CLONE, program.length > 0 ? program : ['/bin/bash'], {stdin: 'inherit'})
    process.exit(typeof outcome === 'number' ? outcome : 1)
  }
  if (what !== undefined && !COMMANDS[what])
    stop(`no ${what}: it is demo, test, enter FOLDER, or nothing for both commands`)
  const started = performance.now()
  const folder = await debianRoot(place, PACKAGES, keep)
  installNode(folder)
  clone(folder)
  say(`bare Debian 12 with Node ${NODE}: ${seconds(started)}`)
  const outcomes = []
  for (const name of what === undefined ? Object.keys(COMMANDS) : [what]) outcomes.push(await tried(folder, name))
  for (const {line} of outcomes) say(line)
  process.exitCode = outcomes.every(({ok}) => ok) ? 0 : 1
}

async function tried(folder, name) {
  const [program, ...args] = [...COMMANDS[name], ...(rest.length > 0 ? ['--', ...rest] : [])]
  const command = [program, ...args].join(' ')
  say(`in it: ${command}`)
  const started = performance.now()
  const outcome = await within(folder, CLONE, [program, ...args])
  return {
    ok: outcome === 0,
    line: `${command}: ${outcome === 0 ? 'passed' : `FAILED (${outcome})`} in ${seconds(started)}`,
  }
}

await main()
