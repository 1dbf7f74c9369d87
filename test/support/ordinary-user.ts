// Our programs as an ordinary user. A clone often lies in root's home, which nobody else can read: such a program runs in
// a mount namespace of its own, in which every folder on the way to the clone and to Node can be passed.
import {statSync} from 'node:fs'
import {dirname, join} from 'node:path'

export const NOBODY = 65534

/** The journal of the test run that is nobody's. */
export const nobodysJournal = (): string => join(dirname(process.env.GWSWITCH_JOURNAL!), 'nobody', 'journal.db')

const root = join(import.meta.dirname, '../..')

/** For sh(1): TOP FOLDER... -- COMMAND...: puts the folders below TOP aside, covers TOP, and puts them back. */
const PASSABLE = `set -e
mount -t tmpfs none /mnt
top=$1 count=0 kept=
while shift; [ "$1" != -- ]; do
  count=$((count + 1))
  mkdir /mnt/$count
  mount --bind "$1" /mnt/$count
  kept="$kept $1"
done
shift
mount -t tmpfs -o mode=755 none "$top"
count=0
for folder in $kept; do
  count=$((count + 1))
  mkdir -p "$folder"
  mount --move /mnt/$count "$folder"
done
umount /mnt
exec "$@"`

/** Words before a command that let every user pass to the clone and to Node; none where everybody can. */
function passable(): string[] {
  const folders = [root, dirname(dirname(process.execPath))].filter((folder) => barrier(folder) !== undefined)
  const outer = folders.filter((folder) => !folders.some((other) => folder !== other && folder.startsWith(`${other}/`)))
  return [...new Set(outer.map((folder) => barrier(folder)!))].flatMap((top) => [
    ...['unshare', '--mount', 'sh', '-c', PASSABLE, 'sh', top],
    ...outer.filter((folder) => barrier(folder) === top),
    '--',
  ])
}

/** The topmost folder above `path` that not everybody can pass; undefined if there is none. */
function barrier(path: string): string | undefined {
  const above = dirname(path)
  const higher = above === path ? undefined : barrier(above)
  return higher ?? (above !== path && (statSync(above).mode & 0o001) === 0 ? above : undefined)
}

/**
 * Words that run one of our programs as nobody, by setpriv(1). `capabilities`: which it keeps and may use
 * (`+net_admin,+net_raw`), as a unit with AmbientCapabilities gives them; by default those that it gets are none of its
 * concern. Takes root.
 */
export function asNobody(capabilities?: string): string[] {
  const sets = ['inh-caps', 'ambient-caps', 'bounding-set']
  return [
    ...passable(),
    ...['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'],
    ...(capabilities === undefined ? [] : ['--no-new-privs', ...sets.map((set) => `--${set}=-all,${capabilities}`)]),
    ...['env', `GWSWITCH_JOURNAL=${nobodysJournal()}`],
  ]
}
