// Messages of a topic of RabbitMQ (AMQP 0-9-1), in a queue of our own: whoever else listens gets all of them too.
import {hostname} from 'node:os'
import type {Channel} from 'amqplib'
import {Failure} from '../../errors.ts'

export interface Topic {
  readonly exchange: string
  /** `versioned_notifications.*` */
  readonly routingKey: string
}

/** A queue that nobody reads any more holds this many messages at most, and is gone after that long, ms. */
const QUEUE_LENGTH = 10_000
const QUEUE_EXPIRES_MS = 600_000
const CONNECT_MS = 10_000
/** Seconds between signs of life, so that a peer that vanished is noticed. */
const HEARTBEAT_S = 10

/** A name for a queue of this process's own: what is sent while it is not connected waits there. */
export const ownQueue = (): string => `gwswitch.${hostname()}.${process.pid}.${Math.random().toString(36).slice(2, 10)}`

export interface TopicReader {
  /** Called with each message, as text. */
  onMessage(text: string): void
  /** Called when messages come from now on. */
  onReady(): void
}

/**
 * Binds `queue` to the topic and reads it until the connection ends; resolves to why. What is there already is only
 * looked at, never made: it is its publishers'. @throws Failure `silent` where no broker answers, `refused` where it does
 * not let us, `runtime` where it has no such exchange.
 */
export async function readTopic(
  url: string,
  {exchange, routingKey}: Topic,
  queue: string,
  reader: TopicReader,
  signal: AbortSignal,
): Promise<string> {
  const {connect} = await import('amqplib')
  const where = withoutPassword(url)
  const connection = await connect(withHeartbeat(url), {timeout: CONNECT_MS}).catch((error: Error) => {
    throw connectFailure(where, error)
  })
  const {promise: ended, resolve: end} = Promise.withResolvers<string>()
  let why = 'the broker closed the connection'
  const because = (error: Error): void => {
    why = error.message.split('\n')[0]!
  }
  connection.on('error', because)
  // An operator's "close" is no error to the library, and comes with the event.
  connection.on('close', (error?: Error) => {
    if (error) because(error)
    end(`${where}: ${why}`)
  })
  const close = (): void => void connection.close().catch(() => end(`${where}: closed`))
  signal.addEventListener('abort', close, {once: true})
  try {
    const channel = await connection.createChannel()
    channel.on('error', because)
    // A channel that the broker closed says nothing more.
    channel.on('close', close)
    await channel.checkExchange(exchange).catch(() => {
      throw new Failure(
        'runtime',
        `${where}: there is no exchange ${exchange} that we may see: does anybody publish there?`,
      )
    })
    await consume(channel, {exchange, routingKey}, queue, reader)
    if (signal.aborted) close()
    reader.onReady()
  } catch (error) {
    close()
    await ended
    throw error instanceof Failure ? error : new Failure('refused', `${where}: ${(error as Error).message}`)
  }
  const reason = await ended
  signal.removeEventListener('abort', close)
  return reason
}

async function consume(channel: Channel, topic: Topic, queue: string, {onMessage}: TopicReader): Promise<void> {
  await channel.assertQueue(queue, {
    ...{durable: false, maxLength: QUEUE_LENGTH, expires: QUEUE_EXPIRES_MS},
  })
  await channel.bindQueue(queue, topic.exchange, topic.routingKey)
  await channel.consume(queue, (message) => message && onMessage(message.content.toString()), {noAck: true})
}

function withHeartbeat(url: string): string {
  const given = new URL(url)
  if (!given.searchParams.has('heartbeat')) given.searchParams.set('heartbeat', String(HEARTBEAT_S))
  return given.href
}

/** For people: `amqp://HOST/VHOST`. */
function withoutPassword(url: string): string {
  const {protocol, host, pathname} = new URL(url)
  return `${protocol}//${host}${pathname}`
}

function connectFailure(where: string, error: Error): Failure {
  const {code} = error as NodeJS.ErrnoException
  if (/ACCESS.REFUSED|403/.test(error.message)) return new Failure('refused', `${where}: the broker refuses this user`)
  return new Failure('silent', `${where}: no broker answers (${code ?? error.message.split('\n')[0]})`)
}
