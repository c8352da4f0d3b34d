import { existsSync } from 'node:fs'
import { installDebian } from './debian.ts'

const NGINXES = ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/bin/nginx']

/** nginx, from the system's packages: the peer of the gateway's bench. Only the program is used, no service is started. */
export function prepareNginx(): string {
  const find = (): string | undefined => NGINXES.find((path) => existsSync(path))
  const here = find()
  if (here) return here
  installDebian(['nginx-light'], 'there is no nginx')
  return find() ?? NGINXES[0]!
}
