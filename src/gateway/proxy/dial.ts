/** Adapter: tries a TCP connection. */
import { connect } from 'node:net'
import type { Dial } from '../env.ts'

export const tcpDial: Dial = {
  connect: (address, port, timeoutMs) =>
    new Promise((resolve) => {
      const socket = connect({ host: address, port, timeout: timeoutMs })
      const settle = (outcome: 'connected' | 'refused'): void => {
        socket.destroy()
        resolve(outcome)
      }
      socket.once('connect', () => settle('connected'))
      socket.once('timeout', () => settle('refused'))
      socket.once('error', () => settle('refused'))
    }),
}
