'use strict'
/* Binds in every way that Node has, and tells where each ended up: one JSON line. */
const net = require('node:net')
const http = require('node:http')
const dgram = require('node:dgram')
const cluster = require('node:cluster')
const { Worker, isMainThread, parentPort } = require('node:worker_threads')

const listening = (server, ...where) =>
  new Promise((resolve, reject) => server.once('error', reject).listen(...where, () => resolve(server.address())))
const bound = (type, ...where) =>
  new Promise((resolve, reject) => {
    const socket = dgram.createSocket(type).once('error', reject)
    socket.bind(...where, () => resolve(socket.address()))
  })

async function main() {
  const free = (await listening(net.createServer(), 0, '127.0.0.1')).port - 1
  const pair = [
    await listening(net.createServer(), free, '0.0.0.0'),
    await listening(net.createServer(), { port: free, host: '::', ipv6Only: true }),
  ]
  const found = {
    'no host': await listening(net.createServer(), 0),
    '0.0.0.0': await listening(net.createServer(), 0, '0.0.0.0'),
    '::': await listening(net.createServer(), 0, '::'),
    '::ffff:0.0.0.0': await listening(net.createServer(), 0, '::ffff:0.0.0.0'),
    'long zeros': await listening(net.createServer(), 0, '0:0:0:0:0:0:0:0'),
    'port object': await listening(net.createServer(), { port: 0 }),
    ipv6Only: await listening(net.createServer(), { port: 0, host: '::', ipv6Only: true }),
    http: await listening(http.createServer(), 0),
    udp4: await bound('udp4', 5353 + (process.pid % 1000)),
    udp6: await bound('udp6', 7353 + (process.pid % 1000)),
    'udp4 client': await bound('udp4', 0),
    '127.0.0.1': await listening(net.createServer(), 0, '127.0.0.1'),
    '::1': await listening(net.createServer(), 0, '::1'),
    'pair 4': pair[0],
    'pair 6': pair[1],
    worker: await new Promise((resolve) => new Worker(__filename).once('message', resolve)),
    cluster: await new Promise((resolve) => cluster.fork().once('message', resolve)),
  }
  console.log(JSON.stringify(found))
  process.exit(0)
}

if (!isMainThread) void listening(net.createServer(), 0).then((address) => parentPort.postMessage(address))
else if (cluster.isWorker) void listening(net.createServer(), 0).then((address) => process.send(address))
else void main()
