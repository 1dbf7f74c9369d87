// The guest of image.ts with gwswitch in it: as one executable on a disk, where there is one, which starts there in less than
// half of what Node takes to link dist/. Else Node is on one disk, which is kept, and dist/ as it is now on another.
import {createHash} from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import {dirname, join} from 'node:path'
import {runCommand} from '../../net/process/command.ts'
import {isExecutable, packageFolder} from '../../net/process/program.ts'
import {
  addLibraries,
  addProgram,
  CACHE,
  DISK_MODULES,
  type GuestImage,
  guestImage,
  missingPrograms,
  packInitrd,
  which,
} from './image.ts'

/** What bin/run.js and the agent load beside what is bundled. */
const PACKAGES = ['koffi', '@koromix/koffi-linux-x64', 'zod', 'yaml']
/** Where the agent in the guest has its files. */
export const GUEST_ETC = '/etc/gwswitch'
/** Where its agent keeps its state: agent.yaml names the site lab's folder, whose name is {@link GUEST_ETC} in there. @internal */
export const GUEST_STATE = `${GUEST_ETC}/state`

const start = (modules: readonly string[], folders: readonly string[]): string => `
for name in ${[...DISK_MODULES, ...modules].join(' ')}; do [ -e /modules/$name.ko ] && insmod /modules/$name.ko; done
mkdir -p ${folders.join(' ')}
${folders.map((folder, i) => `mount -t ext4 -o ro /dev/vd${'ab'[i]} ${folder}`).join('\n')}
`
const program = (words: string): string => `#!/bin/sh
export HOME=/tmp NO_COLOR=1
exec ${words} "$@"
`

/** The guest without it, built if need be; or why there is none here. */
export async function agentGuestBase(): Promise<GuestImage | string> {
  const base = await guestImage()
  if (typeof base === 'string' || (await missingPrograms(['mke2fs'])).length === 0) return base
  return 'mke2fs is not installed (Debian: e2fsprogs)'
}

export interface Equipment {
  /** Kernel modules to load, of those in the guest. */
  readonly modules?: readonly string[] | undefined
  /** Programs of this machine to have there too. */
  readonly programs?: readonly string[]
  /** Folder of the executable, `gwswitch`, and what belongs to it; without it that of this process, if it is one. */
  readonly executable?: string | undefined
}

/** Made in the folder `scratch`. `files` go to {@link GUEST_ETC}. Nothing of gwswitch runs in it. */
export async function agentGuestImage(
  base: GuestImage,
  scratch: string,
  files: Readonly<Record<string, string>>,
  {modules = [], programs = [], executable = isExecutable ? dirname(process.execPath) : undefined}: Equipment = {},
): Promise<GuestImage> {
  const disks = await (executable === undefined
    ? Promise.all([nodeDisk(), programDisk(scratch)])
    : executableDisk(executable, scratch))
  const folders = executable === undefined ? ['/node', '/opt/gwswitch'] : ['/opt/gwswitch']
  const words = executable === undefined ? '/node/node /opt/gwswitch/bin/run.js' : '/opt/gwswitch/gwswitch'
  const added = join(scratch, 'initrd')
  for (const folder of ['sbin', GUEST_ETC]) mkdirSync(join(added, folder), {recursive: true})
  await addLibraries(added, process.execPath)
  for (const name of programs) await addProgram(added, await which(name), `sbin/${name}`)
  writeFileSync(join(added, 'start'), start(modules, folders))
  writeFileSync(join(added, 'sbin/gwswitch'), program(words), {mode: 0o755})
  for (const [name, text] of Object.entries(files)) writeFileSync(join(added, GUEST_ETC, name), text, {mode: 0o600})
  const initrd = join(scratch, 'initrd.img')
  await packInitrd(added, `${initrd}.added`)
  await runCommand('sh', ['-c', `cat ${base.initrd} ${initrd}.added > ${initrd}`])
  return {...base, initrd, disks, memoryKb: 327_688}
}

const KEPT_MS = 7 * 24 * 3_600_000

/** The Node that runs this, kept for whoever runs the same. Others are as long as somebody uses them, maybe just now. */
async function nodeDisk(): Promise<string> {
  const {size} = statSync(process.execPath)
  const key = createHash('sha256').update(`${process.version} ${size}`).digest('hex').slice(0, 16)
  const disk = join(CACHE, `node-${key}.img`)
  if (existsSync(disk)) {
    utimesSync(disk, new Date(), new Date())
    return disk
  }
  mkdirSync(CACHE, {recursive: true})
  const work = mkdtempSync(join(CACHE, 'node-'))
  try {
    const folder = join(work, 'disk')
    mkdirSync(folder)
    cpSync(process.execPath, join(folder, 'node'))
    const made = join(work, 'node.img')
    await makeDisk(folder, made, Math.ceil(size / 2 ** 20) + 16)
    for (const name of readdirSync(CACHE).filter((each) => /^node-\w+\.img$/.test(each)))
      if (Date.now() - statSync(join(CACHE, name)).mtimeMs > KEPT_MS) rmSync(join(CACHE, name), {force: true})
    renameSync(made, disk)
    return disk
  } finally {
    rmSync(work, {recursive: true, force: true})
  }
}

async function executableDisk(folder: string, scratch: string): Promise<string[]> {
  const disk = join(scratch, 'program.img')
  await makeDisk(folder, disk, 224)
  return [disk]
}

async function programDisk(scratch: string): Promise<string> {
  const folder = join(scratch, 'program')
  const files = ['package.json', 'oclif.manifest.json', 'bin/run.js', 'dist']
  const names = [...files, ...PACKAGES.map((name) => `node_modules/${name}`)]
  for (const name of names) cpSync(join(packageFolder(), name), join(folder, name), {recursive: true})
  const disk = join(scratch, 'program.img')
  await makeDisk(folder, disk, 64)
  return disk
}

/** Without mounting anything here, and without a journal, which nobody would write. */
const makeDisk = (folder: string, to: string, mb: number): Promise<string> =>
  runCommand('mke2fs', ['-q', '-F', '-t', 'ext4', '-O', '^has_journal', '-m', '0', '-d', folder, to, `${mb}M`])
