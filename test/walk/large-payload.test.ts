import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { InvokeAgentRuntimeCommand } from '@aws-sdk/client-bedrock-agentcore'
import type { AgentRuntime } from '../../src/crds/agent-runtime.ts'
import { eventually } from '../kit/eventually.ts'
import { Installation } from '../kit/installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { everywhere } from '../kit/place.ts'
import { SESSION_HEADER, invocationPath, newSessionId, parseAnswer, readAll, type RawAnswer } from '../kit/raw-gateway.ts'
import { needs } from '../kit/ring.ts'
import { sharedFolder } from '../kit/shared-folder.ts'
import { errorOf, thrownBySdk } from '../kit/wire-error.ts'

/** Contract 2.1. */
const LONGEST_BYTES = 100_000_000
const PIECE = Buffer.alloc(1_000_000, 'carrel')
const MOST_MORE_BYTES = 64 * 1024 * 1024
/** The payload's limit, what a lingering close still takes, and what lies in the kernel's buffers. */
const MOST_READ_BYTES = 500_000_000
const TOO_LARGE = [400, 'ValidationException', ['payload']] as const

/** Counts what it gets, and holds nothing of it. Reads on only when the file is there. */
const COUNTER = `
const { existsSync, writeFileSync } = require('node:fs')
const { createHash, randomUUID } = require('node:crypto')
const untilReleased = () => new Promise((resolve) => {
  const timer = setInterval(() => existsSync(process.env.FOLDER + '/go') && (clearInterval(timer), resolve()), 20)
})
require('node:http').createServer(async (request, response) => {
  if (request.url === '/ping') return response.end('{"status":"Healthy"}')
  writeFileSync(process.env.FOLDER + '/arrived-' + randomUUID(), '')
  await untilReleased()
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of request) { hash.update(chunk); bytes += chunk.length }
  response.end(JSON.stringify({ bytes, sha256: hash.digest('hex') }))
}).listen(8080, '0.0.0.0')
`

function counter(t: TestContext): { manifest: AgentRuntime; arrived: () => number; release: () => void } {
  const folder = sharedFolder(t)
  return {
    manifest: runtimeManifest('counter', { command: ['node', '-e', COUNTER], environment: { FOLDER: folder } }),
    arrived: () => readdirSync(folder).filter((name) => name.startsWith('arrived-')).length,
    release: () => writeFileSync(join(folder, 'go'), ''),
  }
}

