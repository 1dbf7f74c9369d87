// Writes systemd units: those that put back what was recorded on this host, and that of the resident service.
import {join} from 'node:path'
import {enabledOf, type Recorded, recordedUnits, type UnitFile} from '../../domain/units.ts'
import {replaceFile} from '../../net/file/replace-file.ts'

export interface InstallDocument {
  readonly schema: `gwswitch.${Recorded['topic'] | 'site'}-install/1`
  readonly directory: string
  /** Whether they were only shown. */
  readonly dryRun: boolean
  readonly units: readonly UnitFile[]
  /** What makes systemd take them up. */
  readonly next: string
}

/** @throws Failure `privilege` or `runtime` if one of them cannot be written. */
export const installUnits = (what: Recorded, command: readonly string[], where: InstallPlace): InstallDocument =>
  install(what.topic, recordedUnits(what, command), enabledOf(what), where)

/** @throws Failure as {@link installUnits}. */
export function installSite(unit: UnitFile, where: InstallPlace): InstallDocument {
  return install('site', [unit], [unit.name], where)
}

export interface InstallPlace {
  readonly directory: string
  readonly dryRun: boolean
}

function install(
  topic: Recorded['topic'] | 'site',
  units: readonly UnitFile[],
  enabled: readonly string[],
  {directory, dryRun}: InstallPlace,
): InstallDocument {
  if (!dryRun) for (const {name, text} of units) replaceFile(join(directory, name), text)
  const next = `systemctl daemon-reload && systemctl enable --now ${enabled.join(' ')}`
  return {schema: `gwswitch.${topic}-install/1`, directory, dryRun, units, next}
}

export const installText = ({directory, dryRun, units, next}: InstallDocument): string[] =>
  dryRun
    ? units.flatMap(({name, text}) => [`# ${directory}/${name}`, text])
    : [...units.map(({name}) => `WRITTEN   ${directory}/${name}`), `  then: ${next}`]
