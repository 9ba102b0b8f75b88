"""The servers compared: how each is configured for the same fleet, started and called."""
import json
import os
import subprocess

from lab import PORT, USER


class Peer:
    """One MCP server. `arguments(alias, command)` is what its run tool takes."""

    def __init__(self, name, command, tool, arguments, env=None, one_host=False):
        self.name, self.command, self.tool, self.arguments = name, command, tool, arguments
        self.env, self.one_host = env or {}, one_host


def write(path, text, mode=0o600):
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path, "w") as out:
        out.write(text)
    os.chmod(path, mode)


def ours(binary, fleet):
    home = f"{fleet.dir}/ours"
    hosts = "".join(f"  - {{alias: h{i}, host: {host}, port: {PORT}, credentials: bench, tags: [all]}}\n" for i, host in enumerate(fleet.hosts))
    direct = f"  - {{alias: direct, host: {fleet.hosts[0]}, port: {PORT}, credentials: bench, shell: direct}}\n"
    write(f"{home}/config/servers.yml", "hosts:\n" + hosts + direct)
    write(f"{home}/config/credentials.yml", f"entries:\n  - {{name: bench, username: {USER}, key_path: id_ed25519}}\n")
    write(f"{home}/config/policy.yml", "limits: {max_seconds: 60, max_output_bytes: 67108864, deny_substrings: []}\n"
          "concurrency: {max_tasks: 512, max_per_host: 64, fan_out: 256}\n"
          "rules:\n  - {action: allow, commands: ['true', 'sleep *', 'head -c * /dev/zero', 'cat *', 'uptime*']}\n")
    for name in ("id_ed25519", "known_hosts"):
        source = fleet.key if name == "id_ed25519" else fleet.known_hosts
        write(f"{home}/keys/{name}", open(source).read(), 0o600)
    os.makedirs(f"{home}/secrets", mode=0o700, exist_ok=True)
    for directory in (home, f"{home}/config", f"{home}/keys", f"{home}/secrets"):
        os.chmod(directory, 0o755)
    for name in ("servers.yml", "credentials.yml", "policy.yml"):
        os.chmod(f"{home}/config/{name}", 0o644)
    env = {"MCP_SSH_CONFIG_DIR": f"{home}/config", "MCP_SSH_KEYS_DIR": f"{home}/keys", "MCP_SSH_SECRETS_DIR": f"{home}/secrets"}
    return Peer("mcp-ssh-orchestrator", [binary], "ssh_run", lambda alias, command: {"alias": alias, "command": command}, env)


def ssh_mcp(prefix, fleet):
    home = f"{fleet.dir}/ssh-mcp"
    profiles = "".join(
        f'[[profiles]]\nname = "h{i}"\nhost = "{host}"\nport = {PORT}\nuser = "{USER}"\nauth = "key"\nkeyRef = "{fleet.key}"\nrole = "admin"\napprovalPolicy = "auto"\n\n'
        for i, host in enumerate(fleet.hosts))
    write(f"{home}/ssh-mcp/config.toml", '[defaults]\ndefaultProfile = "h0"\napprovalMode = "auto"\ncommandMaxOutputBytes = 67108864\n\n' + profiles)
    return Peer("ssh-mcp (npm)", ["node", f"{prefix}/node_modules/ssh-mcp/build/index.js"], "run-command",
                lambda alias, command: {"profile": alias, "command": command}, {"XDG_CONFIG_HOME": home, "HOME": home})


def ssh_manager(prefix, fleet):
    home = f"{fleet.dir}/ssh-manager"
    servers = "".join(f'[ssh_servers.h{i}]\nhost = "{host}"\nuser = "{USER}"\nkey_path = "{fleet.key}"\nport = {PORT}\n\n' for i, host in enumerate(fleet.hosts))
    write(f"{home}/ssh-config.toml", servers)
    write(f"{home}/.ssh/known_hosts", open(fleet.known_hosts).read())
    return Peer("mcp-ssh-manager (npm)", ["node", f"{prefix}/node_modules/mcp-ssh-manager/src/index.js"], "ssh_execute",
                lambda alias, command: {"server": alias, "command": command}, {"SSH_CONFIG_PATH": f"{home}/ssh-config.toml", "HOME": home})


def blc_ssh_mcp(prefix, fleet):
    home = f"{fleet.dir}/blc"
    servers = "[settings]\nmax_output_bytes = 10485760\nmax_parallel_hosts = 100\n\n[groups.all]\ndescription = \"all\"\n\n" + "".join(
        f'[servers.h{i}]\ndescription = "h{i}"\nhostname = "{host}"\nport = {PORT}\nuser = "{USER}"\nidentity_file = "{fleet.key}"\ngroups = ["all"]\n\n'
        for i, host in enumerate(fleet.hosts))
    write(f"{home}/servers.toml", servers)
    write(f"{home}/.ssh/known_hosts", open(fleet.known_hosts).read())
    write(f"{home}/.ssh/config", "")
    return Peer("blc-ssh-mcp (PyPI)", [f"{prefix}/venv/bin/blc-ssh-mcp"], "execute",
                lambda alias, command: {"server": alias, "command": command}, {"SSH_MCP_CONFIG": f"{home}/servers.toml", "HOME": home})


def ssh_mcp_rs(prefix, fleet):
    home = f"{fleet.dir}/ssh-mcp-rs"
    write(f"{home}/.ssh/known_hosts", open(fleet.known_hosts).read())
    return Peer("ssh-mcp-rs (Cargo)", [f"{prefix}/cargo/bin/ssh-mcp", "--host", fleet.hosts[0], "--port", str(PORT), "--user", USER, "--key", fleet.key],
                "shell", lambda alias, command: {"command": command}, {"HOME": home}, one_host=True)


def fastmcp_paramiko(prefix, fleet):
    here = os.path.dirname(os.path.abspath(__file__))
    return Peer("FastMCP + paramiko", [f"{prefix}/venv/bin/python", f"{here}/paramiko_server.py"], "run",
                lambda alias, command: {"alias": alias, "command": command},
                {"BENCH_HOSTS": ",".join(fleet.hosts), "BENCH_PORT": str(PORT), "BENCH_USER": USER, "BENCH_KEY": fleet.key, "BENCH_KNOWN_HOSTS": fleet.known_hosts})


def everyone(binary, prefix, fleet):
    return [ours(binary, fleet), ssh_mcp(prefix, fleet), ssh_manager(prefix, fleet), blc_ssh_mcp(prefix, fleet), ssh_mcp_rs(prefix, fleet), fastmcp_paramiko(prefix, fleet)]


def versions(prefix):
    """What was measured, by name and version."""
    ssh = subprocess.run(["ssh", "-V"], capture_output=True, text=True).stderr.split(",")[0].strip()
    found = [ssh]
    for name in ("ssh-mcp", "mcp-ssh-manager"):
        package = json.load(open(f"{prefix}/node_modules/{name}/package.json"))
        found.append(f"{name} {package['version']} (npm)")
    listed = subprocess.run([f"{prefix}/venv/bin/pip", "list", "--format", "json"], capture_output=True, text=True).stdout
    of = {package["name"].lower(): package["version"] for package in json.loads(listed)}
    found += [f"{name} {of[name]} (PyPI)" for name in ("blc-ssh-mcp", "mcp", "paramiko", "asyncssh", "parallel-ssh")]
    crates = json.load(open(f"{prefix}/cargo/.crates2.json"))["installs"]
    found += [f"{crate.split(' ')[0]} {crate.split(' ')[1]} (Cargo)" for crate in crates]
    return ", ".join(found)
