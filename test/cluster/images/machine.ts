/**
 * Adapter: what the machine lends to a RUN: how it reaches the registries of npm, pip, uv and Debian, the certificates that
 * takes, and a place for downloads. It lies under /run/machine while the command runs, and nothing of it stays in the image.
 */
import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { CACHE, run } from '../../../scripts/rings/cache.ts'

const VARIABLES = /^(pip_|uv_|npm_config_|ssl_cert_|(https?|no|all|ftp)_proxy$|node_extra_ca_certs$|requests_ca_bundle$|curl_ca_bundle$)/i
/** npm run sets a variable for every setting of the project; these would point npm back at the checkout. */
const OF_NPM_ITSELF =
  /^npm_config_(local_prefix|global_prefix|prefix|cache|userconfig|globalconfig|init_module|npm_version|node_gyp|noproxy|user_agent)$/i
const PLACE = '/run/machine'
const PIP_CONFIGS = ['/etc/pip.conf', join(homedir(), '.config', 'pip', 'pip.conf'), join(homedir(), '.pip', 'pip.conf')]

/** Fills `folder`, which layer.sh mounts; the variables that belong to it. */
export function lendMachine(folder: string): Record<string, string> {
  const lent: string[] = []
  const borrow = (path: string): string => {
    const name = `lent-${lent.length}`
    if (statSync(path).isDirectory()) mkdirSync(join(folder, name))
    else writeFileSync(join(folder, name), '')
    lent.push(`${path}\t${name}\n`)
    return `${PLACE}/${name}`
  }
  const variables: Record<string, string> = {}
  for (const [name, value = ''] of Object.entries(process.env)) {
    if (!VARIABLES.test(name) || OF_NPM_ITSELF.test(name) || name === 'PIP_CONFIG_FILE') continue
    variables[name] = isAbsolute(value) && existsSync(value) ? borrow(value) : value
  }
  const pip = [process.env['PIP_CONFIG_FILE'] ?? '', ...PIP_CONFIGS].findLast((path) => path !== '' && existsSync(path))
  if (pip !== undefined) variables['PIP_CONFIG_FILE'] = borrow(pip)

  const downloads = join(CACHE, 'downloads')
  for (const part of ['apt/partial', 'pip', 'uv', 'npm']) mkdirSync(join(downloads, part), { recursive: true })
  const place = borrow(downloads)
  const npm = process.env['npm_config_cache'] ?? join(homedir(), '.npm')
  const npmCache = existsSync(npm) ? borrow(npm) : `${place}/npm`
  writeFileSync(join(folder, 'apt.conf'), aptConfiguration(`${place}/apt`))
  writeFileSync(join(folder, 'lent'), lent.join(''))
  chmodSync(folder, 0o755)
  return {
    npm_config_registry: registryOfNpm(),
    ...variables,
    APT_CONFIG: `${PLACE}/apt.conf`,
    DEBIAN_FRONTEND: 'noninteractive',
    PIP_CACHE_DIR: `${place}/pip`,
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    PIP_ROOT_USER_ACTION: 'ignore',
    UV_CACHE_DIR: `${place}/uv`,
    UV_LINK_MODE: 'copy',
    npm_config_cache: npmCache,
    npm_config_prefer_offline: 'true',
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_update_notifier: 'false',
  }
}

/** How this machine's apt acquires packages; not where from, which is the image's own. */
function aptConfiguration(archives: string): string {
  const acquire = run('apt-config', ['dump'])
    .split('\n')
    .filter((line) => /^Acquire::.* "[^"]/.test(line) && !line.includes('::Languages'))
  return [
    ...acquire,
    'Acquire::Languages "none";',
    'APT::Sandbox::User "root";',
    'APT::Install-Recommends "false";',
    `Dir::Cache::archives "${archives}";`,
    'Dir::Cache::pkgcache "";',
    'Dir::Cache::srcpkgcache "";',
    '',
  ].join('\n')
}

let registry: string | undefined
const registryOfNpm = (): string => (registry ??= run('npm', ['config', 'get', 'registry']).trim())
