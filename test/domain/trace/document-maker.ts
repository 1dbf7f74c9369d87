// Whole documents of `gwswitch trace`, out of made evidence.
import {traceDocument} from '../../../src/domain/trace/document.ts'
import {judge} from '../../../src/domain/trace/verdict.ts'
import {evidenceOf, type Spec} from './evidence-maker.ts'

export const judged = (spec: Spec) => {
  const evidence = evidenceOf(spec)
  return {evidence, judgement: judge(evidence)}
}
export const RUN = {
  startedAt: '2026-03-01T09:59:59.900Z',
  finishedAt: '2026-03-01T10:00:07.000Z',
  complete: true,
  rate: {perSecond: 25, packetsSent: 60},
}
export const documentOf = (...specs: Spec[]) => traceDocument(specs.map(judged), [], RUN)
