import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { loadCluster } from '../../src/kube/credentials.ts'

const SERVER = 'https://127.0.0.1:6443'

function folder(t: TestContext, files: Record<string, string> = {}): string {
  const directory = mkdtempSync(join(tmpdir(), 'carrel-kubeconfig-'))
  t.after(() => rmSync(directory, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  return directory
}

/** A kubeconfig whose current context is the second of two, so that the first one is a trap. */
function kubeconfig(t: TestContext, cluster: object, user: object, files: Record<string, string> = {}): string {
  const config = {
    'current-context': 'wanted',
    contexts: [
      { name: 'other', context: { cluster: 'other', user: 'other' } },
      { name: 'wanted', context: { cluster: 'wanted', user: 'wanted' } },
    ],
    clusters: [
      { name: 'other', cluster: { server: 'https://192.0.2.1' } },
      { name: 'wanted', cluster: { server: SERVER, ...cluster } },
    ],
    users: [
      { name: 'other', user: { token: 'of-another' } },
      { name: 'wanted', user },
    ],
  }
  return join(folder(t, { ...files, config: JSON.stringify(config) }), 'config')
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')

describe('a kubeconfig', () => {
  test('gives server, token and CA of its current context', (t) => {
    const path = kubeconfig(t, { 'certificate-authority-data': base64('the CA') }, { token: 'secret' })
    const { server, ca, token } = loadCluster({ kubeconfig: path })
    assert.deepEqual({ server, ca, token: token?.() }, { server: SERVER, ca: 'the CA', token: 'secret' })
  })

  test('is YAML, as people write it', (t) => {
    const text = [
      'current-context: c',
      'contexts: [{ name: c, context: { cluster: k, user: u, namespace: team } }]',
      `clusters: [{ name: k, cluster: { server: "${SERVER}" } }]`,
      'users:',
      '- name: u',
      '  user:',
      '    token: secret # of a person',
    ].join('\n')
    assert.equal(loadCluster({ kubeconfig: join(folder(t, { config: text }), 'config') }).token?.(), 'secret')
  })

  test('names its files relative to itself', (t) => {
    const user = { 'client-certificate': 'me.crt', 'client-key': 'me.key' }
    const path = kubeconfig(t, { 'certificate-authority': 'ca.crt' }, user, { 'ca.crt': 'CA', 'me.crt': 'CERT', 'me.key': 'KEY' })
    assert.deepEqual(loadCluster({ kubeconfig: path }), { server: SERVER, ca: 'CA', cert: 'CERT', key: 'KEY' })
  })

  test('what is asked for and not done is refused, never left out', (t) => {
    const asked: [object, object, RegExp][] = [
      [{}, { exec: { command: 'aws' } }, /exec is not supported here: use a token/],
      [{}, { 'auth-provider': { name: 'gcp' } }, /auth-provider is not supported here: use a token/],
      [{}, { username: 'a', password: 'b' }, /username is not supported here: use a token/],
      [{}, { token: 't', as: 'someone-less' }, /as is not supported here: use the credentials of that user/],
      [{}, { token: 't', 'as-groups': ['few'] }, /as-groups is not supported here/],
      [
        { 'insecure-skip-tls-verify': true },
        { token: 't' },
        /insecure-skip-tls-verify is not supported here: name the cluster's certificate-authority/,
      ],
      [{ 'tls-server-name': 'other' }, { token: 't' }, /tls-server-name is not supported here/],
      [{ 'proxy-url': 'http://127.0.0.1:3128' }, { token: 't' }, /proxy-url is not supported here/],
    ]
    for (const [cluster, user, message] of asked)
      assert.throws(() => loadCluster({ kubeconfig: kubeconfig(t, cluster, user) }), { message })
  })

  test('what is switched off, as tools write it, is no reason to refuse', (t) => {
    const path = kubeconfig(t, { 'insecure-skip-tls-verify': false, 'proxy-url': '' }, { token: 't', as: '' })
    assert.equal(loadCluster({ kubeconfig: path }).token?.(), 't')
  })

  test('credentials go over TLS, or not further than the loopback', (t) => {
    const of = (server: string, user: object) => () => loadCluster({ kubeconfig: kubeconfig(t, { server }, user) })
    assert.throws(of('http://192.0.2.7:8001', { token: 't' }), { message: /in clear text: name it with https/ })
    assert.throws(of('http://127.0.0.1.example', { token: 't' }), { message: /in clear text/ })
    for (const server of ['http://127.0.0.1:8701', 'http://localhost:8701', 'http://[::1]:8701'])
      assert.equal(of(server, { token: 't' })().server, server)
    assert.equal(of('http://192.0.2.7:8001', {})().server, 'http://192.0.2.7:8001')
    assert.throws(of('ftp://127.0.0.1', { token: 't' }), { message: /not a usable kubeconfig/ })
  })

  test('half a client certificate is refused, naming the missing half', (t) => {
    assert.throws(() => loadCluster({ kubeconfig: kubeconfig(t, {}, { 'client-certificate-data': base64('CERT') }) }), {
      message: /client-key is missing/,
    })
    assert.throws(() => loadCluster({ kubeconfig: kubeconfig(t, {}, { 'client-key-data': base64('KEY') }) }), {
      message: /client-certificate is missing/,
    })
  })

  test('one that is missing, unreadable, not YAML or something else says which file and what is wrong', (t) => {
    const directory = folder(t, { yaml: 'a: [b', empty: '', pod: 'kind: Pod' })
    const of = (name: string) => () => loadCluster({ kubeconfig: join(directory, name) })
    assert.throws(of('missing'), { message: /missing cannot be read \(ENOENT\): name another file/ })
    assert.throws(of('yaml'), { message: /yaml is not a usable kubeconfig/ })
    assert.throws(of('empty'), { message: /empty is not a usable kubeconfig/ })
    assert.throws(of('pod'), { message: /pod is not a usable kubeconfig[^]*current-context/ })
    assert.throws(() => loadCluster({ kubeconfig: kubeconfig(t, { 'certificate-authority': 'none.crt' }, {}) }), {
      message: /none\.crt cannot be read \(ENOENT\)/,
    })
  })

  test('a context of a cluster that is not there is refused', (t) => {
    const config = { 'current-context': 'c', contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }], clusters: [], users: [] }
    const path = join(folder(t, { config: JSON.stringify(config) }), 'config')
    assert.throws(() => loadCluster({ kubeconfig: path }), { message: /the context c names a cluster or user that is not there/ })
  })
})

describe('a token file', () => {
  test('wins over a token, is kept for a while, and read again when a fresh one is asked for', (t) => {
    const path = kubeconfig(t, {}, { tokenFile: 'token', token: 'older' }, { token: 'first\n' })
    const token = loadCluster({ kubeconfig: path }).token!
    assert.equal(token(), 'first')
    writeFileSync(join(path, '..', 'token'), 'second\n')
    assert.equal(token(), 'first')
    assert.equal(token(true), 'second')
    assert.equal(token(), 'second')
  })

  test('that is away for a moment leaves the last token in force', (t) => {
    const path = kubeconfig(t, {}, { tokenFile: 'token' }, { token: 'first' })
    const token = loadCluster({ kubeconfig: path }).token!
    token()
    rmSync(join(path, '..', 'token'))
    assert.equal(token(true), 'first')
  })

  test('that was never there says so', (t) => {
    const token = loadCluster({ kubeconfig: kubeconfig(t, {}, { tokenFile: 'token' }) }).token!
    assert.throws(() => token(), { message: /token cannot be read \(ENOENT\)/ })
  })
})

test('without a kubeconfig and outside a cluster, it says which setting to give', (t) => {
  const { KUBERNETES_SERVICE_HOST: host } = process.env
  delete process.env['KUBERNETES_SERVICE_HOST']
  t.after(() => host !== undefined && (process.env['KUBERNETES_SERVICE_HOST'] = host))
  assert.throws(() => loadCluster({}), { message: /not in a cluster .* name a kubeconfig with --kubeconfig/ })
})
