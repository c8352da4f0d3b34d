'use strict'
/*
 * Loaded by NODE_OPTIONS before an agent's own code, in every process and worker thread. A bind to every address goes to
 * the session's own address instead; all else is as it was. It prints nothing and never throws: what it cannot move, the
 * kubelet finds and ends.
 */
const address = process.env.CARREL_POD_IP
const IPV6_ONLY = 1
/** Port -> the last socket that was moved there. */
const moved = new Map()

if (address) {
  move(prototypeOf('tcp_wrap', 'TCP'), bindTcp, bindTcp6)
  move(prototypeOf('udp_wrap', 'UDP'), bindUdp, bindUdp6)
}

/** Every way to listen ends in these two classes: net, http, http2, tls, dgram, cluster. */
function prototypeOf(binding, name) {
  const silenced = process.noDeprecation
  try {
    process.noDeprecation = true
    return process.binding(binding)[name].prototype
  } catch {
    return undefined
  } finally {
    process.noDeprecation = silenced
  }
}

function move(prototype, ipv4, ipv6) {
  if (!prototype) return
  const { bind, bind6 } = prototype
  prototype.bind = function (host, port, ...rest) {
    return isWildcard(host) ? ipv4.call(this, { bind, bind6 }, host, port, rest) : bind.call(this, host, port, ...rest)
  }
  prototype.bind6 = function (host, port, ...rest) {
    return isWildcard(host) ? ipv6.call(this, { bind, bind6 }, host, port, rest) : bind6.call(this, host, port, ...rest)
  }
}

function bindTcp({ bind }, _host, port, rest) {
  if (hasTwin(port, 4, false)) return bind.call(this, '127.0.0.1', 0, ...rest)
  return remember(this, port, 4, false, bind.call(this, address, port, ...rest))
}

/** Mapped, so that the socket stays one of IPv6 for its program, as a wildcard's is. */
function bindTcp6({ bind6 }, _host, port, [flags = 0, ...rest]) {
  const ipv6Only = (flags & IPV6_ONLY) !== 0
  if (hasTwin(port, 6, ipv6Only)) return bind6.call(this, '::1', 0, flags, ...rest)
  return remember(this, port, 6, ipv6Only, bind6.call(this, `::ffff:${address}`, port, flags & ~IPV6_ONLY, ...rest))
}

/** A pair of an IPv4 and an IPv6-only socket on one port would be one: the second then stays deaf. */
function hasTwin(port, family, ipv6Only) {
  const twin = moved.get(port)
  if (port === 0 || twin === undefined || twin.family === family || !(ipv6Only || twin.ipv6Only)) return false
  return (twin.handle.deref()?.fd ?? -1) >= 0
}

function remember(handle, port, family, ipv6Only, error) {
  if (!error) moved.set(port, { handle: new WeakRef(handle), family, ipv6Only })
  return error
}

/** Port 0 is a client's: from the session's address it could send to nobody outside. */
function bindUdp({ bind }, host, port, rest) {
  return bind.call(this, port === 0 ? host : address, port, ...rest)
}

function bindUdp6({ bind6 }, host, port, [flags = 0, ...rest]) {
  if (port === 0) return bind6.call(this, host, port, flags, ...rest)
  return bind6.call(this, `::ffff:${address}`, port, flags & ~IPV6_ONLY, ...rest)
}

function isWildcard(host) {
  if (typeof host !== 'string') return false
  if (host === '0.0.0.0' || host === '::' || host === '') return true
  const bare = host.split('%')[0].toLowerCase()
  return /^[0:]+$/.test(bare) || /^[0:]*:ffff:(0\.0\.0\.0|0+:0+)$/.test(bare) || /^[0:]+:0\.0\.0\.0$/.test(bare)
}
