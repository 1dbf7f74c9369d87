// The cable of a VM's NIC, as its hypervisor holds it: QEMU's `set_link`, or virsh(1) domif-setlink where libvirt runs it.
import {Failure} from '../../errors.ts'
import {anything} from '../json-shape.ts'
import {tryCommand} from '../process/command.ts'
import {virshFailure} from '../stream/qga-libvirt.ts'
import {nicOf, openQmp} from './qmp.ts'

/** Where the hypervisor is told, and of which NIC. JSON. */
export interface VmLink {
  readonly mac: string
  /** QMP's socket; QEMU's name of the NIC, if it does not tell it by its MAC. */
  readonly qmp?: string | undefined
  readonly nic?: string | undefined
  /** A domain of libvirt, and libvirt's connection URI if not the usual one. */
  readonly domain?: string | undefined
  readonly connect?: string | undefined
}

/** `QMP /run/web-07.qmp`. */
export const linkText = ({qmp, domain}: VmLink): string =>
  qmp === undefined ? `libvirt domain ${domain}` : `QMP ${qmp}`

/**
 * Takes the cable out, or puts it in; safe to do twice. Resolves when the hypervisor has done it.
 * @throws Failure `usage` if there is no such NIC, `refused`, `privilege` or `silent` as the hypervisor has it.
 */
export async function setLink(link: VmLink, up: boolean): Promise<void> {
  if (link.qmp === undefined) return byVirsh(link, up)
  const qmp = await openQmp(link.qmp)
  try {
    const name = link.nic ?? (await nicOf(qmp, link.mac, link.qmp))
    await qmp.ask('set_link', anything, {name, up})
  } finally {
    qmp.close()
  }
}

/** Whether it could be done: the NIC is found, and nothing is changed. Throws as {@link setLink}. */
export async function checkLink(link: VmLink): Promise<void> {
  if (link.qmp === undefined) return void (await virsh(link, ['domif-getlink', link.domain!, link.mac]))
  const qmp = await openQmp(link.qmp)
  try {
    if (link.nic === undefined) await nicOf(qmp, link.mac, link.qmp)
  } finally {
    qmp.close()
  }
}

async function byVirsh(link: VmLink, up: boolean): Promise<void> {
  await virsh(link, ['domif-setlink', link.domain!, link.mac, up ? 'up' : 'down'])
}

async function virsh({domain, connect}: VmLink, words: readonly string[]): Promise<void> {
  const to = connect === undefined ? [] : ['-c', connect]
  const {code, stderr} = await tryCommand('virsh', [...to, '-q', ...words], {env: {LC_ALL: 'C'}})
  if (code !== 0) throw virshFailure(`libvirt domain ${domain}`, stderr)
}

const AGAIN_MS = 200

/** Puts the cable in, and tries again for `longestMs` while that fails. @throws the last Failure. */
export async function raiseLink(link: VmLink, longestMs: number): Promise<void> {
  const until = performance.now() + longestMs
  for (;;) {
    try {
      return await setLink(link, true)
    } catch (error) {
      if (!(error instanceof Failure) || performance.now() >= until) throw error
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
    }
  }
}
