// Writes packaging/man/: a page of the whole and one a command, from what --help is made of. A test compares them.
//
// mdoc(7): a page says what a word is, and the reader's program how it looks.
import {mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const folder = join(root, 'packaging/man')

/** Of the documents, not of the day on which they are made: the same sources give the same pages. */
const DATE = '$Mdocdate$'

/** Text that roff(7) takes for nothing else: backslashes, a dot or an apostrophe that begins a line, characters beyond ASCII. */
const text = (words) =>
  words
    .replaceAll('\\', '\\e')
    .replaceAll(
      /[^\0-\x7f]/g,
      (character) => `\\[u${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}]`,
    )
    .replaceAll(/^([.'])/gm, '\\&$1')

/** An argument of a macro: one, and no macro itself. */
const argument = (words) => `"\\&${text(words).replaceAll('"', '\\(dq')}"`

/** Sentences, each on lines of its own, as mdoc(7) wants them. */
const prose = (words) =>
  words
    .split(/(?<=[.!?]) +/)
    .flatMap(wrapped)
    .map(text)
    .join('\n')

/** Lines of at most 80 bytes, unless a word is longer. */
function wrapped(sentence) {
  const lines = ['']
  for (const word of sentence.split(' ')) {
    const longer = lines.at(-1) === '' ? word : `${lines.at(-1)} ${word}`
    if (text(longer).length > 78 && lines.at(-1) !== '') lines.push(word)
    else lines[lines.length - 1] = longer
  }
  return lines
}

const paragraphs = (words) =>
  words
    .split(/\n\s*\n/)
    .map((each) => prose(each.replaceAll(/\s*\n\s*/g, ' ')))
    .join('\n.Pp\n')

const spoken = (id) => id.replaceAll(':', ' ')
const pageName = (id) => ['gwswitch', ...id.split(':')].join('-')

/** oclif's templates: `<%= config.bin %>` and `<%= command.id %>`. */
const filled = (words, id) =>
  words.replaceAll(/<%= config\.bin %>/g, 'gwswitch').replaceAll(/<%= command\.id %>/g, spoken(id))

function header(name, about) {
  return [`.Dd ${DATE}`, `.Dt ${name.toUpperCase()} 1`, '.Os', '.Sh NAME', `.Nm ${name}`, `.Nd ${text(about)}`]
}

function synopsis({id, args, flags, strict}) {
  const required = Object.values(flags).filter((flag) => flag.required)
  return [
    '.Sh SYNOPSIS',
    '.Nm gwswitch',
    `.Cm ${spoken(id)}`,
    ...required.map(({name, helpValue}) => `.Fl -${name} Ar ${argument(helpValue ?? 'VALUE')}`),
    ...Object.values(args).map((arg) => {
      const many = strict === false ? ' ...' : ''
      return arg.required
        ? `.Ar ${argument(arg.name.toUpperCase())}${many}`
        : `.Op Ar ${argument(arg.name.toUpperCase())}${many}`
    }),
    '.Op Ar flags',
  ]
}

/** As it is typed: `-i`, `--interface` IF. */
function flagItem({
  name,
  char,
  type,
  helpValue,
  options,
  allowNo,
  summary,
  description,
  required,
  multiple,
  env,
  default: preset,
}) {
  const value = type === 'option' ? ` Ar ${argument(helpValue ?? (options ? options.join('|') : 'VALUE'))}` : ''
  const short = char ? `Fl ${char} , ` : ''
  const no = allowNo ? ` , Fl -no-${name}` : ''
  const notes = [
    required && 'Required.',
    multiple && 'May be repeated.',
    options && helpValue && `One of ${options.join(', ')}.`,
    preset !== undefined && type === 'option' && `Default: ${preset}.`,
    env && `Environment: ${env}.`,
  ].filter(Boolean)
  const said = (summary ?? description ?? '').replace(/[.\s]+$/, '')
  return [`.It ${short}Fl -${name}${value}${no}`, prose(`${said}.`), ...notes.map(prose)]
}

const flagList = (flags) => ['.Bl -tag -width Ds', ...flags.flatMap(flagItem), '.El']

const listOf = (title, items) => (items.length === 0 ? [] : [`.Sh ${title}`, ...items])

function examples({examples: given = [], id}) {
  const items = given.map((each) => (typeof each === 'string' ? {command: each} : each))
  return listOf(
    'EXAMPLES',
    items.flatMap(({description, command}) => [
      ...(description ? [prose(`${description}:`)] : []),
      '.Bd -literal -offset indent',
      text(filled(command, id)),
      '.Ed',
    ]),
  )
}

/** "Exit: ..." of a description is a section of its own. */
function split(description = '') {
  const at = description.search(/(?:^|\n\n)Exit: /)
  return at < 0
    ? [description, undefined]
    : [
        description.slice(0, at),
        description
          .slice(at)
          .trim()
          .replace(/^Exit: /, ''),
      ]
}

/** Those of the same topic, and the whole. */
function seeAlso(id, commands) {
  const topic = id.split(':')[0]
  const near = commands
    .filter((each) => each.id !== id && each.id.split(':')[0] === topic)
    .map((each) => pageName(each.id))
  const pages = ['gwswitch', ...near].sort()
  return ['.Sh SEE ALSO', ...pages.map((name, i) => `.Xr ${name} 1${i < pages.length - 1 ? ' ,' : ''}`)]
}

function commandPage(command, commands) {
  const [description, exit] = split(filled(command.description ?? '', command.id))
  const flags = Object.values(command.flags).filter(({hidden}) => !hidden)
  const isGlobal = ({helpGroup}) => helpGroup === 'GLOBAL'
  const args = Object.values(command.args).filter((arg) => arg.description)
  const own = flags.filter((flag) => !isGlobal(flag))
  const global = flags.filter(isGlobal)
  const lines = [
    ...header(pageName(command.id), command.summary ?? ''),
    ...synopsis(command),
    '.Sh DESCRIPTION',
    paragraphs(description || `${command.summary}.`),
    ...(args.length === 0
      ? []
      : [
          '.Pp',
          'The arguments are:',
          '.Bl -tag -width Ds',
          ...args.flatMap((arg) => [
            `.It Ar ${argument(arg.name.toUpperCase())}`,
            prose(`${arg.description}.`),
            ...(arg.options ? [prose(`One of ${arg.options.join(', ')}.`)] : []),
          ]),
          '.El',
        ]),
    ...(own.length === 0 ? [] : ['.Pp', 'The flags are:', ...flagList(own)]),
    ...(global.length === 0 ? [] : ['.Pp', 'As of every command:', ...flagList(global)]),
    ...(exit ? ['.Sh EXIT STATUS', prose(exit)] : []),
    ...examples(command),
    ...seeAlso(command.id, commands),
  ]
  return `${lines.join('\n')}\n`
}

/** The table of README.md, "Exit codes", as list items. */
function exitCodes() {
  const section = /^#+ Exit codes\n([\s\S]*?)(?=^#)/m.exec(readFileSync(join(root, 'README.md'), 'utf8'))?.[1] ?? ''
  const rows = [...section.matchAll(/^\| *(\d[\d, +n]*?) *\| *(.*?) *\|$/gm)]
  return rows.flatMap(([, code, meaning]) => [`.It ${code}`, prose(meaning.replaceAll(/[`*]/g, ''))])
}

function wholePage(commands, {description}) {
  const codes = exitCodes()
  const lines = [
    ...header(
      'gwswitch',
      description.replace(/^./, (first) => first.toLowerCase()),
    ),
    '.Sh SYNOPSIS',
    '.Nm',
    '.Ar command',
    '.Op Ar arguments',
    '.Op Ar flags',
    '.Sh DESCRIPTION',
    paragraphs(
      `${description}.\n\nEvery command has a page of its own, which says the same as "gwswitch help COMMAND". A flag takes one value; one that takes several is repeated.\n\nThe commands are:`,
    ),
    '.Bl -tag -width Ds',
    ...commands.flatMap((command) => [`.It Xr ${pageName(command.id)} 1`, prose(`${command.summary}.`)]),
    '.El',
    '.Sh ENVIRONMENT',
    '.Bl -tag -width Ds',
    ...variables(commands).flatMap(([name, flags]) => [
      `.It Ev ${name}`,
      prose(`Stands for ${flags.map((flag) => `--${flag}`).join(' or ')} where that is not given.`),
    ]),
    '.It Ev GWSWITCH_PLUGINS',
    'The folder that plugins are installed into, in place of',
    '.Pa /usr/lib/gwswitch/plugins .',
    '.It Ev NO_COLOR , CLICOLOR , CLICOLOR_FORCE , TERM',
    'No colour where the first is set, the second is 0 or the last is dumb;',
    'colour also in a pipe where the third is set and not 0.',
    '.It Ev LC_ALL , LC_CTYPE , LANG',
    'Lines are drawn in ASCII where the locale is not UTF-8.',
    '.El',
    '.Sh FILES',
    '.Bl -tag -width Ds',
    '.It Pa ./gwswitch.yaml , Pa /etc/gwswitch/gwswitch.yaml',
    'The inventory of sites, gateways and VMs.',
    '.El',
    ...(codes.length === 0 ? [] : ['.Sh EXIT STATUS', '.Bl -tag -width Ds', ...codes, '.El']),
    '.Sh SEE ALSO',
    ...commands.map(({id}, i) => `.Xr ${pageName(id)} 1${i < commands.length - 1 ? ' ,' : ''}`),
  ]
  return `${lines.join('\n')}\n`
}

/** Variables that stand for flags, by name. */
function variables(commands) {
  const found = new Map()
  for (const {flags} of commands)
    for (const {env, name} of Object.values(flags)) if (env) found.set(env, (found.get(env) ?? new Set()).add(name))
  return [...found].map(([env, flags]) => [env, [...flags].sort()]).sort(([a], [b]) => (a < b ? -1 : 1))
}

/** The pages by their file names. */
export function manPages() {
  const manifest = JSON.parse(readFileSync(join(root, 'oclif.manifest.json'), 'utf8'))
  const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const commands = Object.values(manifest.commands).filter(({hidden}) => !hidden)
  return new Map([
    ['gwswitch.1', wholePage(commands, pjson)],
    ...commands.map((command) => [`${pageName(command.id)}.1`, commandPage(command, commands)]),
  ])
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(folder, {recursive: true})
  const pages = manPages()
  for (const name of readdirSync(folder)) if (!pages.has(name)) rmSync(join(folder, name))
  for (const [name, page] of pages) writeFileSync(join(folder, name), page)
}
