"""A Python client lists the tools, runs a command, and leaves while another still runs.

argv: how the client is driven, the server's log, the binary, its environment as JSON. Prints
one JSON report. That the client ends well, without a word on stderr, is what scripts/clients
and tests/integration/mcp/clients.rs look at: a server that answers after the end of its
input makes some of these crash."""

import json
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

WAY, LOG, BINARY, ENVIRONMENT = sys.argv[1:5]
DEADLINE = 60
LASTS = {"alias": "one", "command": "sleep 27.25"}
SAYS = {"alias": "one", "command": "echo hello"}


def log():
    return open(LOG, "a", encoding="utf-8")


async def running(done: str) -> None:
    """Waits until another command than the one of this hash runs, by the server's record."""
    while True:
        for line in Path(LOG).read_text(encoding="utf-8").splitlines(keepends=True):
            if line.startswith('{"type":"progress"') and line.endswith("\n"):
                record = json.loads(line)
                if record["phase"] == "running" and f":{done}:" not in record["task_id"]:
                    return
        await anyio.sleep(0.02)


def plain(result: Any) -> Any:
    """What a tool said, whatever the client makes of it."""
    for name in ("structured_content", "structuredContent"):
        if getattr(result, name, None):
            return getattr(result, name)
    if getattr(result, "is_error", False) or getattr(result, "isError", False):
        raise SystemExit(f"refused: {result}")
    return json.loads(result) if isinstance(result, str) else result


@asynccontextmanager
async def session():
    """The Python SDK before 2.0."""
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    server = StdioServerParameters(command=BINARY, env=json.loads(ENVIRONMENT))
    async with stdio_client(server, errlog=log()) as streams, ClientSession(*streams) as client:
        await client.initialize()
        yield client


@asynccontextmanager
async def client():
    """The Python SDK from 2.0 on."""
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    server = StdioServerParameters(command=BINARY, env=json.loads(ENVIRONMENT))
    async with Client(stdio_client(server, errlog=log())) as made:
        yield made


@asynccontextmanager
async def fastmcp():
    from fastmcp import Client
    from fastmcp.client.transports import StdioTransport

    transport = StdioTransport(BINARY, [], env=json.loads(ENVIRONMENT), keep_alive=False, log_file=Path(LOG))
    async def heard(_message) -> None:
        """Version 4 asks to hear what goes on, and would print it."""

    async with Client(transport, log_handler=heard) as made:
        yield made


@asynccontextmanager
async def langchain():
    """Its tools are objects that call the session: here they are the client."""
    from langchain_mcp_adapters.tools import load_mcp_tools

    class Adapter:
        def __init__(self, tools):
            self.tools = {tool.name: tool for tool in tools}

        async def list_tools(self):
            return list(self.tools.values())

        async def call_tool(self, name, arguments):
            call = {"name": name, "args": arguments, "id": "1", "type": "tool_call"}
            said = await self.tools[name].ainvoke(call)
            return said.artifact["structured_content"]

    async with session() as inner:
        yield Adapter(await load_mcp_tools(inner))


@asynccontextmanager
async def genai():
    """Its models are given a session; what it makes of that needs no model."""
    from google.genai._mcp_utils import mcp_to_gemini_tools

    async with client() as made:
        listed = (await made.list_tools()).tools
        converted = mcp_to_gemini_tools(listed)
        declared = [function.name for tool in converted for function in tool.function_declarations]
        assert declared == [tool.name for tool in listed], declared
        yield made


async def main() -> None:
    report: dict[str, Any] = {}
    ways = {"session": session, "client": client, "fastmcp": fastmcp, "langchain": langchain, "genai": genai}
    with anyio.fail_after(DEADLINE):
        async with ways[WAY]() as made, anyio.create_task_group() as group:
            listed = await made.list_tools()
            report["tools"] = len(getattr(listed, "tools", listed))
            report["run"] = plain(await made.call_tool("ssh_run", SAYS))
            group.start_soon(made.call_tool, "ssh_run", LASTS)
            await running(report["run"]["hash"])
            group.cancel_scope.cancel()
    print(json.dumps(report))


anyio.run(main)
