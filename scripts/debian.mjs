// What our own scripts need of Debian: looked for, installed by apt where we may, said in one line where we may not.
// Plain JavaScript without dependencies, since it runs before any is installed, on whatever Node is there.
import {spawnSync} from 'node:child_process'
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import {delimiter, dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..')

export const say = (line) => process.stderr.write(`gwswitch: ${line}\n`)

export function stop(line) {
  say(line)
  process.exit(1)
}

/** PATH without what npm puts in front of it: a package of ours brings a `dhcpd` that is not ISC's. */
export const systemPath = () => [
  ...(process.env.PATH ?? '').split(delimiter).filter((folder) => !/node_modules\/\.bin|node-gyp-bin/.test(folder)),
  '/usr/sbin',
  '/sbin',
]

/** Whether a program is in PATH or where only root's PATH leads, or a file can be read; a function is asked. */
export function found(what) {
  if (typeof what === 'function') return what()
  const places = what.startsWith('/') ? [''] : systemPath()
  return places.some((place) => {
    try {
      accessSync(place === '' ? what : join(place, what), what.startsWith('/') ? constants.R_OK : constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

export function quietly(command, commandArgs, options = {}) {
  const done = spawnSync(command, commandArgs, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  })
  if (done.error || done.status !== 0) {
    stop(
      `${command} ${commandArgs.join(' ')} failed: ${(done.stderr || done.error?.message || '').trim().split('\n').slice(-5).join(' | ')}`,
    )
  }
  return done.stdout
}

/** The programs are wanted, not their services: no DHCP server may start on this machine because of a test. */
function withoutDaemons(missing, install) {
  const policy = '/usr/sbin/policy-rc.d'
  const ours = !existsSync(policy)
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', {mode: 0o755})
  const remove = () => ours && rmSync(policy, {force: true})
  process.once('exit', remove)
  install()
  remove()
  if (existsSync('/run/systemd/system')) spawnSync('systemctl', ['disable', ...servicesOf(missing)], {stdio: 'ignore'})
}

/** The services that come enabled with some of the packages; not to start at the next boot either. */
function servicesOf(packages) {
  const services = {
    'isc-dhcp-server': 'isc-dhcp-server',
    'isc-dhcp-relay': 'isc-dhcp-relay',
    'kea-dhcp4-server': 'kea-dhcp4-server',
    keepalived: 'keepalived',
    frr: 'frr',
    'network-manager': 'NetworkManager',
    'qemu-guest-agent': 'qemu-guest-agent',
    'libvirt-daemon': 'libvirtd',
    'rabbitmq-server': ['rabbitmq-server', 'epmd.socket'],
  }
  return packages.flatMap((name) => services[name] ?? [])
}

/**
 * Installs what is missing of `wanted`: pairs of what shows that it is there (see {@link found}) and the package that
 * brings it. Where it cannot be installed, stops if it is `required`, and says so if not.
 */
export function debian(wanted, required) {
  const missing = [...new Set(wanted.filter(([what]) => !found(what)).map(([, name]) => name))]
  if (missing.length === 0) return
  const apt = `apt-get install --no-install-recommends ${missing.join(' ')}`
  if (process.getuid?.() === 0 && found('apt-get')) {
    say(`installing Debian packages: ${missing.join(' ')}`)
    const env = {...process.env, DEBIAN_FRONTEND: 'noninteractive'}
    quietly('apt-get', ['update', '-q'], {env})
    withoutDaemons(missing, () =>
      quietly('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...missing], {env}),
    )
    return
  }
  const line = `missing: ${missing.join(', ')}; as root: ${apt}`
  if (required) stop(line)
  say(`${line} (tests that need them are skipped)`)
}

/** Shared libraries that programs from npm's registry are linked to and a bare Debian may lack, and their packages. */
const LIBRARIES = {
  'libatomic.so.1': 'libatomic1',
  'libgcc_s.so.1': 'libgcc-s1',
  'libstdc++.so.6': 'libstdc++6',
}

/** Installs the shared libraries that `files`, programs or libraries themselves, lack; stops where that cannot be. */
export function libraries(files) {
  const missing = new Map(files.flatMap((file) => missingLibraries(file).map((library) => [library, file])))
  const unknown = [...missing].find(([library]) => !(library in LIBRARIES))
  if (unknown) stop(`${unknown[1]} needs the shared library ${unknown[0]}, which this system lacks: install it`)
  debian(
    [...missing.keys()].map((library) => [() => false, LIBRARIES[library]]),
    true,
  )
  const still = files.find((file) => missingLibraries(file).length > 0)
  if (still) stop(`${still} needs ${missingLibraries(still).join(', ')}, and the package did not bring it`)
}

/** As the loader names them: `libatomic.so.1 => not found`. */
function missingLibraries(file) {
  const {stdout} = spawnSync('ldd', [file], {encoding: 'utf8', env: {...process.env, LC_ALL: 'C'}})
  return [...(stdout ?? '').matchAll(/^\s*(\S+) => not found$/gm)].map(([, library]) => library)
}

/** The native programs and libraries below a folder of npm packages, without those for musl. */
export function nativeFiles(folder) {
  return readdirSync(folder, {withFileTypes: true}).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return /(^|[-_])musl/.test(entry.name) ? [] : nativeFiles(path)
    return entry.isFile() && isElf(path) ? [path] : []
  })
}

function isElf(path) {
  // Sources by the thousand need not be read.
  if (/\.(?:[cm]?[jt]s|map|json|md)$/.test(path)) return false
  const start = Buffer.alloc(4)
  const fd = openSync(path, 'r')
  readSync(fd, start)
  closeSync(fd)
  return start.equals(Buffer.from('\x7fELF', 'latin1'))
}
