import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { openLog } from '../../src/telemetry/log.ts'
import { scrub } from '../../src/telemetry/scrub.ts'

const JWT = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlLXBsYW50ZWQ'

function logged(t: TestContext, write: (log: ReturnType<typeof openLog>) => void): { text: string; file: string } {
  const directory = mkdtempSync(join(tmpdir(), 'carrel-log-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'log')
  write(openLog({ name: 'test', file }))
  return { text: readFileSync(file, 'utf8'), file }
}

test('a field that is named like a secret is redacted, however deep, whatever it holds, and in errors', (t) => {
  const { text, file } = logged(t, (log) => {
    const secrets = {
      authorization: 'planted-1',
      token: 'planted-2',
      secretAccessKey: 'planted-3',
      'x-amz-security-token': 'planted-4',
      cookie: 'planted-5',
      clientSecret: 'planted-6',
    }
    log.info(secrets, 'top')
    log.info({ request: secrets }, 'one deep')
    log.info({ a: { b: [{ c: { headers: secrets } }] } }, 'deep')
    log.info({ secret: { data: { key: 'planted-7' } }, 'Set-Cookie': ['planted-8', 'planted-9'] }, 'not text')
    log.warn({ err: Object.assign(new Error('failed'), secrets) }, 'error')
  })
  assert.ok(!text.includes('planted'), text)
  assert.deepEqual(
    text
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { msg: string }).msg),
    ['top', 'one deep', 'deep', 'not text', 'error'],
  )
  assert.equal(statSync(file).mode & 0o777, 0o600)
})

test('what looks like a credential is scrubbed out of any text', (t) => {
  const { text } = logged(t, (log) => {
    log.info({ header: `Bearer ${JWT}` }, 'a')
    log.info({ note: `got ${JWT} from somebody` }, 'b')
    log.info({ url: `wss://h/ws?X-Amz-Credential=AKIDPLANTED%2Fx&X-Amz-Signature=${'ab'.repeat(32)}&X-Amz-Security-Token=planted` }, 'c')
    log.info({ header: `AWS4-HMAC-SHA256 Credential=AKID/x, SignedHeaders=host, Signature=${'cd'.repeat(32)}` }, 'd')
    log.error({ err: new Error(`POST https://issuer/token: client_secret=planted&x=1`, { cause: new Error(`Bearer ${JWT}`) }) }, 'e')
    log.info({ redis: 'rediss://carrel:planted@redis:6379/0' }, 'f')
    log.info({}, `Bearer planted-planted`)
    log.warn({ err: new Error('the provider answered {"access_token": "planted", "x": 1}') }, 'g')
  })
  for (const secret of ['planted', 'PLANTED', 'eyJ', 'abab', 'cdcd', 'c2lnbmF0dXJl'])
    assert.ok(!text.includes(secret), `${secret} in ${text}`)
  for (const line of text.trim().split('\n')) JSON.parse(line)
})

test('ordinary lines are left as they are', () => {
  for (const line of [
    '{"path":"/runtimes/arn%3Aaws%3Abedrock-agentcore/invocations","sessionId":"bearer-of-news","msg":"call"}',
    '{"url":"http://127.0.0.1:8080/ping","msg":"Bearer or signature?"}',
    '{"msg":"signed with AWS4-HMAC-SHA256, Signature=, and an e-mail a@b.example"}',
  ]) {
    assert.equal(scrub(line), line)
  }
})
