// What `gwswitch hook` says to people.
import type {Columns} from '../../render/listing.ts'
import type {HookRow} from './look.ts'
import type {HookStatus, InstalledHook} from './run-hook.ts'

export function installedLines({kind, file, done, dryRun, next}: InstalledHook): string[] {
  const words = {
    written: dryRun ? 'WOULD WRITE' : 'WRITTEN',
    removed: dryRun ? 'WOULD REMOVE' : 'REMOVED',
    kept: 'AS IT WAS',
    shown: '',
  }
  return [`${words[done]}  ${kind}  ${file}`, ...next.map((line) => `  then: ${line}`)]
}

const STATES: Readonly<Record<HookRow['state'], string>> = {
  absent: 'not installed',
  current: 'installed',
  outdated: 'installed, by another version',
  changed: 'installed, and changed since',
  foreign: 'another hook lies there',
}

export const HOOK_COLUMNS: Columns<HookRow> = [
  ['hook', ({kind}) => kind],
  ['state', ({state}) => state],
  ['file', ({file}) => file],
  ['site', ({settings}) => settings?.site],
  ['executable', ({executable}) => executable],
  ['called_at', ({calledAt}) => calledAt],
  ['service', ({service}) => service?.state],
  ['needs', ({needs}) => needs.join('; ')],
]

export function statusLines({hooks}: HookStatus): string[] {
  return hooks.flatMap(({kind, file, state, settings, differences, calledAt, service, needs}) => [
    `${kind}: ${STATES[state]}  ${file}`,
    ...differences.map((line) => `  ${line}`),
    ...(settings === null
      ? []
      : [`  site ${settings.site}, ${calledAt === null ? 'not called yet' : `called last ${calledAt}`}`]),
    ...(service === null
      ? []
      : service.state === 'answers'
        ? [`  ${service.socket}: the service answers`]
        : [`  ${service.detail}; the hook starts a switch of its own`]),
    ...needs.map((line) => `  ${line}`),
  ])
}
