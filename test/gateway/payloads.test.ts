import assert from 'node:assert/strict'
import { mkdtempSync, readlinkSync, readdirSync, rmSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { SpoolQuota } from '../../src/gateway/proxy/quota.ts'
import { Spool } from '../../src/gateway/proxy/spool.ts'
import { eventually } from '../kit/eventually.ts'
import { SESSION_HEADER, invocationPath, newSessionId, parseAnswer, readAll, sha256, type RawGateway } from '../kit/raw-gateway.ts'
import { errorOf } from '../kit/wire-error.ts'
import { ARN, serve, spooled, type Served } from './served.ts'

const PATH = invocationPath(ARN)
const MB = 1_000_000
const LIMIT = 100 * MB
const within = { withinMs: 20_000 }

/** An agent that answers with the hash of what it got. */
const hashing = (request: IncomingMessage, response: { end(text: string): unknown }): void => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => response.end(sha256(Buffer.concat(chunks))))
}

/** Sends all of it, as fast as the other side takes it and whatever that answers meanwhile; reads then. */
async function upload(
  raw: RawGateway,
  headers: Record<string, string>,
  pieces: Iterable<Buffer>,
): Promise<{ answer: ReturnType<typeof parseAnswer>; sentBytes: number }> {
  const socket = connect({ port: Number(raw.url.port), host: raw.url.hostname, allowHalfOpen: true }).setMaxListeners(0)
  const bytes = readAll(socket)
  const ended = new Promise((resolve) => socket.once('end', resolve).once('close', resolve))
  socket.write(
    `POST ${PATH} HTTP/1.1\r\n${Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}\r\n`,
  )
  let sentBytes = 0
  for (const piece of pieces) {
    if (socket.destroyed) break
    sentBytes += piece.length
    if (!socket.write(piece)) await new Promise<void>((resolve) => socket.once('drain', resolve).once('close', resolve))
  }
  await ended
  socket.end()
  return { answer: parseAnswer(await bytes), sentBytes }
}

function* repeated(piece: Buffer, times: number): Generator<Buffer> {
  for (let n = 0; n < times; n += 1) yield piece
}

const signedFor = ({ raw }: Served, body: Buffer | string, headers: Record<string, string> = {}) =>
  raw.sign({ path: PATH, headers: { [SESSION_HEADER]: newSessionId(), ...headers }, body })

/** Open files of this process in the spool folder. */
function openFiles({ spoolDirectory }: Served): number {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return ''
    }
  })
  return links.filter((link) => link.startsWith(spoolDirectory)).length
}

test('payloads around the limits of memory and of size arrive whole, by Content-Length and chunked', async (t) => {
  const served = await serve(t, hashing)
  for (const size of [0, 1, 262_144, 262_145, 5 * MB, LIMIT]) {
    const body = Buffer.alloc(size, 'carrel ')
    const answer = await served.raw.send({ path: PATH, headers: { [SESSION_HEADER]: newSessionId() }, body })
    assert.deepEqual([answer.status, answer.body], [200, sha256(body)], `${size} bytes`)
  }
  const body = Buffer.alloc(MB, 'chunk ')
  const headers = { ...(await signedFor(served, body)), 'transfer-encoding': 'chunked', connection: 'close' }
  const piece = Buffer.concat([Buffer.from('2710\r\n'), body.subarray(0, 10_000), Buffer.from('\r\n')])
  const pieces = Array.from({ length: 100 }, (_, n) =>
    Buffer.concat([piece.subarray(0, 6), body.subarray(n * 10_000, (n + 1) * 10_000), piece.subarray(-2)]),
  )
  const { answer } = await upload(served.raw, headers, [...pieces, Buffer.from('0\r\n\r\n')])
  assert.equal(answer.body, sha256(body))
  await eventually(() => openFiles(served) === 0, { ...within, because: 'the files are closed' })
})

