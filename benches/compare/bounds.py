#!/usr/bin/env python3
"""What one client can make a server hold, and how it goes about fleets beyond 256 hosts.

    python3 benches/compare/bounds.py BINARY [BINARY...] [--hosts 1000] [--only NAME] [--memory 64]

Prints a table for each binary, in MiB of peak resident memory and in seconds. One sshd on
loopback serves all hosts, each at an address of its own; it is ended at the end, and
nothing stays. Needs sshd and ssh-keygen, and a user who may log in to it (root in a
container will do)."""
import argparse
import getpass
import json
import os
import pathlib
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

POLICY = """known_hosts_path: known_hosts
limits:
  max_seconds: 120
  session_idle_seconds: 300
network: {{allow_cidrs: [127.0.0.0/8]}}
concurrency: {{max_tasks: {width}, fan_out: {width}}}
rules:
  - {{action: {action}, aliases: ["*"], commands: ["echo *", "true", "cat /srv/*"]}}
"""


class Lab:
    def __init__(self, hosts, port=2397, user=None):
        self.user = user or getpass.getuser()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="bounds-"))
        self.dir.chmod(0o755)
        self.port = port
        self.hosts = [(f"h{i:05}", f"127.0.{2 + i // 250}.{1 + i % 250}") for i in range(hosts)]
        for name in ("config", "keys", "secrets"):
            (self.dir / name).mkdir(mode=0o755)
        for path in (self.dir / "host", self.dir / "keys" / "id"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
        shutil.copy(self.dir / "keys" / "id.pub", self.dir / "authorized")
        config = self.dir / "sshd_config"
        config.write_text("\n".join([
            f"Port {port}", "ListenAddress 0.0.0.0", f"HostKey {self.dir}/host", "UsePAM no", "StrictModes no",
            f"AuthorizedKeysFile {self.dir}/authorized", "PasswordAuthentication no", "PermitRootLogin yes",
            "MaxStartups 1000:30:4000", "MaxSessions 1000", "PidFile none", "PrintMotd no", "UseDNS no", ""]))
        os.makedirs("/run/sshd", exist_ok=True)
        self.sshd = subprocess.Popen([shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-f", config, "-E", self.dir / "log"])
        # A host that accepts and says nothing.
        self.silent = socket.create_server(("127.0.1.1", 0), backlog=4096)
        self.write()
        for _ in range(500):
            try:
                return socket.create_connection((self.hosts[0][1], port), 1).close()
            except OSError:
                time.sleep(0.02)
        raise SystemExit("sshd did not start")

    def write(self, action="allow", width=64, silent=False, known=0):
        config = self.dir / "config"
        silent_port = self.silent.getsockname()[1]
        lines = ["hosts:"]
        for alias, address in self.hosts:
            where = f"host: 127.0.1.1, port: {silent_port}" if silent else f"host: {address}, port: {self.port}"
            lines.append(f"  - {{alias: {alias}, {where}, credentials: c, tags: [all]}}")
        config.joinpath("servers.yml").write_text("\n".join(lines) + "\n")
        config.joinpath("credentials.yml").write_text(
            f"entries:\n  - {{name: c, username: {self.user}, key_path: id}}\n")
        config.joinpath("policy.yml").write_text(POLICY.format(action=action, width=width))
        key = " ".join((self.dir / "host.pub").read_text().split()[:2])
        with open(self.dir / "keys" / "known_hosts", "w") as out:
            out.writelines(f"[{address}]:{self.port} {key}\n" for _, address in self.hosts)
            out.writelines(f"h{n}.example.com {key}\n" for n in range(known))

    def close(self):
        self.sshd.terminate()
        self.sshd.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def a_login(name):
    """A user with a bare /bin/sh, whose start-up takes no time. Needs root; `no_login` removes it."""
    subprocess.run(["useradd", "--no-create-home", "--home-dir", "/", "--shell", "/bin/sh", "--password", "*", name], check=True)
    return name


def no_login(name):
    subprocess.run(["userdel", "--force", name], check=False, stderr=subprocess.DEVNULL)


class Group:
    """A control group of its own for the servers, made by hand: version 2 or 1."""

    def __init__(self, mib):
        root = pathlib.Path("/sys/fs/cgroup")
        two = (root / "cgroup.controllers").exists()
        self.path = (root if two else root / "memory") / f"bounds-{os.getpid()}"
        self.path.mkdir()
        (self.path / ("memory.max" if two else "memory.limit_in_bytes")).write_text(str(mib << 20))

    def enter(self):
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def close(self):
        self.path.rmdir()


GROUP = None


class Server:
    def __init__(self, lab, binary, capabilities=None):
        env = {"PATH": os.environ["PATH"]}
        for name in ("config", "keys", "secrets"):
            env[f"MCP_SSH_{name.upper()}_DIR"] = str(lab.dir / name)
        self.log = open(lab.dir / "server.log", "w")
        command = [binary, "--sandbox=degraded", "--user", "0"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, env=env,
                                        preexec_fn=GROUP and GROUP.enter)
        self.answers, self.asked = queue.Queue(), 0
        threading.Thread(target=self._read, daemon=True).start()
        self.id = 0
        self.send("initialize", {"protocolVersion": "2025-11-25", "capabilities": capabilities or {},
                                 "clientInfo": {"name": "bench", "version": "1"}})
        self.wait()
        self.base = self.peak()

    def _read(self):
        for line in self.process.stdout:
            frame = json.loads(line)
            if frame.get("method") == "elicitation/create":
                self.asked += 1
            elif "id" in frame:
                self.answers.put(frame)

    def send(self, method, params):
        self.id += 1
        frame = {"jsonrpc": "2.0", "id": self.id, "method": method, "params": params}
        self.process.stdin.write(json.dumps(frame).encode() + b"\n")
        self.process.stdin.flush()

    def call(self, tool, **arguments):
        self.send("tools/call", {"name": tool, "arguments": arguments})

    def wait(self, seconds=300):
        return self.answers.get(timeout=seconds)

    def peak(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("VmHWM:")[1].split()[0]) / 1024

    def settle(self):
        """Until nothing grows for a second; whether it is there still."""
        last, quiet = -1, 0
        while quiet < 20 and self.process.poll() is None:
            now = self.peak()
            quiet = quiet + 1 if now == last else 0
            last = now
            time.sleep(0.2)
        return last

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


LONG = "echo " + "x" * 7_900


def queued(lab, binary):
    lab.write(silent=True)
    server = Server(lab, binary)
    refused = 0
    for _ in range(4_096):
        server.call("ssh_run_async", alias=lab.hosts[0][0], command=LONG)
        refused += bool(server.wait()["result"].get("isError"))
    return server, f"{refused} refused"


def tag_runs(count, some=None, command=LONG, **more):
    """So many runs on hosts that hang, `some` of them or all."""
    def scenario(lab, binary):
        lab.write(silent=True)
        server = Server(lab, binary)
        which = {"aliases": [alias for alias, _ in lab.hosts[:some]]} if some else {"tag": "all"}
        for _ in range(count):
            server.call("ssh_run_on_tag", command=command, **which, **more)
        peak = server.settle()
        refused = sum(bool(server.answers.get()["result"].get("isError")) for _ in range(server.answers.qsize()))
        return server, f"{refused} refused, {peak:.0f} MiB at rest"
    return scenario


def questions(lab, binary):
    lab.write(action="ask", silent=True)
    server = Server(lab, binary, {"elicitation": {}})
    for _ in range(2_048):
        server.call("ssh_run", alias=lab.hosts[0][0], command="cat /srv/x")
    server.settle()
    threads = len(os.listdir(f"/proc/{server.process.pid}/task"))
    return server, f"{server.asked} open, {server.answers.qsize()} refused, {threads} threads"


def questions_of_many(lab, binary):
    lab.write(action="ask", silent=True)
    server = Server(lab, binary, {"elicitation": {}})
    for _ in range(50):
        server.call("ssh_run_on_tag", tag="all", command="cat /srv/" + "x" * 7_900)
    server.settle()
    return server, f"{server.asked} open, {server.answers.qsize()} refused"


def nested(lab, binary):
    lab.write()
    server = Server(lab, binary)
    depth = 100
    objects = ",".join(['{"a":' * depth + "1" + "}" * depth] * (1_000_000 // (6 * depth + 2)))
    server.process.stdin.write(b'{"jsonrpc":"2.0","id":9,"method":"ping","params":{"a":[' + objects.encode() + b"]}}\n")
    server.process.stdin.flush()
    return server, json.dumps(server.wait())[:60]


def line(lab, binary):
    lab.write()
    server = Server(lab, binary)
    objects = ",".join(['{"a":1}'] * 120_000)
    server.process.stdin.write(b'{"jsonrpc":"2.0","id":9,"method":"ping","params":{"a":[' + objects.encode() + b"]}}\n")
    server.process.stdin.flush()
    return server, json.dumps(server.wait())[:60]


def known_hosts(lab, binary):
    lab.write(known=100_000)
    time.sleep(2.5)
    server = Server(lab, binary)
    server.call("ssh_run_on_tag", aliases=[alias for alias, _ in lab.hosts[:64]], command="true")
    answer = server.wait()
    return server, str(answer["result"].get("structuredContent", {}).get("summary"))


def fleet(lab, binary):
    lab.write(width=64)
    server = Server(lab, binary)
    took = []
    for _ in range(3):
        begun = time.monotonic()
        server.call("ssh_run_on_tag", tag="all", command="true")
        answer = server.wait()
        took.append(time.monotonic() - begun)
    summary = answer["result"].get("structuredContent", {}).get("summary")
    return server, f"cold {took[0]:.1f} s, warm {took[1]:.1f} and {took[2]:.1f} s; {summary}"


SCENARIOS = {"4,096 queued commands of 8 KB": queued, "2,048 open questions": questions,
             "100 runs on a host that hangs": tag_runs(100, 1, "echo x"), "400 runs on a host that hangs": tag_runs(400, 1, "echo x"),
             "20 runs of 8 KB on all hosts": tag_runs(20, batch=1), "100 runs of 8 KB on all hosts": tag_runs(100),
             "50 questions about all hosts, 8 KB": questions_of_many, "a line of 120,000 objects": line,
             "a line of nested objects": nested, "64 logins, known_hosts of 100,000 lines": known_hosts, "all hosts, true": fleet}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binaries", nargs="+")
    parser.add_argument("--hosts", type=int, default=1_000)
    parser.add_argument("--only", default="")
    parser.add_argument("--memory", type=int, help="MiB of a control group for the servers (as root)")
    options = parser.parse_args()
    lab = Lab(options.hosts)
    global GROUP
    GROUP = options.memory and Group(options.memory)
    try:
        print(f"| {options.hosts} hosts | binary | at start | peak | |\n|---|---|---|---|---|")
        for name, scenario in SCENARIOS.items():
            if options.only not in name:
                continue
            for binary in options.binaries:
                try:
                    server, note = scenario(lab, binary)
                except (BrokenPipeError, queue.Empty):
                    print(f"| {name} | {pathlib.Path(binary).name} | | | ended |", flush=True)
                    continue
                alive = "" if server.process.poll() is None else " ENDED"
                peak = server.peak() if not alive else float("nan")
                print(f"| {name} | {pathlib.Path(binary).name} | {server.base:.0f} MiB | {peak:.0f} MiB | {note}{alive} |")
                sys.stdout.flush()
                server.close()
    finally:
        if GROUP:
            GROUP.close()
        lab.close()


if __name__ == "__main__":
    main()
