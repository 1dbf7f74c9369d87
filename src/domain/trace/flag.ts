// The remarks there are, as a closed set of codes.

export type FlagCode =
  | 'incomplete'
  | 'path-changed'
  | 'clock-stepped'
  | 'answers-limited'
  | 'loss-one-sided'
  | 'return-follows-exit'
  | 'protocol-changed'
  | 'several-next-hops'
  | 'other-default-routes'
  | 'policy-routing'
  | 'other-sources'
  | 'masked-by-redirect'
  | 'redirects-seen'
  | 'redirects-may-apply'
  | 'vm-moved'
  | 'site-contradicted'
  | 'gateway-mac-differs'
  | 'answered-by-both'
  | 'dci-unknown'
  | 'dci-from-few-probes'
  | 'user-timestamps'

/** A remark by code, for programs, and in words. */
export interface Flag {
  readonly code: FlagCode
  readonly detail: string
}
