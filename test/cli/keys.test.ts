import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accessKeyOf } from '../../src/gateway/auth/access-keys.ts'
import { ACCESS_KEY_TYPE } from '../../src/crds/system.ts'
import { TransportError } from '../../src/kube/errors.ts'
import type { Secret } from '../../src/kube/objects.ts'
import { SECRETS } from '../../src/kube/resource.ts'
import { BEGIN_MS, Workplace } from './workplace.ts'

interface Made {
  accessKeyId: string
  secretAccessKey: string
  user: string
  groups: string[]
}

async function create(place: Workplace, line: string): Promise<Made> {
  const { code, out, notes } = await place.run(`keys create ${line} -o json`)
  assert.equal(code, 0, notes)
  return JSON.parse(out) as Made
}

async function secrets(place: Workplace): Promise<Secret[]> {
  return (await place.client.list(SECRETS, { namespace: 'carrel-system' })).items
}

async function keyInCluster(place: Workplace, accessKeyId: string): Promise<ReturnType<typeof accessKeyOf>> {
  const secret = (await secrets(place)).find(({ metadata }) => metadata.name === `access-key-${accessKeyId.toLowerCase()}`)
  return secret && accessKeyOf(secret)
}

test('a new key is what gateways read, and is shown with the lines to paste and the Role that it takes', async () => {
  const place = await Workplace.start()
  place.variables['AWS_ENDPOINT_URL_BEDROCK_AGENTCORE'] = 'http://127.0.0.1:8700'
  const { code, out } = await place.run('keys create --user ann --group blue --group red')
  assert.equal(code, 0)
  const id = /export AWS_ACCESS_KEY_ID=(CARREL[A-Z2-7]{14})\n/.exec(out)![1]!
  const secret = /export AWS_SECRET_ACCESS_KEY=([\w-]{40})\n/.exec(out)![1]!
  assert.deepEqual(await keyInCluster(place, id), { accessKeyId: id, secretAccessKey: secret, user: 'ann', groups: ['blue', 'red'] })
  assert.match(out, /export AWS_ENDPOINT_URL_BEDROCK_AGENTCORE=http:\/\/127\.0\.0\.1:8700\n {2}unset AWS_SESSION_TOKEN/)
  assert.match(
    out,
    /kubectl create role agent-caller -n default --verb=create --resource=agentruntimes\.carrel\.dev\/invocations,agentruntimes\.carrel\.dev\/stop/,
  )
  assert.match(out, /kubectl create rolebinding agent-caller-blue -n default --role=agent-caller --group=blue/)
})

