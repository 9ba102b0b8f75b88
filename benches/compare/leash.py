#!/usr/bin/env python3
"""What the leash costs a command on an open session: two binaries side by side.

    python3 benches/compare/leash.py BEFORE NOW [--rounds 12]

Rounds of the two alternate, so that what else the machine does meets both. The host is on
the same machine: its work, the watcher's too, is part of each figure. Needs root."""
import argparse
import os
import statistics
import time

import bounds

POLICY = """known_hosts_path: known_hosts
limits: {max_seconds: 50, session_idle_seconds: 300}
network: {allow_cidrs: [127.0.0.0/8]}
rules: [{action: allow, aliases: ["*"], commands: ["true", "uname -r", "id -u"]}]
"""
EACH = 25


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("before")
    parser.add_argument("now")
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    user = bounds.a_login(f"mcpleash{os.getpid()}")
    lab = bounds.Lab(1, port=2396, user=user)
    try:
        (lab.dir / "config" / "policy.yml").write_text(POLICY)
        servers = {"before": bounds.Server(lab, options.before), "now": bounds.Server(lab, options.now)}
        print("| | before | now | ratio |\n|---|---|---|---|")
        for command, what in (("id -u", "one program"), ("true", "a list for /bin/sh")):
            took = {name: [] for name in servers}
            for turn in range(options.rounds + 1):
                for name, server in servers.items():
                    begun = time.perf_counter()
                    for _ in range(EACH):
                        server.call("ssh_run", alias=lab.hosts[0][0], command=command)
                        assert not server.wait()["result"].get("isError")
                    if turn:
                        took[name].append((time.perf_counter() - begun) / EACH * 1000)
            before, now = (statistics.median(took[name]) for name in servers)
            least = min(took["now"]) / min(took["before"])
            print(f"| {what} | {before:.2f} ms | {now:.2f} ms | {now / before:.2f} (of the quickest rounds: {least:.2f}) |", flush=True)
        for server in servers.values():
            server.close()
    finally:
        lab.close()
        bounds.no_login(user)


if __name__ == "__main__":
    main()
