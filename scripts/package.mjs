// Packages for users, in out/package: the .deb, which needs no Node.
//
//   npm run package               builds it
//   npm run package -- --check    and looks at it with lintian, then installs, uses, upgrades, removes and purges it in a
//                                 bare Debian 12 in a folder (root only); then the same with what npm packs in a clone of HEAD
//   --in FOLDER                   where those folders are made (/var/tmp)
//
// The same sources and SOURCE_DATE_EPOCH (else the date of the last commit) give the same files, their dates included.
import {execFileSync} from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import {basename, dirname, join} from 'node:path'
import {parseArgs} from 'node:util'
import {gzipSync} from 'node:zlib'
import {debian, quietly, root, say, stop} from './debian.mjs'
import {checkDeb, checkNpm} from './package-check.mjs'

const ARCHITECTURES = {x64: 'amd64', arm64: 'arm64'}
const {values} = parseArgs({
  options: {check: {type: 'boolean', default: false}, in: {type: 'string', default: '/var/tmp'}},
})
const {version} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const epoch = Number(process.env.SOURCE_DATE_EPOCH ?? quietly('git', ['log', '-1', '--format=%ct']).trim())
const architecture = ARCHITECTURES[process.arch] ?? stop(`no Debian package is made for ${process.arch}`)
const out = join(root, 'out/package')
const stage = join(out, 'root')
const HOME = 'usr/lib/gwswitch'
const DOC = 'usr/share/doc/gwswitch'

const at = (path) => join(stage, path)
const folder = (path, mode = 0o755) => {
  mkdirSync(at(path), {recursive: true})
  chmodSync(at(path), mode)
}
function put(path, content, mode = 0o644) {
  folder(dirname(path))
  writeFileSync(at(path), content)
  chmodSync(at(path), mode)
}
const copy = (from, to, mode) => put(to, readFileSync(from), mode)
/** Without its name and its date. */
const packed = (text) => gzipSync(text, {level: 9})
const filesIn = (path) => (existsSync(join(root, path)) ? readdirSync(join(root, path)).sort() : [])

