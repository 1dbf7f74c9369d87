import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {differences, type HookSettings, hookText, readHook} from '../../../src/orders/hook/hook-text.ts'
import {HOOK_KINDS, libvirtFile, mayNotKnow} from '../../../src/orders/hook/kinds.ts'
import {checkSettings} from '../../../src/orders/hook/run-hook.ts'

const part = (name: string): string =>
  readFileSync(join(import.meta.dirname, `../../../packaging/hooks/${name}.sh`), 'utf8')
const SETTINGS: HookSettings = {
  site: 'y',
  socket: '/run/gwswitch/site.sock',
  inventory: "/etc/gw switch/it's.yaml",
  connect: null,
  program: ['/usr/bin/node', "/opt/it's here/run.js"],
}
const parts = {common: part('common'), own: part('libvirt')}
const libvirt = {...SETTINGS, connect: 'qemu:///system'}
const text = hookText('libvirt', libvirt, parts)

describe('the script of a hook', () => {
  it.each(HOOK_KINDS)('%s is read back as it was written, with its settings', (kind) => {
    const settings = kind === 'libvirt' ? libvirt : SETTINGS
    const written = hookText(kind, settings, {common: part('common'), own: part(kind)})
    expect(readHook(written)).toEqual({kind, untouched: true, settings})
  })

  it.each([
    ['a line more', `${text}# mine\n`],
    ['another site', text.replace("SITE='y'", "SITE='x'")],
    ['a line less', text.replace(/^umask.*\n/m, '')],
  ])('that somebody changed is known to be: %s', (_what, changed) => {
    expect(readHook(changed)).toMatchObject({kind: 'libvirt', untouched: false})
  })

  it.each([
    ['', undefined],
    ['#!/bin/sh\nexit 0\n', undefined],
    [text.replace(' libvirt sha256', ' vmware sha256'), undefined],
    [text.replace(/^CONNECT=.*\n/m, ''), null],
    [text.replace("SITE='y'", 'SITE=$(hostname)'), null],
    [text.replace(/^gwswitch\(\).*\n/m, ''), null],
  ])('of which nothing can be read is none of ours, or has no settings', (other, settings) => {
    expect(readHook(other)?.settings).toBe(settings)
  })

  it('is compared by its lines, of which the first few are named', () => {
    expect(differences('a\nb\nc\n', 'a\nB\nc\n')).toEqual(['it has    b', 'it lacks  B'])
    expect(differences('b\na\n', 'a\nb\n')).toEqual(['the order of its lines, or empty ones'])
    const many = Array.from({length: 9}, (_, i) => `line ${i}`).join('\n')
    expect(differences(many, '')).toHaveLength(6)
    expect(differences(many, '').at(-1)).toBe('and 4 lines more')
  })
})

describe('what is written into a hook', () => {
  it.each([
    [{site: "y'; reboot; '"}, /--site .* is no name of a site/],
    [{site: ''}, /no name of a site/],
    [{socket: 'run/site.sock'}, /want an absolute path/],
    [{socket: '/run/a,b'}, /want an absolute path/],
    [{socket: `/${'a'.repeat(107)}`}, /at most 107 bytes/],
    [{connect: 'qemu:///system\nX=1'}, /control characters/],
  ])('is refused: %j', (wrong, message) => {
    expect(() => checkSettings({...libvirt, ...wrong}, undefined)).toThrow(
      expect.objectContaining({kind: 'usage', message: expect.stringMatching(message)}),
    )
  })
})

describe("libvirt's place for hooks", () => {
  it.each([
    [undefined, '/etc/libvirt/hooks/qemu.d/gwswitch'],
    ['libvirtd (libvirt) 9.0.0\n', '/etc/libvirt/hooks/qemu.d/gwswitch'],
    ['libvirtd (libvirt) 6.5.0\n', '/etc/libvirt/hooks/qemu.d/gwswitch'],
    ['libvirtd (libvirt) 6.4.0\n', '/etc/libvirt/hooks/qemu'],
    ['/usr/sbin/libvirtd (libvirt) 4.5.0\n', '/etc/libvirt/hooks/qemu'],
    ['virtqemud (libvirt) 10.0.0\n', '/etc/libvirt/hooks/qemu.d/gwswitch'],
  ])('by the version %j is %s', (version, file) => {
    expect(libvirtFile(version)).toBe(file)
  })

  const hook = (changedMs: number, executable = true) => ({changedMs, executable})
  it.each([
    ['no daemon runs', undefined, [hook(5)], null, false],
    ['a hook was there when it started', 10, [hook(5), hook(20)], null, false],
    ['there was one that it could not execute', 10, [hook(5, false), hook(20)], null, true],
    ['the first one came later', 10, [hook(20)], null, true],
    ['it has called ours since', 10, [hook(20)], 30, false],
    ['one before it called ours', 10, [hook(20)], 9, true],
  ])('may not be known to a daemon: %s', (_where, started, hooks, calledMs, unknown) => {
    expect(mayNotKnow(started, hooks, calledMs)).toBe(unknown)
  })
})
