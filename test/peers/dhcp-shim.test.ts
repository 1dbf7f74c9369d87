// The shim at a hypervisor's bridge, between real DHCP servers and real clients.
import type {ChildProcess} from 'node:child_process'
import {once} from 'node:events'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {noNamespaces} from '../support/namespaces.ts'
import {type DhcpLab, GATEWAYS, textOf, until, withDhcpLab} from './dhcp-lab.ts'
import {SERVERS, startDhcpcd} from './dhcp-servers.ts'

const CLI = join(import.meta.dirname, '../../bin/run.js')
const POLL_S = 3
const X = GATEWAYS.rx.ip
const Y = GATEWAYS.ry.ip

interface Shim {
  readonly name: string
  readonly process: ChildProcess
}

let count = 0

/** The shim of a site, at the server's bridge; what leads to the other site's router is left alone. */
async function startShim(lab: DhcpLab, site: 'x' | 'y', ...flags: readonly string[]): Promise<Shim> {
  const name = `shim${++count}`
  const elsewhere = site === 'x' ? 'ry' : 'rx'
  const args = ['serve', 'dhcp-shim', site, '-i', elsewhere, '--poll', `${POLL_S}`, '-f', lab.inventory, ...flags]
  const process_ = lab.start(lab.server, name, process.execPath, CLI, ...args)
  await said(lab, name, 'event=ready')
  return {name, process: process_}
}

const said = (lab: DhcpLab, name: string, what: string): Promise<void> =>
  until(
    () => textOf(join(lab.dir, `${name}.log`)).includes(what),
    () => textOf(join(lab.dir, `${name}.log`)),
  )

async function stop({process: child}: Shim, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  await exited
}

const routed = (lab: DhcpLab, ip: string): Promise<void> =>
  until(
    async () => (await lab.router()) === ip,
    () => `the client does not use ${ip}`,
  )

const tables = (lab: DhcpLab): Promise<string> => lab.server.run('nft', 'list', 'ruleset')

describe.skipIf(noNamespaces)('serve dhcp-shim', () => {
  it('has a client take the router of the site that it is in now at its next renewal, and leaves nothing', async () => {
    await withDhcpLab('dnsmasq', async (lab) => {
      await SERVERS.dnsmasq.start(lab)
      const there = await startShim(lab, 'x')
      await startDhcpcd(lab)
      expect(await lab.router()).toBe(X)
      await stop(there)
      expect(await tables(lab)).toBe('')
      const here = await startShim(lab, 'y')
      await routed(lab, Y)
      await stop(here)
      expect(await tables(lab)).toBe('')
    })
  })
})
