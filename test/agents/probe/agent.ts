/** An agent for tests: plain HTTP on the contract's port, does what the payload's `do` says, and tells what it sees. */
import { spawn, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'

interface Order {
  do: string
  [field: string]: unknown
}

const boot = randomUUID()
const { HOLD_BYTES, BOOT_DIR, RECORD_FILE, EXIT_AT_START, NEVER_LISTEN, START_DELAY_MS } = process.env
let calls = 0
let memory: unknown
let ping: { code: number; status: string; moving: boolean } = { code: 200, status: 'Healthy', moving: false }
const changedAt = Math.floor(Date.now() / 1000)
const acknowledged = new Map<string, { upTo: number; wake: () => void }>()

/** Memory that is really there, from the start. */
const held = Buffer.alloc(Number(HOLD_BYTES ?? 0), 1)

if (BOOT_DIR) writeFileSync(join(BOOT_DIR, boot), String(process.pid))
if (EXIT_AT_START) {
  console.log('about to give up')
  console.error('the model file is missing')
  process.exit(Number(EXIT_AT_START))
}

const actions: Record<string, (order: Order, response: ServerResponse, request: IncomingMessage) => unknown> = {
  boot: () => ({
    boot,
    pid: process.pid,
    calls,
    heldBytes: held.length,
    cwd: process.cwd(),
    home: homedir(),
    tmp: tmpdir(),
    environment: process.env,
  }),
  remember: ({ value }) => ((memory = value), { boot }),
  recall: () => ({ boot, memory: memory ?? null }),
  write: ({ text }) => {
    for (const folder of [process.cwd(), homedir(), tmpdir()]) writeFileSync(join(folder, 'note.txt'), String(text))
    return { boot }
  },
  read: () => ({
    notes: [process.cwd(), homedir(), tmpdir()].map((folder) =>
      existsSync(join(folder, 'note.txt')) ? readFileSync(join(folder, 'note.txt'), 'utf8') : null,
    ),
  }),
  sleep: async ({ ms }) => {
    await new Promise((resolve) => setTimeout(resolve, Number(ms)))
    return { boot, slept: ms }
  },
  /** Uses so much CPU time itself, then in a child that it waits for. */
  burn: ({ ms, childMs = 0 }) => {
    for (const from = process.cpuUsage(), until = Number(ms) * 1000; until > 0;) {
      const { user, system } = process.cpuUsage(from)
      if (user + system >= until) break
    }
    const code = `for (const from = process.cpuUsage(); process.cpuUsage(from).user < ${Number(childMs) * 1000};);`
    if (Number(childMs) > 0) spawnSync(process.execPath, ['-e', code])
    return { boot, pid: process.pid }
  },
  headers: (_order, _response, request) => ({ headers: request.headers }),
  status: ({ code, location }, response) => {
    response.writeHead(Number(code), {
      'content-type': 'application/json',
      ...(location ? { location: String(location) } : {}),
      'set-cookie': 'a=b',
    })
    response.end(JSON.stringify({ error: 'as asked' }))
  },
  html: (_order, response) => {
    response.writeHead(200, { 'content-type': 'text/html', 'set-cookie': 'a=b', 'x-frame-options': 'ALLOWALL' })
    response.end('<script>1</script>')
  },
  exit: ({ code }) => void setTimeout(() => process.exit(Number(code)), 20),
  stubborn: () => {
    const child = spawn(process.execPath, ['-e', "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"], {
      detached: true,
      stdio: 'ignore',
    })
    child.unref()
    return { pid: child.pid }
  },
  ping: ({ code = 200, status = 'Healthy', moving = false }) => (
    (ping = { code: Number(code), status: String(status), moving: Boolean(moving) }),
    { boot }
  ),
  listen: async ({ host, port }) => {
    const server = createTcpServer((socket) => socket.on('error', () => {}).end('leak'))
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(Number(port), String(host), resolve))
    return { address: server.address() }
  },
  /** The same in a child without the shim. Answers when the child listens, if this process lives to see it. */
  escape: async ({ host, port }) => {
    const code = `require('net').createServer((socket) => socket.on('error', () => {}).end('leak')).listen(${Number(port)}, ${JSON.stringify(host)}, () => console.log('escaped'))`
    const child = spawn(process.execPath, ['-e', code], { env: { ...process.env, NODE_OPTIONS: '' }, stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise((resolve) => child.stdout.once('data', resolve))
    return { pid: child.pid }
  },
  big: ({ bytes }, response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' })
    response.end(Buffer.alloc(Number(bytes), 'carrel'))
  },
  stream: streamInLockStep,
  ack: ({ key, upTo }) => {
    const stream = acknowledged.get(String(key))
    if (stream) {
      stream.upTo = Number(upTo)
      stream.wake()
    }
    return { known: stream !== undefined }
  },
  dribble: (order, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    let sent = 0
    const timer = setInterval(
      () => {
        sent += 1
        if (sent === Number(order['dieAfter'])) process.exit(9)
        response.write(`data: ${sent}\n\n`)
        if (sent === Number(order['chunks'])) {
          clearInterval(timer)
          response.end()
        }
      },
      Number(order['everyMs'] ?? 100),
    )
  },
}

/** Chunk n + 1 leaves only after somebody has said, by another call, that chunk n arrived. */
async function streamInLockStep({ key, chunks }: Order, response: ServerResponse): Promise<void> {
  const stream = { upTo: 0, wake: (): void => {} }
  acknowledged.set(String(key), stream)
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  for (let n = 1; n <= Number(chunks); n += 1) {
    response.write(`data: ${n}\n\n`)
    while (stream.upTo < n) await new Promise<void>((resolve) => (stream.wake = resolve))
  }
  response.end()
}

async function invoke(request: IncomingMessage, response: ServerResponse): Promise<void> {
  calls += 1
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) {
    if (RECORD_FILE) appendFileSync(RECORD_FILE, chunk)
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString('utf8')
  const order = (text === '' ? { do: 'boot' } : JSON.parse(text)) as Order
  const answer = await actions[order.do]?.(order, response, request)
  if (response.headersSent || answer === undefined) return
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(answer))
}

const server = createServer((request, response) => {
  if (RECORD_FILE && request.url !== '/ping') appendFileSync(RECORD_FILE, `${request.method} ${request.url}\n`)
  if (request.url === '/ping') {
    const time_of_last_update = ping.moving ? Math.floor(Date.now() / 1000) : changedAt
    response.writeHead(ping.code, { 'content-type': 'application/json' })
    return void response.end(JSON.stringify({ status: ping.status, time_of_last_update }))
  }
  if (request.url !== '/invocations') return void response.writeHead(404).end()
  invoke(request, response).catch((error: unknown) => {
    console.error(error)
    response.writeHead(500).end()
  })
})
if (NEVER_LISTEN) setInterval(() => {}, 1000)
else setTimeout(() => server.listen(8080, '0.0.0.0', () => console.log(`probe ${boot} listens`)), Number(START_DELAY_MS ?? 0))
