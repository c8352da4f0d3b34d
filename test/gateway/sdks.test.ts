import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import {
  InvokeAgentRuntimeCommand,
  ResourceNotFoundException,
  RuntimeClientError,
  StopRuntimeSessionCommand,
  ValidationException,
} from '@aws-sdk/client-bedrock-agentcore'
import { newSessionId } from '../kit/raw-gateway.ts'
import { needs } from '../kit/ring.ts'
import { ARN, KEY, SCOPE, serve } from './served.ts'

test('the JavaScript SDK: invoke with every modelled member, stop, and its own exception classes', async (t) => {
  const served = await serve(t)
  const client = served.client()
  const runtimeSessionId = newSessionId()
  const answer = await client.send(
    new InvokeAgentRuntimeCommand({
      agentRuntimeArn: ARN,
      runtimeSessionId,
      qualifier: 'DEFAULT',
      accountId: SCOPE.accountId,
      payload: Buffer.from('{"a":1}'),
      contentType: 'application/json',
      accept: 'application/json',
      runtimeUserId: 'someone',
      traceId: 'Root=1-67891233-abcdef012345678912345678',
      traceParent: '00-a-b-01',
      traceState: 'k=v',
      baggage: 'user=ada%20l,  x=1',
      mcpSessionId: 'mcp',
    }),
  )
  assert.deepEqual(
    [answer.statusCode, answer.runtimeSessionId, answer.contentType, await answer.response!.transformToString()],
    [200, runtimeSessionId, 'application/json', '{"ok":true}'],
  )
  assert.equal(served.reached[0]!.headers.baggage, 'user=ada%20l,  x=1')
  const stopped = await client.send(new StopRuntimeSessionCommand({ agentRuntimeArn: ARN, runtimeSessionId, clientToken: 't'.repeat(33) }))
  assert.deepEqual([stopped.statusCode, stopped.runtimeSessionId], [200, runtimeSessionId])
  assert.deepEqual(served.sessions.stopped, [{ sessionId: runtimeSessionId, clientToken: 't'.repeat(33) }])

  await assert.rejects(
    client.send(new StopRuntimeSessionCommand({ agentRuntimeArn: ARN, runtimeSessionId: `ended-${newSessionId()}` })),
    ResourceNotFoundException,
  )
  await assert.rejects(
    client.send(new InvokeAgentRuntimeCommand({ agentRuntimeArn: ARN, runtimeSessionId: 'x'.repeat(257), payload: Buffer.from('{}') })),
    (error) => {
      assert.ok(error instanceof ValidationException)
      assert.deepEqual(
        [error.reason, error.fieldList?.[0]?.name, error.$retryable],
        ['FieldValidationFailed', 'runtimeSessionId', undefined],
      )
      return true
    },
  )
  served.sessions.instead = () => ({ outcome: 'failed', reason: 'StartFailed', message: 'the agent exited', lastLog: [] })
  await assert.rejects(client.send(new InvokeAgentRuntimeCommand({ agentRuntimeArn: ARN, payload: Buffer.from('{}') })), RuntimeClientError)
})

test('boto3: invoke with every modelled member, 1 MB, stop, and its own exception classes', async (t) => {
  const python = needs(t, 'CARREL_TEST_PYTHON')
  if (!python) return
  const served = await serve(t, (request, response) => void request.pipe(response.writeHead(202, { 'content-type': 'application/json' })))
  const env = {
    ...process.env,
    AWS_ACCESS_KEY_ID: KEY.accessKeyId,
    AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey,
    AWS_DEFAULT_REGION: SCOPE.region,
    NO_PROXY: '127.0.0.1',
    AWS_EC2_METADATA_DISABLED: 'true',
  }
  delete (env as NodeJS.ProcessEnv)['AWS_SESSION_TOKEN']
  const { stdout } = await promisify(execFile)(python, [join(import.meta.dirname, 'boto', 'calls.py'), served.url, ARN], {
    env,
    timeout: 60_000,
  })
  assert.deepEqual(JSON.parse(stdout), {
    invoked: [202, 'application/json', '{"a":1}'],
    megabyte: 1_000_000,
    stopped: 200,
    unknown: ['ResourceNotFoundException', 404],
    tooLong: ['ValidationException', 400, 'FieldValidationFailed', 'runtimeSessionId'],
    otherRegion: ['AccessDeniedException', 403],
    otherSecret: ['AccessDeniedException', 403],
  })
})
