#!/usr/bin/env python3
"""A command on a thousand hosts beside pssh, and what ten thousand in the file cost.

    python3 benches/compare/fleets.py BINARY [BINARY...] [--hosts 1000] [--rounds 3] [--many 10000]

One sshd on loopback, each host at an address of its own; its work is part of every time. Every
round does all of it in turn, so that what else the machine does falls on each alike: the ratios
count. 64 hosts at a time for all. Needs root, sshd, and pssh (Debian's package, whose program
is parallel-ssh)."""
import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import time

import bounds


def cpu(pid):
    """Seconds that a process ran, its ended threads included, to the hundredth."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_of_threads(pid):
    """Seconds that the threads of a process ran that have not ended, to the nanosecond."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def ours(lab, binary):
    """Cold, then warm twice: seconds, and the CPU seconds of the server; its peak."""
    server = bounds.Server(lab, binary)
    took = []
    for _ in range(3):
        before, begun = cpu(server.process.pid), time.monotonic()
        server.call("ssh_run_on_tag", tag="all", command="true")
        answer = server.wait()
        took.append((time.monotonic() - begun, cpu(server.process.pid) - before))
        summary = answer["result"]["structuredContent"]["summary"]
        if summary["succeeded"] != len(lab.hosts):
            raise SystemExit(f"not all succeeded: {summary}")
    peak = server.peak()
    server.close()
    return took, peak


def pssh(lab, program):
    """Seconds, and the CPU seconds of all its processes."""
    hosts = lab.dir / "pssh.hosts"
    hosts.write_text("".join(f"{address}:{lab.port}\n" for _, address in lab.hosts))
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={lab.dir}/keys/known_hosts",
               f"IdentityFile={lab.dir}/keys/id", "IdentitiesOnly=yes", "ControlMaster=no"]
    command = [program, "-h", hosts, "-l", lab.user, "-p", "64", "-t", "120"]
    command += [word for option in options for word in ("-O", option)]
    before, begun = os.times(), time.monotonic()
    done = subprocess.run([*command, "true"], capture_output=True, text=True)
    took, after = time.monotonic() - begun, os.times()
    if done.stdout.count("[SUCCESS]") != len(lab.hosts):
        raise SystemExit(f"pssh: {done.stdout[-300:]}{done.stderr[-300:]}")
    children = (after.children_user - before.children_user) + (after.children_system - before.children_system)
    return took, children


def start(lab, binary):
    """CPU milliseconds up to the answer to the handshake, and the peak then and after a look at all."""
    server = bounds.Server(lab, binary)
    used = cpu_of_threads(server.process.pid) * 1_000
    first = server.peak()
    server.call("ssh_list_hosts")
    server.wait()
    peak = server.peak()
    server.close()
    return used, first, peak


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binaries", nargs="+")
    parser.add_argument("--hosts", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--many", type=int, default=10_000)
    options = parser.parse_args()
    program = shutil.which("parallel-ssh") or shutil.which("pssh") or exit("pssh is missing: apt-get install pssh")
    user = bounds.a_login(f"fleets{os.getpid()}")
    median = statistics.median
    try:
        lab = bounds.Lab(options.hosts, user=user)
        try:
            lab.write(width=64)
            rows, theirs = {binary: [] for binary in options.binaries}, []
            for _ in range(options.rounds):
                for binary in options.binaries:
                    rows[binary].append(ours(lab, binary))
                theirs.append(pssh(lab, program))
        finally:
            lab.close()
        base = median(wall for wall, _ in theirs)
        print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, medians of {options.rounds}\n")
        print(f"| {options.hosts} hosts, `true` | cold | to pssh | warm | CPU cold | CPU warm | peak |\n|---|---|---|---|---|---|---|")
        for binary, runs in rows.items():
            cold, warm = [took[0] for took, _ in runs], [later for took, _ in runs for later in took[1:]]
            print(f"| {pathlib.Path(binary).name} | {median(w for w, _ in cold):.1f} s | "
                  f"{median(mine[0] / other[0] for mine, other in zip(cold, theirs)):.2f} | {median(w for w, _ in warm):.2f} s | "
                  f"{median(c for _, c in cold):.2f} s | {median(c for _, c in warm):.2f} s | {max(p for _, p in runs):.0f} MiB |")
        print(f"| pssh | {base:.1f} s | 1.00 | | {median(c for _, c in theirs):.1f} s | | |")
        lab = bounds.Lab(options.many, port=2396, user=user)
        try:
            lab.write()
            print(f"\n| {options.many} hosts in the file | CPU of the start | peak then | peak after ssh_list_hosts |\n|---|---|---|---|")
            for binary in options.binaries:
                runs = [start(lab, binary) for _ in range(max(5, options.rounds))]
                print(f"| {pathlib.Path(binary).name} | {median(r[0] for r in runs):.0f} ms | {max(r[1] for r in runs):.0f} MiB | "
                      f"{max(r[2] for r in runs):.0f} MiB |")
        finally:
            lab.close()
    finally:
        bounds.no_login(user)


if __name__ == "__main__":
    main()
