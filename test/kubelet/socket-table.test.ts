import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isOwnLoopback, isWildcard, parseSockets } from '../../src/local/kubelet/machine/socket-table.ts'

const HEADER = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n'
const line = (local: string, state: string, inode: string): string =>
  `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0000000000000000 100 0 0 10 0\n`

test('TCP sockets that listen are read, others are not', () => {
  const table = HEADER + line('0100007F:1F90', '0A', '11') + line('0200000A:1F91', '01', '12') + line('00000000:0050', '0A', '13')
  assert.deepEqual(parseSockets(table, 'tcp'), [
    { protocol: 'tcp', address: '127.0.0.1', port: 8080, inode: '11' },
    { protocol: 'tcp', address: '0.0.0.0', port: 80, inode: '13' },
  ])
})

test('IPv6 addresses are read word by word, mapped ones as IPv4', () => {
  const table =
    HEADER +
    line('00000000000000000000000000000000:1F90', '0A', '1') +
    line('00000000000000000000000001000000:1F90', '0A', '2') +
    line('0000000000000000FFFF00000201017F:1F90', '0A', '3') +
    line('000080FE00000000FF00FC000100FEFF:1F90', '0A', '4')
  assert.deepEqual(
    parseSockets(table, 'tcp6').map(({ address }) => address),
    ['0:0:0:0:0:0:0:0', '0:0:0:0:0:0:0:1', '127.1.1.2', 'fe80:0:0:0:fc:ff:fffe:1'],
  )
})

test('UDP sockets that are connected to one peer take from nobody else', () => {
  const table = HEADER + line('00000000:14E9', '07', '1') + line('0200000A:C001', '01', '2')
  assert.deepEqual(
    parseSockets(table, 'udp').map(({ inode }) => inode),
    ['1'],
  )
})

test('an empty or foreign table says nothing', () => {
  assert.deepEqual(parseSockets('', 'tcp'), [])
  assert.deepEqual(parseSockets(HEADER + 'nonsense\n', 'tcp6'), [])
})

test('a session may listen on its own address and on the loopback that is no other session’s', () => {
  for (const address of ['127.7.7.7', '127.0.0.1', '127.0.0.53', '0:0:0:0:0:0:0:1']) assert.ok(isOwnLoopback(address, '127.7.7.7'), address)
  for (const address of ['127.7.7.8', '0.0.0.0', '0:0:0:0:0:0:0:0', '10.0.0.2', 'fe80:0:0:0:0:0:0:1'])
    assert.ok(!isOwnLoopback(address, '127.7.7.7'), address)
  assert.ok(isWildcard('0.0.0.0') && isWildcard('0:0:0:0:0:0:0:0') && !isWildcard('127.0.0.1'))
})
