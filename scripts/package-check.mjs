// Looks at the packages as their users will: lintian, and the whole life of each in a bare Debian 12.
import {spawnSync} from 'node:child_process'
import {copyFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {quietly, say} from './debian.mjs'
import {debianRoot, within} from './debian-root.mjs'
import {CLONE, clone, installNode, PACKAGES} from './newcomer.mjs'
import {DEB_LIFE, npmLife} from './package-life.mjs'

/** What it depends on and recommends, as apt(8) would install it. */
const neededBy = (file) =>
  quietly('dpkg-deb', ['--field', file, 'Depends', 'Recommends'])
    .replaceAll(/^\w+: | \([^)]*\)/gm, '')
    .split(/[,\s]+/)
    .filter(Boolean)

/** A shell script in a root, as a file, since it says more than a command line should. */
async function lived(folder, script, options) {
  writeFileSync(join(folder, 'tmp/life.sh'), script)
  const outcome = await within(folder, '/root', ['/bin/sh', '/tmp/life.sh'], options)
  if (outcome !== 0) say(`FAILED in the root (${outcome})`)
  return outcome === 0
}

/** Whether all is well with the .deb; what is not has been said. */
export async function checkDeb(file, before, place) {
  say('lintian')
  const {stdout, stderr} = spawnSync('lintian', ['--allow-root', '--tag-display-limit', '0', file], {encoding: 'utf8'})
  process.stderr.write(stdout + stderr)
  const folder = await debianRoot(place, neededBy(file))
  copyFileSync(before, join(folder, 'tmp/before.deb'))
  copyFileSync(file, join(folder, 'tmp/after.deb'))
  const well = await lived(folder, DEB_LIFE, {apart: true})
  if (well) say('the .deb: installed, used, upgraded, removed, purged: nothing left')
  return well && !/^E: /m.test(stdout)
}

/** Whether all is well with what npm packs in a clone of HEAD. */
export async function checkNpm(place) {
  const folder = await debianRoot(place, [...PACKAGES, 'nftables', 'jq'])
  installNode(folder)
  clone(folder)
  const {installed, used, removed} = npmLife(`${CLONE}/tools/node/node_modules/node-linux-${process.arch}/bin`)
  const well =
    (await lived(folder, `cd ${CLONE}\n${installed}`)) &&
    (await lived(folder, used, {apart: true})) &&
    (await lived(folder, removed))
  if (well) say('npm: packed, installed, used, removed: nothing left')
  return well
}
