"""orders.py ARN JSON: sends each [session id, order] with boto3 and prints the answers as one JSON list."""
import json
import sys

import boto3
from botocore.config import Config

client = boto3.client("bedrock-agentcore", config=Config(retries={"total_max_attempts": 1}))
answers = []
for session_id, order in json.loads(sys.argv[2]):
    call = client.invoke_agent_runtime(agentRuntimeArn=sys.argv[1], runtimeSessionId=session_id, payload=json.dumps(order).encode())
    answers.append(json.loads(call["response"].read()))
print(json.dumps(answers))
