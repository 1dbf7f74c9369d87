// A bare Debian 12 in a folder, and programs in it as on a machine of its own.
import {spawn, spawnSync} from 'node:child_process'
import {chmodSync, copyFileSync, existsSync, mkdtempSync, rmSync} from 'node:fs'
import {join} from 'node:path'
import {debian, quietly, root as repository, say, stop} from './debian.mjs'

const CODENAME = 'bookworm'
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** What is to be ended before this process ends. */
const running = new Set()

/** Ends with this process, whatever ends it, together with all that it starts. */
function inNamespaces(command, options = {}, more = []) {
  const own = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', ...more]
  const [program, ...args] = ['unshare', ...own, ...command]
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
    ...options,
  })
  running.add(child)
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      running.delete(child)
      resolve(signal ?? code)
    })
  })
}

/**
 * The outcome of a program in a root: its exit code, or the signal that ended it. `apart`: with a network of its own, out
 * of reach of this machine's.
 */
export const within = (folder, directory, command, {stdin = 'ignore', apart = false} = {}) =>
  inNamespaces(
    [join(repository, 'scripts/fresh-root.sh'), folder, directory, ...command],
    {
      stdio: [stdin, 'inherit', 'inherit'],
      env: {
        ...Object.fromEntries(
          Object.entries(process.env).filter(([name]) => /^(?:TERM|CI|NO_COLOR|\w+_proxy)$/i.test(name)),
        ),
        PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        HOME: '/root',
        LANG: 'C.UTF-8',
      },
    },
    apart ? ['--net'] : [],
  )

/** This machine's sources of Debian 12, as lines of a sources.list(5); none of anybody else's packages. */
function aptSources() {
  const format = '$(ORIGIN) $(CODENAME) deb $(REPO_URI) $(RELEASE) $(COMPONENT)'
  const ask = () => quietly('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'])
  const lines = () =>
    ask()
      .split('\n')
      .flatMap((line) => new RegExp(`^Debian ${CODENAME}\\S* (deb .*)$`).exec(line)?.[1] ?? [])
  if (lines().length === 0) quietly('apt-get', ['update', '-q'])
  return lines().length > 0 ? lines() : stop(`apt has no package sources of Debian ${CODENAME} here (sources.list(5))`)
}

/** How this machine's apt reaches them: proxies, certificates, and whether dates count. */
const aptOptions = () =>
  quietly('apt-config', ['dump'])
    .split('\n')
    .filter((line) => /^Acquire::(?:https?(?:::|\s)|Check-|Retries|ForceIPv[46])/.test(line))

/** For who removes it: where it was made. It is removed with this process, whatever ends it, unless it is to be kept. */
export async function debianRoot(place, packages, keep = false) {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) stop('a root of a system is made by root, on Linux')
  debian([['mmdebstrap', 'mmdebstrap']], true)
  const folder = mkdtempSync(join(place, 'gwswitch-fresh-'))
  removeAtEnd(folder, keep)
  chmodSync(folder, 0o755)
  const options = [
    ...aptOptions().flatMap((line) => ['--aptopt', line]),
    ...(existsSync(KEYRING) ? ['--keyring', KEYRING] : []),
  ]
  // What is thrown away need not survive a power cut.
  const quick = '--dpkgopt=force-unsafe-io'
  const args = ['--quiet', '--variant=minbase', `--include=${packages.join(',')}`, quick, ...options]
  const outcome = await inNamespaces(['mmdebstrap', ...args, CODENAME, folder, ...aptSources()])
  if (outcome !== 0) stop(`mmdebstrap failed (${outcome})`)
  rmSync(join(folder, 'etc/dpkg/dpkg.cfg.d/99mmdebstrap'))
  for (const file of ['/etc/resolv.conf', '/etc/hosts']) {
    rmSync(join(folder, file), {force: true})
    copyFileSync(file, join(folder, file))
  }
  return folder
}

/** Whatever ends this process: an error, a signal, the end. */
function removeAtEnd(folder, keep) {
  process.once('exit', () => {
    for (const child of running) child.kill('SIGKILL')
    if (keep) say(`kept: ${folder}; npm run fresh -- enter ${folder}`)
    // What was killed just now may still be writing.
    else spawnSync('sh', ['-c', 'rm -rf --one-file-system "$0" || { sleep 1; rm -rf --one-file-system "$0"; }', folder])
  })
  for (const [signal, number] of [
    ['SIGHUP', 1],
    ['SIGINT', 2],
    ['SIGTERM', 15],
  ])
    process.once(signal, () => process.exit(128 + number))
}