/** The head of a signed call; `sha256` is the body's. */
async function headOf({ gateway }: Installation, arn: string, sha256: string, framing: Record<string, string>): Promise<string> {
  const headers = { [SESSION_HEADER]: newSessionId(), 'x-amz-content-sha256': sha256 }
  const signed = await gateway.sign({ path: invocationPath(arn), headers })
  const lines = Object.entries({ ...signed, ...framing, connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`)
  return `POST ${invocationPath(arn)} HTTP/1.1\r\n${lines.join('')}\r\n`
}

/** Resolves when the kernel has taken it; false when the other side has closed. */
function write(socket: Socket, data: string | Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve(false)
    socket.write(data, (error) => resolve(!error))
  })
}

function hashOf(bytes: number): string {
  const hash = createHash('sha256')
  for (let sent = 0; sent < bytes; sent += PIECE.length) hash.update(PIECE.subarray(0, Math.min(PIECE.length, bytes - sent)))
  return hash.digest('hex')
}

/** A sender as most are: it sends all of the body, whatever comes back meanwhile, and looks for the answer then. */
async function sendAll({ gateway }: Installation, head: string, pieces: Iterable<Buffer>): Promise<RawAnswer> {
  const socket = connect({ port: Number(gateway.url.port), host: gateway.url.hostname, allowHalfOpen: true })
  const answer = readAll(socket)
  await write(socket, head)
  for (const piece of pieces) assert.ok(await write(socket, piece), 'the connection takes all that is sent')
  // Ending before the answer is there would be a half-closed connection, which Node's server takes for a caller that went away.
  if (socket.readableEnded) socket.end()
  else socket.once('end', () => socket.end())
  return parseAnswer(await answer)
}

function* plain(bytes: number): Generator<Buffer> {
  for (let sent = 0; sent < bytes; sent += PIECE.length) yield PIECE.subarray(0, Math.min(PIECE.length, bytes - sent))
}

function* chunked(bytes: number): Generator<Buffer> {
  for (const piece of plain(bytes)) yield Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')])
  yield Buffer.from('0\r\n\r\n')
}

everywhere('one byte too many, by Content-Length or in chunks: a sender that sends all of it still sees the 400', async (t) => {
  const installation = await Installation.start(t)
  const arn = await installation.apply(counter(t).manifest)
  const bytes = LONGEST_BYTES + 1
  const sha256 = hashOf(bytes)
  const byLength = await headOf(installation, arn, sha256, { 'content-length': String(bytes) })
  const byChunks = await headOf(installation, arn, sha256, { 'transfer-encoding': 'chunked' })
  for (const [head, pieces] of [
    [byLength, plain(bytes)],
    [byChunks, chunked(bytes)],
  ] as const) {
    const error = errorOf(await sendAll(installation, head, pieces))
    assert.deepEqual([error.status, error.type, error.fields], TOO_LARGE)
    assert.match(error.message, /at most 100000000 bytes/)
  }
  assert.equal((await installation.sessions()).length, 0)
})

everywhere('a payload of 2 GB is answered before it is sent, and not read to its end', async (t) => {
  const installation = await Installation.start(t)
  const arn = await installation.apply(counter(t).manifest)
  const bytes = 2_000_000_000
  const ways: [framing: Record<string, string>, pieces: Iterable<Buffer>][] = [
    [{ 'content-length': String(bytes) }, plain(bytes)],
    [{ 'transfer-encoding': 'chunked' }, chunked(bytes)],
  ]
  for (const [framing, pieces] of ways) {
    const socket = installation.gateway.open()
    let isAnswered = false
    socket.once('data', () => (isAnswered = true))
    const answer = readAll(socket)
    await write(socket, await headOf(installation, arn, 'a'.repeat(64), framing))
    let sent = 0
    for (const piece of pieces) {
      if (isAnswered || !(await write(socket, piece))) break
      sent += piece.length
    }
    socket.end()
    const error = errorOf(parseAnswer(await answer))
    assert.deepEqual([error.status, error.type, error.fields], TOO_LARGE)
    assert.ok(sent < MOST_READ_BYTES, `${sent} bytes were read`)
  }
})

everywhere('a sender that never stops is cut off', async (t) => {
  const installation = await Installation.start(t)
  const arn = await installation.apply(counter(t).manifest)
  const socket = installation.gateway.open()
  const answer = readAll(socket)
  await write(socket, await headOf(installation, arn, 'a'.repeat(64), { 'content-length': '2000000000' }))
  let sent = 0
  for (const piece of plain(2_000_000_000)) {
    if (!(await write(socket, piece))) break
    sent += piece.length
  }
  assert.ok(sent < MOST_READ_BYTES, `${sent} bytes were read`)
  await answer.catch(() => {})
})

everywhere('the SDKs raise ValidationException for a payload that is too large, and have one of exactly 100 MB served', async (t) => {
  const installation = await Installation.start(t)
  const { manifest, release } = counter(t)
  const arn = await installation.apply(manifest)
  release()
  const client = installation.client()
  const invoke = (bytes: number) =>
    client.send(new InvokeAgentRuntimeCommand({ agentRuntimeArn: arn, runtimeSessionId: newSessionId(), payload: Buffer.alloc(bytes) }))
  const thrown = await thrownBySdk(invoke(LONGEST_BYTES + 1))
  assert.deepEqual([thrown.status, thrown.type, thrown.fields], TOO_LARGE)
  const { response } = await invoke(LONGEST_BYTES)
  assert.equal((JSON.parse(await response!.transformToString()) as { bytes: number }).bytes, LONGEST_BYTES)

  const python = needs(t, 'CARREL_TEST_PYTHON')
  if (!python) return
  const calls = [LONGEST_BYTES + 1, LONGEST_BYTES].map((payload) => ({
    operation: 'invoke_agent_runtime',
    parameters: { agentRuntimeArn: arn, runtimeSessionId: newSessionId(), payload },
  }))
  const [raised, served] = await installation.python<{ class: string | null; status?: number; fields?: string[] }[]>(
    python,
    join(import.meta.dirname, 'boto', 'refusals.py'),
    JSON.stringify(calls),
  )
  assert.deepEqual([raised!.status, raised!.class, raised!.fields], TOO_LARGE)
  assert.equal(served!.class, null)
})

everywhere('four payloads of 100 MB in flight cost at most 64 MB of memory, and arrive whole', async (t) => {
  const installation = await Installation.start(t)
  const { manifest, arrived, release } = counter(t)
  const arn = await installation.apply(manifest)
  const sha256 = hashOf(LONGEST_BYTES)
  const sessions = await Promise.all(
    Array.from({ length: 4 }, () => headOf(installation, arn, sha256, { 'content-length': String(LONGEST_BYTES) })),
  )
  const gateways = installation.gatewayPids()
  const residentBytes = (): number => gateways.reduce((sum, pid) => sum + residentBytesOf(pid), 0)
  const idleBytes = residentBytes()
  let peakBytes = 0
  const look = setInterval(() => (peakBytes = Math.max(peakBytes, residentBytes())), 20)
  t.after(() => clearInterval(look))

  const answers = Promise.all(sessions.map((head) => sendAll(installation, head, plain(LONGEST_BYTES))))
  await Promise.race([answers, eventually(() => arrived() === 4, { withinMs: 45_000, because: 'all four have reached their agents' })])
  assert.equal(arrived(), 4, 'all four are in flight at once')
  release()
  for (const answer of await answers) {
    assert.equal(answer.status, 200, answer.body)
    assert.deepEqual(JSON.parse(answer.body), { bytes: LONGEST_BYTES, sha256 })
  }
  clearInterval(look)
  const moreBytes = peakBytes - idleBytes
  t.diagnostic(`idle ${mebibytes(idleBytes)}, at most ${mebibytes(peakBytes)}`)
  assert.ok(peakBytes > 0 && moreBytes <= MOST_MORE_BYTES, `${mebibytes(moreBytes)} more than idle`)
})

const mebibytes = (bytes: number): string => `${Math.round(bytes / 1024 / 1024)} MiB`

function residentBytesOf(pid: number): number {
  const status = `/proc/${pid}/status`
  assert.ok(existsSync(status))
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(status, 'utf8'))![1]) * 1024
}
