#!/usr/bin/env python3
"""Faults, kills, disks, limits and bad input against the running server: `scripts/chaos`.

    python3 benches/chaos/chaos.py BINARY [--short] [--seed N] [--only PART] [--every]

Holds after every trial: what the policy denies did not run; what ran has its start in the audit
file, which `audit verify` finds sound once a next start has closed it; every answer is JSON, and
the server either goes on or ended with a status of its own, never by a signal that nobody sent it.
Commands leave marks, so that what ran is known without asking the server. Ends with 1 and the
trial if one of these fails; prints the figures that SECURITY.md has. Needs root (a disk of its
own, a control group), sshd, cc."""
import argparse
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "compare"))
import bounds  # noqa: E402

POLICY = """known_hosts_path: known_hosts
limits: {{max_seconds: 20, max_output_bytes: 1048576}}
network: {{allow_cidrs: [127.0.0.0/8]}}
rules:
  - {{action: allow, aliases: ["*"], trust_arguments: true, commands: ["touch {marks}/ran-*", "echo *", "head *", "sleep *"]}}
"""
# Number on x86_64, and the errors that it may well give. Not futex: to wake somebody cannot fail, and who
# is not woken waits for ever.
CALLS = {
    "read": (0, ["EIO", "EAGAIN"]), "write": (1, ["ENOSPC", "EIO"]), "close": (3, ["EIO"]), "fstat": (5, ["ENOMEM"]),
    "poll": (7, ["ENOMEM", "EINTR"]), "lseek": (8, ["EINVAL"]), "mmap": (9, ["ENOMEM"]), "mprotect": (10, ["ENOMEM"]),
    "munmap": (11, ["ENOMEM"]), "rt_sigprocmask": (14, ["EINVAL"]), "ioctl": (16, ["EIO"]), "writev": (20, ["EIO"]),
    "madvise": (28, ["ENOMEM"]), "socket": (41, ["EMFILE", "ENOBUFS"]), "connect": (42, ["ECONNREFUSED", "ENETUNREACH"]),
    "sendto": (44, ["EPIPE", "ENOBUFS"]), "recvfrom": (45, ["ECONNRESET", "ENOMEM"]), "sendmsg": (46, ["EPIPE"]),
    "recvmsg": (47, ["ECONNRESET"]), "shutdown": (48, ["ENOTCONN"]), "getsockname": (51, ["ENOBUFS"]),
    "getpeername": (52, ["ENOTCONN"]), "setsockopt": (54, ["ENOBUFS"]), "getsockopt": (55, ["ENOBUFS"]),
    "fcntl": (72, ["EMFILE"]), "flock": (73, ["EINTR", "ENOLCK"]), "fsync": (74, ["EIO"]), "fdatasync": (75, ["EIO", "ENOSPC"]),
    "ftruncate": (77, ["EIO"]), "fstatfs": (138, ["EIO", "ENOSYS"]),
    "fchmod": (91, ["EPERM"]), "getdents64": (217, ["EIO"]),
    "clock_nanosleep": (230, ["EINTR"]), "openat": (257, ["EMFILE", "EACCES"]), "openat2": (437, ["EMFILE", "EACCES"]),
    "newfstatat": (262, ["EACCES"]), "unlinkat": (263, ["EACCES"]), "renameat": (264, ["EIO"]),
    "ppoll": (271, ["ENOMEM"]), "eventfd2": (290, ["EMFILE"]), "getrandom": (318, ["EINTR"]),
    "statx": (332, ["EACCES"]), "clone3": (435, ["EAGAIN"]), "clone": (56, ["EAGAIN"]),
}
SHORT = [("fstatfs", 2), ("write", 0), ("write", 2), ("fdatasync", 0), ("openat2", 2), ("socket", 0), ("poll", 0), ("clone3", 0), ("mmap", 2)]
import errno  # noqa: E402


class Failed(Exception):
    pass


