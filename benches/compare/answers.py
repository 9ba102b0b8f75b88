"""`answers.py BINARY PREFIX OUT`: what each server answers to the same commands, and its list of
tools, written to OUT as JSON. `tokens.mjs DIRECTORY OUT` counts it."""
import json
import sys

import lab
import peers
from client import Client

COMMANDS = ["uptime -p", "cat /etc/services", "seq 1 100000"]


def answers(peer):
    client = Client(peer.command, peer.env)
    try:
        client.initialize()
        tools = client.request("tools/list")["tools"]
        said = {}
        for command in COMMANDS:
            call = {"name": peer.tool, "arguments": peer.arguments("h0", command)}
            said[command] = client.request("tools/call", call)
        return {"tools": tools, "answers": said}
    finally:
        client.process.kill()
        client.process.wait()


def main():
    binary, prefix, out = sys.argv[1:]
    fleet = lab.Fleet(1)
    try:
        all_of_them = [make(prefix, fleet) for make in (peers.ssh_mcp, peers.ssh_manager, peers.blc_ssh_mcp)]
        ours = peers.ours(binary, fleet)
        policy = f"{fleet.dir}/ours/config/policy.yml"
        text = open(policy).read().replace("'uptime*'", "'uptime*', 'seq *'")
        peers.write(policy, text, 0o644)
        found = {}
        for peer in [ours, *all_of_them]:
            try:
                found[peer.name] = answers(peer)
            except (RuntimeError, OSError) as error:
                found[peer.name] = {"error": str(error)}
                print(f"{peer.name}: {error}")
    finally:
        fleet.close()
    with open(out, "w") as to:
        json.dump(found, to, indent=1)


if __name__ == "__main__":
    main()
