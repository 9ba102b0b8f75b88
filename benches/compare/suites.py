"""The benchmarks, one function each: what is measured against whom, and what is to be reached."""
import concurrent.futures
import json
import os
import subprocess
import time

import libraries
import peers
from client import Client
from lab import PORT, USER, need
from measure import Table, child_cpu, interleave, timed

OURS = "mcp-ssh-orchestrator"
# What reaches the host for `true`, but for the leash: one shell in the place of another.
SENT = """exec /bin/sh -c 'trap "exit 143" TERM; '\\''true'\\'"""


def call_all(client, peer, aliases, command, workers):
    """One call a host, `workers` at a time; for servers without a tool for groups."""
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda alias: client.call(peer.tool, peer.arguments(alias, command)), aliases))


def started(peer):
    client = Client(peer.command, peer.env)
    client.initialize()
    return client


def check_hosts(peers, hosts):
    """That each server reaches the host it is asked for: they all look the same from inside."""
    for peer in peers:
        client = started(peer)
        answer = json.dumps(client.call(peer.tool, peer.arguments("h1", "echo $SSH_CONNECTION")))
        client.close()
        if hosts[1] not in answer:
            raise SystemExit(f"benchmark: {peer.name} was asked for {hosts[1]} and said: {answer[:400]}")


def policy_without_reuse(binary, fleet):
    """Our server with session reuse off: every call is a new connection."""
    peer = peers.ours(binary, fleet)
    path = f"{peer.env['MCP_SSH_CONFIG_DIR']}/policy.yml"
    text = open(path).read().replace("max_seconds: 60,", "max_seconds: 60, session_idle_seconds: 0,")
    open(path, "w").write(text)
    return peer


def cold_command(ctx):
    """A command over a new connection: `ssh host true` against our server, sandbox on."""
    wall = Table("cold command, wall", OURS, "ms", "≤ 0.5 × OpenSSH")
    cpu = Table("cold command, client CPU", OURS, "ms", "≤ 0.7 × OpenSSH")
    client = started(policy_without_reuse(ctx.binary, ctx.fleet))
    ssh = [need("ssh", "openssh-client"), *ctx.fleet.ssh_options(), ctx.fleet.hosts[0], "true"]

    def ours():
        return timed(lambda: client.call("ssh_run", {"alias": "h0", "command": "true"}))

    def openssh():
        took, spent = child_cpu(ssh)
        cpu.add("OpenSSH", spent)
        return took

    interleave(ctx.rounds, [(OURS, ours), ("OpenSSH", openssh)], wall, lambda action: action())
    # The kernel counts a living process's CPU in ticks of 10 ms: many calls make a figure.
    calls, before = 20 * ctx.rounds, client.status()[2]
    for _ in range(calls):
        ours()
    cpu.add(OURS, (client.status()[2] - before) * 1000 / calls)
    client.close()
    return [wall, cpu]