test('a payload on disk has no name there and leaves with its call', async (t) => {
  let answer: (() => void) | undefined
  const served = await serve(t, (request, response) => void request.resume().on('end', () => (answer = () => void response.end('ok'))))
  const call = served.raw.send({ path: PATH, headers: { [SESSION_HEADER]: newSessionId() }, body: Buffer.alloc(MB) })
  await eventually(() => answer, { ...within, because: 'the agent has it' })
  assert.deepEqual([openFiles(served), spooled(served)], [1, []])
  answer!()
  await call
  await eventually(() => openFiles(served) === 0, { ...within, because: 'the file is closed' })
})

test('a payload that says it is too large is refused without being read, and its sender sees the answer', async (t) => {
  const served = await serve(t, hashing)
  const headers = { ...(await signedFor(served, 'x')), 'content-length': String(LIMIT + 1) }
  const { answer, sentBytes } = await upload(served.raw, headers, [...repeated(Buffer.alloc(MB), 100), Buffer.alloc(1)])
  const error = errorOf(answer)
  assert.deepEqual([error.status, error.type, error.fields], [400, 'ValidationException', ['payload']])
  assert.equal(answer.headers['connection'], 'close')
  assert.equal(sentBytes, LIMIT + 1, 'the connection stayed open until all was sent')
  assert.deepEqual([served.reached.length, openFiles(served)], [0, 0])
})

test('a chunked payload is counted and refused at the limit', async (t) => {
  const served = await serve(t, hashing)
  const headers = { ...(await signedFor(served, 'x')), 'transfer-encoding': 'chunked' }
  const chunk = Buffer.concat([Buffer.from('F4240\r\n'), Buffer.alloc(MB), Buffer.from('\r\n')])
  const { answer } = await upload(served.raw, headers, repeated(chunk, 102))
  assert.deepEqual([errorOf(answer).status, errorOf(answer).fields], [400, ['payload']])
  assert.deepEqual([served.reached.length, openFiles(served)], [0, 0])
})

test('who cannot be right is refused before the payload: no 100 Continue, and a large sender sees the 403', async (t) => {
  const served = await serve(t, hashing)
  const good = await signedFor(served, Buffer.alloc(30 * MB))
  const wrong = { ...good, authorization: good['authorization']!.replace('AKIDEXAMPLE', 'AKIDOTHER'), 'content-length': String(30 * MB) }
  const waiting = await upload(served.raw, { ...wrong, expect: '100-continue' }, [])
  assert.equal(errorOf(waiting.answer).status, 403)
  const { answer } = await upload(served.raw, wrong, repeated(Buffer.alloc(MB), 30))
  assert.equal(errorOf(answer).status, 403)
  assert.deepEqual([served.reached.length, openFiles(served)], [0, 0])
})

test('who may be right and asks is told to continue', async (t) => {
  const served = await serve(t, hashing)
  const headers = { ...(await signedFor(served, 'hello')), 'content-length': '5', expect: '100-continue', connection: 'close' }
  const socket = served.raw.open()
  let received = ''
  socket.on('data', (chunk: Buffer) => {
    if (received === '') socket.write('hello')
    received += chunk.toString()
  })
  const closed = readAll(socket)
  socket.write(
    `POST ${PATH} HTTP/1.1\r\n${Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}\r\n`,
  )
  await closed
  assert.match(received, /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK/)
})

test('a payload changed after signing never reaches the agent, however large', async (t) => {
  const served = await serve(t, hashing)
  const body = Buffer.alloc(MB)
  const headers = await signedFor(served, body)
  body[MB - 1] = 1
  assert.equal(errorOf(await served.raw.exchange('POST', PATH, headers, body)).status, 403)
  assert.deepEqual([served.reached.length, openFiles(served)], [0, 0])
})

