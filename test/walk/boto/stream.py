"""stream.py ARN SESSION CHUNKS BYTES: reads a stream in lock step with the agent, then one big answer. Prints what came, as JSON."""
import hashlib
import json
import sys

import boto3
from botocore.config import Config

arn, session, chunks, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
client = boto3.client("bedrock-agentcore", config=Config(retries={"total_max_attempts": 1}))


def call(order):
    answer = client.invoke_agent_runtime(agentRuntimeArn=arn, runtimeSessionId=session, payload=json.dumps(order).encode())
    return answer["response"]


acknowledged = 0
early = 0
for line in call({"do": "stream", "key": "k", "chunks": chunks}).iter_lines(chunk_size=1):
    if not line.startswith(b"data: "):
        continue
    number = int(line[6:])
    if number != acknowledged + 1:
        early += 1
    acknowledged = number
    call({"do": "ack", "key": "k", "upTo": number}).read()

digest = hashlib.sha256(call({"do": "big", "bytes": size}).read()).hexdigest()
print(json.dumps({"chunks": acknowledged, "early": early, "sha256": digest}))
