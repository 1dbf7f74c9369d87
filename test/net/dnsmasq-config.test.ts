// What a running dnsmasq was configured with, read of a process that has its arguments.
import {spawn} from 'node:child_process'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect, it} from 'vitest'
import {dnsmasqSettings} from '../../src/net/dhcp/dnsmasq-config.ts'

it('leaves out the comments of its files, also behind a setting', () => {
  const dir = mkdtempSync(join(tmpdir(), 'gwswitch-dnsmasq-'))
  const [file, more] = [join(dir, 'conf'), join(dir, 'more')]
  writeFileSync(file, `# dhcp-option=1,1\ndhcp-option=3,10.0.0.1 # the gateway\nconf-file=${more}\t# and more\n`)
  writeFileSync(more, 'dhcp-option=tag:a#b,3,10.0.0.2\n')
  // It reads its input, and ends with it.
  const child = spawn('sh', ['-c', 'read line', 'sh', `--conf-file=${file}`])
  try {
    expect(dnsmasqSettings(child.pid!, ['dhcp-option'])).toEqual(['3,10.0.0.1', 'tag:a#b,3,10.0.0.2'])
  } finally {
    child.stdin.end()
    rmSync(dir, {recursive: true})
  }
})
