// The cable of a VM's NIC, as its hypervisor holds it: QEMU's `set_link`, or virsh(1) domif-setlink where libvirt runs it.
import {Failure} from '../../errors.ts'
import {anything} from '../json-shape.ts'
import {tryCommand} from '../process/command.ts'
import {virshFailure} from '../stream/qga-libvirt.ts'
import {checkNic, nicOf, openQmp} from './qmp.ts'

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

/**
 * Whether it could be done; nothing is changed. Resolves to the link by QEMU's name of the NIC, which stays when the VM takes
 * another MAC. Throws as {@link setLink}, and `refused` for a link that is down already, which somebody wants so; QEMU does not
 * tell that.
 */
export async function checkLink(link: VmLink): Promise<VmLink> {
  const {qmp: path, nic, mac} = link
  if (path === undefined) return checkDomain(link)
  const qmp = await openQmp(path)
  try {
    if (nic === undefined) return {...link, nic: await nicOf(qmp, mac, path)}
    await checkNic(qmp, nic, mac, path)
    return link
  } finally {
    qmp.close()
  }
}

async function checkDomain(link: VmLink): Promise<VmLink> {
  await checkRuns(link)
  const said = await virsh(link, 'domif-getlink', '--interface', link.mac)
  if (/ down$/.test(said.trim()))
    throw new Failure('refused', `${linkText(link)}: the link of ${link.mac} is down already: left so`)
  return link
}

async function byVirsh(link: VmLink, up: boolean): Promise<void> {
  await checkRuns(link)
  await virsh(link, 'domif-setlink', '--interface', link.mac, '--state', up ? 'up' : 'down')
}

/** One that was moved away leaves its definition behind, and virsh would change the link in that. */
async function checkRuns(link: VmLink): Promise<void> {
  const state = (await virsh(link, 'domstate')).trim()
  if (state === 'shut off') throw new Failure('silent', `${linkText(link)}: does not run on this host (${state})`)
}

const ANSWER_MS = 5000

/** The domain by its option: as a word alone, `--help` would be one of virsh's own, and end with code 0. */
async function virsh(link: VmLink, command: string, ...words: readonly string[]): Promise<string> {
  const where = linkText(link)
  const to = link.connect === undefined ? [] : ['-c', link.connect]
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(new Failure('silent', `${where}: libvirt does not answer`)), ANSWER_MS)
  try {
    const {code, stdout, stderr} = await tryCommand(
      'virsh',
      [...to, '-q', command, '--domain', link.domain!, ...words],
      {env: {LC_ALL: 'C'}, signal: late.signal},
    )
    if (code === 0) return stdout
    throw virshFailure(where, stderr)
  } finally {
    clearTimeout(timer)
  }
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