test('for a shell only lines of a shell, quoted', async () => {
  const place = await Workplace.start()
  const { out } = await place.run('keys create -o env --user', "o'neil of sales")
  assert.match(
    out,
    /^export AWS_ACCESS_KEY_ID=\S+\nexport AWS_SECRET_ACCESS_KEY=\S+\nunset AWS_SESSION_TOKEN AWS_PROFILE AWS_DEFAULT_PROFILE$/,
  )
  const shown = await place.run('keys create --user', "o'neil of sales")
  assert.match(shown.out, /rolebinding agent-caller-o-neil-of-sales -n default --role=agent-caller --user='o'\\''neil of sales'/)
})

for (const [what, ...argv] of [
  ['a user of Kubernetes itself', '--user', 'system:serviceaccount:default:x'],
  ['a group of Kubernetes itself', '--user', 'ann', '--group', 'system:masters'],
  ['no name', '--user', '  '],
  ['a name that is too long', '--user', 'a'.repeat(257)],
  ['control characters', '--user', 'an\u001bn'],
  ['a group that would be two', '--user', 'ann', '--group', 'a,system:masters'],
  ['no user'],
  ['a form that there is not', '--user', 'ann', '-o', 'yaml'],
] as const) {
  test(`creating refuses ${what}, and asks nobody`, async () => {
    const place = await Workplace.start()
    place.before = () => assert.fail('nothing is asked')
    const { code, out, notes } = await place.run('keys create', ...argv)
    assert.deepEqual([code, out], [2, ''])
    assert.match(notes, /--user|--group|--output/)
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(notes, /\u001b/)
  })
}

test('the list shows who, since when and until when, and never a secret', async () => {
  const place = await Workplace.start()
  const none = await place.run('keys list')
  assert.deepEqual([none.code, none.out], [0, ''])
  assert.match(none.notes, /carrel keys create --user NAME/)
  const ann = await create(place, '--user ann --group blue')
  await place.advance(90_000)
  const bob = await create(place, '--user bob')
  const { secretAccessKey } = JSON.parse((await place.run(`keys rotate ${ann.accessKeyId} --grace 2h -o json`)).out) as Made
  await broken(place)
  const { out } = await place.run('keys list')
  const lines = out.split('\n').map((line) => line.split(/ {2,}/))
  assert.deepEqual(lines[0], ['KEY', 'USER', 'GROUPS', 'STATE', 'AGE', 'ENDS'])
  assert.deepEqual(lines[1], [ann.accessKeyId, 'ann', 'blue', 'Ending', '90s', 'in 2h'])
  assert.deepEqual(
    lines.find(([id]) => id === bob.accessKeyId),
    [bob.accessKeyId, 'bob', '-', 'Valid', '0s', 'never'],
  )
  assert.ok(lines.some(([id, user, , state]) => id === 'EVIL' && user === 'system:admin' && state === 'Ignored: names system:'))
  const json = (await place.run('keys list -o json')).out
  for (const secret of [ann.secretAccessKey, bob.secretAccessKey, secretAccessKey])
    assert.ok(!out.includes(secret) && !json.includes(secret))
  assert.equal((JSON.parse(json) as { notAfter: string }[])[0]!.notAfter, '2026-11-24T10:01:30Z')
})

/** One that another has written, and that gateways ignore. */
async function broken(place: Workplace): Promise<void> {
  await stored(place, 'evil', { accessKeyId: 'EVIL', secretAccessKey: 'x', user: 'system:admin' })
}

/** A Secret of an access key's type, by hand. */
async function stored(place: Workplace, name: string, fields: Record<string, string>): Promise<void> {
  const data = Object.fromEntries(Object.entries(fields).map(([field, value]) => [field, Buffer.from(value).toString('base64')]))
  await place.client.create(SECRETS, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'carrel-system' },
    type: ACCESS_KEY_TYPE,
    data,
  })
}

test('rotating makes a key of the same user and groups, and the old one ends after its grace', async () => {
  const place = await Workplace.start()
  const old = await create(place, '--user ann --group blue')
  await place.advance(300)
  const { code, out, notes } = await place.run(`keys rotate ${old.accessKeyId} --grace 15m`)
  assert.equal(code, 0)
  const id = /AWS_ACCESS_KEY_ID=(\w+)/.exec(out)![1]!
  assert.notEqual(id, old.accessKeyId)
  const next = await keyInCluster(place, id)
  assert.deepEqual([next?.user, next?.groups, next?.notAfterMs], ['ann', ['blue'], undefined])
  assert.deepEqual(await keyInCluster(place, old.accessKeyId), { ...old, notAfterMs: BEGIN_MS + 15 * 60_000 + 1_000 })
  assert.match(notes, /works until 2026-11-24T08:15:01Z \(15m\)/)
})

test('a key is rotated once: then its successor is', async () => {
  const place = await Workplace.start()
  const old = await create(place, '--user ann')
  await place.run(`keys rotate ${old.accessKeyId}`)
  const again = await place.run(`keys rotate ${old.accessKeyId}`)
  assert.deepEqual([again.code, again.out], [1, ''])
  assert.match(again.notes, /was rotated before and ends at 2026-11-24T09:00:00Z/)
  assert.equal((await secrets(place)).length, 2)
})

