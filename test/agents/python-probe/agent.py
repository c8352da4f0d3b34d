"""An agent for tests on the Python SDK, unchanged: does what the payload's `do` says."""
import asyncio
import os
import socket
import time
import uuid

from bedrock_agentcore import BedrockAgentCoreApp
from bedrock_agentcore.runtime import PingStatus

app = BedrockAgentCoreApp()
boot = str(uuid.uuid4())
memory = None
status = PingStatus.HEALTHY
listening = []
streams = 0


@app.ping
def ping():
    return status


def listen(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.socket(family)
    server.bind((host, port))
    server.listen()
    listening.append(server)
    return {"address": server.getsockname()[0]}


async def stream(count, every_seconds):
    global streams
    streams += 1
    for number in range(1, count + 1):
        yield {"number": number}
        await asyncio.sleep(every_seconds)


@app.entrypoint
async def invoke(payload, context):
    global memory, status
    order = payload.get("do", "boot")
    if order == "stream":
        return stream(payload["chunks"], payload["everyMs"] / 1000)
    if order == "block":
        # As agents do that call a model synchronously: nothing else runs meanwhile, /ping neither.
        time.sleep(payload["ms"] / 1000)
    if order == "remember":
        memory = payload["value"]
    if order == "ping":
        status = PingStatus(payload["status"])
    if order == "listen":
        return listen(payload["host"], payload["port"])
    return {"boot": boot, "pid": os.getpid(), "memory": memory, "streams": streams, "sessionId": context.session_id}


if __name__ == "__main__":
    app.run()