class Lab(bounds.Lab):
    def __init__(self, hosts):
        self.login = bounds.a_login(f"mcpchaos{os.getpid()}")
        super().__init__(hosts, port=2398, user=self.login)
        self.marks = self.dir / "marks"
        self.marks.mkdir()
        self.marks.chmod(0o777)
        self.audit = self.dir / "record"
        self.audit.mkdir(mode=0o700)
        (self.dir / "config" / "policy.yml").write_text(POLICY.format(marks=self.marks))
        self.number = 0
        self.servers = []

    def close(self):
        self.end_servers()
        super().close()
        bounds.no_login(self.login)

    def end_servers(self):
        for process in self.servers:
            if process.poll() is None:
                process.kill()
                process.wait()
        self.servers.clear()

    def file(self):
        return self.audit / "audit.jsonl"


class Server:
    """The server, or a program that runs it, with what it answered."""

    def __init__(self, lab, binary, before=(), audit=None, preexec=None, pass_fds=()):
        self.lab, self.audit = lab, audit or lab.file()
        env = {"PATH": os.environ["PATH"]}
        for name in ("config", "keys", "secrets"):
            env[f"MCP_SSH_{name.upper()}_DIR"] = str(lab.dir / name)
        self.errors = open(lab.dir / "stderr", "ab")
        command = [*before, binary, "--user", "0", "--audit-file", str(self.audit)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                        env=env, preexec_fn=preexec, pass_fds=pass_fds)
        lab.servers.append(self.process)
        self.answers, self.bad = {}, []
        self.changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        self.id = 0

    def _read(self):
        for line in self.process.stdout:
            try:
                frame = json.loads(line)
            except ValueError:
                self.bad.append(line[:200])
                continue
            with self.changed:
                if "id" in frame and "method" not in frame:
                    self.answers[frame["id"]] = frame
                self.changed.notify_all()
        with self.changed:
            self.answers["end"] = True
            self.changed.notify_all()

    def raw(self, data):
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
            return True
        except (BrokenPipeError, ValueError):
            return False

    def send(self, method, params):
        self.id += 1
        self.raw(json.dumps({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params}).encode() + b"\n")
        return self.id

    def wait(self, number, seconds=40):
        """The answer; None if the server ended without one."""
        with self.changed:
            if not self.changed.wait_for(lambda: number in self.answers or "end" in self.answers, seconds):
                raise Failed(f"no answer within {seconds} s")
            return self.answers.get(number)

    def shake_hands(self):
        return self.wait(self.send("initialize", {"protocolVersion": "2025-11-25", "capabilities": {},
                                                  "clientInfo": {"name": "chaos", "version": "1"}}))

    def call(self, tool, **arguments):
        return self.send("tools/call", {"name": tool, "arguments": arguments})

    def mark(self, alias=None):
        """A command that leaves a mark, and one that must leave none."""
        self.lab.number += 1
        return self.call("ssh_run", alias=alias or random.choice(self.lab.hosts)[0],
                         command=f"touch {self.lab.marks}/ran-{self.lab.number}")

    def denied(self):
        self.lab.number += 1
        return self.call("ssh_run", alias=self.lab.hosts[0][0], command=f"touch {self.lab.marks}/denied-{self.lab.number}")

    def work(self):
        """A little of everything; returns when all of it is answered or the server is gone."""
        numbers = [self.mark(), self.denied(), self.call("ssh_run_on_tag", tag="all", command="echo x"),
                   self.call("ssh_plan", alias=self.lab.hosts[0][0], command="echo x"), self.mark(),
                   self.call("ssh_reload_config"), self.denied(), self.mark()]
        return [self.wait(number) for number in numbers]

    def end(self, seconds=40):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed(f"did not end within {seconds} s of its input's end")
        finally:
            self.errors.close()


