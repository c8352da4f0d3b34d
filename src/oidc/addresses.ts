import { BlockList, isIP } from 'node:net'

/** Not on the public internet, or special (IANA's registries), and metadata of clouds that is on a public address. */
const NOT_PUBLIC_IPV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '168.63.129.16/32',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]

/** All of IPv6 that can be public. So mapped, NAT64, unique local, link-local and multicast addresses are out. */
const GLOBAL_IPV6 = ['2000::/3']
/** Within it: protocol assignments with Teredo, documentation, and 6to4, which carry other addresses inside. */
const NOT_PUBLIC_IPV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']

const notPublicIPv4 = blockList(NOT_PUBLIC_IPV4)
const globalIPv6 = blockList(GLOBAL_IPV6)
const notPublicIPv6 = blockList(NOT_PUBLIC_IPV6)

/** Whether an IP address is one of the public internet. What is no address is not. */
export function isPublic(address: string): boolean {
  const version = isIP(address)
  if (version === 4) return !notPublicIPv4.check(address, 'ipv4')
  return version === 6 && globalIPv6.check(address, 'ipv6') && !notPublicIPv6.check(address, 'ipv6')
}

/** Whether an address is in one of the networks, as the installation writes them (`10.1.0.0/16`, `fd00::/8`). */
export function inNetworks(cidrs: readonly string[]): (address: string) => boolean {
  const list = blockList(cidrs)
  return (address) => isIP(address) !== 0 && list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6')
}

export function isCidr(text: string): boolean {
  const [, address = '', prefix = ''] = /^([^/%]+)\/(\d{1,3})$/.exec(text) ?? []
  const version = isIP(address)
  return version !== 0 && Number(prefix) <= (version === 4 ? 32 : 128)
}

function blockList(cidrs: readonly string[]): BlockList {
  const list = new BlockList()
  for (const cidr of cidrs) {
    const [address = '', prefix = ''] = cidr.split('/')
    list.addSubnet(address, Number(prefix), isIP(address) === 4 ? 'ipv4' : 'ipv6')
  }
  return list
}
