"""Runs inside the peers' environment: `asyncssh` or `parallel-ssh`, commands on stdin,
milliseconds on stdout. See libraries.py."""
import asyncio
import json
import sys
import time


def answer(text):
    print(text, flush=True)


async def asyncssh_worker(options):
    import asyncssh

    def connect(host):
        return asyncssh.connect(host, options["port"], username=options["user"], client_keys=[options["key"]],
                                known_hosts=options["known_hosts"], config=None, agent_path=None)

    async def cold(host, command):
        async with connect(host) as connection:
            await connection.run(command, check=True)

    connections = [] if options["cold"] else [await connect(host) for host in options["hosts"]]
    answer("ready")
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command, start = line.strip(), time.perf_counter()
        if options["cold"]:
            await asyncio.gather(*(cold(host, command) for host in options["hosts"]))
        else:
            await asyncio.gather(*(c.run(command, check=True) for c in connections))
        answer((time.perf_counter() - start) * 1000)


def parallel_worker(options):
    from pssh.clients import ParallelSSHClient

    def connect():
        return ParallelSSHClient(options["hosts"], user=options["user"], port=options["port"], pkey=options["key"],
                                 pool_size=256, allow_agent=False, identity_auth=False)

    def run(client, command):
        outputs = client.run_command(command)
        client.join(outputs)
        assert all(o.exit_code == 0 for o in outputs)

    client = connect()
    if not options["cold"]:
        run(client, "true")
    answer("ready")
    for line in sys.stdin:
        start = time.perf_counter()
        run(client, line.strip())
        answer((time.perf_counter() - start) * 1000)


if __name__ == "__main__":
    kind, options = sys.argv[1], json.loads(sys.argv[2])
    if kind == "asyncssh":
        asyncio.run(asyncssh_worker(options))
    else:
        parallel_worker(options)