class Chaos:
    def __init__(self, lab, binary, short, every):
        self.lab, self.binary, self.short, self.every = lab, binary, short, every
        self.figures = {}
        # Of all trials: a command may leave its mark after its server was killed.
        self.started = set()

    def add(self, name, count=1):
        self.figures[name] = self.figures.get(name, 0) + count

    def check(self, what, server, may_be_killed=False, audit=None):
        """What must hold after a trial. Takes the marks and the record away for the next."""
        lab, audit = self.lab, audit or self.lab.file()
        if server.bad:
            raise Failed(f"{what}: no JSON on stdout: {server.bad[0]}")
        code = server.process.returncode
        if not may_be_killed and (code < 0 or code >= 128):
            raise Failed(f"{what}: ended by a signal ({code}): {self.said()}")
        marks = sorted(path.name for path in lab.marks.iterdir())
        wrong = [name for name in marks if not name.startswith("ran-")]
        if wrong:
            raise Failed(f"{what}: ran although it is denied: {wrong}")
        if audit.exists() or marks:
            # The next start closes what is open and cuts off what is torn.
            after = Server(lab, self.binary, audit=audit)
            if after.shake_hands() is None:
                raise Failed(f"{what}: does not start again: {self.said()}")
            after.end()
            verified = subprocess.run([self.binary, "audit", "verify", audit], capture_output=True, text=True)
            if verified.returncode != 0:
                raise Failed(f"{what}: {verified.stdout}{verified.stderr}")
            for line in audit.read_text().splitlines():
                record = json.loads(line)
                if record["type"] == "audit_start":
                    self.started.add(record["hash"])
            for name in marks:
                if command_hash(f"touch {lab.marks}/{name}") not in self.started:
                    raise Failed(f"{what}: {name} ran and has no start on record")
        self.add("commands run, each with its start on record", len(marks))
        for path in lab.marks.iterdir():
            path.unlink()
        for path in self.lab.audit.iterdir():
            path.unlink()

    def said(self):
        return (self.lab.dir / "stderr").read_bytes()[-600:].decode(errors="replace")

    def said_why(self):
        """Whether the log ends with the record of an abort: of an allocation that failed, or of a
        thread that got no stack for its signals. Other threads may have said something behind it."""
        lines = (self.lab.dir / "stderr").read_text(errors="replace").splitlines()[-8:]
        return any(line.startswith('{"type":"out_of_memory"') or '"type":"panic"' in line and "stack_overflow" in line
                   for line in lines)

    def faults(self):
        """Each call's first and every second occurrence fails, from the handshake on."""
        if os.uname().machine != "x86_64":
            return print("  NOT CHECKED: faults of system calls (inject.c is for x86_64)")
        inject = self.lab.dir / "inject"
        subprocess.run(["cc", "-O1", "-o", inject, HERE / "inject.c"], check=True)
        trials = [(name, number, error, every) for name, (number, errors) in CALLS.items() for error in errors for every in (0, 2)]
        if self.short:
            trials = [trial for trial in trials if (trial[0], trial[3]) in SHORT and trial[2] == CALLS[trial[0]][1][0]]
        for name, number, error, every in trials:
            what = f"{name} fails with {error}, {'once' if every == 0 else 'every second time'}"
            told, tell = os.pipe()
            def at_nine():
                os.dup2(tell, 9)
            before = [str(inject), str(number), str(getattr(errno, error)), str(every), "--"]
            server = Server(self.lab, self.binary, before=before, preexec=at_nine, pass_fds=(9,))
            os.close(tell)
            if server.shake_hands() is None:
                raise Failed(f"{what}: does not start: {self.said()}")
            server.process.send_signal(signal.SIGUSR1)
            try:
                server.work()
                server.end()
            except Failed as failed:
                server.process.kill()
                raise Failed(f"{what}: {failed}")
            failed = int(os.read(told, 99) or b"0")
            os.close(told)
            self.add("calls that failed", failed)
            self.add("faults of system calls that were met" if failed else "of calls that are not made", 1)
            # Where an allocation fails the process ends, with a record of it.
            self.check(what, server, may_be_killed=error == "ENOMEM" and self.said_why())

    def kills(self):
        """SIGKILL at any moment of a run; nothing goes on over there."""
        for turn in range(8 if self.short else 100):
            server = Server(self.lab, self.binary)
            server.shake_hands()
            trace = 700_000 + turn
            for _ in range(3):
                server.mark()
            server.denied()
            for alias, _ in self.lab.hosts[:4]:
                server.call("ssh_run", alias=alias, command=f"sleep {trace}")
            until = time.monotonic() + random.uniform(0, 1.5)
            while time.monotonic() < until:
                time.sleep(0.01)
            server.process.kill()
            server.process.wait()
            self.add("kills in mid-run")
            deadline = time.monotonic() + 40
            while count(trace):
                if time.monotonic() > deadline:
                    raise Failed(f"kill {turn}: still running: {count(trace)}")
                time.sleep(0.05)
            self.check(f"kill {turn}", server, may_be_killed=True)

    def disks(self):
        """An audit file on a disk that is full at each of many places."""
        for turn in range(2 if self.short else 40):
            place = self.lab.dir / "disk"
            place.mkdir(exist_ok=True)
            size = 16384 + 4096 * turn * (8 if self.short else 1)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "chaos", place], check=True)
            try:
                server = Server(self.lab, self.binary, audit=place / "audit.jsonl")
                if server.shake_hands() is not None:
                    for _ in range(20):
                        server.wait(server.mark())
                    server.denied()
                server.end()
                self.add("full disks")
                room = place.with_name("copy.jsonl")
                if (place / "audit.jsonl").exists():
                    shutil.copy(place / "audit.jsonl", room)
                    self.check(f"disk of {size} bytes", server, audit=room)
                    room.unlink()
            finally:
                subprocess.run(["umount", place], check=True)

    def limits(self):
        """Descriptors, address space and file size end at each step of a run."""
        steps = 3 if self.short else 24
        page = 4096
        for kind, unit in (("NOFILE", 1), ("AS", 160 * 1024), ("FSIZE", 700)):
            for step in range(steps):
                server = Server(self.lab, self.binary)
                server.shake_hands()
                pid = server.process.pid
                used = {"NOFILE": len(os.listdir(f"/proc/{pid}/fd")), "FSIZE": server.audit.stat().st_size,
                        "AS": int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[0]) * page}[kind]
                most = used + step * unit * (8 if self.short else 1)
                resource.prlimit(pid, getattr(resource, f"RLIMIT_{kind}"), (most, most))
                what = f"RLIMIT_{kind} {step} steps above what is used"
                try:
                    server.work()
                    server.end()
                except Failed as failed:
                    server.process.kill()
                    raise Failed(f"{what}: {failed}")
                self.add("limits met in mid-run")
                self.check(what, server, may_be_killed=kind == "AS" and self.said_why())

    def run(self, server):
        """What the allocations are counted of."""
        if not self.every:
            return server.work()
        return [server.wait(number) for number in (server.mark(), server.denied())]

    def allocations(self):
        """One allocation of a run gets no memory: the program's own ends it, libssh2's does not.

        A sample of them in a run of everything; with --every, each in turn in a run of one command and
        a refusal, cold."""
        for name, kind in (("ALLOCATIONS_LEFT", "of the program's allocations"), ("LIBSSH2_ALLOCATIONS_LEFT", "of libssh2's allocations")):
            place = symbol(self.binary, name)
            if place is None:
                return print("  NOT CHECKED: allocations (a build for tests has what refuses them)")
            server = Server(self.lab, self.binary)
            server.shake_hands()
            many = 1 << 40
            left(server.process.pid, place, many)
            self.run(server)
            used = many - left(server.process.pid, place)
            server.end()
            self.check("a run whose allocations are counted", server)
            self.figures[f"{kind}, in a run"] = used
            # What runs beside it makes the number vary a little.
            trials = used + used // 20 if self.every else 6 if self.short else 60
            for trial in range(trials):
                # The first of them in turn, the others anywhere.
                at = trial if self.every or trial < trials // 3 else random.randrange(used)
                if trial % 1_000 == 999:
                    print(f"  {trial + 1} of {trials} {kind}", flush=True)
                what = f"number {at + 1} {kind} gets no memory"
                server = Server(self.lab, self.binary)
                server.shake_hands()
                left(server.process.pid, place, at)
                try:
                    self.run(server)
                    server.end()
                except Failed as failed:
                    server.process.kill()
                    raise Failed(f"{what}: {failed}")
                self.add(f"{kind}, refused")
                self.check(what, server, may_be_killed=name == "ALLOCATIONS_LEFT" and self.said_why())

    def logins(self):
        """A login at each of many hosts, all from one run: each has its mark, each its start."""
        few, many = self.lab.hosts, 60 if self.short else 1_000
        self.lab.hosts = [(f"h{i:05}", f"127.0.{2 + i // 250}.{1 + i % 250}") for i in range(many)]
        policy = (self.lab.dir / "config" / "policy.yml").read_text()
        try:
            self.lab.write()
            (self.lab.dir / "config" / "policy.yml").write_text(policy.replace("max_seconds: 20", "max_seconds: 600"))
            server = Server(self.lab, self.binary)
            server.shake_hands()
            self.lab.number += 1
            mark = f"touch {self.lab.marks}/ran-{self.lab.number}"
            for turn in ("cold", "warm"):
                begun = time.monotonic()
                answer = server.wait(server.call("ssh_run_on_tag", tag="all", command=mark), 900)
                summary = answer and answer["result"]["structuredContent"]["summary"]
                if not summary or summary["succeeded"] != many:
                    raise Failed(f"logins at {many} hosts, {turn}: {summary}: {self.said()}")
                self.figures[f"{many} logins, {turn}"] = f"{time.monotonic() - begun:.1f} s"
            server.end()
            starts = sum(json.loads(line)["type"] == "audit_start" for line in server.audit.read_text().splitlines())
            if starts != 2 * many:
                raise Failed(f"logins at {many} hosts: {starts} starts on record")
            self.check("logins", server)
        finally:
            self.lab.hosts = few
            self.lab.write()
            (self.lab.dir / "config" / "policy.yml").write_text(policy)

    def input(self):
        """Lines that no client sends; the server answers the next good one."""
        server = Server(self.lab, self.binary)
        server.shake_hands()
        lines = 2_000 if self.short else 60_000
        good = [json.dumps({"jsonrpc": "2.0", "id": 1_000_000, "method": "tools/call", "params": {
            "name": name, "arguments": {"alias": "h00000", "command": f"touch {self.lab.marks}/denied-x", "task_id": "x", "tag": "all"}}}).encode()
            for name in ("ssh_run", "ssh_plan", "ssh_run_on_tag", "ssh_cancel", "ssh_get_task_output", "ssh_run_async")]
        for number in range(lines):
            line = bytearray(random.choice(good))
            for _ in range(random.randint(1, 6)):
                at = random.randrange(len(line))
                choice = random.randrange(4)
                if choice == 0:
                    line[at] = random.randrange(256)
                elif choice == 1:
                    del line[at:at + random.randint(1, 9)]
                elif choice == 2:
                    line[at:at] = bytes(random.choice(b'{}[]",:\\0e-tfn') for _ in range(random.randint(1, 40)))
                else:
                    line[at:at] = line[:random.randrange(len(line))]
            server.raw(bytes(line).replace(b"\n", b" ") + b"\n")
            if number % 500 == 499 and server.wait(server.send("ping", {})) is None:
                raise Failed("bad input: the server ended")
        self.add("bad lines", lines)
        server.end()
        self.check("bad input", server)

    def load(self):
        """Mixed calls, in control groups of three sizes: none is killed."""
        for mib in (64,) if self.short else (64, 128, 256):
            try:
                group = bounds.Group(mib)
                enter = group.enter
            except OSError as error:
                print(f"  no control group here ({error}): RLIMIT_AS of {mib * 4} MiB instead", flush=True)
                group, enter = None, lambda: resource.setrlimit(resource.RLIMIT_AS, (mib << 22, mib << 22))
            try:
                self.loaded(mib, Server(self.lab, self.binary, preexec=enter))
            finally:
                self.lab.end_servers()
                if group:
                    leave(group)

    def loaded(self, mib, server):
        server.shake_hands()
        waiting = []

        def answered():
            if server.wait(waiting.pop(0), 120) is None:
                raise Failed(f"load in {mib} MiB: the server ended ({server.process.poll()}): {self.said()}")

        for number in range(calls := 60 if self.short else 1_500):
            alias = random.choice(self.lab.hosts)[0]
            kind = random.randrange(10)
            if kind < 4:
                waiting.append(server.call("ssh_run_async", alias=alias, command="head -c 900000 /dev/zero"))
            elif kind < 6:
                waiting.append(server.mark(alias))
            elif kind == 6:
                waiting.append(server.denied())
            elif kind == 7:
                waiting.append(server.call("ssh_run_on_tag", tag="all", command="echo " + "x" * 4_000))
            else:
                waiting.append(server.call("ssh_list_tasks"))
            while len(waiting) > 40:
                answered()
        while waiting:
            answered()
        status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
        server.end()
        self.figures[f"peak in {mib} MiB"] = f"{int(status.split('VmHWM:')[1].split()[0]) // 1024} MiB"
        self.add("mixed calls in control groups", calls)
        self.check(f"load in {mib} MiB", server)


