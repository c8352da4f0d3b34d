import { spawn, type ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { METER_PORT, sessionMeterKey } from '../../src/metering/access.ts'
import { METER_ENVIRONMENT, METER_FLAGS } from '../../src/metering/sidecar/command.ts'

export const SECRET = 'a-secret-of-at-least-thirty-two-characters'
export const SESSION_UID = '0d3c7a1e-session'
export const POD_UID = '5f1c2b3a-pod'
export const KEY = sessionMeterKey(SECRET, SESSION_UID)

const MAIN = join(import.meta.dirname, '../../src/metering/sidecar/main.ts')

export interface Sidecar {
  address: string
  process: ChildProcess
  /** What it wrote, whole lines. */
  lines(): { level: string; msg: string }[]
  /** Its exit code, once it is gone; it gives a signal as text. */
  exit: Promise<number | string>
}

/** The meter as a process, started as in a pod, with its port on an address of 127.0.0.0/8 that is this test's own. */
export function startSidecar(
  t: TestContext,
  options: { address?: string; agentPort?: number; changes?: Record<string, string> } = {},
): Sidecar {
  const address = options.address ?? ownAddress()
  const child = spawn(process.execPath, [...METER_FLAGS, MAIN], {
    env: {
      ...METER_ENVIRONMENT,
      CARREL_METER_KEY: KEY,
      CARREL_METER_POD_UID: POD_UID,
      CARREL_METER_AGENT_PORT: String(options.agentPort ?? 1),
      CARREL_METER_HOST: address,
      ...options.changes,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let text = ''
  child.stderr.setEncoding('utf8').on('data', (piece: string) => void (text += piece))
  const exit = once(child, 'close').then(([code, signal]: (number | string | null)[]) => code ?? signal!)
  t.after(async () => {
    child.kill('SIGKILL')
    await exit
  })
  const lines = (): { level: string; msg: string }[] =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as never)
  return { address, process: child, lines, exit }
}

/** Resolves when it listens; fails with what it wrote when it ends instead. */
export async function listening(sidecar: Sidecar): Promise<Sidecar> {
  const ended = sidecar.exit.then((code) => {
    throw new Error(`it ended (${code}): ${JSON.stringify(sidecar.lines())}`)
  })
  const said = (async () => {
    while (!sidecar.lines().some(({ msg }) => msg.startsWith('listens'))) await once(sidecar.process.stderr!, 'data')
  })()
  await Promise.race([said, ended])
  return sidecar
}

export function ownAddress(): string {
  return `127.${randomInt(64, 250)}.${randomInt(1, 250)}.${randomInt(1, 250)}`
}

export interface Answered {
  status: number
  headers: NodeJS.Dict<string | string[]>
  body: string
}

export function ask(address: string, path: string, options: { method?: string; headers?: Record<string, string> } = {}): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: address, port: METER_PORT, path, agent: false, ...options }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (piece: string) => void (body += piece))
      response.once('end', () => resolve({ status: response.statusCode!, headers: response.headers, body }))
    })
    sent.once('error', reject).end()
  })
}

/** A connection of its own, for what no client sends. `closed` resolves with all that came. */
export function rawConnection(address: string): { socket: Socket; closed: Promise<string> } {
  const socket = connect(METER_PORT, address)
  let text = ''
  socket.setEncoding('latin1').on('data', (piece: string) => void (text += piece))
  socket.on('error', () => {})
  return { socket, closed: new Promise((resolve) => socket.once('close', () => resolve(text))) }
}