test('a sender that falls silent, or drips, is told so; one that hangs up leaves nothing', async (t) => {
  const served = await serve(t, hashing, { patience: { silenceMs: 150, wholeMs: 600 } })
  const headers = { ...(await signedFor(served, 'x')), 'content-length': String(MB) }
  const silent = await upload(served.raw, headers, [Buffer.alloc(300_000)])
  assert.match(errorOf(silent.answer).message, /too slowly: nothing of it came/)

  const socket = served.raw.open()
  const bytes = readAll(socket)
  socket.write(
    `POST ${PATH} HTTP/1.1\r\n${Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}\r\n`,
  )
  const drip = setInterval(() => socket.write('.'), 40)
  const answer = parseAnswer(await bytes.finally(() => clearInterval(drip)))
  assert.match(errorOf(answer).message, /too slowly/)

  const gone = served.raw.open()
  gone.write(
    `POST ${PATH} HTTP/1.1\r\n${Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}\r\n`,
  )
  gone.write(Buffer.alloc(300_000))
  await eventually(() => openFiles(served) === 1, { ...within, because: 'it is on disk', everyMs: 5 })
  gone.destroy()
  await eventually(() => openFiles(served) === 0 && served.gateway.open === 0, { ...within, because: 'nothing is left' })
  assert.equal(served.reached.length, 0)
})

test('bytes on disk are capped by key, by address and in all, and given back', async (t) => {
  for (const name of ['perKeyBytes', 'perAddressBytes', 'totalBytes'] as const) {
    let release: (() => void) | undefined
    const served = await serve(t, (request, response) => void request.resume().on('end', () => (release = () => void response.end('ok'))), {
      spoolLimits: { perKeyBytes: 9 * MB, perAddressBytes: 9 * MB, totalBytes: 9 * MB, [name]: 1.5 * MB },
    })
    const send = () => served.raw.send({ path: PATH, headers: { [SESSION_HEADER]: newSessionId() }, body: Buffer.alloc(MB) })
    const first = send()
    await eventually(() => release, { ...within, because: 'the first is with the agent' })
    const second = await send()
    assert.deepEqual([second.status, errorOf(second).type, second.headers['x-amz-retry-after']], [429, 'ThrottlingException', '2000'], name)
    release!()
    assert.equal((await first).status, 200)
    release = undefined
    const third = send()
    await eventually(() => release, { ...within, because: 'there is room again' })
    release!()
    assert.equal((await third).status, 200)
  }
})

test('a spool folder that cannot be written is 500, says so, and forwards nothing', async (t) => {
  const served = await serve(t, hashing)
  rmSync(served.spoolDirectory, { recursive: true })
  const answer = await served.raw.send({ path: PATH, headers: { [SESSION_HEADER]: newSessionId() }, body: Buffer.alloc(MB) })
  assert.deepEqual([answer.status, errorOf(answer).type, served.reached.length], [500, 'InternalServerException', 0])
  assert.match(errorOf(answer).message, /spool folder/)
  assert.equal((await served.raw.invoke(ARN, newSessionId(), {})).status, 200, 'small payloads go on')
})

test('an agent that answers before it has read all is heard, and the file is closed', async (t) => {
  const served = await serve(t, (_request, response) => void response.writeHead(200, { connection: 'close' }).end('enough'))
  const answer = await served.raw.send({ path: PATH, headers: { [SESSION_HEADER]: newSessionId() }, body: Buffer.alloc(20 * MB) })
  assert.ok(answer.status === 200 ? answer.body === 'enough' : errorOf(answer).status === 424)
  await eventually(() => openFiles(served) === 0 && served.sessions.held === 0, { ...within, because: 'nothing is left' })
  assert.deepEqual(
    served.log.filter(({ level }) => level === 'error'),
    [],
  )
})

test('when small payloads have taken their share of memory, further ones go to disk', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'carrel-spool-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const quota = new SpoolQuota({ perKeyBytes: MB, perAddressBytes: MB, totalBytes: MB })
  const options = { directory, quota, accessKeyId: 'k', address: 'a' }
  const share: Spool[] = []
  for (let n = 0; n < 256; n += 1) {
    share.push(new Spool(options))
    assert.equal(share[n]!.add(Buffer.alloc(262_144)), undefined)
  }
  const further = new Spool(options)
  await further.add(Buffer.from('small'))
  const body = further.finish()
  assert.ok(!Buffer.isBuffer(body.stream()))
  assert.equal(await text(body.stream() as Readable), 'small')
  await body.discard()
  await share[0]!.discard()
  assert.equal(new Spool(options).add(Buffer.from('small')), undefined, 'what was given back is there again')
})
