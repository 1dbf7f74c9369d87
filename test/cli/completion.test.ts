import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {type Manifest, offersFor} from '../../src/cli/completion/offers.ts'
import {bashReply, typedLine} from '../../src/cli/completion/shell-words.ts'

const manifest = JSON.parse(readFileSync(join(import.meta.dirname, '../../oclif.manifest.json'), 'utf8')) as Manifest
const offered = (line: string) => {
  const words = line.split(' ')
  return offersFor(manifest, words.slice(0, -1), words.at(-1)!)
}
const valuesOf = (line: string): string[] => offered(line).offers.map(({value}) => value)

describe('what is offered on a command line', () => {
  it('is every command at its start, and none that is hidden', () => {
    expect(valuesOf('')).toEqual(expect.arrayContaining(['switch', 'serve', 'mac-proxy', 'history', 'help']))
    expect(valuesOf('')).not.toContain('guard')
  })

  it.each([
    ['after a topic, its commands', 'mac-proxy ', ['apply', 'install', 'list', 'release']],
    ['after a topic that is a command too, those below it', 'history ', ['verify']],
    ['below a topic of a topic, its commands', 'filter keep ', ['add', 'remove']],
    ['after help, what help is of', 'help mac-proxy ', ['apply', 'install', 'list', 'release']],
    ['of a flag with few values, these', 'trace --proto ', ['auto', 'icmp', 'tcp', 'udp']],
    ['of an argument with few values, these', 'hook print ', ['libvirt', 'proxmox', 'xcp-ng', 'ovirt', 'generic']],
    ['of a number, nothing', 'switch --vlan ', []],
    ['after what is no command, nothing but help', 'nonsense ', ['--help']],
  ])('is %s', (_what, line, values) => {
    expect(valuesOf(line)).toEqual(values)
  })

  it.each([
    ['switch ', ['VM']],
    ['switch db-03 --to ', ['SITE', 'GATEWAY']],
    ['switch db-03 --to=', ['SITE', 'GATEWAY']],
    ['switch --strategy arp --strategy ', ['STRATEGY']],
    ['switch -i ', ['INTERFACE']],
    ['who -i br0 db-03 ', ['VM']],
    ['who -i br0 --segment ', ['SEGMENT']],
    ['trace --via ', ['GATEWAY']],
    ['serve site ', ['SITE']],
    ['undo ', ['VM']],
    ['switch db-03 ', ['VM']],
    ['lab move ', []],
    ['trace --port ', []],
  ])('looks up, for "%s", names of %j', (line, names) => {
    expect(offered(line).names).toEqual(names)
  })

  it.each([
    ['switch -f ', 'files'],
    ['inventory import libvirt ', 'files'],
    ['agent install --root ', 'directories'],
    ['switch ', undefined],
  ])('leaves, for "%s", to the shell: %s', (line, paths) => {
    expect(offered(line).paths).toBe(paths)
  })

  it('is a flag once, unless it may be repeated, and none that another excludes', () => {
    const values = valuesOf('switch db-03 --to y --strategy arp -q --')
    expect(values).toEqual(expect.arrayContaining(['--strategy', '--guard', '--announce', '--no-announce', '--help']))
    for (const value of ['--to', '--quiet', '--verbose', '--resume']) expect(values).not.toContain(value)
  })

  it('is no flag behind --', () => {
    expect(valuesOf('who -i br0 -- --')).toEqual([])
    expect(offered('who -i br0 -- ').names).toEqual(['VM'])
  })

  it('comes from the inventory that the line names', () => {
    expect(offered('switch -f a.yaml ').inventory).toBe('a.yaml')
    expect(offered('switch --inventory=b.yaml ').inventory).toBe('b.yaml')
  })
})

/** bash(1), as it is without bash-completion. */
const BREAKS = ' \t\n"\'@><=;|&(:'

describe('a line of bash', () => {
  it.each([
    ['gwswitch sw', ['gwswitch'], 'sw', '', 0],
    ['gwswitch switch ', ['gwswitch', 'switch'], '', '', 0],
    ['gwswitch  -f "a b"  c', ['gwswitch', '-f', 'a b'], 'c', '', 0],
    ["gwswitch -f 'a b' ''  c", ['gwswitch', '-f', 'a b', ''], 'c', '', 0],
    ['gwswitch a\\ b', ['gwswitch'], 'a b', '', 0],
    ['gwswitch "a b', ['gwswitch'], 'a b', '"', 0],
    ['gwswitch "a\\"b\\c', ['gwswitch'], 'a"b\\c', '"', 0],
    ["gwswitch x'a\\", ['gwswitch'], 'xa\\', "'", 1],
    ['gwswitch --to=gw', ['gwswitch'], '--to=gw', '', 5],
    ['gwswitch a:b:c', ['gwswitch'], 'a:b:c', '', 4],
    ['gwswitch "a:b"', ['gwswitch'], 'a:b', '', 0],
    ['gwswitch a\\:b', ['gwswitch'], 'a:b', '', 0],
  ])('%s is read as bash does', (line, words, current, quote, kept) => {
    expect(typedLine(line, BREAKS)).toEqual({words, current, quote, kept})
  })

  it.each([
    ['db', 'db-03', 'db-03'],
    ['--to=g', '--to=gw-y', 'gw-y'],
    ['q', 'q"u o', 'q\\"u\\ o'],
    ['"q', 'q"u o$', 'q\\"u o\\$'],
    ["'q", 'q"u o$', 'q"u o$'],
    ["'q", "q'u", undefined],
    ['rack:', 'rack:5', '5'],
    ['é', 'été', 'été'],
  ])('%s is completed to %s by %s', (typed, value, reply) => {
    expect(bashReply(value, typedLine(`gwswitch ${typed}`, BREAKS))).toBe(reply)
  })
})
