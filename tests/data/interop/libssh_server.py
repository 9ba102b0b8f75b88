"""A server on libssh, by its C interface: PORT HOST_KEY AUTHORISED_KEY PASSWORD. Commands run
by /bin/sh, one process a connection, one command at a time in it."""
import ctypes
import os
import signal
import subprocess
import sys

port, host_key, authorised, password = sys.argv[1:]
lib = ctypes.CDLL("libssh.so.4")
pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
for name, result, arguments in (
    ("ssh_version", text, [number]),
    ("ssh_bind_new", pointer, []),
    ("ssh_bind_options_set", number, [pointer, number, pointer]),
    ("ssh_bind_listen", number, [pointer]),
    ("ssh_bind_accept", number, [pointer, pointer]),
    ("ssh_new", pointer, []),
    ("ssh_get_error", text, [pointer]),
    ("ssh_handle_key_exchange", number, [pointer]),
    ("ssh_set_auth_methods", None, [pointer, number]),
    ("ssh_message_get", pointer, [pointer]),
    ("ssh_message_type", number, [pointer]),
    ("ssh_message_subtype", number, [pointer]),
    ("ssh_message_free", None, [pointer]),
    ("ssh_message_reply_default", number, [pointer]),
    ("ssh_message_auth_password", text, [pointer]),
    ("ssh_message_auth_pubkey", pointer, [pointer]),
    ("ssh_message_auth_publickey_state", number, [pointer]),
    ("ssh_message_auth_reply_success", number, [pointer, number]),
    ("ssh_message_auth_reply_pk_ok_simple", number, [pointer]),
    ("ssh_message_auth_set_methods", number, [pointer, number]),
    ("ssh_message_channel_request_open_reply_accept", pointer, [pointer]),
    ("ssh_message_channel_request_channel", pointer, [pointer]),
    ("ssh_message_channel_request_command", text, [pointer]),
    ("ssh_message_channel_request_reply_success", number, [pointer]),
    ("ssh_pki_import_pubkey_file", number, [text, pointer]),
    ("ssh_key_cmp", number, [pointer, pointer, number]),
    ("ssh_channel_write", number, [pointer, pointer, ctypes.c_uint32]),
    ("ssh_channel_write_stderr", number, [pointer, pointer, ctypes.c_uint32]),
    ("ssh_channel_send_eof", number, [pointer]),
    ("ssh_channel_request_send_exit_status", number, [pointer, number]),
    ("ssh_channel_close", number, [pointer]),
):
    function = getattr(lib, name)
    function.restype, function.argtypes = result, arguments

# Numbers of libssh.h and server.h.
BIND_ADDRESS, BIND_PORT_TEXT, BIND_HOST_KEY = 0, 2, 3
AUTH, OPEN, CHANNEL = 1, 2, 3
PASSWORD, PUBLIC_KEY = 2, 4
STATE_NONE, STATE_VALID = 0, 1
SESSION, EXEC = 1, 2


def logged_in(message, allowed):
    """Whether that was the login; answers it."""
    kind = lib.ssh_message_subtype(message)
    if kind == PASSWORD and lib.ssh_message_auth_password(message) == password.encode():
        lib.ssh_message_auth_reply_success(message, 0)
        return True
    if kind == PUBLIC_KEY and lib.ssh_key_cmp(lib.ssh_message_auth_pubkey(message), allowed, 0) == 0:
        state = lib.ssh_message_auth_publickey_state(message)
        if state == STATE_VALID:
            lib.ssh_message_auth_reply_success(message, 0)
            return True
        if state == STATE_NONE:
            lib.ssh_message_auth_reply_pk_ok_simple(message)
            return False
    lib.ssh_message_auth_set_methods(message, PASSWORD | PUBLIC_KEY)
    lib.ssh_message_reply_default(message)
    return False


def run(channel, command):
    process = subprocess.run(["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    for send, data in ((lib.ssh_channel_write, process.stdout), (lib.ssh_channel_write_stderr, process.stderr)):
        for at in range(0, len(data), 32768):
            piece = data[at:at + 32768]
            send(channel, piece, len(piece))
    lib.ssh_channel_request_send_exit_status(channel, process.returncode)
    lib.ssh_channel_send_eof(channel)
    lib.ssh_channel_close(channel)


def serve(session):
    allowed = pointer()
    assert lib.ssh_pki_import_pubkey_file(authorised.encode(), ctypes.byref(allowed)) == 0
    if lib.ssh_handle_key_exchange(session) != 0:
        return
    lib.ssh_set_auth_methods(session, PASSWORD | PUBLIC_KEY)
    entered = False
    while message := lib.ssh_message_get(session):
        kind, subtype = lib.ssh_message_type(message), lib.ssh_message_subtype(message)
        command = None
        if kind == AUTH and not entered:
            entered = logged_in(message, allowed)
        elif entered and kind == OPEN and subtype == SESSION:
            lib.ssh_message_channel_request_open_reply_accept(message)
        elif entered and kind == CHANNEL and subtype == EXEC:
            channel = lib.ssh_message_channel_request_channel(message)
            command = lib.ssh_message_channel_request_command(message).decode()
            lib.ssh_message_channel_request_reply_success(message)
        else:
            lib.ssh_message_reply_default(message)
        lib.ssh_message_free(message)
        if command is not None:
            run(channel, command)


# Nobody asks how a connection's process ended.
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
bind = lib.ssh_bind_new()
for option, value in ((BIND_ADDRESS, "127.0.0.1"), (BIND_PORT_TEXT, port), (BIND_HOST_KEY, host_key)):
    lib.ssh_bind_options_set(bind, option, value.encode())
assert lib.ssh_bind_listen(bind) == 0, lib.ssh_get_error(bind)
print("ready", lib.ssh_version(0).decode().split("/")[0], flush=True)
while True:
    session = lib.ssh_new()
    if lib.ssh_bind_accept(bind, session) == 0 and os.fork() == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.alarm(120)
        serve(session)
        os._exit(0)
