"""Answers with what became of its writes to places that only root may write to."""
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PLACES = ["/root/agent.txt", "/var/lib/agent.txt", "/tmp/agent.txt"]


def attempt(path):
    try:
        with open(path, "w") as file:
            file.write("written")
        return "written"
    except OSError as error:
        return error.strerror


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer({"status": "Healthy"})

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.answer({"uid": os.getuid(), "gid": os.getgid(), "writes": {path: attempt(path) for path in PLACES}})

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
