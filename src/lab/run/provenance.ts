// On what a run was made.
import {readFileSync} from 'node:fs'
import {cpus, loadavg, release} from 'node:os'
import type {LabRunProvenance, LabRunVm} from '../../domain/evaluation/lab-run.ts'
import {tryCommand} from '../../net/process/command.ts'

/** What says its own version, and how it is asked. */
const ASKED: readonly (readonly [name: string, vms: readonly LabRunVm[], argv: readonly string[], version: RegExp])[] =
  [
    ['QEMU', ['qemu'], ['qemu-system-x86_64', '--version'], /version (.+)/],
    ['BusyBox', ['qemu'], ['busybox'], /v(\S+)/],
    ['arping', ['qemu', 'netns'], ['arping', '-V'], /arping from (.+)/],
    ['dnsmasq', ['qemu'], ['dnsmasq', '--version'], /version (\S+)/],
    ['dhcpcd', ['qemu'], ['dhcpcd', '--version'], /dhcpcd (\S+)/],
    ['nftables', ['qemu', 'netns'], ['nft', '--version'], /v(\S+)/],
    ['iproute2', ['qemu', 'netns'], ['ip', '-V'], /iproute2-([^\s,]+)/],
    ['tcpdump', ['qemu', 'netns'], ['tcpdump', '--version'], /tcpdump version (\S+)/],
  ]

export async function provenance(vm: LabRunVm, gwswitch: string): Promise<LabRunProvenance> {
  const asked = await Promise.all(
    ASKED.filter(([, vms]) => vms.includes(vm)).map(async ([name, , [program = '', ...args], pattern]) => {
      const {stdout, stderr} = await tryCommand(program, args).catch(() => ({stdout: '', stderr: ''}))
      const version = pattern.exec(`${stdout}\n${stderr}`)?.[1]
      return version === undefined ? [] : [[name, version] as const]
    }),
  )
  const now = new Date().toISOString()
  return {
    ...{gwswitch, node: process.version, kernel: release(), distribution: distribution(), cpus: cpus().length},
    ...{load: [loadavg()[0]!, loadavg()[0]!], span: [now, now], parts: Object.fromEntries(asked.flat())},
  }
}

function distribution(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown'
  } catch {
    return 'unknown'
  }
}

/** The same at its end. */
export const provenanceNow = (of: LabRunProvenance): LabRunProvenance => ({
  ...of,
  load: [of.load[0], loadavg()[0]!],
  span: [of.span[0], new Date().toISOString()],
})
