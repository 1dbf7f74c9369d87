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
import {chmodSync, copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {parseArgs} from 'node:util'
import {quietly, root as repository, say, stop} from './debian.mjs'
import {debianRoot, within} from './debian-root.mjs'

/** What a newcomer has beside Debian's minimal system. */
const PACKAGES = ['git', 'iproute2', 'ca-certificates']
/** The last Node 20, and the npm that came with it. */
const NODE = '20.20.2'
const NPM = '10.8.2'
const CLONE = '/root/gwswitch'
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

/** How this machine's npm reaches its registry. */
function npmConfig(folder) {
  const config = JSON.parse(quietly('npm', ['config', 'list', '--json']))
  const names = ['registry', 'proxy', 'https-proxy', 'noproxy', 'strict-ssl']
  const lines = names
    .filter((name) => config[name] !== null && config[name] !== '')
    .map((name) => `${name}=${config[name]}`)
  // Whoever is between this machine and the registry may have a certificate that is known here alone.
  const authorities = config.cafile || process.env.NODE_EXTRA_CA_CERTS
  if (authorities) {
    copyFileSync(authorities, join(folder, 'etc/npm-ca.pem'))
    lines.push('cafile=/etc/npm-ca.pem')
  }
  writeFileSync(join(folder, 'root/.npmrc'), `${lines.join('\n')}\n`)
}

function node(folder) {
  const target = join(folder, 'usr/local')
  const modules = join(target, 'lib/node_modules')
  const archive = (name) =>
    join(folder, 'tmp', quietly('npm', ['pack', '--silent', '--pack-destination', join(folder, 'tmp'), name]).trim())
  const unpack = (name, to, ...args) => {
    mkdirSync(to, {recursive: true})
    const file = archive(name)
    quietly('tar', ['-xzf', file, '-C', to, '--strip-components=1', '--no-same-owner', ...args])
    rmSync(file)
  }
  unpack(`node-linux-${process.arch}@${NODE}`, target, 'package/bin')
  unpack(`npm@${NPM}`, join(modules, 'npm'))
  for (const name of ['npm', 'npx'])
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(target, 'bin', name))
  npmConfig(folder)
}

/** Of what is committed, where a newcomer's clone is: nobody but root can read it. */
function clone(folder) {
  const git = (...args) => quietly('git', args).trim()
  const changes = git('status', '--porcelain').split('\n').filter(Boolean).length
  if (changes > 0) say(`${changes} uncommitted change(s) of ${repository} are not in it`)
  chmodSync(join(folder, 'root'), 0o700)
  const to = join(folder, CLONE)
  git('clone', '--quiet', '--no-local', '--no-checkout', repository, to)
  git('-C', to, 'fetch', '--quiet', 'origin', 'HEAD')
  git('-C', to, 'checkout', '--quiet', '--detach', git('rev-parse', 'HEAD'))
  git('-C', to, 'remote', 'remove', 'origin')
}

const seconds = (sinceMs) => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`

async function main() {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    stop('a root of a system is made by root, on Linux: sudo npm run fresh')
  if (what === 'enter') {
    if (rest.length === 0) stop('enter wants the FOLDER of a root that was kept (--keep)')
    const [folder, ...program] = rest
    const outcome = await within(folder, CLONE, program.length > 0 ? program : ['/bin/bash'], 'inherit')
    process.exit(typeof outcome === 'number' ? outcome : 1)
  }
  if (what !== undefined && !COMMANDS[what])
    stop(`no ${what}: it is demo, test, enter FOLDER, or nothing for both commands`)
  const started = performance.now()
  const folder = await debianRoot(place, PACKAGES, keep)
  node(folder)
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
