// The guest of qemu-guest.ts with gwswitch in it, on a disk: as the executable of the .deb, which starts there in less than
// half of what Node needs to link the modules of dist/; where none can be made, as Node and dist/.
import {cpSync, existsSync, mkdirSync, renameSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {runCommand} from '../../src/net/process/command.ts'
import {cannotBuild, executable} from './executable.ts'
import {hasProgram} from './namespaces.ts'
import {addLibraries, addProgram, DISK_MODULES, type GuestImage, guestImage, packInitrd, which} from './qemu-guest.ts'

const root = join(import.meta.dirname, '../..')
/** What bin/run.js and the agent load beside what is bundled. */
const PACKAGES = ['koffi', '@koromix/koffi-linux-x64', 'zod', 'yaml']
/** Where the agent in the guest has its files. */
export const GUEST_ETC = '/etc/gwswitch'
/** Where its agent keeps its state: agent.yaml names the site lab's folder, whose name is {@link GUEST_ETC} in there. */
export const GUEST_STATE = `${GUEST_ETC}/state`

const start = (modules: readonly string[]): string => `
for name in ${[...DISK_MODULES, ...modules].join(' ')}; do [ -e /modules/$name.ko ] && insmod /modules/$name.ko; done
mkdir -p /opt/gwswitch
mount -t ext4 -o ro /dev/vda /opt/gwswitch
`
const PROGRAM = `#!/bin/sh
export HOME=/tmp NO_COLOR=1
exec /opt/gwswitch/${cannotBuild ? 'node /opt/gwswitch/bin/run.js' : 'gwswitch'} "$@"
`

/** The guest without it, built if need be; or why there is none here. */
export async function agentGuestBase(): Promise<GuestImage | string> {
  const base = await guestImage()
  if (typeof base === 'string' || (await hasProgram('mke2fs'))) return base
  return 'mke2fs is not installed (Debian: e2fsprogs)'
}

export interface Equipment {
  /** Kernel modules to load, of those in the guest. */
  readonly modules?: readonly string[] | undefined
  /** Programs of this machine to have there too. */
  readonly programs?: readonly string[]
}

/** Made in the folder `scratch`. `files` go to {@link GUEST_ETC}. Nothing of gwswitch runs in it. */
export async function agentGuestImage(
  base: GuestImage,
  scratch: string,
  files: Readonly<Record<string, string>>,
  {modules = [], programs = []}: Equipment = {},
): Promise<GuestImage> {
  const program = await programDisk(scratch)
  const added = join(scratch, 'initrd')
  for (const folder of ['sbin', GUEST_ETC]) mkdirSync(join(added, folder), {recursive: true})
  await addLibraries(added, process.execPath)
  for (const name of programs) await addProgram(added, await which(name), `sbin/${name}`)
  writeFileSync(join(added, 'start'), start(modules))
  writeFileSync(join(added, 'sbin/gwswitch'), PROGRAM, {mode: 0o755})
  for (const [name, text] of Object.entries(files)) writeFileSync(join(added, GUEST_ETC, name), text, {mode: 0o600})
  const initrd = join(scratch, 'initrd.img')
  await packInitrd(added, `${initrd}.added`)
  await runCommand('sh', ['-c', `cat ${base.initrd} ${initrd}.added > ${initrd}`])
  return {...base, initrd, disks: [program], memoryKb: 327_688}
}

/** Made in the folder `scratch`, unless it is kept: beside the executable. */
async function programDisk(scratch: string): Promise<string> {
  if (cannotBuild) return nodeAndProgram(scratch)
  const folder = await executable()
  const disk = `${folder}.img`
  if (existsSync(disk)) return disk
  const made = `${disk}-${process.pid}`
  await makeDisk(folder, made)
  renameSync(made, disk)
  return disk
}

async function nodeAndProgram(scratch: string): Promise<string> {
  const folder = join(scratch, 'program')
  const files = ['package.json', 'oclif.manifest.json', 'bin/run.js', 'dist']
  const names = [...files, ...PACKAGES.map((name) => `node_modules/${name}`)]
  for (const name of names) cpSync(join(root, name), join(folder, name), {recursive: true})
  cpSync(process.execPath, join(folder, 'node'))
  const disk = join(scratch, 'program.img')
  await makeDisk(folder, disk)
  return disk
}

/** Without mounting anything here, and without a journal, which nobody would write. */
const makeDisk = (folder: string, to: string): Promise<string> =>
  runCommand('mke2fs', ['-q', '-F', '-t', 'ext4', '-O', '^has_journal', '-m', '0', '-d', folder, to, '224M'])
