import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { RawGateway, SESSION_HEADER, invocationPath, newSessionId, parseAnswer, readAll } from '../kit/raw-gateway.ts'
import { needsRoot } from '../kit/ring.ts'
import { errorOf } from '../kit/wire-error.ts'
import { ARN, KEY, SCOPE } from './served.ts'

const PATH = invocationPath(ARN)
const MIB = 1024 * 1024

/** A gateway in its own process, in front of `agent` in this one. `wrap` is put before its command. */
async function alone(t: TestContext, agent: RequestListener, wrap: string[] = []): Promise<{ raw: RawGateway; rssBytes(): number }> {
  const server = createServer(agent)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const spoolDirectory = mkdtempSync(join(tmpdir(), 'carrel-spool-'))
  const command = [
    ...wrap,
    process.execPath,
    fileURLToPath(import.meta.resolve('./alone.ts')),
    String((server.address() as AddressInfo).port),
    spoolDirectory,
  ]
  const child = spawn(command[0]!, command.slice(1), {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, SPOOL: spoolDirectory },
  })
  t.after(() => {
    child.kill('SIGKILL')
    server.closeAllConnections()
    server.close()
    rmSync(spoolDirectory, { recursive: true, force: true })
  })
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout.once('data', (line: Buffer) => resolve(Number(line)))
    child.once('exit', (code) => reject(new Error(`the gateway ended with ${code}`)))
  })
  const raw = new RawGateway(`http://127.0.0.1:${port}`, { ...KEY, region: SCOPE.region })
  t.after(() => raw.close())
  const rssBytes = (): number => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))![1]) * 1024
  return { raw, rssBytes }
}

test('four payloads of 100 MB in flight, to agents that read slowly, take at most 64 MB of memory', { timeout: 300_000 }, async (t) => {
  const size = 100_000_000
  const body = Buffer.alloc(size, 'carrel ')
  const expected = createHash('sha256').update(body).digest('hex')
  const { raw, rssBytes } = await alone(t, (request, response) => {
    const hash = createHash('sha256')
    request.on('data', (chunk: Buffer) => {
      hash.update(chunk)
      request.pause()
      setTimeout(() => request.resume(), 1)
    })
    request.on('end', () => response.end(hash.digest('hex')))
  })
  for (let n = 0; n < 20; n += 1) assert.equal((await raw.invoke(ARN, newSessionId(), {})).status, 200)
  await wait(500)
  const idleBytes = rssBytes()
  let peakBytes = 0
  const watch = setInterval(() => (peakBytes = Math.max(peakBytes, rssBytes())), 20)
  t.after(() => clearInterval(watch))
  const headers = await raw.sign({ path: PATH, headers: { [SESSION_HEADER]: newSessionId() }, body })
  const lines = Object.entries({ ...headers, 'content-length': String(size), connection: 'close' }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  )
  const answers = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const socket = connect(Number(raw.url.port), '127.0.0.1')
      const bytes = readAll(socket)
      socket.write(`POST ${PATH} HTTP/1.1\r\n${lines.join('')}\r\n`)
      socket.write(body)
      return parseAnswer(await bytes)
    }),
  )
  clearInterval(watch)
  for (const answer of answers) assert.deepEqual([answer.status, answer.body], [200, expected])
  const grownMiB = Math.round((peakBytes - idleBytes) / MIB)
  t.diagnostic(`idle ${Math.round(idleBytes / MIB)} MiB, grown by ${grownMiB} MiB`)
  assert.ok(grownMiB <= 64, `memory grew by ${grownMiB} MiB`)
})

test('a full disk is 500, says so, forwards nothing and loses nothing: small payloads go on, and there is room again at once', async (t) => {
  if (!needsRoot(t)) return
  if (spawnSync('unshare', ['-m', 'true']).status !== 0) return t.skip('this kernel or container does not let root make a mount namespace')
  let calls = 0
  const mount = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs -o size=2m tmpfs "$SPOOL" && exec "$0" "$@"']
  const { raw } = await alone(t, (request, response) => void ((calls += 1), request.resume().on('end', () => response.end('ok'))), mount)
  const send = (size: number) => raw.send({ path: PATH, headers: { [SESSION_HEADER]: newSessionId() }, body: Buffer.alloc(size) })
  const full = await send(5_000_000)
  assert.deepEqual([full.status, errorOf(full).type, calls], [500, 'InternalServerException', 0])
  assert.match(errorOf(full).message, /no disk space left/)
  assert.deepEqual([(await send(1_000)).status, (await send(1_500_000)).status, calls], [200, 200, 2])
})
