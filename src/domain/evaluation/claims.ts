// What the paper claims of its three methods in its Table 1, and what a run says to it. No data, no mark.
import {counted} from './figures.ts'
import type {LabRun, LabRunRow, LabRunSample} from './lab-run.ts'

export type Mark = 'confirmed' | 'refuted' | 'refined' | 'not tried'

/** What a run says to a claim. */
export interface Finding {
  readonly mark: Mark
  readonly said: string
}

export interface Claim extends Finding {
  readonly id: 'agent-sessions' | 'arp-sessions' | 'arp-faults' | 'dhcp-renew' | 'dhcp-short-lease'
  /** The paper's, in short. */
  readonly claim: string
}

/** A method as the paper's Table 1 has it, and the strategy that it is here. */
export interface Method {
  readonly method: string
  readonly strategy: string
  readonly controlledAt: string
  readonly layer: string
  readonly gatewayIp: string
  readonly claims: readonly Claim[]
}

const NOT_TRIED: Finding = {mark: 'not tried', said: 'Not tried in this run.'}

/** The paper's Table 1 with what `run` says to each claim. */
export function paperTable(run: Pick<LabRun, 'rows'>): readonly Method[] {
  const trial = trialOf(run)
  return [
    {
      ...{method: 'VM control', strategy: 'agent', controlledAt: 'VM', layer: 'L3', gatewayIp: 'changes'},
      claims: [
        {
          ...{id: 'agent-sessions', claim: 'sessions: it depends on the implementation'},
          ...dependsOnForm(
            trial,
            trial.forms(({strategy}) => strategy === 'agent'),
          ),
        },
      ],
    },
    {
      ...{method: 'ARP', strategy: 'arp', controlledAt: 'router', layer: 'L2', gatewayIp: 'stays'},
      claims: [
        {
          ...{id: 'arp-sessions', claim: 'sessions are kept'},
          ...kept(
            trial,
            trial.forms(({strategy}) => strategy === 'arp'),
          ),
        },
        {
          ...{id: 'arp-faults', claim: 'MACs that differ by VM make faults hard to find'},
          ...{mark: 'not tried', said: 'Not tried in this run: migrations say nothing about the search for faults.'},
        },
      ],
    },
    {
      ...{method: 'DHCP', strategy: 'dhcp', controlledAt: 'DHCP server', layer: 'L3', gatewayIp: 'changes'},
      claims: [
        {
          ...{id: 'dhcp-renew', claim: 'few open clients obey a server that tells them to renew'},
          ...fewObey(trial.forms(isDhcp(/^forcerenew$/))),
        },
        {
          ...{
            id: 'dhcp-short-lease',
            claim: 'a short lease takes the address away for a moment, and cuts sessions',
          },
          ...shortLease(trial, trial.forms(isDhcp(/^short/))),
        },
      ],
    },
  ]
}

/** Rows of the dhcp strategy one of whose parts is so called: `dhcp.forcerenew.dhcpcd`. */
const isDhcp =
  (part: RegExp) =>
  ({strategy, id}: LabRunRow): boolean =>
    strategy === 'dhcp' && id.split('.').some((each) => part.test(each))

/** A row and its samples that count. */
interface Form {
  readonly row: LabRunRow
  readonly samples: readonly LabRunSample[]
}

interface Trial {
  /** Rows of gwswitch of which at least one sample counts. */
  forms(isOne: (row: LabRunRow) => boolean): readonly Form[]
  /** Samples of a form's control that count. */
  controls(form: Form): readonly LabRunSample[]
}

function trialOf({rows}: Pick<LabRun, 'rows'>): Trial {
  return {
    forms: (isOne) =>
      rows
        .filter((row) => row.kind === 'gwswitch' && isOne(row))
        .map((row) => ({row, samples: counted(row)}))
        .filter(({samples}) => samples.length > 0),
    controls: ({row}) => rows.filter(({id}) => id === row.control).flatMap(counted),
  }
}

type Way = 'plain' | 'nat'
const THROUGH: Readonly<Record<Way, string>> = {
  plain: 'gateways that only route',
  nat: 'gateways that translate addresses',
}

/** Of so many sessions, those that lived, and the same with the controls of the same forms. */
interface Lives {
  readonly alive: number
  readonly of: number
  readonly controlAlive: number
  readonly controlOf: number
}

function livesOf(trial: Trial, forms: readonly Form[], way: Way): Lives {
  const controls = new Map(forms.map((form) => [form.row.control, trial.controls(form)]))
  const [alive, of] = countAlive(
    forms.flatMap(({samples}) => samples),
    way,
  )
  const [controlAlive, controlOf] = countAlive([...controls.values()].flat(), way)
  return {alive, of, controlAlive, controlOf}
}