def warm_command(ctx):
    """A command on an open session: ControlMaster, asyncssh, parallel-ssh."""
    table = Table("command on an open session", OURS, "ms", "≤ 0.35 × ControlMaster; ahead of both libraries")
    client = started(peers.ours(ctx.binary, ctx.fleet))
    control = f"{ctx.fleet.dir}/control"
    base = [need("ssh", "openssh-client"), *ctx.fleet.ssh_options(), "-o", f"ControlPath={control}", ctx.fleet.hosts[0]]
    subprocess.run([*base[:-1], "-o", "ControlMaster=yes", "-N", "-f", ctx.fleet.hosts[0]], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    open_ssh = libraries.AsyncSsh(ctx, ctx.fleet.hosts[:1])
    parallel = libraries.ParallelSsh(ctx, ctx.fleet.hosts[:1])
    subjects = [
        (OURS, lambda: timed(lambda: client.call("ssh_run", {"alias": "h0", "command": "true"}))),
        ("OpenSSH ControlMaster", lambda: timed(lambda: subprocess.run([*base, "true"], check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL))),
        (f"{OURS}, shell: direct", lambda: timed(lambda: client.call("ssh_run", {"alias": "direct", "command": "true"}))),
        ("asyncssh", lambda: open_ssh.run("true")),
        ("asyncssh, in a /bin/sh as ours, without its leash", lambda: open_ssh.run(SENT)),
        ("parallel-ssh", lambda: parallel.run("true")),
    ]
    interleave(ctx.rounds * 3, subjects, table, lambda action: action(), warmup=3)
    subprocess.run([*base[:-1], "-O", "exit", ctx.fleet.hosts[0]], check=False, stderr=subprocess.DEVNULL)
    for thing in (client, open_ssh, parallel):
        thing.close()
    return [table]


def mcp_calls(ctx):
    """The run tool of every server: the first call to a host, later calls, CPU a call."""
    cold = Table("run over MCP, first call to a host", OURS, "ms", "ahead of each")
    whole = Table("run over MCP, from the server's start to the first answer", OURS, "ms", "ahead of each")
    warm = Table("run over MCP, later calls", OURS, "ms", "≤ 0.5 × the best")
    cpu = Table("run over MCP, server CPU a later call", OURS, "ms", "ahead of each")
    everyone = peers.everyone(ctx.binary, ctx.prefix, ctx.fleet)
    clients = {}
    for peer in everyone:
        try:
            clients[peer.name] = (peer, started(peer))
        except Exception as error:
            cold.fail(peer.name, error)
    fresh = {name: 0 for name in clients}

    def from_start(pair):
        peer = pair[0]
        begun = time.perf_counter()
        client = started(peer)
        client.call(peer.tool, peer.arguments("h0", "true"))
        took = (time.perf_counter() - begun) * 1000
        client.close()
        return took

    interleave(min(5, ctx.rounds), list(clients.items()), whole, from_start, warmup=0)

    def first(pair):
        peer, client = pair
        if peer.one_host:  # It logs in when it starts, not when it is first called.
            return None
        alias = f"h{fresh[peer.name]}"
        fresh[peer.name] += 1
        return timed(lambda: client.call(peer.tool, peer.arguments(alias, "true")))

    interleave(min(ctx.rounds, len(ctx.fleet.hosts)), list(clients.items()), cold, first, warmup=0)

    def later(pair):
        peer, client = pair
        return timed(lambda: client.call(peer.tool, peer.arguments("h0", "true")))

    interleave(ctx.rounds * 3, list(clients.items()), warm, later, warmup=3)

    def spent(pair):
        peer, client = pair
        before = client.status()[2]
        for _ in range(50):
            client.call(peer.tool, peer.arguments("h0", "true"))
        return (client.status()[2] - before) * 1000 / 50

    interleave(3, list(clients.items()), cpu, spent)
    for _, client in clients.values():
        client.close()
    return [cold, whole, warm, cpu]


def big_output(ctx):
    """50 MB of text from the host, of which ours keeps 1 MiB: peak memory of the server."""
    table = Table("50 MB of output, peak memory", OURS, "MiB", "≤ 12 MiB")

    text = f"{ctx.fleet.dir}/text"
    line = b"a line of plain text as a log has it, of some eighty characters, no more than that\n"
    with open(text, "wb") as out:
        out.write((line * (52428800 // len(line) + 1))[:52428800])
    os.chmod(text, 0o644)

    def peak(peer):
        client = started(peer)
        try:
            client.call(peer.tool, peer.arguments("h0", f"cat {text}"), timeout=60)
            return client.status()[1] / 1024
        finally:
            client.close()

    subjects = [(peer.name, peer) for peer in peers.everyone(ctx.binary, ctx.prefix, ctx.fleet)]
    path = f"{subjects[0][1].env['MCP_SSH_CONFIG_DIR']}/policy.yml"
    policy = open(path).read().replace("max_output_bytes: 67108864", "max_output_bytes: 1048576")
    open(path, "w").write(policy)
    interleave(min(3, ctx.rounds), subjects, table, peak, warmup=0)
    return [table]


def fleets(ctx):
    """One short command on each of 20, 64 and 256 hosts, new connections and kept ones."""
    tables = []
    others = [peer for peer in peers.everyone(ctx.binary, ctx.prefix, ctx.fleet) if not peer.one_host and peer.name != OURS]
    check_hosts(others, ctx.fleet.hosts)
    for size in ctx.sizes:
        hosts = ctx.fleet.hosts[:size]
        aliases = [f"h{i}" for i in range(size)]
        cold = Table(f"{size} hosts, new connections", OURS, "ms", "ahead of each")
        warm = Table(f"{size} hosts, kept connections", OURS, "ms", "ahead of each")

        def ours_run(client, command="true"):
            result = client.call("ssh_run_on_tag", {"tag": f"first{size}", "command": command}, timeout=300)
            summary = result["structuredContent"]["summary"]
            assert summary["succeeded"] == size, summary

        def whole(peer):
            client = started(peer)
            try:
                if peer.name == OURS:
                    return timed(lambda: ours_run(client))
                return timed(lambda: call_all(client, peer, aliases, "true", 64))
            finally:
                client.close()

        everyone = [p for p in peers.everyone(ctx.binary, ctx.prefix, ctx.fleet) if not p.one_host]
        tag_hosts(everyone[0], ctx.sizes)
        subjects = [(p.name, (lambda p=p: whole(p))) for p in everyone]
        subjects += [("parallel-ssh (library)", lambda: libraries.ParallelSsh(ctx, hosts, cold=True).once("true")),
                     ("xargs -P 64 ssh", lambda: xargs_ssh(ctx, hosts)), ("pssh", lambda: pssh(ctx, hosts))]
        interleave(min(3, ctx.rounds), subjects, cold, lambda action: action(), warmup=0)

        clients = {p.name: (p, started(p)) for p in everyone}
        library = libraries.ParallelSsh(ctx, hosts)

        def kept(name):
            peer, client = clients[name]
            return timed(lambda: ours_run(client) if name == OURS else call_all(client, peer, aliases, "true", 64))

        interleave(ctx.rounds, [(name, (lambda name=name: kept(name))) for name in clients] + [("parallel-ssh (library)", lambda: library.run("true"))],
                   warm, lambda action: action())
        tables += [cold, warm]
        if size == 20:
            slow = Table("20 hosts, kept connections, sleep 1", OURS, "ms", "≤ 1,030 ms")
            interleave(3, [(OURS, lambda: timed(lambda: ours_run(clients[OURS][1], "sleep 1"))), ("parallel-ssh (library)", lambda: library.run("sleep 1"))], slow, lambda action: action())
            tables.append(slow)
        library.close()
        for _, client in clients.values():
            client.close()
    return tables


def tag_hosts(peer, sizes):
    """A tag for each size, so that a tag run covers exactly that many hosts."""
    path = f"{peer.env['MCP_SSH_CONFIG_DIR']}/servers.yml"
    lines = open(path).read().splitlines()
    for index in range(1, len(lines)):
        tags = ", ".join(["all"] + [f"first{size}" for size in sizes if index <= size])
        lines[index] = lines[index].replace("tags: [all]", f"tags: [{tags}]")
    open(path, "w").write("\n".join(lines) + "\n")


def xargs_ssh(ctx, hosts):
    command = ["xargs", "-P", "64", "-I", "{}", need("ssh", "openssh-client"), *ctx.fleet.ssh_options(), "{}", "true"]
    return timed(lambda: subprocess.run(command, input="\n".join(hosts), text=True, check=True, stderr=subprocess.DEVNULL))


def pssh(ctx, hosts):
    options = ctx.fleet.ssh_options()
    command = [need("parallel-ssh", "pssh"), "-p", "64", "-l", USER, "-t", "120"]
    for host in hosts:
        command += ["-H", f"{host}:{PORT}"]
    extra = [f"-x{' '.join(options[:4])}"] + [f"-O{value}" for flag, value in zip(options, options[1:]) if flag == "-o"]
    return timed(lambda: subprocess.run([*command, *extra, "true"], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))


def start_up(ctx):
    """Start to the first answer, idle memory, what is installed."""
    start = Table("start to the first answer", OURS, "ms", "≤ 15 ms and 1/20 of theirs")
    memory = Table("idle resident memory", OURS, "MiB", "≤ 10 MiB")
    size = Table("size on disk", OURS, "MiB", "≤ 8 MiB")
    everyone = peers.everyone(ctx.binary, ctx.prefix, ctx.fleet)

    def once(peer):
        client = Client(peer.command, peer.env)
        took = client.initialize()
        client.request("tools/list")
        memory.add(peer.name, client.status()[0] / 1024)
        client.close()
        return took

    interleave(ctx.rounds, [(p.name, p) for p in everyone], start, once)
    for name, paths in installed(ctx).items():
        size.add(name, sum(folder_size(path) for path in paths) / 1048576)
    return [start, memory, size]


def installed(ctx):
    """What each needs beside its language's runtime."""
    node = f"{ctx.prefix}/node_modules"
    return {OURS: [ctx.binary], "ssh-mcp-rs (Cargo)": [f"{ctx.prefix}/cargo/bin/ssh-mcp"],
            "both npm servers with their packages": [node], "the PyPI packages": [f"{ctx.prefix}/venv/lib"]}


def folder_size(path):
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(base, name)) for base, _, names in os.walk(path) for name in names if not os.path.islink(os.path.join(base, name)))


def stream(ctx):
    """1 GiB read from the host with a 1 MiB cap, the rest discarded, against ssh to /dev/null."""
    table = Table("1 GiB stream, throughput", OURS, "MiB/s", "≥ 0.8 × OpenSSH (more is better)")
    peer = peers.ours(ctx.binary, ctx.fleet)
    path = f"{peer.env['MCP_SSH_CONFIG_DIR']}/policy.yml"
    text = open(path).read().replace("max_output_bytes: 67108864", "max_output_bytes: 1048576, on_output_cap: discard")
    open(path, "w").write(text)
    client = started(peer)
    command = "head -c 1073741824 /dev/zero"
    ssh = [need("ssh", "openssh-client"), *ctx.fleet.ssh_options(), ctx.fleet.hosts[0], command]
    interleave(min(3, ctx.rounds), [
        (OURS, lambda: 1024000 / timed(lambda: client.call("ssh_run", {"alias": "h0", "command": command}))),
        ("OpenSSH", lambda: 1024000 / timed(lambda: subprocess.run(ssh, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))),
    ], table, lambda action: action(), warmup=0)
    client.close()
    return [table]


def round_trips(ctx):
    """`tools/list` and the cheapest tool's calls a second over stdio."""
    lists = Table("tools/list, round trips a second", OURS, "1/s", "≥ 20 × (more is better)")
    plans = Table("ssh_plan, round trips a second", OURS, "1/s", "")
    clients = {}
    for peer in peers.everyone(ctx.binary, ctx.prefix, ctx.fleet):
        try:
            clients[peer.name] = started(peer)
        except Exception as error:
            lists.fail(peer.name, error)

    def rate(client, method, params):
        """Answers a second while 64 requests are under way. The answers are counted, not
        read: parsing them here would take longer than some servers take to make them."""
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < 0.5:
            client.pipelined(method, params, 64)
            count += 64
        return count / (time.perf_counter() - start)

    interleave(5, list(clients.items()), lists, lambda client: rate(client, "tools/list", {}))
    plan = {"name": "ssh_plan", "arguments": {"alias": "h0", "command": "uptime"}}
    interleave(5, [(OURS, clients[OURS])], plans, lambda client: rate(client, "tools/call", plan))
    for client in clients.values():
        client.close()
    return [lists, plans]


def audit_file(ctx):
    """64 commands in parallel with and without the chained file."""
    table = Table("64 parallel commands, audit file on against off", "audit file on", "ms", "≤ 1.25 ×")
    plain = peers.ours(ctx.binary, ctx.fleet)
    recorded = peers.Peer("audit file on", [*plain.command, "--audit-file", f"{audit_dir(ctx)}/audit.jsonl"], plain.tool, plain.arguments, plain.env)
    plain.name = "audit file off"
    clients = [(peer.name, (peer, started(peer))) for peer in (recorded, plain)]
    aliases = [f"h{i}" for i in range(min(64, len(ctx.fleet.hosts)))]
    interleave(ctx.rounds, clients, table, lambda pair: timed(lambda: call_all(pair[1], pair[0], aliases, "true", 64)), warmup=2)
    for _, (_, client) in clients:
        client.close()
    return [table]


def audit_dir(ctx):
    path = f"{ctx.fleet.dir}/audit"
    os.makedirs(path, exist_ok=True)
    os.chmod(path, 0o777)
    return path


ALL = {f.__name__: f for f in (cold_command, warm_command, mcp_calls, big_output, fleets, start_up, stream, round_trips, audit_file)}
