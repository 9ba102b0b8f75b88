"""A small MCP client over stdio: no SDK between the server measured and the clock."""
import json
import os
import queue
import subprocess
import threading
import time


class Client:
    def __init__(self, command, env=None, cwd=None):
        self.started = time.perf_counter()
        full = {**os.environ, **(env or {})}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=full, cwd=cwd)
        self.next_id = 0
        self.waiting = {}
        self.lock = threading.Lock()
        self.pending, self.drained = 0, threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            if self.pending:
                self.pending -= b'"method"' not in line[:200]
                if not self.pending:
                    self.drained.set()
                continue
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if "method" in message and "id" in message:
                self._send({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no"}})
                continue
            with self.lock:
                box = self.waiting.pop(message.get("id"), None)
            if box:
                box.put(message)
        with self.lock:
            waiting, self.waiting = self.waiting, {}
        for box in waiting.values():
            box.put({"error": {"message": "the server ended"}})

    def _send(self, message):
        data = json.dumps(message).encode() + b"\n"
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def begin(self, method, params=None):
        box = queue.Queue()
        with self.lock:
            self.next_id += 1
            number = self.next_id
            self.waiting[number] = box
            self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}})
        return box

    def request(self, method, params=None, timeout=120):
        message = self.begin(method, params).get(timeout=timeout)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        return message["result"]

    def pipelined(self, method, params, count):
        """Sends `count` requests at once and returns when as many answers came."""
        self.pending = count
        with self.lock:
            numbers = range(self.next_id + 1, self.next_id + 1 + count)
            self.next_id += count
        lines = [json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) for number in numbers]
        self.process.stdin.write(("\n".join(lines) + "\n").encode())
        self.process.stdin.flush()
        if not self.drained.wait(60):
            raise RuntimeError(f"{method}: no answer")
        self.drained.clear()

    def initialize(self):
        """Handshake; returns milliseconds from process start to the answer."""
        self.request("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}})
        elapsed = (time.perf_counter() - self.started) * 1000
        with self.lock:
            self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return elapsed

    def call(self, tool, arguments, timeout=120):
        result = self.request("tools/call", {"name": tool, "arguments": arguments}, timeout)
        if result.get("isError"):
            raise RuntimeError(f"{tool}: {json.dumps(result)[:400]}")
        return result

    def status(self):
        """(resident KiB, peak resident KiB, CPU seconds) of the server and its children."""
        rss = peak = cpu = 0
        for pid in descendants(self.process.pid):
            try:
                fields = dict(l.split(":", 1) for l in open(f"/proc/{pid}/status") if ":" in l)
                rss += int(fields.get("VmRSS", "0 kB").split()[0])
                peak += int(fields.get("VmHWM", "0 kB").split()[0])
                stat = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
                cpu += (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
            except (OSError, IndexError):
                continue
        return rss, peak, cpu

    def close(self):
        try:
            self.process.stdin.close()
            self.process.wait(5)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()


def descendants(pid):
    found = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in open(f"/proc/{pid}/task/{task}/children").read().split():
                found += descendants(int(child))
    except OSError:
        pass
    return found
