// A hypervisor with gwswitch in it, in a guest with Debian's kernel: for what this machine's own kernel lacks.
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll} from 'vitest'
import type {GuestImage} from '../../src/lab/guest/image.ts'
import {type RunningGuest, startGuest} from '../../src/lab/guest/machine.ts'
import {agentGuestImage, type Equipment} from '../../src/lab/guest/node-image.ts'
import {type CommandResult, runCommand, tryCommand} from '../../src/net/process/command.ts'
import {openGuestAgent} from '../../src/net/stream/qga.ts'
import {cannotBuild, executable} from './executable.ts'

/** Busybox's own shell takes its own `ip` before Debian's. */
const USE_DASH = 'ln -sf /sbin/dash /bin/sh'

export interface HostInGuest {
  /** Runs a shell script in it. Everything takes long in it. */
  sh(script: string): Promise<CommandResult>
  console(): string
}

/** The guest for all tests of the block, booted once; `setup` is run in it by a shell, and must succeed. */
export function useHostInGuest(
  base: GuestImage,
  {setup, files, modules, programs = []}: Equipment & {setup: string; files: Readonly<Record<string, string>>},
): HostInGuest {
  const namespace = `guest${process.pid}-host`
  let scratch: string
  let guest: RunningGuest
  const host: HostInGuest = {
    async sh(script) {
      const agent = await openGuestAgent(guest.agentSocket, AbortSignal.timeout(200_000))
      try {
        return await agent.run(['sh', '-ec', script], {timeoutMs: 180_000})
      } finally {
        agent.close()
      }
    },
    console: () => guest.console(),
  }

  beforeAll(async () => {
    scratch = mkdtempSync(join(tmpdir(), 'gwswitch-host-'))
    await runCommand('ip', ['netns', 'add', namespace])
    await runCommand('ip', ['-n', namespace, 'tuntap', 'add', 'tap0', 'mode', 'tap'])
    // The agent's guests run Node and dist/: both are proved in Debian's kernel.
    const equipment = {
      modules,
      programs: ['dash', ...programs],
      executable: cannotBuild ? undefined : await executable(),
    }
    guest = await startGuest(await agentGuestImage(base, scratch, files, equipment), {
      ...{namespace, tap: 'tap0', mac: '02:00:00:00:00:99', mtu: 1500, scratch, name: 'host'},
      ...{address: '192.0.2.2/24', gateway: '192.0.2.1'},
    })
    await host.sh(USE_DASH)
    const {code, stderr} = await host.sh(setup)
    if (code !== 0) throw new Error(`the host in the guest is not set up: ${stderr} ${guest.console().slice(-500)}`)
  }, 300_000)
  afterAll(async () => {
    await guest?.stop()
    await tryCommand('ip', ['netns', 'del', namespace])
    rmSync(scratch, {recursive: true, force: true})
  })
  return host
}
