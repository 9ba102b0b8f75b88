"""Figures and tables: interleaved rounds, medians and spread, ratios beside absolutes."""
import json
import os
import platform
import resource
import statistics
import subprocess
import time


class Table:
    """Rows of one benchmark; the first subject named is the one the ratios are of."""

    def __init__(self, name, ours, unit, target):
        self.name, self.ours, self.unit, self.target = name, ours, unit, target
        self.samples, self.failures = {}, {}

    def add(self, subject, value):
        self.samples.setdefault(subject, []).append(value)

    def fail(self, subject, why):
        self.failures[subject] = str(why).splitlines()[0][:160] if str(why) else "failed"

    def rows(self):
        mine = statistics.median(self.samples[self.ours]) if self.ours in self.samples else None
        for subject, values in self.samples.items():
            median = statistics.median(values)
            spread = (max(values) - min(values)) / median if median else 0.0
            ratio = mine / median if mine is not None and median else None
            yield {"benchmark": self.name, "subject": subject, "median": median, "unit": self.unit, "spread": spread,
                   "samples": len(values), "ratio_ours_to_it": ratio, "target": self.target if subject == self.ours else None}
        for subject, why in self.failures.items():
            if subject not in self.samples:
                yield {"benchmark": self.name, "subject": subject, "median": None, "unit": self.unit, "failed": why}


def interleave(rounds, subjects, table, measure, warmup=1):
    """Each round measures every subject once, so that a slow moment of the machine hits all."""
    gone = set()
    for number in range(-warmup, rounds):
        for name, subject in subjects:
            if name in gone:
                continue
            try:
                value = measure(subject)
            except Exception as error:  # a peer that fails is a finding, not the end of the run
                table.fail(name, error)
                gone.add(name)
                continue
            if number >= 0 and value is not None:
                table.add(name, value)


def timed(action):
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


def child_cpu(command):
    """(wall ms, CPU ms) of a command run to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = timed(lambda: subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, ((after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)) * 1000


def machine():
    model = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "unknown")
    memory = int(next(l for l in open("/proc/meminfo") if l.startswith("MemTotal")).split()[1]) // 1048576
    kernel = platform.release().split("-")[0]
    return f"{os.cpu_count()} × {model}, {memory} GiB, Linux {kernel}"


def write_report(rows, folder, versions):
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/results.json", "w") as out:
        json.dump({"machine": machine(), "date": time.strftime("%Y-%m-%d"), "versions": versions, "rows": rows}, out, indent=1)
    with open(f"{folder}/results.md", "w") as out:
        out.write(f"{markdown(rows)}\nCompared: {versions}.\n")


def markdown(rows):
    lines = [f"Measured side by side on {machine()}, {time.strftime('%Y-%m-%d')}. The ratio is ours to theirs; below 1 is in our favour where less is better.", ""]
    current = None
    for row in rows:
        if row["benchmark"] != current:
            current = row["benchmark"]
            goal = row.get("target") or next((r.get("target") for r in rows if r["benchmark"] == current and r.get("target")), "")
            lines += ["", f"**{current}**" + (f" (to reach: {goal})" if goal else ""), "", "| | median | spread | ratio |", "|---|---|---|---|"]
        if row["median"] is None:
            lines.append(f"| {row['subject']} | failed: {row['failed']} | | |")
            continue
        ratio = "" if row["ratio_ours_to_it"] is None else f"{row['ratio_ours_to_it']:.2f}"
        lines.append(f"| {row['subject']} | {row['median']:,.2f} {row['unit']} | ±{row['spread'] * 50:.0f} % | {ratio} |")
    return "\n".join(lines) + "\n"
