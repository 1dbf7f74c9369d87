// Every protocol that probes can be sent in.
import {ECHO_CODEC} from './echo-probe.ts'
import type {ProbeCodec} from './probe.ts'
import {SYN_CODEC} from './syn-probe.ts'

export const CODECS: readonly ProbeCodec[] = [ECHO_CODEC, SYN_CODEC]
