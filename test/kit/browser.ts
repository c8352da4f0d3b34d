import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** A name that resolves to this machine, as a rebinding attacker makes it do. */
export const REBOUND_NAME = 'rebound.test'
const REPORT_WITHIN_MS = 90_000

/**
 * Opens a page of another site in Chromium and answers what its script reports. `script` is the body of an async
 * function; what it returns is posted back as JSON. Certificate errors are ignored: the worst case for who is attacked.
 */
export async function reportOfPage<Report>(t: TestContext, chromium: string, script: string): Promise<Report> {
  let deliver: (report: Report) => void
  const report = new Promise<Report>((resolve) => (deliver = resolve))
  const page = `<!doctype html><meta charset=utf-8><body><script>
    const attack = async () => { ${script} }
    attack().catch((error) => ({ failed: String(error) })).then((report) => fetch('/report', { method: 'POST', body: JSON.stringify(report) }))
  </script>`
  const site = createServer((request, response) => {
    if (request.url !== '/report') return void response.writeHead(200, { 'content-type': 'text/html' }).end(page)
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString('utf8')))
    request.on('end', () => {
      response.end()
      deliver(JSON.parse(body) as Report)
    })
  })
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
  const profile = mkdtempSync(join(tmpdir(), 'carrel-chromium-'))
  const flags = [
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--no-first-run',
    '--ignore-certificate-errors',
  ]
  const names = `--host-resolver-rules=MAP ${REBOUND_NAME} 127.0.0.1, MAP evil.test 127.0.0.1`
  const url = `http://evil.test:${(site.address() as AddressInfo).port}/`
  const browser = spawn(chromium, [...flags, names, `--user-data-dir=${profile}`, url], { stdio: 'ignore', detached: true })
  const timer = new AbortController()
  const late = new Promise<never>((_, reject) => {
    const clock = setTimeout(() => reject(new Error(`the page in Chromium reported nothing in ${REPORT_WITHIN_MS} ms`)), REPORT_WITHIN_MS)
    timer.signal.addEventListener('abort', () => clearTimeout(clock))
  })
  const failed = new Promise<never>((_, reject) => {
    browser.once('error', reject)
    browser.once('exit', (code) => reject(new Error(`Chromium ended with ${code}`)))
  })
  t.after(async () => {
    timer.abort()
    site.closeAllConnections()
    site.close()
    if (browser.pid && browser.exitCode === null) {
      const exited = new Promise((resolve) => browser.once('exit', resolve))
      process.kill(-browser.pid, 'SIGKILL')
      await exited
    }
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
  })
  return Promise.race([report, late, failed])
}
