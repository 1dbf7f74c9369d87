// Every protocol that probes can be sent in, of both families.
import {ECHO_CODEC} from './echo-probe.ts'
import {ECHO6_CODEC} from './echo6-probe.ts'
import type {ProbeCodec} from './probe.ts'
import {SYN_CODEC} from './syn-probe.ts'
import {SYN6_CODEC} from './syn6-probe.ts'
import {UDP_CODEC} from './udp-probe.ts'
import {UDP6_CODEC} from './udp6-probe.ts'

export const CODECS: readonly ProbeCodec[] = [ECHO_CODEC, SYN_CODEC, UDP_CODEC, ECHO6_CODEC, SYN6_CODEC, UDP6_CODEC]
