"""A server on asyncssh: PORT HOST_KEY AUTHORISED_KEY PASSWORD. Commands run by /bin/sh."""
import asyncio
import sys

import asyncssh

port, host_key, authorised, password = sys.argv[1:]


class Rules(asyncssh.SSHServer):
    def password_auth_supported(self):
        return True

    def validate_password(self, username, given):
        return given == password


async def run(process):
    child = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", process.command, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)

    async def copy(source, target):
        while piece := await source.read(32768):
            target.write(piece)
            await target.drain()

    await asyncio.gather(copy(child.stdout, process.stdout), copy(child.stderr, process.stderr))
    process.exit(await child.wait())


async def main():
    await asyncssh.create_server(Rules, "127.0.0.1", int(port), server_host_keys=[host_key],
                                 authorized_client_keys=authorised, process_factory=run, encoding=None)
    print("ready", asyncssh.__version__, flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
