"""`run.py BINARY PREFIX OUT [NAME…]`: the comparison. Called by scripts/bench."""
import sys

import lab
import measure
import peers
import suites


class Context:
    def __init__(self, binary, prefix, quick):
        self.binary, self.prefix = binary, prefix
        self.rounds = 3 if quick else 15
        self.sizes = [20] if quick else [20, 64, 256]
        self.port, self.user = lab.PORT, lab.USER
        self.fleet = lab.Fleet(max(64, *self.sizes))


def main():
    binary, prefix, out, *names = sys.argv[1:]
    quick = "--quick" in names
    names = [name for name in names if name != "--quick"] or list(suites.ALL)
    unknown = [name for name in names if name not in suites.ALL]
    if unknown:
        raise SystemExit(f"unknown benchmark: {', '.join(unknown)} (there are: {', '.join(suites.ALL)})")
    ctx, rows = Context(binary, prefix, quick), []
    try:
        for name in names:
            print(f"— {name}: {suites.ALL[name].__doc__}", flush=True)
            for table in suites.ALL[name](ctx):
                found = list(table.rows())
                rows += found
                print(measure.markdown(found).split("\n", 2)[2], flush=True)
    finally:
        ctx.fleet.close()
    measure.write_report(rows, out, peers.versions(prefix))
    print(f"written: {out}/results.md, {out}/results.json")


if __name__ == "__main__":
    main()
