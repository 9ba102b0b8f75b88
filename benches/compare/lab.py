"""The laboratory of the comparison: a throw-away fleet of OpenSSH servers on loopback
and a login user with a small shell start-up. Leaves nothing behind."""
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time

USER = "mcpbench"
PORT = 2299


def need(tool, package):
    path = shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/sbin:/usr/local/sbin")
    if not path:
        raise SystemExit(f"benchmark: {tool} is missing; install it: apt-get install {package}")
    return path


class Fleet:
    """`count` hosts: the addresses 127.0.1.1 and up, all served by one sshd with roomy
    limits, so that the server is the same for every client measured."""

    def __init__(self, count):
        self.dir = tempfile.mkdtemp(prefix="mcp-ssh-bench-")
        os.chmod(self.dir, 0o755)
        self.hosts = [f"127.0.{1 + i // 250}.{1 + i % 250}" for i in range(count)]
        self._user()
        self.key = f"{self.dir}/id_ed25519"
        self.host_key = f"{self.dir}/host_ed25519"
        for path in (self.key, self.host_key):
            subprocess.run([need("ssh-keygen", "openssh-client"), "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
        authorized = f"{self.dir}/authorized_keys"
        shutil.copy(f"{self.key}.pub", authorized)
        os.chmod(authorized, 0o644)
        public = " ".join(open(f"{self.host_key}.pub").read().split()[:2])
        self.known_hosts = f"{self.dir}/known_hosts"
        with open(self.known_hosts, "w") as out:
            out.writelines(f"[{host}]:{PORT} {public}\n" for host in self.hosts)
        config = f"{self.dir}/sshd_config"
        with open(config, "w") as out:
            out.write("\n".join([
                f"Port {PORT}", "ListenAddress 0.0.0.0", f"HostKey {self.host_key}", "UsePAM no", "StrictModes no",
                f"AuthorizedKeysFile {authorized}", "PasswordAuthentication no", "MaxStartups 1000:30:2000",
                "MaxSessions 1000", f"PidFile {self.dir}/sshd.pid", "PrintMotd no", "PrintLastLog no", "UseDNS no",
                "PerSourcePenalties no" if self._has_penalties() else "", ""]))
        os.makedirs("/run/sshd", exist_ok=True)
        self.sshd = subprocess.Popen([need("sshd", "openssh-server"), "-D", "-f", config, "-E", f"{self.dir}/sshd.log"])
        self._wait()

    def _has_penalties(self):
        version = subprocess.run([need("sshd", "openssh-server"), "-V"], capture_output=True, text=True).stderr
        return any(f"OpenSSH_{major}." in version for major in range(10, 20)) or "OpenSSH_9.8" in version or "OpenSSH_9.9" in version

    def _user(self):
        try:
            pwd.getpwnam(USER)
            self.made_user = False
        except KeyError:
            subprocess.run(["useradd", "--no-create-home", "--home-dir", "/", "--shell", "/bin/sh", USER], check=True)
            # '*' is 'no password' but not 'locked': sshd refuses locked accounts even with a key.
            subprocess.run(["usermod", "-p", "*", USER], check=True)
            self.made_user = True

    def _wait(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection((self.hosts[0], PORT), 1).close()
                return
            except OSError:
                if self.sshd.poll() is not None:
                    break
                time.sleep(0.01)
        raise SystemExit("benchmark: sshd did not start:\n" + open(f"{self.dir}/sshd.log").read())

    def ssh_options(self):
        return ["-F", "none", "-i", self.key, "-p", str(PORT), "-o", f"UserKnownHostsFile={self.known_hosts}",
                "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-l", USER]

    def close(self):
        self.sshd.terminate()
        self.sshd.wait()
        subprocess.run(["pkill", "-KILL", "-u", USER], check=False)
        if self.made_user:
            subprocess.run(["userdel", "--force", USER], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.dir, ignore_errors=True)
