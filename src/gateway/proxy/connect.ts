/**
 * Adapter: opens connections to agents.
 *
 * Promises: a socket that is handed out was proven, where a proof is wanted, after it was connected and before anything was
 * written to it. In this order the address cannot change hands in between: a connection leads to the pod that accepted it for as
 * long as it lives.
 */
import { connect, type Socket, type TcpNetConnectOpts } from 'node:net'
import { NotProven, Refused, type UpstreamPod } from '../upstream.ts'
import type { Prove } from './prove.ts'

/** `none`: each address belongs to one pod for ever, as on a laptop. */
export type Proving = Prove | 'none'

const HIGH_WATER_BYTES = 64 * 1024
const TCP_KEEP_ALIVE_MS = 60_000

/** Throws Refused or NotProven: then nothing was written. The socket has a listener for errors. */
export async function openUpstream(pod: UpstreamPod, proving: Proving, timeoutMs: number): Promise<Socket> {
  const socket = await connected(pod, timeoutMs)
  const proof = proving === 'none' ? 'proven' : await proving(pod)
  if (proof === 'proven' && isUsable(socket)) return socket
  socket.destroy()
  throw proof === 'proven' ? new Refused('the agent closed the connection before it was used') : new NotProven(proof)
}

export function isUsable(socket: Socket): boolean {
  return socket.readable && socket.writable && !socket.destroyed
}

function connected({ address, port }: UpstreamPod, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const options: TcpNetConnectOpts & { highWaterMark: number } = {
      host: address,
      port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
      highWaterMark: HIGH_WATER_BYTES,
    }
    const socket = connect(options)
    const timer = setTimeout(() => refuse(`no connection within ${timeoutMs} ms`), timeoutMs)
    function refuse(why: string, cause?: Error): void {
      clearTimeout(timer)
      socket.destroy()
      reject(new Refused(why, { cause }))
    }
    // Kept for good: an error may come while nobody else listens yet.
    socket.on('error', (error) => refuse(error.message, error))
    socket.once('connect', () => {
      clearTimeout(timer)
      resolve(socket)
    })
  })
}
