"""What the Python project is built on, as small as it can be: FastMCP and paramiko, one
kept connection a host. Made for the comparison only."""
import os
import threading

import paramiko

try:
    from mcp.server.fastmcp import FastMCP
except ImportError:  # the SDK's second generation renamed it
    from mcp.server.mcpserver import MCPServer as FastMCP

HOSTS = os.environ["BENCH_HOSTS"].split(",")
server = FastMCP("paramiko")
clients, lock = {}, threading.Lock()


def connection(alias):
    with lock:
        if alias not in clients:
            client = paramiko.SSHClient()
            client.load_host_keys(os.environ["BENCH_KNOWN_HOSTS"])
            client.connect(HOSTS[int(alias[1:])], port=int(os.environ["BENCH_PORT"]), username=os.environ["BENCH_USER"],
                           key_filename=os.environ["BENCH_KEY"], allow_agent=False, look_for_keys=False)
            clients[alias] = client
        return clients[alias]


@server.tool()
def run(alias: str, command: str) -> dict:
    """Run a command on a host."""
    _, out, err = connection(alias).exec_command(command)
    text = out.read().decode(errors="replace")
    return {"exit_code": out.channel.recv_exit_status(), "output": text + err.read().decode(errors="replace")}


server.run()
