// The QEMU guest agent of a libvirt domain: libvirtd holds the agent's socket, and virsh(1) passes requests on.
import {Failure} from '../../errors.ts'
import {anything, readJson} from '../json-shape.ts'
import {tryCommand} from '../process/command.ts'
import {type GuestAgent, guestAgent} from './qga.ts'

/** Seconds until virsh gives an answer up. */
const ANSWER_S = 5

/**
 * `connect` is libvirt's connection URI; by default the one that virsh takes.
 * @throws Failure `silent` if the domain or its agent is not there, `privilege` if libvirt does not let us, and `runtime`
 *   without virsh.
 */
export async function openLibvirtAgent(
  domain: string,
  connect: string | undefined,
  signal: AbortSignal,
): Promise<GuestAgent> {
  const where = `libvirt domain ${domain}`
  const to = connect === undefined ? [] : ['-c', connect]
  const ask = async (request: object): Promise<unknown> => {
    const words = [
      'qemu-agent-command',
      '--timeout',
      `${ANSWER_S}`,
      '--domain',
      domain,
      '--cmd',
      JSON.stringify(request),
    ]
    const {code, stdout, stderr} = await tryCommand('virsh', [...to, '-q', ...words], {signal, env: {LC_ALL: 'C'}})
    if (code === 0) return readJson(stdout, where, anything)
    // An answer that is an error comes as an error of virsh.
    const refused = /unable to execute QEMU agent command '[^']*': (.*)/.exec(stderr)?.[1]
    if (refused !== undefined) return {error: {desc: refused}}
    throw virshFailure(where, stderr)
  }
  await ask({execute: 'guest-ping'})
  return guestAgent(where, ask, signal, () => {})
}

/** What virsh wrote where it failed, in one line. */
export function virshFailure(where: string, stderr: string): Failure {
  const lines = stderr
    .split('\n')
    .flatMap((line) => (line.startsWith('error: ') ? [line.slice('error: '.length).trim()] : []))
  // The first line says what virsh was about to do.
  const why = lines.at(-1) ?? 'virsh failed'
  if (/authentication|permission denied|access denied/i.test(stderr))
    return new Failure('privilege', `${where}: ${why}`)
  return new Failure('silent', `${where}: ${why}`)
}
