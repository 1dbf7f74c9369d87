// What both bundles share, dist/ and the executable: which files are programs, and what is left out of oclif.
import {createHash} from 'node:crypto'
import {globSync, readFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** What runs as a process of its own ends in -main; the lab's sessions do too, by older names. */
export const PROGRAMS = ['**/*-main.ts', 'lab/session-{client,server}.ts']
/** What oclif loads by its path. */
export const COMMANDS = ['{commands,hooks}/**/*.ts']

export const sources = (patterns) => globSync(patterns, {cwd: join(root, 'src')}).sort()

/** Replaces in somebody else's file, and fails when there is nothing to replace any more. */
function replacing(name, id, pairs) {
  return {
    name,
    transform: {
      filter: {id},
      handler(code) {
        for (const [from, to] of pairs) {
          if (!code.includes(from)) throw new Error(`${name}: the file no longer has "${from}"`)
          code = code.replaceAll(from, () => to)
        }
        return code
      },
    },
  }
}

/** Sorts commands by their names, which are ASCII; loading ICU's collation for that takes a third as long as Node's start. */
const withoutCollation = {
  name: 'without-collation',
  transform: {
    filter: {id: /@oclif[\\/]core[\\/]lib[\\/]/, code: /\.localeCompare\(/},
    handler: (code) => code.replaceAll(/([\w.]+)\.localeCompare\(([\w.]+)\)/g, '($1 < $2 ? -1 : $1 > $2 ? 1 : 0)'),
  },
}

/** Looks in files whether this is Windows' Linux, for nothing that gwswitch does. */
const notWindows = {
  name: 'not-windows',
  resolveId: {filter: {id: /^wsl-utils$/}, handler: (id) => ({id: `\0${id}`})},
  load: {
    filter: {id: /^\0wsl-utils$/},
    handler: () => 'export const isWsl = false, powerShellPath = () => "powershell"',
  },
}

/** Its few small files are read at once: to start libuv's threads for them takes longer. */
const readAtOnce = replacing('read-at-once', /@oclif[\\/]core[\\/]lib[\\/]util[\\/]fs\.js$/, [
  ["await (0, promises_1.readFile)(path, 'utf8')", "(0, node_fs_1.readFileSync)(path, 'utf8')"],
])

/** A template is compiled where there is more in it than a name of the context, which is looked up; few lines have one at all. */
const plainLines = replacing('plain-lines', /@oclif[\\/]core[\\/]lib[\\/]help[\\/]util\.js$/, [
  [
    'return ejs_1.default.render(t, context);',
    'const plain = t.replaceAll(/<%= (\\w+)\\.(\\w+) %>/g, (all, of, name) => context[of]?.[name] ?? all);' +
      "return plain.includes('<%') ? ejs_1.default.render(t, context) : plain;",
  ],
])

/** A line of ASCII that fits is not taken apart to be wrapped. */
const shortLines = replacing('short-lines', /@oclif[\\/]core[\\/]lib[\\/]help[\\/]formatter\.js$/, [
  [
    'return (0, wrap_ansi_1.default)(this.render(body), this.opts.maxWidth - spacing, { hard: true });',
    'const text = this.render(body), width = this.opts.maxWidth - spacing;' +
      'return text.length <= width && /^(?! )[ -~]*(?<! )$/.test(text) ? text : (0, wrap_ansi_1.default)(text, width, { hard: true });',
  ],
])

export const lean = [withoutCollation, notWindows, readAtOnce, plainLines, shortLines]
export {replacing}

/** Of all that the program is made of: what one program keeps, another one does not take. */
export function buildId() {
  const files = [...globSync('src/**/*.ts', {cwd: root}).sort(), 'package-lock.json']
  const sum = createHash('sha256')
  for (const name of files) sum.update(`${name}\n`).update(readFileSync(join(root, name)))
  return sum.digest('hex')
}