def symbol(binary, name):
    """Where a variable of the program is, from where it is loaded; None if it is not there."""
    listed = subprocess.run(["nm", binary], capture_output=True, text=True).stdout
    found = [line.split() for line in listed.splitlines() if f"{len(name)}{name}" in line]
    return int(found[0][0], 16) if found else None


def left(pid, place, value=None):
    """Reads or sets a variable of a running server."""
    program = os.readlink(f"/proc/{pid}/exe")
    with open(program, "rb") as file:
        moves = file.read(18)[16] == 3
    maps = [line.split() for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()]
    base = next(int(line[0].split("-")[0], 16) for line in maps if len(line) > 5 and line[5] == program and int(line[2], 16) == 0)
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(place + base * moves)
        if value is None:
            return int.from_bytes(memory.read(8), "little")
        memory.write(value.to_bytes(8, "little"))


def leave(group):
    """A group goes when the kernel has let go of its last process."""
    for _ in range(200):
        try:
            return group.close()
        except OSError:
            time.sleep(0.05)


def command_hash(text):
    import hashlib
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def count(seconds):
    """Processes that sleep for so long."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cmdline").read_bytes() == f"sleep\0{seconds}\0".encode():
                    found.append(entry.name)
            except OSError:
                pass
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--every", action="store_true", help="every allocation of a run, for an hour")
    options = parser.parse_args()
    random.seed(options.seed)
    lab = Lab(6 if options.short else 8)
    chaos = Chaos(lab, str(pathlib.Path(options.binary).resolve()), options.short, options.every)
    code = 0
    try:
        for part in (chaos.faults, chaos.kills, chaos.disks, chaos.limits, chaos.allocations, chaos.input, chaos.logins, chaos.load):
            if options.only not in part.__name__:
                continue
            begun = time.monotonic()
            part()
            print(f"{part.__name__}: {time.monotonic() - begun:.0f} s", flush=True)
        for name, figure in chaos.figures.items():
            print(f"  {name}: {figure}")
    except Failed as failed:
        print(f"FAILED (seed {options.seed}): {failed}")
        code = 1
    finally:
        lab.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
