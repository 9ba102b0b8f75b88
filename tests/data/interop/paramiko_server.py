"""A server on paramiko: PORT HOST_KEY AUTHORISED_KEY PASSWORD. Commands run by /bin/sh."""
import socket
import subprocess
import sys
import threading
import time

import paramiko

port, host_key, authorised, password = sys.argv[1:]
KEY = paramiko.Ed25519Key(filename=host_key)
ALLOWED = open(authorised).read().split()[1]


class Rules(paramiko.ServerInterface):
    def get_allowed_auths(self, username):
        return "publickey,password"

    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL if key.get_base64() == ALLOWED else paramiko.AUTH_FAILED

    def check_auth_password(self, username, given):
        return paramiko.AUTH_SUCCESSFUL if given == password else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=run, args=(channel, command), daemon=True).start()
        return True


def run(channel, command):
    time.sleep(0.05)  # the answer to the request is sent after the handler has returned
    process = subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def copy(source, send):
        while piece := source.read1(32768):
            send(piece)

    threads = [threading.Thread(target=copy, args=pair, daemon=True)
               for pair in ((process.stdout, channel.sendall), (process.stderr, channel.sendall_stderr))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    channel.send_exit_status(process.wait())
    channel.close()


def serve(connection):
    transport = paramiko.Transport(connection)
    transport.add_server_key(KEY)
    try:
        transport.start_server(server=Rules())
    except (paramiko.SSHException, EOFError):
        return
    channels = []  # one that nobody refers to is closed
    while transport.is_active():
        channels.append(transport.accept(1))


listener = socket.create_server(("127.0.0.1", int(port)), backlog=64)
print("ready", paramiko.__version__, flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
