// Writes the systemd units that put back what was recorded on this host.
import {join} from 'node:path'
import {enabledOf, type Recorded, recordedUnits, type UnitFile} from '../../domain/units.ts'
import {replaceFile} from '../../net/file/replace-file.ts'

export interface InstallDocument {
  readonly schema: `gwswitch.${Recorded['topic']}-install/1`
  readonly directory: string
  /** Whether they were only shown. */
  readonly dryRun: boolean
  readonly units: readonly UnitFile[]
  /** What makes systemd take them up. */
  readonly next: string
}

/** @throws Failure `privilege` or `runtime` if one of them cannot be written. */
export function installUnits(
  what: Recorded,
  command: readonly string[],
  {directory, dryRun}: {readonly directory: string; readonly dryRun: boolean},
): InstallDocument {
  const units = recordedUnits(what, command)
  if (!dryRun) for (const {name, text} of units) replaceFile(join(directory, name), text)
  const next = `systemctl daemon-reload && systemctl enable --now ${enabledOf(what).join(' ')}`
  return {schema: `gwswitch.${what.topic}-install/1`, directory, dryRun, units, next}
}

export const installText = ({directory, dryRun, units, next}: InstallDocument): string[] =>
  dryRun
    ? units.flatMap(({name, text}) => [`# ${directory}/${name}`, text])
    : [...units.map(({name}) => `WRITTEN   ${directory}/${name}`), `  then: ${next}`]
