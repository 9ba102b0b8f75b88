"""The server against SSH servers that others wrote, and each algorithm that OpenSSH's shares
with it: BINARY PLACE TABLE [NAME...]. Writes the table; exits 1 if something does not work."""
import base64
import json
import os
import pathlib
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

binary, place, table = sys.argv[1:4]
wanted = sys.argv[4:]
HERE = pathlib.Path(__file__).parent
USER = os.environ["INTEROP_USER"]
PASSWORD = base64.b16encode(os.urandom(12)).decode()
AT_ONCE = 5
OLD_KEX = ("diffie-hellman-group14-sha1", "diffie-hellman-group1-sha1")
KEX = ("mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256",
       "ecdh-sha2-nistp384", "ecdh-sha2-nistp521", "diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512",
       "diffie-hellman-group-exchange-sha256", "diffie-hellman-group14-sha256") + OLD_KEX
OLD_CIPHERS = ("aes256-cbc", "aes192-cbc", "aes128-cbc", "3des-cbc")
CIPHERS = ("chacha20-poly1305@openssh.com", "aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr",
           "aes192-ctr", "aes128-ctr") + OLD_CIPHERS
OLD_MACS = ("hmac-sha1",)
MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512") + OLD_MACS
OLD_KEYS = ("ssh-rsa",)
KEYS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512",
        "rsa-sha2-256") + OLD_KEYS


def call(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Case:
    """A directory with keys, a configuration and an SSH server that runs."""

    def __init__(self, kind, lines=(), legacy=False, key="ed25519"):
        self.at = pathlib.Path(tempfile.mkdtemp(prefix="interop-"))
        self.at.chmod(0o755)
        for name in ("config", "keys", "secrets"):
            (self.at / name).mkdir()
        self.client_key = self.at / "keys" / "id"
        call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(self.client_key))
        self.authorised = self.at / "authorized_keys"
        self.client_key.with_suffix(".pub").rename(self.authorised)
        self.host_key = self.at / "host_key"
        size = {"ecdsa384": ["-b", "384"], "ecdsa521": ["-b", "521"], "rsa": ["-b", "2048"]}.get(key, [])
        call("ssh-keygen", "-q", "-t", key.rstrip("0123456789") if key != "ed25519" else key, *size, "-N", "", "-C",
             "", "-f", str(self.host_key))
        self.port, self.legacy = free_port(), legacy
        self.process = None
        self.version = self.start(kind, lines)
        public = " ".join(self.public.split()[:2])
        (self.at / "keys" / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {public}\n")
        self.configure()

    @property
    def public(self):
        return self.host_key.with_suffix(".pub").read_text()

    def start(self, kind, lines):
        arguments = [str(self.port), str(self.host_key), str(self.authorised), PASSWORD]
        python = f"{place}/venv/bin/python"
        environment = dict(os.environ, INTEROP_NODE=f"{place}/node")
        if kind == "OpenSSH":
            self.authorised.chmod(0o644)
            config = self.at / "sshd_config"
            config.write_text("\n".join((
                *lines, f"ListenAddress 127.0.0.1:{self.port}", f"HostKey {self.host_key}", "PidFile none",
                f"AuthorizedKeysFile {self.authorised}", "StrictModes no", "UsePAM no", "UseDNS no", "PrintMotd no",
                f"AllowUsers {USER}", "PermitRootLogin prohibit-password", "MaxStartups 100")) + "\n")
            return self.launch([shutil.which("sshd"), "-D", "-e", "-f", str(config)], environment,
                               "Server listening", subprocess.run(["ssh", "-V"], capture_output=True, text=True,
                                                                  check=True).stderr.split(",")[0])
        if kind == "dropbear":
            home = pathlib.Path(call("getent", "passwd", USER).split(":")[5])
            (home / ".ssh").mkdir(mode=0o700, exist_ok=True)
            shutil.copy(self.authorised, home / ".ssh" / "authorized_keys")
            call("chown", "-R", USER, str(home / ".ssh"))
            own = self.at / "dropbear_key"
            call("dropbearkey", "-t", "ed25519", "-f", str(own))
            shown = call("dropbearkey", "-y", "-f", str(own))
            line = next(line for line in shown.splitlines() if line.startswith("ssh-"))
            self.host_key.with_suffix(".pub").write_text(line)
            version = subprocess.run(["dropbear", "-V"], capture_output=True, text=True, check=False)
            return self.launch(["dropbear", "-F", "-E", "-r", str(own), "-P", str(self.at / "pid"), "-p",
                                f"127.0.0.1:{self.port}"], environment, "Not backgrounding",
                               (version.stderr + version.stdout).strip())
        if kind == "tinyssh":
            home = pathlib.Path(call("getent", "passwd", USER).split(":")[5])
            (home / ".ssh").mkdir(mode=0o700, exist_ok=True)
            shutil.copy(self.authorised, home / ".ssh" / "authorized_keys")
            call("chown", "-R", USER, str(home / ".ssh"))
            own = self.at / "tiny"
            call("tinysshd-makekey", str(own))
            self.host_key.with_suffix(".pub").write_text(call("tinysshd-printkey", str(own)))
            package = call("dpkg-query", "-W", "-f", "${Version}", "tinysshd")
            return self.launch(["tcpserver", "-v", "-H", "-R", "-l", "localhost", "127.0.0.1", str(self.port),
                                shutil.which("tinysshd"), "-v", str(own)], environment, "tcpserver: status: 0/",
                               f"tinyssh {package}")
        programs = {
            "paramiko": [python, str(HERE / "paramiko_server.py")],
            "asyncssh": [python, str(HERE / "asyncssh_server.py")],
            "libssh": ["python3", str(HERE / "libssh_server.py")],
            "ssh2 for Node": ["node", str(HERE / "ssh2_server.js")],
        }
        return self.launch(programs[kind] + arguments, environment, "ready", f"{kind} {{}}")

    def launch(self, command, environment, ready, version):
        """Starts the server; returns its version, when it says that it is ready."""
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
        self.log = []
        for line in self.process.stdout:
            self.log.append(line)
            if ready in line:
                break
        else:
            raise RuntimeError("".join(self.log))
        threading.Thread(target=lambda: self.log.extend(self.process.stdout), daemon=True).start()
        return version.format(line.split()[-1])

    def configure(self, login="key_path: id"):
        host = f"host: 127.0.0.1, port: {self.port}, credentials: one, tags: [all]"
        old = ", legacy_algorithms: true" if self.legacy else ""
        hosts = "".join(f"  - {{alias: h{number}, {host}{old}}}\n" for number in range(AT_ONCE))
        (self.at / "config" / "servers.yml").write_text(f"hosts:\n{hosts}")
        (self.at / "config" / "credentials.yml").write_text(
            f"entries:\n  - name: one\n    username: {USER}\n    {login}\n")
        (self.at / "config" / "policy.yml").write_text(
            "limits:\n  max_seconds: 20\n  max_output_bytes: 2000000\n  answer_chars: 100000\n"
            "network:\n  allow_cidrs: [127.0.0.0/8]\nrules:\n  - action: allow\n    aliases: ['*']\n"
            "    commands: ['echo *', 'false', 'ls *', 'seq *', 'sleep *']\n")
        (self.at / "secrets" / "password").write_text(PASSWORD)
        for path in (self.client_key, self.at / "secrets" / "password"):
            path.chmod(0o600)

    def end(self):
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.at)


