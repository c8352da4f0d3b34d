/** Adapter: nginx as the plain reverse proxy that anyone would put there: one worker, kept connections, an access log of JSON lines. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../../test/kit/eventually.ts'
import { freePort } from '../../test/kit/free-port.ts'

export interface Nginx {
  port: number
  /** Of its one worker. */
  pid: number
  stop(): Promise<void>
}

const UP_WITHIN_MS = 10_000

export async function startNginx(binary: string, upstream: { address: string; port: number }): Promise<Nginx> {
  const folder = mkdtempSync(join(tmpdir(), 'carrel-bench-nginx-'))
  const port = await freePort()
  writeFileSync(join(folder, 'nginx.conf'), configOf(folder, port, upstream))
  const child = spawn(binary, ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')], { stdio: 'ignore' })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()))
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await exited
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await eventually(() => isOpen(port), { withinMs: UP_WITHIN_MS, because: 'nginx listens' })
    const pid = await eventually(() => workerOf(child.pid!), { withinMs: UP_WITHIN_MS, because: 'nginx has a worker' })
    return { port, pid, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function workerOf(pid: number): number | undefined {
  const [first] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
  return first === undefined ? undefined : Number(first)
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const settle = (open: boolean): void => {
      socket.destroy()
      resolve(open)
    }
    socket.once('connect', () => settle(true)).once('error', () => settle(false))
  })
}

function configOf(folder: string, port: number, { address, port: upstreamPort }: { address: string; port: number }): string {
  return `daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 1024; }
http {
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f;
  uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  client_max_body_size 100m; client_body_buffer_size 256k; proxy_buffers 16 8k;
  keepalive_requests 1000000000;
  log_format lines escape=json '{"time":"$time_iso8601","requestId":"$request_id","method":"$request_method","path":"$uri",'
    '"status":$status,"bytesOut":$body_bytes_sent,"ms":"$request_time"}';
  access_log ${folder}/access.log lines;
  upstream agent { server ${address}:${upstreamPort}; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://agent; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; }
  }
}
`
}