function countAlive(samples: readonly LabRunSample[], way: Way): readonly [alive: number, of: number] {
  const ends = samples.flatMap(({tcp}) => tcp[way]?.end ?? [])
  return [ends.filter((end) => end === 'alive').length, ends.length]
}

const allLived = ({alive, of}: Lives): boolean => of > 0 && alive === of
/** Sessions of the control end too: the method is not what ends them. */
const controlEnds = ({controlAlive, controlOf}: Lives): boolean => controlAlive < controlOf

/** `14 of 15 lived through gateways that only route (control: 5 of 5)`. */
function livesText(way: Way, {alive, of, controlAlive, controlOf}: Lives): string {
  if (of === 0) return `none was opened through ${THROUGH[way]}`
  const beside = controlOf === 0 ? '' : ` (control: ${controlAlive} of ${controlOf})`
  return `${alive} of ${of} lived through ${THROUGH[way]}${beside}`
}

/** "Sessions are kept." */
function kept(trial: Trial, forms: readonly Form[]): Finding {
  if (forms.length === 0) return NOT_TRIED
  const [plain, nat] = [livesOf(trial, forms, 'plain'), livesOf(trial, forms, 'nat')]
  const said = `TCP sessions in ${count(forms.length, 'form')}: ${livesText('plain', plain)}; ${livesText('nat', nat)}.`
  if (allLived(plain) && (nat.of === 0 || allLived(nat))) return {mark: 'confirmed', said}
  const isControls = [plain, nat].some((lives) => lives.alive < lives.of && controlEnds(lives))
  if (isControls) return {mark: 'refined', said: `${said} Where the control's end too, it is not the method.`}
  return {mark: allLived(plain) ? 'refined' : 'refuted', said}
}

/** "It depends on the implementation": on which form of the method it is. */
function dependsOnForm(trial: Trial, forms: readonly Form[]): Finding {
  if (forms.length === 0) return NOT_TRIED
  const [plain, nat] = [livesOf(trial, forms, 'plain'), livesOf(trial, forms, 'nat')]
  const said = `TCP sessions in ${count(forms.length, 'form')}: ${livesText('plain', plain)}; ${livesText('nat', nat)}.`
  const differ = (['plain', 'nat'] as const).filter((way) => {
    const shares = forms.map((form) => livesOf(trial, [form], way)).filter(({of}) => of > 0)
    return shares.some(allLived) && shares.some((lives) => !allLived(lives))
  })
  if (differ.length > 0) {
    const lived = forms.filter((form) => differ.every((way) => allLived(livesOf(trial, [form], way))))
    const names = lived.map(({row}) => row.id).join(', ')
    return {mark: 'confirmed', said: `${said}${names === '' ? '' : ` All lived with ${names}.`}`}
  }
  if (forms.length === 1) return {mark: 'refined', said: `${said} Other forms were not tried.`}
  if (allLived(plain) && nat.of > 0 && !allLived(nat))
    return {mark: 'refined', said: `${said} It depends on the gateways, and on none of these forms.`}
  return {mark: 'refuted', said: `${said} It does not depend on which of these forms it is.`}
}

/** "Few open clients obey a server that tells them to renew." A row is one client. */
function fewObey(forms: readonly Form[]): Finding {
  if (forms.length === 0) return NOT_TRIED
  const clients = forms.map(({row, samples}) => ({
    title: row.title,
    came: samples.filter(({ipv4}) => ipv4.toFirstMs !== null).length,
    of: samples.length,
  }))
  const obey = clients.filter(({came, of}) => came === of)
  const each = clients.map(({title, came, of}) => `${title} in ${came} of ${of}`).join(', ')
  const said = `Told to renew, ${obey.length} of ${count(clients.length, 'client')} always came to the new gateway: ${each}.`
  if (clients.length < 3) return {mark: 'refined', said: `${said} Others were not tried.`}
  return {mark: obey.length * 2 <= clients.length ? 'confirmed' : 'refuted', said}
}

/** "A short lease takes the address away for a moment, and cuts sessions." */
function shortLease(trial: Trial, forms: readonly Form[]): Finding {
  if (forms.length === 0) return NOT_TRIED
  const plain = livesOf(trial, forms, 'plain')
  const asked = forms.flatMap(({samples}) => samples.flatMap(({unreachable}) => unreachable ?? []))
  const refused = asked.filter((times) => times > 0).length
  const gone =
    asked.length === 0
      ? 'whether the guest was without a route was not asked'
      : `the guest was without a route in ${refused} of ${asked.length} migrations`
  const said = `With a short lease ${livesText('plain', plain)}; ${gone}.`
  if (!allLived(plain) && !controlEnds(plain)) return {mark: refused > 0 ? 'confirmed' : 'refined', said}
  return {mark: refused === 0 && asked.length > 0 && allLived(plain) ? 'refuted' : 'refined', said}
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`