class Client:
    """One client of the MCP server."""

    def __init__(self, case):
        directories = [f"--{name}-dir={case.at}/{name}" for name in ("config", "keys", "secrets")]
        environment = {"PATH": os.environ["PATH"], "MCP_SSH_DEBUG": "1"}
        self.process = subprocess.Popen([binary, *directories, *(["--user", "root"] if os.getuid() == 0 else [])],
                                        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.answers, self.records, self.number = queue.Queue(), [], 0
        threading.Thread(target=lambda: [self.answers.put(json.loads(line)) for line in self.process.stdout],
                         daemon=True).start()
        threading.Thread(target=lambda: self.records.extend(self.process.stderr), daemon=True).start()
        self.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {},
                                "clientInfo": {"name": "interop", "version": "1"}})
        self.say({"method": "notifications/initialized"})

    def say(self, message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def ask(self, method, params):
        self.number += 1
        self.say({"id": self.number, "method": method, "params": params})
        while True:
            answer = self.answers.get(timeout=60)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}\n{''.join(self.records)}")
                return answer["result"]

    def tool(self, name, **arguments):
        result = self.ask("tools/call", {"name": name, "arguments": arguments})
        return result.get("structuredContent", result)

    def agreed(self):
        """What the last session agreed on."""
        sessions = [json.loads(line) for line in list(self.records) if '"ssh_session"' in line]
        return sessions[-1]["hops"][-1] if sessions else {}

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


def output(run):
    return run.get("output") or run.get("stdout") or ""


