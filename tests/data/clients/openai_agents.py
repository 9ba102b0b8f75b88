"""The entry of README.md for the OpenAI Agents SDK, as it stands there: argv[1] is its text. It
connects and lists the tools; what calls them would be a model."""

import asyncio
import sys

from agents.mcp import MCPServerStdio


async def main() -> None:
    server = eval(sys.argv[1], {"MCPServerStdio": MCPServerStdio})
    async with server:
        tools = await server.list_tools()
        said = await server.call_tool("ssh_run", {"alias": "one", "command": "echo hello"})
        assert said.structured_content if hasattr(said, "structured_content") else said.structuredContent
        print(len(tools))


asyncio.run(main())
