// Everything that is judged of a host, in the order in which it is shown.
import type {DoctorFacts} from './facts.ts'
import {type DoctorFinding, fine} from './finding.ts'
import {abilityRule, capabilityRule, programRule, socketRule} from './host-rules.ts'
import {inventoryRule, networkRule} from './inventory-rules.ts'
import {settingRules} from './setting-rules.ts'

type Rule = (facts: DoctorFacts) => readonly DoctorFinding[]

const RULES: readonly Rule[] = [
  ({node, kernel}) => [fine('versions', `Node ${node} on Linux ${kernel}`)],
  capabilityRule,
  programRule,
  abilityRule,
  settingRules,
  socketRule,
  inventoryRule,
  networkRule,
]

export const findingsOf = (facts: DoctorFacts): readonly DoctorFinding[] => RULES.flatMap((rule) => rule(facts))
