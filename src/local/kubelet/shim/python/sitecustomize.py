"""Loaded by PYTHONPATH before an agent's own code, in every interpreter that reads it.

A bind to every address goes to the session's own address instead; all else is as it was. It prints nothing: what it
cannot move, the kubelet finds and ends. A sitecustomize of the user's own runs after it, as if this one were not there.
"""


def _shim(address):
    import _socket
    import weakref

    original = _socket.socket
    inet, inet6 = _socket.AF_INET, getattr(_socket, "AF_INET6", None)
    datagram = _socket.SOCK_DGRAM
    wildcards = ("", "0.0.0.0", "0", b"", b"0.0.0.0", "<any>", "::", "::0", "0::0", "0:0:0:0:0:0:0:0")
    moved = {}  # port -> the last socket that was moved there, and whether it was one of IPv6 only

    def is_wildcard(host, family):
        if host is None or host in wildcards:
            return True
        if isinstance(host, (bytes, bytearray)):
            host = bytes(host).decode("ascii", "ignore")
        if not isinstance(host, str):
            return False
        try:
            packed = _socket.inet_pton(family, host.split("%")[0])
        except (OSError, UnicodeError, ValueError):
            return False
        return not any(packed) or packed == b"\0" * 10 + b"\xff\xff" + b"\0" * 4

    def bind_moved(self, where):
        port = where[1]
        if self.type & 0xF == datagram and port == 0:
            return original.bind(self, where)  # a client's: from the session's address it could send to nobody outside
        ipv6_only = self.family == inet6 and bool(self.getsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY))
        twin, twin_ipv6_only = moved.get(port, (lambda: None, False))
        twin = twin()
        if port and twin is not None and twin.fileno() != -1 and twin.family != self.family and (ipv6_only or twin_ipv6_only):
            return original.bind(self, ("127.0.0.1" if self.family == inet else "::1", 0))  # the two would be one: the second stays deaf
        if self.family == inet6:
            self.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 0)
            original.bind(self, ("::ffff:" + address, port) + tuple(where[2:]))
        else:
            original.bind(self, (address, port))
        moved[port] = weakref.ref(self), ipv6_only

    class socket(original):
        __slots__ = ()
        __doc__ = original.__doc__

        def bind(self, where):
            family = self.family
            if family in (inet, inet6) and isinstance(where, tuple) and len(where) > 1 and is_wildcard(where[0], family):
                return bind_moved(self, where)
            return original.bind(self, where)

        bind.__doc__ = original.bind.__doc__

    socket.__module__, socket.__qualname__ = original.__module__, original.__qualname__
    _socket.socket = socket

    import sys

    loaded = sys.modules.get("socket")  # by a .pth file, before this
    if loaded is not None and not issubclass(loaded.socket, socket):
        loaded.socket.bind = socket.bind


def _next(own):
    """The sitecustomize that would have been found without this one."""
    import sys
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    sys.path[:] = [entry for entry in sys.path if entry != own]
    shim = sys.modules.pop(__name__, None)
    spec = PathFinder.find_spec(__name__, sys.path)
    if spec is None or spec.loader is None:
        sys.modules[__name__] = shim
        return
    module = module_from_spec(spec)
    sys.modules[__name__] = module
    spec.loader.exec_module(module)


def _main():
    import os

    address = os.environ.get("CARREL_POD_IP")
    if address:
        _shim(address)
    _next(os.path.dirname(__file__))


_main()
del _main, _next, _shim
