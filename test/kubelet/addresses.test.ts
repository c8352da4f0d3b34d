import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../../src/env/virtual.ts'
import { Addresses, addressAt } from '../../src/local/kubelet/machine/addresses.ts'
import { folder } from './real.ts'

const HOW_MANY = 255 * 256 * 254

test('every number is another address of 127.1.0.0 and above, with an end that no network or broadcast has', () => {
  assert.equal(addressAt(0), '127.1.0.1')
  assert.equal(addressAt(HOW_MANY - 1), '127.255.255.254')
  const numbers = fc.integer({ min: 0, max: HOW_MANY - 1 })
  fc.assert(
    fc.property(numbers, numbers, (one, other) => {
      const [first, second, third, last] = addressAt(one).split('.').map(Number)
      assert.ok(first === 127 && second! >= 1 && second! <= 255 && third! >= 0 && third! <= 255 && last! >= 1 && last! <= 254)
      assert.equal(addressAt(one) === addressAt(other), one === other)
    }),
  )
})

test('no address comes twice, however often the installation is killed', (t) => {
  const home = folder(t)
  const given = new Set<string>()
  for (let run = 0; run < 5; run += 1) {
    const addresses = new Addresses(home, seededRandom(run))
    for (let count = 0; count < 100; count += 1) given.add(addresses.next())
  }
  assert.equal(given.size, 500)
})

test('two installations begin elsewhere', (t) => {
  assert.notEqual(new Addresses(folder(t), seededRandom(1)).next(), new Addresses(folder(t), seededRandom(2)).next())
})

test('when all are given it says so and what to do; the last ones are still given', (t) => {
  const home = folder(t)
  const file = join(home, 'addresses.json')
  writeFileSync(file, JSON.stringify({ start: 5, reserved: HOW_MANY - 2 }))
  const addresses = new Addresses(home, seededRandom(1))
  assert.deepEqual([addresses.next(), addresses.next()], [addressAt(3), addressAt(4)], 'it wraps around to where it began')
  assert.throws(() => addresses.next(), /every loopback address was given.*addresses\.json/)
  assert.equal(JSON.parse(readFileSync(file, 'utf8')).reserved, HOW_MANY)
})

test('a damaged counter is refused, not begun anew', (t) => {
  const home = folder(t)
  writeFileSync(join(home, 'addresses.json'), '{"start": 1')
  assert.throws(() => new Addresses(home, seededRandom(1)), /addresses\.json is damaged/)
})
