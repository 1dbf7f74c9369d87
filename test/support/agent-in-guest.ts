// A real guest with gwswitch in it, in the place of web-07: with a port at either site, and no agent running until a test
// starts one.
import {mkdirSync, readFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {afterAll, beforeAll} from 'vitest'
import type {GuestImage} from '../../src/lab/guest/image.ts'
import {type MigratedGuest, migrateGuest, type RunningGuest, startGuest} from '../../src/lab/guest/machine.ts'
import {agentGuestImage, GUEST_ETC} from '../../src/lab/guest/node-image.ts'
import type {LabOptions} from '../../src/lab/options.ts'
import {type CommandResult, runCommand} from '../../src/net/process/command.ts'
import {openGuestAgent} from '../../src/net/stream/qga.ts'
import {type AgentAnswer, type AgentCommand, openAnswer, signCommand} from '../../src/wire/agent-message.ts'
import {RX, type SiteLab, useSiteLab} from './site-lab.ts'

type Site = 'x' | 'y'
const TAP = 'tap-web-07'

export interface AgentInGuest {
  readonly site: SiteLab
  /** Runs a program in it, told by its QEMU guest agent. Everything takes long in it. */
  run(argv: readonly string[], input?: string): Promise<CommandResult>
  /** Starts the agent; its log goes to the console. */
  startAgent(): Promise<void>
  /** A switch, signed by the controller of a site. */
  signed(site: Site, over: Partial<AgentCommand>): string
  /** As docs/agent.md says it: guest-exec of `gwswitch agent --once`, with the message on its standard input. */
  once(token: string): Promise<CommandResult & {readonly answers: readonly AgentAnswer[]}>
  /** Live-migrates it to the other site; resolves when it runs there. */
  migrate(to: Site): Promise<MigratedGuest>
  /** The QEMU that it runs in now, and where that is. */
  now(): RunningGuest
  where(): Site
  /** What its consoles showed, all of them. */
  consoles(): string
}

export interface AgentInGuestOptions {
  readonly lab: Partial<Omit<LabOptions, 'prefix'>>
  /** Where it begins. */
  readonly at: Site
  /** For its kernel's command line. */
  readonly kernelWords?: string
  /** Lines of its agent.yaml in addition to the usual ones. */
  readonly config?: readonly string[]
}

/** The guest for all tests of the block, booted once; it begins with site x's gateway. */
export function useAgentInGuest(
  base: GuestImage,
  {lab, at, kernelWords, config = []}: AgentInGuestOptions,
): AgentInGuest {
  const site = useSiteLab(lab)
  /** In the lab's own folder, and gone with it: it holds an image of a disk. */
  const scratch = (): string => join(dirname(site.lab().inventoryFile), 'guest')
  /** Of every QEMU that it ran in. */
  const guests: RunningGuest[] = []
  let image: GuestImage
  let where = at

  const options = (place: Site) => ({
    ...{namespace: site.lab().ns(`sw-${place}`), tap: TAP, mac: '02:00:00:00:00:10', mtu: 1400},
    ...{address: '10.0.0.10/24', gateway: RX, scratch: scratch(), name: `guest-${guests.length}`},
    ...(kernelWords === undefined ? {} : {kernelWords}),
  })

  beforeAll(async () => {
    await site.lab().run('web-07', 'ip', 'link', 'set', 'eth0', 'down')
    for (const place of ['x', 'y']) {
      const namespace = site.lab().ns(`sw-${place}`)
      await runCommand('ip', ['-n', namespace, 'tuntap', 'add', TAP, 'mode', 'tap'])
      await runCommand('ip', ['-n', namespace, 'link', 'set', TAP, 'up', 'master', 'br-a'])
    }
    // What answers, answers: the guest's own CPU is what takes long here.
    site.configure('windows: {probeMs: 8000}', ...config)
    mkdirSync(scratch())
    image = await agentGuestImage(base, scratch(), {
      'agent.yaml': readFileSync(site.agentConfig, 'utf8').replaceAll(dirname(site.agentConfig), GUEST_ETC),
      'agent.key': readFileSync(site.file('agent.key'), 'utf8'),
    })
    guests.push(await startGuest(image, options(at)))
  }, 300_000)
  afterAll(async () => {
    for (const guest of guests) await guest.stop()
  })

  const self: AgentInGuest = {
    site,
    now: () => guests.at(-1)!,
    where: () => where,
    consoles: () =>
      guests
        .map((guest) => guest.console())
        .join('')
        .replaceAll('\r', ''),
    async run(argv, input) {
      const agent = await openGuestAgent(self.now().agentSocket, AbortSignal.timeout(200_000))
      try {
        return await agent.run(argv, {timeoutMs: 180_000, ...(input === undefined ? {} : {input})})
      } finally {
        agent.close()
      }
    },
    async startAgent() {
      await self.run([
        'sh',
        '-c',
        `gwswitch agent --config ${GUEST_ETC}/agent.yaml </dev/null >/dev/null 2>/dev/ttyS0 &`,
      ])
    },
    signed(of, over) {
      const now = Math.floor(Date.now() / 1000)
      const seq = Date.now()
      const command: AgentCommand = {
        ...{v: 1, op: 'switch', vm: 'web-07', run: `r${seq}`, seq, iat: now, exp: now + 120},
        ...{nonce: String(seq).padStart(16, '0'), ...over},
      }
      return signCommand(command, {kid: `site-${of}`, privateKey: site.keys[of]})
    },
    async once(token) {
      const result = await self.run(['gwswitch', 'agent', '--once', '--config', `${GUEST_ETC}/agent.yaml`], token)
      const answers = result.stdout.split('\n').flatMap((line) => {
        const opened = openAnswer(Buffer.from(line), () => site.keys.agent)
        return opened.ok ? [opened.message] : []
      })
      return {...result, answers}
    },
    async migrate(to) {
      const moved = await migrateGuest(self.now(), image, options(to))
      guests.push(moved)
      where = to
      return moved
    },
  }
  return self
}
