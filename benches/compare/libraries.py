"""The two SSH libraries compared, each in a process of its own that keeps connections
open and takes commands on stdin, so that its interpreter's start is not measured."""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


class Worker:
    def __init__(self, ctx, kind, hosts, cold=False):
        options = json.dumps({"hosts": hosts, "port": ctx.port, "user": ctx.user, "key": ctx.fleet.key, "known_hosts": ctx.fleet.known_hosts, "cold": cold})
        self.process = subprocess.Popen([f"{ctx.prefix}/venv/bin/python", f"{HERE}/library_worker.py", kind, options],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{kind} did not start")

    def run(self, command):
        """Milliseconds from the library's call to its results, measured inside the worker."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            raise RuntimeError("the library's worker ended")
        return float(answer)

    def once(self, command):
        try:
            return self.run(command)
        finally:
            self.close()

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()


class AsyncSsh(Worker):
    def __init__(self, ctx, hosts, cold=False):
        super().__init__(ctx, "asyncssh", hosts, cold)


class ParallelSsh(Worker):
    def __init__(self, ctx, hosts, cold=False):
        super().__init__(ctx, "parallel-ssh", hosts, cold)
