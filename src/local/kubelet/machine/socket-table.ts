/** One socket that takes what others send, as /proc/net tells it. */
export interface ListeningSocket {
  protocol: 'tcp' | 'udp'
  /** IPv4 dotted; IPv6 in full, eight groups; an IPv4-mapped one as its IPv4. */
  address: string
  port: number
  inode: string
}

const TCP_LISTEN = '0A'
const UDP_UNCONNECTED = '07'

/**
 * Reads one of /proc/net/{tcp,tcp6,udp,udp6}: TCP sockets that listen, UDP sockets that take datagrams from anybody.
 * Addresses there are 32-bit words in the machine's byte order (little-endian on every platform that Node has).
 */
export function parseSockets(table: string, name: 'tcp' | 'tcp6' | 'udp' | 'udp6'): ListeningSocket[] {
  const protocol = name.startsWith('tcp') ? 'tcp' : 'udp'
  const wanted = protocol === 'tcp' ? TCP_LISTEN : UDP_UNCONNECTED
  const sockets: ListeningSocket[] = []
  for (const line of table.split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/)
    const [, local, , state] = fields
    const inode = fields[9]
    if (state !== wanted || !local || !inode) continue
    const [address, port] = local.split(':')
    sockets.push({ protocol, address: addressOf(address!), port: Number.parseInt(port!, 16), inode })
  }
  return sockets
}

function addressOf(hex: string): string {
  const bytes: number[] = []
  for (let word = 0; word < hex.length; word += 8) {
    for (let index = 6; index >= 0; index -= 2) bytes.push(Number.parseInt(hex.slice(word + index, word + index + 2), 16))
  }
  const isMapped = bytes.length === 16 && bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff
  if (bytes.length === 4 || isMapped) return bytes.slice(-4).join('.')
  const groups = Array.from({ length: 8 }, (_, group) => ((bytes[2 * group]! << 8) | bytes[2 * group + 1]!).toString(16))
  return groups.join(':')
}

export function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '0:0:0:0:0:0:0:0'
}

/** First of the addresses that are given to sessions; what is below (127.0.0.1, a resolver's, ...) belongs to the machine. */
const SESSION_ADDRESSES_FROM = 1

/** Whether a session may listen there: on its own address, or on the loopback outside other sessions' addresses. */
export function isOwnLoopback(address: string, own: string | undefined): boolean {
  if (address === own || address === '0:0:0:0:0:0:0:1') return true
  const [first, second] = address.split('.').map(Number)
  return first === 127 && second! < SESSION_ADDRESSES_FROM
}
