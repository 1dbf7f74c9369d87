// docs/reference/codes.md: the words that scripts may switch on, from the tables that decide them.
import {PROOF_CODE} from '../../src/domain/proof/proof.ts'
import {REASONS, VERDICT} from '../../src/domain/trace/decision-table.ts'
import type {CandidateReport, TraceReport} from '../../src/domain/trace/report.ts'
import {TRACE_EXIT} from '../../src/domain/trace/verdict.ts'
import {EXIT} from '../../src/errors.ts'
import {EGRESS_WORD} from '../../src/render/measures.ts'
import {adviceOn} from '../../src/render/trace-advice.ts'
import {SWITCH_END} from '../../src/strategies/carry-out.ts'
import {generated, table} from './table.ts'

const code = (value: unknown): string => `\`${String(value)}\``

/** A trace whose names are what they stand for: advice on it is advice on any. */
function anyTrace(reason: (typeof REASONS)[number]): TraceReport {
  const works = {full: {bytes: 1500}} as CandidateReport['works']
  const hop = (name: string): Partial<CandidateReport> => ({name, site: null, local: null, works})
  const report = {
    candidates: [hop('CURRENT'), hop('OTHER')],
    egress: {reason, alternative: 1, thresholdMs: null},
    destination: {ip: 'DESTINATION', name: null, site: 'SITE'},
    host: {name: null, ip: 'the VM'},
    probe: {silent: [], proto: 'icmp', pairsSent: 0},
    inbound: {reason: null},
  }
  return report as unknown as TraceReport
}

function reasonRow(reason: (typeof REASONS)[number]): string[] {
  const {meaning, next, command} = adviceOn(anyTrace(reason))
  const [verdict, todo] = [VERDICT[reason], command === null ? next : `${next} ${code(command)}`]
  return [code(reason), verdict, `${TRACE_EXIT[verdict]}`, meaning, todo ?? 'nothing']
}

export function codesPage(): string {
  return `${[
    generated('Codes', 'the tables in src/'),
    'Closed sets of words in JSON. A new one may come (CHANGELOG says so): read one that you do not know as "not done".',
    '## Verdicts of a trace',
    '`egress.verdict` of `gwswitch trace --json`, and what it is called in text.',
    table(
      ['verdict', 'in text', 'exit code'],
      Object.entries(EGRESS_WORD).map(([verdict, word]) => [
        code(verdict),
        word,
        `${TRACE_EXIT[verdict as keyof typeof TRACE_EXIT]}`,
      ]),
    ),
    '## Reasons of a trace',
    '`egress.reason`: CURRENT is the gateway in use, OTHER the one that it is compared with. In the order in which they are decided, roughly. Those of `--passive` are in [trace.md](../trace.md#nothing-sent---passive).',
    table(['reason', 'verdict', 'exit', 'what it says', 'what to do'], REASONS.map(reasonRow)),
    '## Codes of a proof',
    '`code` of `switch`, `garp`, `who` and `notify-agent`. What a switch does about each: [proof.md](../proof.md#codes).',
    table(
      ['code', 'what was seen'],
      Object.entries(PROOF_CODE).map(([word, seen]) => [code(word), seen]),
    ),
    '## Ends of a switch',
    '`end` of `switch`. Their exit codes: [proof.md](../proof.md#ends).',
    table(
      ['end', 'how things stand'],
      Object.entries(SWITCH_END).map(([word, says]) => [code(word), says]),
    ),
    '## Kinds of errors',
    '`error.kind`, with the exit code that it has where nothing else decides. All exit codes: [README](../../README.md#exit-codes).',
    table(
      ['kind', 'exit'],
      Object.entries(EXIT).map(([kind, exit]) => [code(kind), `${exit}`]),
    ),
  ].join('\n\n')}\n`
}
