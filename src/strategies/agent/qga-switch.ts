// A switch through the QEMU guest agent, for VMs without an agent of ours: `ip route replace` run in the guest, read back,
// and a way back that the guest itself takes if nobody confirms: it needs neither us nor the network then.
import {Failure} from '../../errors.ts'
import type {GuestAgent} from '../../net/stream/qga.ts'
import {
  type AgentTarget,
  type Conversation,
  type ConversationStage,
  type Standing,
  type SwitchOrder,
  transportText,
} from './conversation.ts'
import {step} from './guest-switch.ts'
import {type GuestAction, type GuestAsk, type GuestEvent, type GuestOrder, guestSwitch} from './guest-turn.ts'

/** Asks the guest what the step wants to know. `open` is called once, when there is something to ask. */
export function qgaConversation(
  target: AgentTarget,
  order: SwitchOrder,
  open: () => Promise<GuestAgent>,
  {world, observe}: ConversationStage,
): Conversation {
  const say = (text: string): void => observe({atNs: world.now(), text: `${target.name}: ${text}`})
  const startNs = world.now()
  const sinceMs = (): number => Math.round(Number(world.now() - startNs) / 1e4) / 100
  let state = guestSwitch(target, order)
  let opened: Promise<GuestAgent> | undefined

  const happen = (event: GuestEvent): readonly GuestAction[] => {
    const done = step(state, event, sinceMs())
    state = done.state
    return done.actions
  }

  const openNow = async (): Promise<GuestAgent> => {
    say(`asking ${transportText(target.transport)}`)
    const agent = await open()
    happen({kind: 'opened'})
    say("the guest's agent answers")
    return agent
  }

  const answerTo = async (question: GuestAsk): Promise<GuestEvent> => {
    try {
      opened ??= openNow()
      return await ask(await opened, question)
    } catch (error) {
      // An agent that is silent or refuses to run programs is a standing, not an error.
      if (!(error instanceof Failure) || (error.kind !== 'silent' && error.kind !== 'refused')) throw error
      return {kind: 'failed', state: error.kind, detail: error.message}
    }
  }

  const converse = async (ordered: GuestOrder): Promise<Standing> => {
    for (let event: GuestEvent = {kind: ordered}; ; ) {
      for (const action of happen(event)) {
        if (action.kind === 'done') return action.standing
        if (action.kind === 'say') say(action.text)
        else event = await answerTo(action)
      }
    }
  }

  return {
    begin: () => converse('begin'),
    confirm: () => converse('confirm'),
    rollBack: () => converse('roll_back'),
    close() {
      void opened?.then((agent) => agent.close()).catch(() => {})
    },
  }
}

async function ask(agent: GuestAgent, question: GuestAsk): Promise<GuestEvent> {
  switch (question.kind) {
    case 'interfaces':
      return {kind: 'interfaces', nics: await agent.interfaces()}
    case 'run':
      return {kind: 'ran', argv: question.argv, result: await agent.run(question.argv)}
    case 'start':
      await agent.start(question.argv)
      return {kind: 'started'}
  }
}
