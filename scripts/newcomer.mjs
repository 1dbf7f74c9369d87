// What a newcomer has in a root of Debian: Node 20 with its npm, and a clone of this repository.
import {chmodSync, copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {quietly, root as repository, say} from './debian.mjs'

/** What a newcomer has beside Debian's minimal system. */
export const PACKAGES = ['git', 'iproute2', 'ca-certificates']
/** The last Node 20, and the npm that came with it. */
export const NODE = '20.20.2'
const NPM = '10.8.2'
export const CLONE = '/root/gwswitch'

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

export function installNode(folder) {
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
export function clone(folder) {
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
