"""Binds in every way that Python has, and tells where each ended up: one JSON line."""

import asyncio
import http.server
import json
import os
import socket
import socketserver
import subprocess
import sys

held = []


def bound(family, host, port=0, kind=socket.SOCK_STREAM):
    one = socket.socket(family, kind)
    one.bind((host, port))
    held.append(one)
    return one.getsockname()


async def served(host, port=0):
    server = await asyncio.start_server(lambda reader, writer: None, host, port)
    names = [one.getsockname() for one in server.sockets if one is not None]
    server.close()
    return names


def loop_of(module):
    loop = __import__(module).new_event_loop()
    try:
        return [loop.run_until_complete(served(host, port)) for host, port in (("0.0.0.0", 0), ("::", 0), (None, 9473 + os.getpid() % 1000), ("", 0))]
    finally:
        loop.close()


if sys.argv[1:] == ["child"]:
    print(json.dumps(bound(socket.AF_INET, "")))
    sys.exit()

found = {
    "0.0.0.0": bound(socket.AF_INET, "0.0.0.0"),
    "empty": bound(socket.AF_INET, ""),
    "bytes": bound(socket.AF_INET, b"0.0.0.0"),
    "short": bound(socket.AF_INET, "0"),
    "::": bound(socket.AF_INET6, "::"),
    "empty 6": bound(socket.AF_INET6, ""),
    "::ffff:0.0.0.0": bound(socket.AF_INET6, "::ffff:0.0.0.0"),
    "udp": bound(socket.AF_INET, "", 5454 + os.getpid() % 1000, socket.SOCK_DGRAM),
    "udp 6": bound(socket.AF_INET6, "::", 7454 + os.getpid() % 1000, socket.SOCK_DGRAM),
    "udp client": bound(socket.AF_INET, "", 0, socket.SOCK_DGRAM),
    "127.0.0.1": bound(socket.AF_INET, "127.0.0.1"),
    "::1": bound(socket.AF_INET6, "::1"),
    "http.server": http.server.HTTPServer(("", 0), http.server.BaseHTTPRequestHandler).server_address,
    "socketserver": socketserver.TCPServer(("0.0.0.0", 0), socketserver.BaseRequestHandler).server_address,
    "create_server": socket.create_server(("", 0)).getsockname(),
    "dual stack": socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True).getsockname(),
    "child": json.loads(subprocess.check_output([sys.executable, __file__, "child"])),
    "asyncio": loop_of("asyncio"),
}
try:
    found["uvloop"] = loop_of("uvloop")
except ImportError:
    pass
found["isinstance"] = isinstance(held[0], socket.SocketType)
found["type"] = type(held[0]).__module__ + "." + type(held[0]).__qualname__
print(json.dumps(found))
