// A RabbitMQ of a test's own: on ports and in a folder of its own, without the machine's configuration.
import {type ChildProcess, spawn} from 'node:child_process'
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {type AddressInfo, createConnection, createServer, type Socket} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {once} from '../../src/net/stream/unix-socket.ts'
import {eventually} from './until.ts'

export const RABBITMQ = '/usr/lib/rabbitmq/bin/rabbitmq-server'

export interface RabbitMq extends AsyncDisposable {
  readonly url: string
  /** What rabbitmqctl(8) answers. */
  ask(...args: readonly string[]): Promise<string>
}

/** Takes some ten seconds: Erlang starts twice. */
export async function startRabbitMq(): Promise<RabbitMq> {
  const home = mkdtempSync(join(tmpdir(), 'gwswitch-rabbitmq-'))
  for (const folder of ['db', 'log']) mkdirSync(join(home, folder))
  const [amqp, epmd, distribution] = await freePorts(3)
  writeFileSync(join(home, 'rabbitmq.conf'), `listeners.tcp.1 = 127.0.0.1:${amqp}\nlog.console = false\n`)
  writeFileSync(join(home, 'plugins'), '[].')
  const env = {
    ...process.env,
    ...{HOME: home, RABBITMQ_CONF_ENV_FILE: '/dev/null', RABBITMQ_NODENAME: `gw${process.pid}@localhost`},
    ...{RABBITMQ_CONFIG_FILE: join(home, 'rabbitmq.conf'), RABBITMQ_ENABLED_PLUGINS_FILE: join(home, 'plugins')},
    ...{RABBITMQ_MNESIA_BASE: join(home, 'db'), RABBITMQ_LOG_BASE: join(home, 'log')},
    ...{ERL_EPMD_PORT: String(epmd), ERL_EPMD_ADDRESS: '127.0.0.1', RABBITMQ_DIST_PORT: String(distribution)},
    // It shares the machine with other tests.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+sbwt none +S 1:1',
  }
  // Started by us, it is no daemon that stays.
  const names = spawn('epmd', ['-port', String(epmd), '-address', '127.0.0.1'], {stdio: 'ignore'})
  const broker = spawn(RABBITMQ, [], {stdio: 'ignore', env, detached: true})
  const stop = async (): Promise<void> => {
    await ended(broker, () => process.kill(-broker.pid!, 'SIGKILL'))
    await ended(names, () => names.kill('SIGKILL'))
    rmSync(home, {recursive: true, force: true})
  }
  const ask = (...args: readonly string[]): Promise<string> => rabbitmqctl(env, args)
  try {
    // It listens when all else is there.
    await eventually(async () => {
      ;(await answering(amqp!)).destroy()
    }, 90_000)
  } catch (error) {
    await stop()
    throw error
  }
  return {url: `amqp://guest:guest@127.0.0.1:${amqp}/`, ask, [Symbol.asyncDispose]: stop}
}

async function answering(port: number): Promise<Socket> {
  const socket = createConnection(port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

async function rabbitmqctl(env: NodeJS.ProcessEnv, args: readonly string[]): Promise<string> {
  const child = spawn('/usr/lib/rabbitmq/bin/rabbitmqctl', ['-q', ...args], {env, stdio: ['ignore', 'pipe', 'ignore']})
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`rabbitmqctl ${args.join(' ')} ended with code ${code}: ${said}`)
  return said
}

async function ended(child: ChildProcess, kill: () => void): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  kill()
  await gone
}

/** Of 127.0.0.1, which nobody has at the moment. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({length: count}, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))))
  return ports
}
