import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AGENT_RUNTIMES } from '../../src/crds/agent-runtime.ts'
import { signed } from '../../src/sigv4/sign.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { BEGIN_MS, Workplace } from './workplace.ts'

const ARN = 'arn:aws:bedrock-agentcore:eu-west-1:000000000000:runtime/hello-abcdefghij'
const KEY = { accessKeyId: 'CARRELABCDEFGHIJKLMN', secretAccessKey: 'a-secret' }
const HEADER = 'x-amzn-bedrock-agentcore-runtime-session-id'
const SESSION = 's'.repeat(40)

async function* parts(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}

async function withKey(status = 200, ...texts: string[]): Promise<Workplace> {
  const place = await Workplace.start()
  place.variables = { AWS_ACCESS_KEY_ID: KEY.accessKeyId, AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey }
  place.answers = async () => ({
    status,
    headers: { [HEADER]: SESSION, 'x-amzn-errortype': 'AccessDeniedException' },
    body: parts(...texts),
  })
  return place
}

test('a call goes to the gateway as an SDK signs it, in the region of the ARN', async () => {
  const place = await withKey(200, '{"a":', '1}')
  const ran = await place.run(`invoke ${ARN} --session ${SESSION} --qualifier prod --payload`, '{"prompt": "Hi"}')
  assert.deepEqual([ran.code, ran.notes], [0, `session ${SESSION}`])
  assert.deepEqual(ran.out.replaceAll('\n', ''), '{"a":1}')
  const [{ url, headers, body } = assert.fail('nothing was sent')] = place.posted
  assert.equal(url, `http://127.0.0.1:8700/runtimes/${encodeURIComponent(ARN)}/invocations?qualifier=prod`)
  assert.equal(body, '{"prompt": "Hi"}')
  const unsigned = { 'content-type': 'application/json', accept: '*/*', [HEADER]: SESSION }
  const wanted = signed({ method: 'POST', url: new URL(url), headers: unsigned, body }, KEY, { region: 'eu-west-1', nowMs: BEGIN_MS })
  assert.deepEqual(headers, wanted)
})

test('a new session id is made and told, standard input is the payload', async () => {
  const place = await withKey(200, 'ok')
  place.standardInput = '{"long": true}'
  await place.run(`invoke ${ARN} --payload - --url https://carrel.example/`)
  assert.equal(place.posted[0]!.body, '{"long": true}')
  assert.match(place.posted[0]!.url, /^https:\/\/carrel\.example\/runtimes\//)
  assert.match(place.posted[0]!.headers[HEADER]!, /^carrel-[0-9a-f-]{36}$/)
})

test('a runtime is found by its name, in the namespace that is named', async () => {
  const place = await withKey(200, 'ok')
  const made = await place.client.create(AGENT_RUNTIMES, runtimeManifest('hello'))
  const none = await place.run('invoke hello')
  assert.deepEqual([none.code, place.posted], [1, []])
  assert.match(none.notes, /AgentRuntime hello has no ARN yet: carrel describe hello -n default says why/)
  await place.client.replace(AGENT_RUNTIMES, { ...made, status: { agentRuntimeArn: ARN } }, 'status')
  assert.equal((await place.run('invoke hello')).code, 0)
  assert.ok(place.posted[0]!.url.includes(encodeURIComponent(ARN)))
  const elsewhere = await place.run('invoke hello -n carrel-system')
  assert.equal(elsewhere.code, 1)
  assert.match(elsewhere.notes, /there is no AgentRuntime hello in namespace carrel-system/)
})

test('a refusal is a failure that says who refused, and the session id is told all the same', async () => {
  const place = await withKey(403, '{"message": "you may not \\u001b[2J"}')
  const ran = await place.run(`invoke ${ARN}`)
  assert.deepEqual([ran.code, ran.out], [1, ''])
  assert.match(ran.notes, /^session s{40}\ncarrel: answered 403 \(AccessDeniedException\): you may not/)
  // eslint-disable-next-line no-control-regex
  assert.doesNotMatch(ran.notes, /\u001b/)
  const failed = await withKey(424, '{"message": "the agent exited"}')
  const told = await failed.run(`invoke ${ARN}`)
  assert.equal(told.code, 1)
  assert.match(told.notes, new RegExp(`the agent exited\\nThe story of the session: carrel describe ${SESSION}`))
})

test('on a terminal an answer is harmless; into a pipe it goes as it is', async () => {
  const place = await withKey(200, 'a\u001b[2Jb\tc\n')
  assert.equal((await place.run(`invoke ${ARN}`)).out, 'a\u001b[2Jb\tc\n')
  place.answers = async () => ({ status: 200, headers: {}, body: parts('a\u001b[2Jb\tc\n') })
  place.terminal = { columns: 80, rows: 24 }
  assert.equal((await place.run(`invoke ${ARN}`)).out, 'ab\tc\n')
})

test('what cannot be sent is said before anything is sent', async () => {
  const place = await withKey()
  assert.equal((await place.run(`invoke ${ARN} --session short`)).code, 2)
  assert.equal((await place.run(`invoke ${ARN} --url carrel.example`)).code, 2)
  place.variables['AWS_ENDPOINT_URL_BEDROCK_AGENTCORE'] = 'https://bedrock-agentcore.us-east-1.amazonaws.com'
  assert.match((await place.run(`invoke ${ARN}`)).notes, /names Amazon/)
  place.variables = {}
  assert.match((await place.run(`invoke ${ARN}`)).notes, /eval "\$\(carrel keys create --user NAME -o env\)"/)
  assert.deepEqual(place.posted, [])
})
