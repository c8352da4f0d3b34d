import assert from 'node:assert/strict'
import { REBOUND_NAME, reportOfPage } from '../kit/browser.ts'
import { reachedFromOutside, realAddresses } from '../kit/dial.ts'
import { LocalInstallation } from '../kit/local-installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { onProcesses } from '../kit/place.ts'
import { invocationPath, newSessionId } from '../kit/raw-gateway.ts'
import { needs } from '../kit/ring.ts'

/** What a script learned from one attempt: `read` is the text of the answer, if it could see it. */
type Attempt = { read: string; status: number } | { opaque: true } | { blocked: string }

/** Runs in the page. Every way that a page has to send something to another origin, and to read what comes back. */
function attackOf(targets: { gateway: string; api: string; reboundGateway: string; reboundApi: string }, invocation: string): string {
  return `
    const { gateway, api, reboundGateway, reboundApi } = ${JSON.stringify(targets)}
    const attempt = async (url, init) => {
      try {
        const answer = await fetch(url, init)
        return answer.type === 'opaque' ? { opaque: true } : { read: await answer.text(), status: answer.status }
      } catch (error) { return { blocked: String(error) } }
    }
    const namespace = (name) => JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
    const form = async (action, fields, enctype) => {
      const frame = document.createElement('iframe'); frame.name = 'f' + Math.random(); document.body.append(frame)
      const form = document.createElement('form'); Object.assign(form, { action, method: 'POST', enctype, target: frame.name })
      for (const [name, value] of Object.entries(fields)) { const input = document.createElement('input'); Object.assign(input, { name, value }); form.append(input) }
      document.body.append(form)
      const loaded = new Promise((resolve) => frame.addEventListener('load', resolve))
      form.submit(); await Promise.race([loaded, new Promise((resolve) => setTimeout(resolve, 5000))])
      try { return { read: frame.contentDocument.body.innerText, status: 0 } } catch { return { opaque: true } }
    }
    const navigate = async (url) => {
      const frame = document.createElement('iframe'); document.body.append(frame)
      const loaded = new Promise((resolve) => frame.addEventListener('load', resolve))
      frame.src = url; await Promise.race([loaded, new Promise((resolve) => setTimeout(resolve, 5000))])
      return { opaque: true }
    }
    const script = (src) => new Promise((resolve) => {
      const node = document.createElement('script'); node.src = src
      node.onload = () => resolve({ read: 'it ran', status: 0 }); node.onerror = () => resolve({ blocked: 'no script' }); document.head.append(node)
    })
    return {
      control: await attempt('/', {}),
      gatewayRead: await attempt(gateway + '/healthz', {}),
      gatewayBlind: await attempt(gateway + ${JSON.stringify(invocation)}, { method: 'POST', mode: 'no-cors', headers: { 'content-type': 'text/plain' }, body: '{"do":"boot"}' }),
      gatewaySession: await attempt(gateway + ${JSON.stringify(invocation)}, { method: 'POST', headers: { 'x-amzn-bedrock-agentcore-runtime-session-id': 'x'.repeat(40) }, body: '{}' }),
      gatewayForm: await form(gateway + ${JSON.stringify(invocation)}, { '{"do":"boot","x': '":1}' }, 'text/plain'),
      gatewayRebound: await navigate(reboundGateway + '/healthz'),
      gatewayReboundForm: await form(reboundGateway + ${JSON.stringify(invocation)}, { a: 'b' }, 'application/x-www-form-urlencoded'),
      apiRead: await attempt(api + '/version', {}),
      apiCredentials: await attempt(api + '/api/v1/secrets', { credentials: 'include' }),
      apiBlind: await attempt(api + '/api/v1/namespaces', { method: 'POST', mode: 'no-cors', headers: { 'content-type': 'text/plain' }, body: namespace('by-fetch') }),
      apiForm: await form(api + '/api/v1/namespaces', { '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"by-form"},"x': '":1}' }, 'text/plain'),
      apiPreflight: await attempt(api + '/api/v1/namespaces', { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer guess' }, body: namespace('by-json') }),
      apiRebound: await navigate(reboundApi + '/api/v1/secrets'),
      apiReboundForm: await form(reboundApi + '/api/v1/namespaces', { a: 'b' }, 'text/plain'),
      apiScript: await script(api + '/api/v1/secrets'),
    }`
}

const PUBLIC_PATHS = /^\/(healthz|livez|readyz|version)/

onProcesses('a web page in a browser of this machine can neither drive nor read the gateway or the Kubernetes API', async (t) => {
  const chromium = needs(t, 'CARREL_TEST_CHROMIUM')
  if (!chromium) return
  const installation = await LocalInstallation.start(t)
  const arn = await installation.apply(runtimeManifest('probe'))
  const before = await installation.api.everyObject(['events'])

  const gateway = installation.gateway.url.origin
  const api = installation.api.server
  const rebound = (url: string): string => url.replace('127.0.0.1', REBOUND_NAME)
  const targets = { gateway, api, reboundGateway: rebound(gateway), reboundApi: rebound(api) }
  const report = await reportOfPage<Record<string, Attempt>>(t, chromium, attackOf(targets, invocationPath(arn)))

  const { control, ...attempts } = report
  assert.ok(control && 'read' in control, `the page works: ${JSON.stringify(report)}`)
  for (const [name, attempt] of Object.entries(attempts)) assert.ok(!('read' in attempt), `${name} was read: ${JSON.stringify(attempt)}`)
  assert.deepEqual(attempts['gatewayBlind'], { opaque: true }, 'it was sent and answered, so what follows says something')
  assert.deepEqual(attempts['apiBlind'], { opaque: true })

  assert.deepEqual(await installation.sessions(), [], 'no session was opened')
  assert.deepEqual(await installation.api.everyObject(['events']), before, 'no object was made')
  const calls = (await installation.gatewayLog()).filter((line) => line.includes('"msg":"call"'))
  const statuses = calls.map((line) => (JSON.parse(line) as { status: number }).status)
  assert.ok(statuses.length >= 5, `requests of the page arrived at the gateway: ${statuses.length}`)
  assert.deepEqual([...new Set(statuses)], [403])
  const ofPage = installation.audit().filter(({ user }) => user.username === undefined || user.username === 'system:anonymous')
  assert.ok(ofPage.length >= 5, `requests of the page arrived at the API: ${ofPage.length}`)
  for (const { requestURI, responseStatus } of ofPage) {
    if (PUBLIC_PATHS.test(requestURI)) continue // a kube-apiserver says to anybody that it lives
    assert.ok([401, 403].includes(responseStatus.code), `${requestURI}: ${responseStatus.code}`)
  }
})

onProcesses('neither port is reached on a real interface, and nobody else may read what the folder holds', async (t) => {
  const installation = await LocalInstallation.start(t)
  const arn = await installation.apply(runtimeManifest('probe'))
  await installation.gateway.ask(arn, newSessionId(), { do: 'boot' })
  assert.ok(realAddresses().length > 0, 'this machine has a network interface')
  assert.deepEqual(
    await reachedFromOutside([Number(installation.gateway.url.port), Number(new URL(installation.api.server).port), 8080]),
    [],
  )
  assert.deepEqual(installation.readableByOthers(), [])
})
