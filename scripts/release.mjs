// Makes a release of what is checked out: npm tarball, Debian packages, a list of what is in it (CycloneDX), checksums, and
// the tag. Pushes nothing. Without --make it says what is in the way, and what it would do.
//
//   npm run release [-- --make]
import {spawnSync} from 'node:child_process'
import {createHash} from 'node:crypto'
import {cpSync, globSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {basename, dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const OUT = 'out/release'

/** What CHANGELOG says of a version, without its heading; undefined where it has no section of it. */
export function sectionOf(changelog, version) {
  const sections = changelog.split(/^(?=## \[)/m)
  const found = sections.find((section) => section.startsWith(`## [${version}]`))
  return found?.replace(/^.*\n/, '').trim()
}

/** Whatever is in the way of a release, a line each. */
export function obstacles({version, manifestVersion, changelog, status, tags}) {
  const section = sectionOf(changelog, version)
  const dated = new RegExp(`^## \\[${version.replaceAll('.', '\\.')}\\] - \\d{4}-\\d\\d-\\d\\d$`, 'm')
  return [
    ...(status === '' ? [] : [`changes that are not committed: ${status.split('\n').length} files (git status)`]),
    ...(tags.includes(`v${version}`) ? [`v${version} is tagged already: npm version, then npm run manifest`] : []),
    ...(manifestVersion === version ? [] : [`oclif.manifest.json is of ${manifestVersion}: npm run manifest`]),
    ...(section === undefined ? [`CHANGELOG.md has no section [${version}]`] : []),
    ...(section === '' ? [`CHANGELOG.md says nothing of ${version}`] : []),
    ...(section && !dated.test(changelog) ? [`CHANGELOG.md: want "## [${version}] - YYYY-MM-DD"`] : []),
    ...(sectionOf(changelog, 'Unreleased') === '' ? [] : ['CHANGELOG.md: [Unreleased] is missing or not empty']),
  ]
}

function output(program, ...args) {
  const {status, stdout, stderr, error} = spawnSync(program, args, {cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28})
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`)
  return stdout
}

function run(program, ...args) {
  process.stderr.write(`release: ${program} ${args.join(' ')}\n`)
  const {status} = spawnSync(program, args, {cwd: root, stdio: ['inherit', 2, 2]})
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed`)
}

const read = (file) => readFileSync(join(root, file), 'utf8')

function facts() {
  const {version, scripts} = JSON.parse(read('package.json'))
  return {
    version,
    hasPackage: 'package' in scripts,
    manifestVersion: JSON.parse(read('oclif.manifest.json')).version,
    changelog: read('CHANGELOG.md'),
    status: output('git', 'status', '--porcelain').trimEnd(),
    tags: output('git', 'tag', '--list').split('\n'),
  }
}

/** As sha256sum(1) reads it. */
function checksums(folder) {
  const lines = readdirSync(folder).sort()
  return lines
    .map(
      (file) =>
        `${createHash('sha256')
          .update(readFileSync(join(folder, file)))
          .digest('hex')}  ${file}\n`,
    )
    .join('')
}

function make({version, hasPackage, changelog}) {
  const out = join(root, OUT)
  run('npm', 'run', 'check')
  rmSync(out, {recursive: true, force: true})
  mkdirSync(out, {recursive: true})
  run('npm', 'pack', '--pack-destination', out)
  if (hasPackage) {
    rmSync(join(root, 'out/package'), {recursive: true, force: true})
    run('npm', 'run', 'package')
    for (const file of globSync(join(root, 'out/package/*.deb'))) cpSync(file, join(out, basename(file)))
  }
  const sbom = output('npm', 'sbom', '--sbom-format', 'cyclonedx', '--omit', 'dev')
  writeFileSync(join(out, `gwswitch-${version}.cdx.json`), sbom)
  writeFileSync(join(out, 'SHA256SUMS'), checksums(out))
  const status = output('git', 'status', '--porcelain').trimEnd()
  if (status !== '') throw new Error(`the checks or packages changed files: ${status}`)
  run(
    'git',
    'tag',
    '--annotate',
    '--cleanup=verbatim',
    `v${version}`,
    '--message',
    `${version}\n\n${sectionOf(changelog, version)}`,
  )
}

function main(args) {
  const strange = args.find((word) => word !== '--make' && word !== '--dry-run')
  if (strange !== undefined) throw new Error(`${strange}: want --make, or --dry-run (which is the default)`)
  const known = facts()
  const {version, hasPackage} = known
  const wrong = obstacles(known)
  if (wrong.length > 0) throw new Error(`${version} is not ready:\n  ${wrong.join('\n  ')}`)
  if (!args.includes('--make') || args.includes('--dry-run')) {
    const parts = ['npm tarball', ...(hasPackage ? ['Debian packages'] : []), 'SBOM', 'SHA256SUMS']
    process.stdout.write(
      `${version} is ready. --make runs npm run check, writes ${parts.join(', ')} to ${OUT}, and tags v${version}\n`,
    )
    return
  }
  make(known)
  process.stdout.write(
    `v${version} is tagged, and ${OUT} has what goes beside it:\n${read(join(OUT, 'SHA256SUMS'))}git push --follow-tags publishes it\n`,
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    main(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`release: ${error.message}\n`)
    process.exitCode = 1
  }
}
