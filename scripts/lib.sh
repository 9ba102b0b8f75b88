# Shared by the scripts beside it: headings with times, and installing what is missing.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
started=$SECONDS
steps=0

# step TITLE COMMAND...: runs a command under a heading, says how long it took, and ends
# the script with a clear line when it fails. Needs `set -e`, and no `||` or `if` around it:
# there bash would go on after a command that failed in the middle of a function.
step() {
    step_title=$1 step_from=$SECONDS
    shift
    steps=$((steps + 1))
    printf '\n== %d  %s\n' "$steps" "$step_title"
    trap step_failed EXIT
    "$@"
    trap - EXIT
    printf -- '-- ok, %d s\n' "$((SECONDS - step_from))"
}

step_failed() {
    local code=$?
    printf '\nFAILED: step %d, %s (exit %d, after %d s)\n' "$steps" "$step_title" "$code" "$((SECONDS - step_from))" >&2
    exit "$((code ? code : 1))"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else
        echo "this needs root, and there is no sudo: $*" >&2
        return 1
    fi
}

# install_commands COMMAND:PACKAGE...: installs the Debian packages of the commands that
# are missing.
install_commands() {
    local pair missing=()
    PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        echo "all there"
    else
        install_packages "${missing[@]}"
    fi
}

# install_packages PACKAGE...: starts no service that comes with one.
install_packages() {
    local missing=("$@")
    if ! command -v apt-get >/dev/null; then
        echo "not installed, and this is no Debian: ${missing[*]}" >&2
        return 1
    fi
    mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
    echo "installing: ${missing[*]}"
    # openssh-server would start a server on port 22: nobody asked for that.
    local guard=/usr/sbin/policy-rc.d guarded=
    if [ ! -e $guard ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $guard >/dev/null
        as_root chmod 755 $guard
        guarded=1
    fi
    local code=0
    { as_root apt-get -qq update &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}"; } \
        >"${TMPDIR:-/tmp}/apt.$$" 2>&1 || code=$?
    [ -z "$guarded" ] || as_root rm -f $guard
    if [ "$code" -ne 0 ]; then cat "${TMPDIR:-/tmp}/apt.$$" >&2; fi
    rm -f "${TMPDIR:-/tmp}/apt.$$"
    if [ "$code" -eq 0 ] && [ -d /run/systemd/system ] && [[ " ${missing[*]} " == *" openssh-server "* ]]; then
        as_root systemctl -q disable ssh.service || code=$?
        echo "the system's own SSH service was not started, and will not be at boot"
    fi
    return "$code"
}

# What it takes to build the binary: a C compiler for OpenSSL, libssh2 and zlib, and what
# OpenSSL's Configure runs on.
build_tools=(cc:gcc make:make perl:perl)

need_rust() {
    if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
        PATH=$HOME/.cargo/bin:$PATH
    fi
    command -v cargo >/dev/null && return
    echo "Rust is not installed (https://rustup.rs), or cargo is not in PATH" >&2
    return 1
}

# Builds that only need some OpenSSL to link take the one that the tests' build made, if
# there is one: building it takes minutes.
openssl_of_the_tests() {
    local made
    made=$(ls -d "$root"/target/*/debug/build/openssl-sys-*/out/openssl-build/install 2>/dev/null | head -n 1 || true)
    [ -n "$made" ] || return 0
    export OPENSSL_NO_VENDOR=1 OPENSSL_STATIC=1 OPENSSL_DIR=$made MCP_SSH_BUILD_AS_IS=1
}

# What reads deploy/, where tests/integration/deploy and container-test look for it: schemas
# of Kubernetes, a newer podman-compose, the tool of MCP bundles, the grammar of LogQL.
install_deploy_tools() {
    local deploy=target/deploy
    mkdir -p $deploy/node
    python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
    [ -x $deploy/python/bin/python ] || python3 -m venv $deploy/python
    $deploy/python/bin/pip --quiet --disable-pip-version-check install -r tests/data/deploy/requirements.txt
    cp tests/data/deploy/package.json $deploy/node/
    (cd $deploy/node && npm install --silent --no-audit --no-fund --no-package-lock)
    [ -x $deploy/quadlet ] || newer_quadlet $deploy
}

# Podman's generator of units: Podman 4.3 of Debian 12 has none. That of Debian 13, one file
# that needs the C library alone, runs here.
newer_quadlet() {
    if [ -x /usr/libexec/podman/quadlet ]; then
        cp /usr/libexec/podman/quadlet "$1/quadlet"
        return
    fi
    debian_packages "$1/debian13" trixie "$(dpkg --print-architecture)" podman
    dpkg-deb --fsys-tarfile "$1"/debian13/podman_*.deb | tar -xO ./usr/libexec/podman/quadlet >"$1/quadlet"
    chmod 755 "$1/quadlet"
    rm -rf "$1/debian13"
    "$1/quadlet" -version
}

# debian_packages DIRECTORY RELEASE ARCHITECTURE PACKAGE...: downloads packages that are not for
# this machine, which stays as it is. Leaves in $apt_options what has apt look there.
debian_packages() {
    local at=$1 release=$2 architecture=$3 label mirror suite
    shift 3
    rm -rf "$at"
    mkdir -p "$at"/{lists,cache/archives}/partial
    at=$(cd "$at" && pwd)
    {
        for label in Debian Debian-Security; do
            mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' "Label: $label" | sed -n 1p)
            suite=$release
            [ $label = Debian ] || suite=$release-security
            [ -z "$mirror" ] || echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
        done
    } >"$at/sources.list"
    apt_options=(-qq -o "Dir::Etc::SourceList=$at/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$at/lists" -o Dir::State::Status=/dev/null -o "Dir::Cache=$at/cache"
        -o "APT::Architecture=$architecture" -o "APT::Architectures=$architecture" -o APT::Sandbox::User=root)
    apt-get "${apt_options[@]}" update
    [ $# -eq 0 ] || (cd "$at" && apt-get "${apt_options[@]}" download "$@")
}

# cross_for TRIPLE: leaves in $cross the environment in which cargo builds for another
# processor, and in $compiler its compiler of C, which is Debian's.
cross_for() {
    local processor=${1%%-*} under=${1//-/_} architecture=amd64
    [ "$processor" != aarch64 ] || architecture=arm64
    compiler=$processor-linux-gnu-gcc
    [ -e "/usr/$processor-linux-gnu/lib/libc.a" ] ||
        install_packages "gcc-${processor/_/-}-linux-gnu" "libc6-dev-$architecture-cross" >/dev/null
    cross=("CC_$under=$compiler" "AR_$under=$processor-linux-gnu-ar" "CARGO_TARGET_${under^^}_LINKER=$root/scripts/static-pie" "STATIC_PIE_CC=$compiler")
    [ -d "$(rustc --print sysroot)/lib/rustlib/$1" ] || rustup target add "$1"
}

# a_login DIRECTORY: leaves in $login whom a throw-away sshd lets in: oneself, or, as root, a
# user made for the purpose (sshd signals no command of root's). no_login removes it.
a_login() {
    login=$(id -un) made_user=
    [ "$(id -u)" -eq 0 ] || return 0
    login=mcp-ssh-test$$
    useradd --no-create-home --home-dir "$1" --shell /bin/sh --password '*' "$login"
    made_user=1
    chmod 711 "$1"
}

no_login() {
    [ -z "${made_user:-}" ] || userdel -f "$login" 2>/dev/null || true
}

# start_sshd DIRECTORY LOGIN ADDRESS...: starts a throw-away sshd on these addresses, which
# lets LOGIN in with the key that it makes in DIRECTORY/keys/key, and writes that key's
# known_hosts beside it. Leaves the port in $port; stop_sshd DIRECTORY ends it.
start_sshd() {
    local at=$1 user=$2 try address
    shift 2
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$at/host_key"
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$at/keys/key"
    mv "$at/keys/key.pub" "$at/authorized_keys"
    chmod 644 "$at/authorized_keys"
    made_run_sshd=
    [ "$(id -u)" -ne 0 ] || [ -d /run/sshd ] || { mkdir -m 755 /run/sshd && made_run_sshd=1; }
    for try in 1 2 3 4 5 6 7 8 9 10; do
        port=$((20000 + (RANDOM + try) % 30000))
        {
            for address in "$@"; do echo "ListenAddress $address:$port"; done
            echo "HostKey $at/host_key"
            echo "AuthorizedKeysFile $at/authorized_keys"
            echo "PidFile $at/sshd.pid"
            echo "AllowUsers $user"
            echo "PermitRootLogin prohibit-password"
            printf '%s no\n' UsePAM StrictModes PasswordAuthentication KbdInteractiveAuthentication UseDNS PrintMotd PrintLastLog
        } >"$at/sshd_config"
        # It returns when it listens, and fails when a port is taken.
        if "$(command -v sshd)" -f "$at/sshd_config" -E "$at/sshd.log"; then break; fi
        [ "$try" -lt 10 ] || { cat "$at/sshd.log" >&2; return 1; }
    done
    for address in "$@"; do
        echo "[$address]:$port $(cut -d' ' -f1,2 "$at/host_key.pub")"
    done >"$at/keys/known_hosts"
}

stop_sshd() {
    local pid
    if [ -s "$1/sshd.pid" ]; then
        pid=$(cat "$1/sshd.pid")
        # shellcheck disable=SC2046 # one word a process
        kill -9 $(cat "/proc/$pid/task/$pid/children" 2>/dev/null) "$pid" 2>/dev/null || true
    fi
    [ -z "${made_run_sshd:-}" ] || rmdir /run/sshd 2>/dev/null || true
}
