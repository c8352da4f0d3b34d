import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { refusalOf } from '../../src/operator/runtime/refusal.ts'
import { settingsOf, specOf } from './built.ts'

const BOTH = { container: { image: 'hello:1' }, code: { directory: 'hello', command: ['node', 'a.ts'] } }
const refusal = (spec: object, settings: object, namespace = 'team') =>
  refusalOf(specOf({ artifact: BOTH, ...spec }), namespace, settingsOf(settings))

describe('RuntimeClasses', () => {
  test('the default one and those that the installation lists are allowed', () => {
    const settings = { defaultRuntimeClass: 'kata-qemu-runtime-rs', runtimeClasses: 'kata-clh, carrel-runc' }
    for (const runtimeClassName of ['kata-qemu-runtime-rs', 'kata-clh', 'carrel-runc'])
      assert.equal(refusal({ runtimeClassName }, settings), undefined)
    assert.equal(refusal({}, settings), undefined)
  })

  test('any other is refused with the list', () => {
    assert.deepEqual(refusal({ runtimeClassName: 'runc' }, { runtimeClasses: 'kata-clh' }), {
      reason: 'RuntimeClassNotAllowed',
      message: 'runtimeClassName runc is not allowed here: name one of kata-qemu-runtime-rs, kata-clh, or none for the default',
    })
  })

  test('where none is allowed, it says to leave it out', () => {
    assert.deepEqual(refusal({ runtimeClassName: 'runc' }, { defaultRuntimeClass: '' }), {
      reason: 'RuntimeClassNotAllowed',
      message: 'runtimeClassName runc is not allowed here: leave spec.runtimeClassName out',
    })
  })

  test('a laptop has none, and takes the manifest of a cluster', () => {
    assert.equal(refusal({ runtimeClassName: 'kata-clh' }, { artifacts: 'code' }), undefined)
  })
})

describe('namespaces', () => {
  test('all are served, unless the installation lists some', () => {
    assert.equal(refusal({}, {}), undefined)
    assert.equal(refusal({}, { sessionNamespaces: 'team,other' }), undefined)
  })

  test('any other is refused with the list', () => {
    assert.deepEqual(refusal({}, { sessionNamespaces: 'team,other' }, 'mine'), {
      reason: 'NamespaceNotServed',
      message: 'this installation serves the namespaces team, other: use one of them, or have mine added to sessionNamespaces',
    })
  })
})

test('settings that are no names, and quantities that are none, are refused at the start', () => {
  for (const [given, about] of [
    [{ runtimeClasses: 'kata clh' }, 'runtimeClasses'],
    [{ sessionNamespaces: 'Team' }, 'sessionNamespaces'],
    [{ defaultRuntimeClass: 'Kata' }, 'defaultRuntimeClass'],
    [{ meterMemory: '64' + 'm' }, 'meterMemory'],
    [{ meterCpu: '0' }, 'meterCpu'],
    [{ meterImage: '' }, 'meterImage'],
  ] as const)
    assert.throws(() => settingsOf(given), new RegExp(about))
})
