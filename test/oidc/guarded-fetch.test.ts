/** Over real HTTPS on the loopback. What is on another address of it stands for what must not be reached. */
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { after, before, test, type TestContext } from 'node:test'
import { systemClock } from '../../src/env/system.ts'
import { Authorizers } from '../../src/oidc/authorizers.ts'
import { DocumentError } from '../../src/oidc/document-error.ts'
import { guardedFetch, type GuardedFetchParts } from '../../src/oidc/guarded-fetch.ts'
import { oidcSettings, type OidcSettings } from '../../src/oidc/settings.ts'
import { IdentityProvider, type Answer } from '../kit/identity-provider.ts'

const NAME = 'idp.example.test'
const MIB = 1024 * 1024

let provider: IdentityProvider
/** Counts connections, on the provider's port of 127.0.0.2. */
let victim: { dialled: number; stop(): void }

before(async () => {
  provider = await IdentityProvider.start({ names: [NAME] })
  const server = createServer((socket) => {
    victim.dialled += 1
    socket.destroy()
  })
  victim = { dialled: 0, stop: () => server.close() }
  await new Promise<void>((resolve) => server.listen(provider.port, '127.0.0.2', resolve))
})
after(async () => {
  victim.stop()
  await provider.stop()
})

/** Trusts the provider's certificate, and nothing else beyond the public internet. */
function fetcher(
  t: TestContext,
  trust: Partial<OidcSettings> = {},
  parts: GuardedFetchParts = {},
): (url: string, withinMs?: number) => Promise<unknown> {
  const made = guardedFetch({ oidcTrustedIssuers: [], oidcTrustedCidrs: [], oidcCaFile: provider.caFile, ...trust }, parts)
  t.after(() => made.close())
  return async (url, withinMs = 3_000) => {
    try {
      const fetched = await made.fetchDocument({ url, issuer: provider.issuer, withinMs })
      return fetched.changed && fetched.document
    } catch (error) {
      assert.ok(error instanceof DocumentError, String(error))
      return error.code
    }
  }
}

const trusting = (): Partial<OidcSettings> => ({ oidcTrustedIssuers: [provider.issuer] })
/** A name server that gives these answers one after the other, and the last one for ever. */
function answers(...lists: string[][]): { resolve: (name: string) => Promise<string[]>; asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    resolve: async (name) => {
      asked.push(name)
      return lists[Math.min(asked.length, lists.length) - 1]!
    },
  }
}

test('a trusted issuer may be on a private address and any port', async (t) => {
  const get = fetcher(t, trusting())
  assert.deepEqual(await get(provider.discoveryUrl), { issuer: provider.issuer, jwks_uri: `${provider.issuer}/jwks` })
  const withSlash = fetcher(t, { oidcTrustedIssuers: [`${provider.issuer}/`] })
  assert.equal(typeof (await withSlash(provider.discoveryUrl)), 'object', 'as some providers write themselves')
})

test('without that trust nothing is dialled: neither the port nor the address is allowed', async (t) => {
  const { connections } = provider
  const get = fetcher(t)
  assert.equal(await get(provider.discoveryUrl), 'PortNotAllowed')
  assert.equal(await fetcher(t, {}, { ports: [provider.port] })(provider.discoveryUrl), 'AddressNotAllowed')
  assert.equal(provider.connections, connections)
})

test('trust in an issuer is trust in its own origin only', async (t) => {
  const { connections } = provider
  const get = fetcher(t, trusting(), { ports: [provider.port], resolve: answers(['127.0.0.1']).resolve })
  for (const host of ['localhost', NAME, '127.0.0.2', '[::1]', '169.254.169.254']) {
    assert.equal(await get(`https://${host}:${provider.port}/jwks`), 'AddressNotAllowed', host)
  }
  assert.deepEqual([provider.connections, victim.dialled], [connections, 0])
  assert.equal(typeof (await get(`https://127.0.0.1.:${provider.port}/jwks`)), 'object', 'another spelling of it')
})

