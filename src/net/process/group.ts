// Groups of this host, whoever keeps them (nsswitch.conf(5)).
import {Failure} from '../../errors.ts'
import {tryCommand} from './command.ts'

/** The gid of a group, by its name or itself. @throws Failure `usage` if there is none. */
export async function groupId(name: string): Promise<number> {
  const {code, stdout} = await tryCommand('getent', ['group', '--', name])
  const gid = stdout.split(':')[2]
  if (code === 0 && gid !== undefined && /^\d+$/.test(gid)) return Number(gid)
  throw new Failure('usage', `no group ${JSON.stringify(name)} here (getent group)`)
}