def checks(case):
    """Each thing that a server has to be good for, and whether it was."""
    client = Client(case)

    def run(command, **more):
        return client.tool("ssh_run", alias="h0", command=command, **more)

    first = run("echo hello")
    yield "login by key", first.get("exit_code") == 0 and "hello" in output(first), first
    yield "exit status", run("false").get("exit_code") == 1, None
    again = run("echo again")
    yield "next command on the session", again.get("exit_code") == 0 and "again" in output(again), again
    missing = run("ls /nonexistent")
    yield "stderr", "No such file" in json.dumps(missing), missing
    long = run("seq 1 15000")
    yield "long output", long.get("exit_code") == 0 and "15000" in json.dumps(long), {"exit": long.get("exit_code")}
    begun = time.monotonic()
    late = run("sleep 30", max_seconds=1)
    yield "time limit", late.get("timeout") is True or late.get("timed_out") is True or "tim" in json.dumps(
        late) and time.monotonic() - begun < 15, late
    after = run("echo after")
    yield "next after that", after.get("exit_code") == 0, after
    many = client.tool("ssh_run_on_tag", tag="all", command="echo many")
    yield f"{AT_ONCE} at once", many.get("summary", {}).get("succeeded") == AT_ONCE, many
    client.end()


def password_login(case):
    case.configure("password_secret: password")
    client = Client(case)
    run = client.tool("ssh_run", alias="h0", command="echo hello")
    client.end()
    return run.get("exit_code") == 0, run


def report(name, what, well, detail):
    mark = "ok" if well else "FAILED"
    print(f"{name:14} {what:34} {mark}", flush=True)
    if not well:
        print(f"    {json.dumps(detail)[:600]}", flush=True)
    return well


def main():
    rows, names, well = [], [], True
    servers = ("OpenSSH", "dropbear", "tinyssh", "libssh", "paramiko", "asyncssh", "ssh2 for Node")
    for kind in servers:
        if wanted and kind not in wanted:
            continue
        case = Case(kind)
        try:
            results = list(checks(case))
            if kind not in ("OpenSSH", "dropbear", "tinyssh"):
                results.append(("login by password", *password_login(case)))
            for what, good, detail in results:
                well &= report(kind, what, good, detail)
            names = names or [what for what, _, _ in results]
            rows.append((case.version, {what: good for what, good, _ in results}))
        finally:
            case.end()
    algorithms = []
    for key, of, old, option in (("kex", KEX, OLD_KEX, "KexAlgorithms"), ("cipher_out", CIPHERS, OLD_CIPHERS, "Ciphers"),
                                 ("mac_out", MACS, OLD_MACS, "MACs"), ("host_key", KEYS, OLD_KEYS, "HostKeyAlgorithms")):
        for name in of:
            if wanted and "algorithms" not in wanted:
                continue
            query = {"kex": "kex", "cipher_out": "cipher", "mac_out": "mac", "host_key": "HostKeyAlgorithms"}[key]
            if name not in call("ssh", "-Q", query).split():
                algorithms.append((option, name, "not in this OpenSSH"))
                continue
            lines = [f"{option} {name}"] + (["Ciphers aes128-ctr"] if key == "mac_out" else [])
            kind = {"ecdsa-sha2-nistp256": "ecdsa", "ecdsa-sha2-nistp384": "ecdsa384", "ecdsa-sha2-nistp521": "ecdsa521",
                    "rsa-sha2-512": "rsa", "rsa-sha2-256": "rsa", "ssh-rsa": "rsa"}.get(name, "ed25519")
            kind = kind if key == "host_key" else "ed25519"
            case = Case("OpenSSH", lines, name in old, kind)
            try:
                client = Client(case)
                run = client.tool("ssh_run", alias="h0", command="seq 1 15000")
                client.end()
                good = run.get("exit_code") == 0 and client.agreed().get(key) == name
                well &= report("algorithms", name, good, [run, client.agreed()])
                algorithms.append((option, name, ("ok, with legacy_algorithms" if name in old else "ok") if good else "FAILED"))
            finally:
                case.end()
    pathlib.Path(table).write_text(page(rows, names, algorithms))
    return 0 if well else 1


def page(rows, names, algorithms):
    names = names + ["login by password"]
    mark = {True: "yes", False: "NO", None: "–"}
    text = ["# Servers and algorithms", "",
            "Written by `scripts/interop`: the server against SSH servers that others wrote, and each algorithm that",
            "Debian's OpenSSH has of those that are offered. “–”: that server has no such login here.", "",
            "| Server | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    text += [f"| {version} | " + " | ".join(mark[results.get(name)] for name in names) + " |"
             for version, results in rows]
    text += ["", "| Option of sshd | Algorithm | Works |", "|---|---|---|"]
    text += [f"| `{option}` | `{name}` | {result} |" for option, name, result in algorithms]
    return "\n".join(text) + "\n"


sys.exit(main())