test('of two rotations at once one wins, and the other leaves nothing behind', async () => {
  const place = await Workplace.start()
  const old = await create(place, '--user ann')
  let others: Promise<unknown> | undefined
  place.before = async (method) => {
    if (method !== 'PUT' || others) return
    place.before = () => {}
    others = place.run(`keys rotate ${old.accessKeyId} --grace 1d`)
    await others
  }
  const { code, out, notes } = await place.run(`keys rotate ${old.accessKeyId} --grace 1h`)
  assert.deepEqual([code, out], [1, ''])
  assert.match(notes, /somebody else has rotated/)
  assert.equal((await secrets(place)).length, 2)
  assert.equal((await keyInCluster(place, old.accessKeyId))?.notAfterMs, BEGIN_MS + 86_400_000)
})

test('a key that is revoked while it is rotated leaves no successor', async () => {
  const place = await Workplace.start()
  const old = await create(place, '--user ann')
  place.before = async (method) => {
    if (method !== 'PUT') return
    place.before = () => {}
    await place.run(`keys revoke ${old.accessKeyId}`)
  }
  assert.equal((await place.run(`keys rotate ${old.accessKeyId}`)).code, 1)
  assert.deepEqual(await secrets(place), [])
})

test('when nobody knows whether the old key got its end, the new one is shown all the same', async () => {
  const place = await Workplace.start()
  const old = await create(place, '--user ann')
  place.before = (method) => {
    if (method === 'PUT') throw new TransportError('reset')
  }
  const { code, out, notes } = await place.run(`keys rotate ${old.accessKeyId}`)
  assert.equal(code, 1)
  assert.ok(await keyInCluster(place, /AWS_ACCESS_KEY_ID=(\w+)/.exec(out)![1]!))
  assert.match(notes, /the new key is good, but .* may not have its end \(reset\)/)
})

test('a key that npm start keeps is not rotated: nobody would tell it of the new one', async () => {
  const place = await Workplace.start()
  await stored(place, 'local-access-key', { accessKeyId: 'CARRELLOCAL', secretAccessKey: 'x', user: 'carrel-admin' })
  const { code, notes } = await place.run('keys rotate CARRELLOCAL')
  assert.equal(code, 1)
  assert.match(notes, /is kept by others, as Secret local-access-key/)
})

for (const grace of ['soon', '1w', '-1h', '1h ', '', '31d', '99999999h']) {
  test(`a grace of ${JSON.stringify(grace)} is refused, and asks nobody`, async () => {
    const place = await Workplace.start()
    place.before = () => assert.fail('nothing is asked')
    assert.equal((await place.run('keys rotate CARRELX --grace', grace)).code, 2)
  })
}

test('revoking deletes the key; an id that is none is a failure, unless it may be missing', async () => {
  const place = await Workplace.start()
  const key = await create(place, '--user ann')
  const { code, out } = await place.run(`keys revoke ${key.accessKeyId}`)
  assert.equal(code, 0)
  assert.match(out, /is revoked: calls with it stop within 5 s/)
  assert.deepEqual(await secrets(place), [])
  const again = await place.run(`keys revoke ${key.accessKeyId}`)
  assert.equal(again.code, 1)
  assert.match(again.notes, /nothing was revoked/)
  assert.equal((await place.run(`keys revoke ${key.accessKeyId} --ignore-not-found`)).code, 0)
  assert.equal((await place.run('keys revoke ../other')).code, 2)
})

test('who may not is told which Role it takes, and who reaches nobody what to look at', async () => {
  const place = await Workplace.start()
  const forbidden = await place.runAsNobody('keys list')
  assert.equal(forbidden.code, 1)
  assert.match(forbidden.notes, /"nobody" cannot list resource "secrets"/)
  assert.match(forbidden.notes, /kubectl create role carrel-cli -n carrel-system --verb=list,create,update,delete --resource=secrets/)
  place.before = () => {
    throw new TransportError('connect ECONNREFUSED')
  }
  const away = await place.run('keys create --user ann')
  assert.deepEqual([away.code, away.out], [1, ''])
  assert.match(away.notes, /the Kubernetes API does not answer .*is it running/)
})
