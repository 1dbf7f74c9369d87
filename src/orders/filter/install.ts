// Writes the systemd units that put the filters of this host back.
import {join} from 'node:path'
import {ENABLED, filterUnits, type UnitFile} from '../../domain/filter/units.ts'
import {replaceFile} from '../../net/file/replace-file.ts'

export interface FilterInstallDocument {
  readonly schema: 'gwswitch.filter-install/1'
  readonly directory: string
  /** Whether they were only shown. */
  readonly dryRun: boolean
  readonly units: readonly UnitFile[]
  /** What makes systemd take them up. */
  readonly next: string
}

const RECORD = '/var/lib/gwswitch/filter.json'

/** @throws Failure `privilege` or `runtime` if one of them cannot be written. */
export function installUnits(command: readonly string[], directory: string, dryRun: boolean): FilterInstallDocument {
  const units = filterUnits(command, RECORD)
  if (!dryRun) for (const {name, text} of units) replaceFile(join(directory, name), text)
  const next = `systemctl daemon-reload && systemctl enable --now ${ENABLED.join(' ')}`
  return {schema: 'gwswitch.filter-install/1', directory, dryRun, units, next}
}

export const installText = ({directory, dryRun, units, next}: FilterInstallDocument): string[] =>
  dryRun
    ? units.flatMap(({name, text}) => [`# ${directory}/${name}`, text])
    : [...units.map(({name}) => `WRITTEN   ${directory}/${name}`), `  then: ${next}`]