/** Node without what debuggers want, with gwswitch in it, and koffi's binary beside it. */
function program() {
  const node = join(out, 'node')
  copyFileSync(process.execPath, node)
  chmodSync(node, 0o755)
  quietly('strip', [node])
  folder(HOME)
  execFileSync(node, [join(root, 'scripts/executable.mjs'), at(`${HOME}/gwswitch`), join(out, 'parts')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  chmodSync(at(`${HOME}/gwswitch`), 0o755)
  const koffi = join(root, `node_modules/@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`)
  copy(koffi, `${HOME}/koffi.node`)
  quietly('strip', ['--strip-unneeded', at(`${HOME}/koffi.node`)])
  folder('usr/bin')
  symlinkSync('../lib/gwswitch/gwswitch', at('usr/bin/gwswitch'))
  folder(`${HOME}/plugins`)
}

const UNITS = 'lib/systemd/system'
/** Where shells and man look for what lies in these folders of packaging/, if it does. */
const completion = {
  bash: () => 'usr/share/bash-completion/completions/gwswitch',
  zsh: () => 'usr/share/zsh/vendor-completions/_gwswitch',
  fish: () => 'usr/share/fish/vendor_completions.d/gwswitch.fish',
}

function rest() {
  for (const name of filesIn('packaging')) {
    const file = join(root, 'packaging', name)
    if (name.endsWith('.service')) copy(file, `${UNITS}/${name}`)
    else if (/\.(?:yaml|conf)$/.test(name)) copy(file, `${DOC}/examples/${name}`)
  }
  // "gwswitch agent install" takes it from here.
  copy(join(root, 'packaging/gwswitch-agent.service'), `${HOME}/packaging/gwswitch-agent.service`)
  for (const name of filesIn('packaging/completions')) {
    const shell = /^_/.test(name) ? 'zsh' : name.split('.').at(-1)
    copy(join(root, 'packaging/completions', name), completion[shell]())
  }
  for (const name of filesIn('packaging/man')) {
    const text = readFileSync(join(root, 'packaging/man', name))
    put(`usr/share/man/man${name.split('.').at(-1)}/${name}.gz`, packed(text))
  }
  for (const name of filesIn('schemas')) copy(join(root, 'schemas', name), `usr/share/gwswitch/schemas/${name}`)
  cpSync(join(root, 'docs'), at(`${DOC}/docs`), {recursive: true, filter: (path) => !path.includes('/decisions')})
  copy(join(root, 'README.md'), `${DOC}/README.md`)
  copy(join(root, 'packaging/debian/copyright'), `${DOC}/copyright`)
  copy(join(root, 'packaging/debian/lintian-overrides'), 'usr/share/lintian/overrides/gwswitch')
  put(`${DOC}/changelog.gz`, packed(readFileSync(join(root, 'CHANGELOG.md'))))
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000')
  put(
    `${DOC}/changelog.Debian.gz`,
    packed(`gwswitch (${version}-1) unstable; urgency=medium\n\n  * See changelog.gz.\n\n -- ${MAINTAINER}  ${date}\n`),
  )
  folder('etc/gwswitch')
  folder('var/lib/gwswitch', 0o700)
}

const MAINTAINER = 'the gwswitch authors <gwswitch@packages.invalid>'

function control(debVersion) {
  const files = quietly('find', ['.', '-type', 'f', '-not', '-path', './DEBIAN/*', '-printf', '%P\n'], {cwd: stage})
    .trim()
    .split('\n')
    .sort()
  const kilobytes = quietly('du', ['-k', '-s', '--apparent-size', '--exclude=DEBIAN', '.'], {cwd: stage}).split('\t')[0]
  rmSync(at('DEBIAN'), {recursive: true, force: true})
  put(
    'DEBIAN/control',
    `Package: gwswitch
Version: ${debVersion}
Section: net
Priority: optional
Architecture: ${architecture}
Maintainer: ${MAINTAINER}
Installed-Size: ${kilobytes}
Depends: libc6 (>= 2.28), libgcc-s1 (>= 4.2), libstdc++6 (>= 9)${needsAtomic() ? ', libatomic1' : ''}
Recommends: iproute2, nftables
Description: moves live-migrated VMs to the default gateway of their new site
 Finds traffic trombones after a live migration over a stretched segment, moves
 the VM's default gateway to the site it is now in, proves that it moved, and
 takes it back if it did not: by ARP and Neighbour Discovery, by DHCP, by an
 agent in the VM, or by redirection at its bridge. Node.js lies in the program.
`,
  )
  put('DEBIAN/md5sums', quietly('md5sum', files, {cwd: stage}))
  for (const name of ['postinst', 'prerm', 'postrm'])
    copy(join(root, 'packaging/debian', name), `DEBIAN/${name}`, 0o755)
}

const needsAtomic = () => quietly('readelf', ['-d', at(`${HOME}/gwswitch`)]).includes('libatomic')

/** @returns the package's path */
function build(debVersion, compression) {
  control(debVersion)
  quietly('find', ['.', '-newermt', `@${epoch}`, '-exec', 'touch', '-h', '-d', `@${epoch}`, '{}', '+'], {cwd: stage})
  const file = join(out, `gwswitch_${debVersion}_${architecture}.deb`)
  quietly('dpkg-deb', ['--root-owner-group', ...compression, '--build', stage, file], {
    env: {...process.env, SOURCE_DATE_EPOCH: String(epoch)},
  })
  return file
}

debian([['dpkg-deb', 'dpkg'], ['strip', 'binutils'], ...(values.check ? [['lintian', 'lintian']] : [])], true)
rmSync(out, {recursive: true, force: true})
process.umask(0o022)
folder('')
program()
rest()
const file = build(`${version}-1`, ['-Zxz'])
say(`${file} (${(readFileSync(file).length / 1e6).toFixed(1)} MB)`)
if (values.check) {
  // The one that is upgraded: the same, of a version before.
  const before = build(`${version}-0`, ['-Zgzip', '-z1'])
  const well = await checkDeb(file, before, values.in)
  rmSync(before)
  process.exitCode = (await checkNpm(values.in)) && well ? 0 : 1
}
say(basename(file))
