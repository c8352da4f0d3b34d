/** Adapter: the least that an agent can be: it answers with the payload that it got, so that what is measured is not the agent. */
import { createServer } from 'node:http'

const server = createServer((request, response) => {
  if (request.method === 'GET') return void response.end('{"status":"Healthy"}')
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const body = Buffer.concat(chunks)
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': String(body.length) }).end(body)
  })
})
server.keepAliveTimeout = 0
server.listen(8080, '0.0.0.0')
