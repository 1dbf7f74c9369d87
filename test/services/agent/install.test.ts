import {mkdtempSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, it} from 'vitest'
import {readAgentConfig} from '../../../src/services/agent/config-file.ts'
import {enroll} from '../../../src/services/agent/enroll.ts'
import {installAgent, installText} from '../../../src/services/agent/install.ts'

const unit = join(import.meta.dirname, '../../../packaging/gwswitch-agent.service')
let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'gwswitch-install-'))
})
afterEach(() => rmSync(root, {recursive: true, force: true}))
const program = ['/usr/bin/node', '/usr/lib/node_modules/gwswitch/bin/run.js']
const install = (over: object = {}) =>
  installAgent({root, unit, program, vm: 'web-07', force: false, dryRun: false, ...over})
const text = (path: string): string => readFileSync(join(root, path), 'utf8')

describe('agent install', () => {
  it('makes what the service needs, and a configuration that enroll goes on with', () => {
    const document = install()
    expect(document.files.map(({state}) => state)).toEqual(['written', 'written', 'written'])
    expect(text('etc/systemd/system/gwswitch-agent.service')).toMatch(
      /^ExecStart=\/usr\/bin\/node \/usr\/lib\/node_modules\/gwswitch\/bin\/run\.js agent --config \/etc\/gwswitch\/agent\.yaml$/m,
    )
    expect(statSync(join(root, 'etc/gwswitch/agent.key')).mode & 0o777).toBe(0o600)
    expect(statSync(join(root, 'var/lib/gwswitch')).mode & 0o777).toBe(0o700)
    expect(document.publicKey).toMatch(/^[\w-]{43}$/)
    const file = join(root, 'etc/gwswitch/agent.yaml')
    expect(readAgentConfig(file)).toMatchObject({vm: 'web-07', trusted: []})
    const key = {
      vm: undefined,
      kid: 'site-y',
      key: document.publicKey!,
      gateways: ['10.0.0.2'],
      probes: ['203.0.113.10'],
    }
    enroll({file, ...key, dmiUuid: undefined, dryRun: false})
    expect(readAgentConfig(file)).toMatchObject({vm: 'web-07', trusted: [{kid: 'site-y'}], probes: ['203.0.113.10']})
  })

  it('touches nothing that is there, and a unit only by force', () => {
    const {publicKey} = install()
    writeFileSync(join(root, 'etc/gwswitch/agent.yaml'), 'version: 1\nvm: mine\n')
    writeFileSync(join(root, 'etc/systemd/system/gwswitch-agent.service'), '[Unit]\n')
    const again = install()
    expect(again).toMatchObject({publicKey, files: [{state: 'differs'}, {state: 'kept'}, {state: 'kept'}]})
    expect(text('etc/systemd/system/gwswitch-agent.service')).toBe('[Unit]\n')
    expect(install({force: true}).files.map(({state}) => state)).toEqual(['written', 'kept', 'kept'])
    expect(text('etc/gwswitch/agent.yaml')).toBe('version: 1\nvm: mine\n')
  })

  it('as a dry run says it and does nothing', () => {
    expect(installText(install({dryRun: true}))).toEqual([
      `would write ${root}/etc/systemd/system/gwswitch-agent.service`,
      `would write ${root}/etc/gwswitch/agent.yaml`,
    ])
    expect(() => text('etc/gwswitch/agent.yaml')).toThrow(/ENOENT/)
  })

  it('warns of a program that the service will not see', () => {
    expect(install({program: ['/usr/bin/node', '/root/gwswitch/bin/run.js']}).warnings).toEqual([
      expect.stringMatching(/^\/root\/gwswitch\/bin\/run\.js: the service does not see it/),
    ])
  })
})