test('addresses are refused in every form in which they can be written', async (t) => {
  const get = fetcher(t, {}, { resolve: async () => [] })
  const hosts = [
    ['127.0.0.1', '127.1', '0x7f.1', '2130706433', '0177.0.0.1', '0x7f000001', '127.0.0.1.', '１２７.0.0.1'],
    ['0', '0.0.0.0', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.0.1', '100.64.0.1', '100.100.100.200'],
    ['169.254.169.254', '168.63.129.16', '192.0.0.192', '198.18.0.1', '224.0.0.1', '240.0.0.1', '255.255.255.255'],
    ['[::1]', '[::]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::127.0.0.1]', '[64:ff9b::7f00:1]', '[64:ff9b:1::1]', '[2002:7f00:1::]'],
    ['[fe80::1]', '[fc00::1]', '[fd00:ec2::254]', '[ff02::1]', '[2001::1]', '[2001:db8::1]', '[100::1]', '[3fff::1]'],
  ].flat()
  for (const host of hosts) assert.equal(await get(`https://${host}/.well-known/openid-configuration`), 'AddressNotAllowed', host)
})

test('what is no https URL is not asked for', async (t) => {
  const get = fetcher(t, trusting())
  const { host } = new URL(provider.issuer)
  for (const url of [
    `http://${host}/jwks`,
    `https://me:secret@${host}/jwks`,
    'file:///etc/passwd',
    'data:application/json,{}',
    'jwks',
    '',
    'https://',
  ]) {
    assert.equal(await get(url), 'NotHttps', url)
  }
})

test('a name that leads to an address within a trusted network is dialled, by the name in its certificate', async (t) => {
  const { resolve, asked } = answers(['127.0.0.1'])
  const get = fetcher(t, { oidcTrustedCidrs: ['127.0.0.1/32'] }, { resolve, ports: [provider.port] })
  const { connections } = provider
  for (let at = 0; at < 5; at += 1) assert.equal(typeof (await get(`https://${NAME}:${provider.port}/jwks`)), 'object')
  assert.ok(asked.length < 5, 'a connection is kept')
  assert.equal(asked.length, provider.connections - connections, 'and each is looked up once')
  const wrongName = fetcher(t, { oidcTrustedCidrs: ['127.0.0.1/32'] }, { resolve, ports: [provider.port] })
  assert.equal(await wrongName(`https://else.example.test:${provider.port}/jwks`), 'Unreachable', 'the certificate is not for that name')
})

test('a name that resolves privately is never dialled, nor one of whose addresses one is private', async (t) => {
  for (const list of [
    ['127.0.0.2'],
    ['::1'],
    ['169.254.169.254'],
    ['127.0.0.1', '127.0.0.2'],
    ['127.0.0.2', '127.0.0.1'],
    ['::ffff:127.0.0.2'],
  ]) {
    const { connections } = provider
    const get = fetcher(t, { oidcTrustedCidrs: ['127.0.0.1/32'] }, { resolve: answers(list).resolve, ports: [provider.port] })
    assert.equal(await get(`https://${NAME}:${provider.port}/jwks`), 'AddressNotAllowed', list.join())
    assert.deepEqual([victim.dialled, provider.connections], [0, connections], list.join())
  }
})

test('a name that rebinds after the check gains nothing: what was checked is what is dialled, each time', async (t) => {
  const { resolve, asked } = answers(['127.0.0.1'], ['127.0.0.2'])
  const parts = { resolve, ports: [provider.port] }
  const url = `https://${NAME}:${provider.port}/jwks`
  assert.equal(typeof (await fetcher(t, { oidcTrustedCidrs: ['127.0.0.1/32'] }, parts)(url)), 'object')
  assert.equal(asked.length, 1, 'nobody is asked a second time between check and connect')
  assert.equal(await fetcher(t, { oidcTrustedCidrs: ['127.0.0.1/32'] }, parts)(url), 'AddressNotAllowed')
  assert.equal(victim.dialled, 0)
})

test('a connection to a trusted issuer serves no other issuer of the same host', async (t) => {
  const made = guardedFetch(
    { oidcTrustedIssuers: [provider.issuer], oidcTrustedCidrs: [], oidcCaFile: provider.caFile },
    { ports: [provider.port] },
  )
  t.after(() => made.close())
  await made.fetchDocument({ url: provider.discoveryUrl, issuer: provider.issuer, withinMs: 3_000 })
  const other = { url: provider.discoveryUrl, issuer: `${provider.issuer}/other`, withinMs: 3_000 }
  await assert.rejects(made.fetchDocument(other), { code: 'AddressNotAllowed' })
})

const HOSTILE: [string, string, Answer, number?][] = [
  ['a redirect', 'Redirected', (_request, response) => response.writeHead(302, { location: `https://127.0.0.2:${provider.port}/` }).end()],
  ['a permanent redirect to itself', 'Redirected', (request, response) => response.writeHead(308, { location: request.url }).end()],
  ['not modified, which nobody asked', 'Redirected', (_request, response) => response.writeHead(304).end()],
  ['500', 'BadStatus', (_request, response) => response.writeHead(500).end('{}')],
  ['404', 'BadStatus', (_request, response) => response.writeHead(404).end('{}')],
  ['10 MB', 'TooLarge', (_request, response) => response.end(Buffer.alloc(10 * MIB, ' '))],
  ['10 MB that it does not announce', 'TooLarge', (_request, response) => chunked(response, 'x'.repeat(10 * MIB))],
  ['HTML', 'NotJson', (_request, response) => response.end('<html></html>')],
  ['a list', 'NotJson', (_request, response) => response.end('[]')],
  ['null', 'NotJson', (_request, response) => response.end('null')],
  ['nothing', 'NotJson', (_request, response) => response.end()],
  [
    'a packed document',
    'NotJson',
    (_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(Buffer.from([0x1f, 0x8b, 8])),
  ],
  [
    'half of it, and then the end',
    'Unreachable',
    (_request, response) => response.writeHead(200, { 'content-length': 99 }).write('{', () => response.destroy()),
  ],
  ['a slow drip', 'TooSlow', (_request, response) => drip(response), 600],
  ['silence', 'TooSlow', () => {}, 300],
]
for (const [title, code, answer, withinMs] of HOSTILE) {
  test(`an answer that is ${title} is refused`, async (t) => {
    provider.answer('/hostile', answer)
    const begunMs = performance.now()
    assert.equal(await fetcher(t, trusting())(`${provider.issuer}/hostile`, withinMs), code)
    assert.ok(performance.now() - begunMs < 3_000 + 2_000)
    assert.equal(victim.dialled, 0)
  })
}

test('a certificate that nobody trusts, a port where nobody listens and a name that there is not are unreachable', async (t) => {
  assert.equal(await fetcher(t, { ...trusting(), oidcCaFile: undefined })(provider.discoveryUrl), 'Unreachable')
  const closed = await IdentityProvider.start()
  await closed.stop()
  const made = guardedFetch({ oidcTrustedIssuers: [closed.issuer], oidcTrustedCidrs: [] })
  t.after(() => made.close())
  await assert.rejects(made.fetchDocument({ url: closed.discoveryUrl, issuer: closed.issuer, withinMs: 3_000 }), { code: 'Unreachable' })
  assert.equal(await fetcher(t, {}, { resolve: async () => [] })('https://nowhere.example.test/'), 'Unreachable')
  const failing = fetcher(t, {}, { resolve: () => Promise.reject(new Error('no name server')) })
  assert.equal(await failing('https://nowhere.example.test/'), 'Unreachable')
})

test('a name server that does not answer is waited for no longer than the rest', async (t) => {
  const get = fetcher(t, {}, { resolve: () => new Promise(() => {}) })
  assert.equal(await get('https://slow.example.test/', 300), 'TooSlow')
})

test('a proxy of the environment is not used', async (t) => {
  t.after(() => {
    delete process.env['HTTPS_PROXY']
    delete process.env['NODE_USE_ENV_PROXY']
  })
  Object.assign(process.env, { HTTPS_PROXY: `http://127.0.0.2:${provider.port}`, NODE_USE_ENV_PROXY: '1' })
  assert.equal(typeof (await fetcher(t, trusting())(provider.discoveryUrl)), 'object')
  assert.equal(victim.dialled, 0)
})

test('the tag of a document is given back, and an answer without one means that nothing changed', async (t) => {
  const made = guardedFetch({ oidcTrustedIssuers: [provider.issuer], oidcTrustedCidrs: [], oidcCaFile: provider.caFile })
  t.after(() => made.close())
  provider.answer('/tagged', (request, response) => {
    const isSame = request.headers['if-none-match'] === '"1"'
    response.writeHead(isSame ? 304 : 200, { etag: '"1"' }).end(isSame ? undefined : '{"a":1}')
  })
  const asked = { url: `${provider.issuer}/tagged`, issuer: provider.issuer, withinMs: 3_000 }
  assert.deepEqual(await made.fetchDocument(asked), { changed: true, document: { a: 1 }, etag: '"1"' })
  assert.deepEqual(await made.fetchDocument({ ...asked, etag: '"1"' }), { changed: false })
  assert.deepEqual(await made.fetchDocument({ ...asked, etag: '"2"' }), { changed: true, document: { a: 1 }, etag: '"1"' })
})

const KEY_SETS: [string, string][] = [
  ['https://169.254.169.254/latest/meta-data', 'AddressNotAllowed'],
  ['https://[::1]/jwks', 'AddressNotAllowed'],
  ['https://127.0.0.2/jwks', 'AddressNotAllowed'],
  ['https://127.0.0.2:8443/jwks', 'PortNotAllowed'],
  ['https://private.example.test/jwks', 'AddressNotAllowed'],
  ['http://127.0.0.2/jwks', 'NotHttps'],
  ['/jwks', 'NotHttps'],
]
for (const [at, [jwksUri, code]] of KEY_SETS.entries()) {
  test(`a discovery document whose key set is at ${jwksUri}: ${code}, and nothing is dialled`, async (t) => {
    const issuer = `${provider.issuer}/tenant-${at}`
    provider.answer(`/tenant-${at}/.well-known/openid-configuration`, { issuer, jwks_uri: jwksUri })
    const made = guardedFetch(
      { oidcTrustedIssuers: [issuer], oidcTrustedCidrs: [], oidcCaFile: provider.caFile },
      { resolve: answers(['127.0.0.2']).resolve },
    )
    t.after(() => made.close())
    const authorizers = new Authorizers({ clock: systemClock, fetchDocument: made.fetchDocument })
    t.after(() => authorizers.close())
    const before = provider.requests.length
    const authorizer = { discoveryUrl: `${issuer}/.well-known/openid-configuration`, allowedAudience: ['agents'] }
    assert.deepEqual(await authorizers.authorize(authorizer, await provider.token({ aud: 'agents' })), { unavailable: true, code })
    assert.deepEqual([provider.requests.length - before, victim.dialled], [1, 0])
  })
}

test('the settings take lists, and refuse what is none with words that say what to do', () => {
  assert.deepEqual(oidcSettings.oidcTrustedIssuers.parse(undefined), [])
  assert.deepEqual(oidcSettings.oidcTrustedIssuers.parse('https://a:8443/x, https://b/'), ['https://a:8443/x', 'https://b/'])
  assert.deepEqual(oidcSettings.oidcTrustedCidrs.parse('10.0.0.0/8,fd00::/8'), ['10.0.0.0/8', 'fd00::/8'])
  for (const issuers of ['http://a', 'a', 'https://a?b', 'https://me@a']) {
    assert.match(oidcSettings.oidcTrustedIssuers.safeParse(issuers).error!.message, /comma-separated list of issuers/)
  }
  for (const cidrs of ['10.0.0.0', '10.0.0.0/33', 'fd00::/129', 'example.com/8', '10.0.0.0/8/8', '10.0.0/8']) {
    assert.match(oidcSettings.oidcTrustedCidrs.safeParse(cidrs).error!.message, /comma-separated list of networks/)
  }
  assert.throws(() => guardedFetch({ oidcTrustedIssuers: [], oidcTrustedCidrs: [], oidcCaFile: '/nowhere/ca.pem' }), /ca\.pem/)
})

function chunked(response: Parameters<Answer>[1], text: string): void {
  response.write('{"a":"')
  response.end(text)
}

/** A byte each 50 ms, for ever. */
function drip(response: Parameters<Answer>[1]): void {
  response.writeHead(200)
  const timer = setInterval(() => response.write(' '), 50)
  response.on('close', () => clearInterval(timer))
}
