// Asks a running `gwswitch serve dhcp`, and tells it what to do, through its control socket.
import type {ControlAnswers, ControlRequest, ExchangeEvent} from '../domain/dhcp/control.ts'
import {Failure, type FailureKind} from '../errors.ts'
import {connectJson} from '../net/dhcp-control.ts'

/** A connection to the server. */
export interface DhcpControl {
  /** @throws Failure of the kind the server gave, `silent` if it does not answer. */
  ask<K extends ControlRequest['do']>(request: Extract<ControlRequest, {do: K}>): Promise<ControlAnswers[K]>
  /** Calls `listener` for every exchange from now on, of one VM if given. Once per connection. */
  watch(listener: (event: ExchangeEvent) => void, vm?: string): Promise<void>
  /** Resolves when the server has gone. */
  readonly closed: Promise<void>
  close(): void
}

/** @throws Failure `silent` if no server listens at `path`, `privilege` if the socket is not ours to open. */
export async function connectDhcpControl(path: string): Promise<DhcpControl> {
  const peer = await connectJson(path, 'gwswitch serve dhcp')
  const ask: DhcpControl['ask'] = async <K extends ControlRequest['do']>(request: Extract<ControlRequest, {do: K}>) => {
    const answer = (await peer.ask(request)) as {ok: boolean; error?: {kind: FailureKind; message: string}}
    if (!answer.ok) throw new Failure(answer.error?.kind ?? 'runtime', answer.error?.message ?? `${path}: no reason given`)
    return answer as unknown as ControlAnswers[K]
  }
  return {
    ask,
    async watch(listener, vm) {
      peer.onEvent((event) => listener(event as ExchangeEvent))
      await ask(vm === undefined ? {do: 'watch'} : {do: 'watch', vm})
    },
    closed: peer.closed,
    close: () => peer.close(),
  }
}
