"""The Python SDK over HTTP, with a certificate, through deploy/gateway: it runs a command, and
another in the background whose result it fetches with a request of its own.

argv: the address, the authority's certificate, the client's certificate and key. Prints one
JSON report."""

import json
import ssl
import sys

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

ADDRESS, AUTHORITY, CERTIFICATE, KEY = sys.argv[1:5]


async def main() -> None:
    context = ssl.create_default_context(cafile=AUTHORITY)
    context.load_cert_chain(CERTIFICATE, KEY)
    async with httpx2.AsyncClient(verify=context, timeout=60) as http:
        async with Client(streamable_http_client(ADDRESS, http_client=http)) as client:
            report = {"protocol": client.protocol_version, "tools": len((await client.list_tools()).tools)}

            async def call(name: str, **arguments):
                return (await client.call_tool(name, arguments)).structured_content

            report["run"] = await call("ssh_run", alias="one", command="echo hello")
            begun = await call("ssh_run_async", alias="one", command="echo job")
            report["job"] = await call("ssh_get_task_result", task_id=begun["task_id"], wait_seconds=30)
    print(json.dumps(report))


anyio.run(main)
