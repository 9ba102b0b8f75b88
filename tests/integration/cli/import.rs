//! Promise: `import ssh-config` prints what `ssh -G` would connect to, for each name of the
//! file, and `import ansible` what an inventory says; both load; what is left out is named.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::Scratch;

struct Imported {
    out: String,
    notes: String,
    success: bool,
}

fn import(home: &Path, arguments: &[&str]) -> Imported {
    let output = Command::new(env!("CARGO_BIN_EXE_mcp-ssh-orchestrator"))
        .arg("import")
        .args(arguments)
        .env("HOME", home)
        .env("USER", "me")
        .output()
        .unwrap();
    Imported {
        out: String::from_utf8(output.stdout).unwrap(),
        notes: String::from_utf8(output.stderr).unwrap(),
        success: output.status.success(),
    }
}

/// `alias` → its other keys, as they are printed.
fn hosts(servers: &str) -> HashMap<String, HashMap<String, String>> {
    let mut hosts: HashMap<String, HashMap<String, String>> = HashMap::new();
    let mut alias = String::new();
    for line in servers.lines().filter(|line| !line.starts_with('#')) {
        let Some((key, value)) = line.trim().trim_start_matches("- ").split_once(": ") else {
            continue;
        };
        let value = value.trim_matches('"').to_owned();
        if line.starts_with("  - alias: ") {
            alias.clone_from(&value);
        }
        hosts
            .entry(alias.clone())
            .or_default()
            .insert(key.to_owned(), value);
    }
    hosts
}

/// What OpenSSH's own client makes of a name.
fn of_openssh(config: &Path, name: &str) -> HashMap<String, String> {
    let output = Command::new("ssh")
        .args(["-G", "-F"])
        .arg(config)
        .arg(name)
        .output()
        .expect("ssh: scripts/test installs openssh-client");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut options = HashMap::new();
    for line in text.lines() {
        if let Some((key, value)) = line.split_once(' ') {
            options
                .entry(key.to_owned())
                .or_insert_with(|| value.to_owned());
        }
    }
    options
}

#[test]
fn two_hundred_hosts_are_what_ssh_would_connect_to() {
    let home = Scratch::new("import");
    let ssh = home.path().join(".ssh");
    fs::create_dir_all(ssh.join("config.d")).unwrap();
    let mut config = String::from(
        "# the fleet\nInclude config.d/*.conf\nHost *.lab !db*.lab\n  User lab\n  Port 2200\n\n\
         Host bastion\n  HostName=192.0.2.1\n  User jump\n  IdentityFile ~/.ssh/bastion\n\n",
    );
    for n in 0..100 {
        let _ = writeln!(config, "Host web{n}.lab web{n}\n  HostName 192.0.2.{n}");
        if n % 3 == 0 {
            let _ = writeln!(
                config,
                "  User \"deploy\"\n  IdentityFile ~/.ssh/id_{}",
                n % 5
            );
        }
        if n % 4 == 0 {
            config.push_str("  ProxyJump bastion\n");
        }
        if n % 7 == 0 {
            config.push_str("  Port 22022\n");
        }
    }
    config.push_str(
        "Match originalhost db*.lab\n  User dba\n  ProxyCommand ssh -W %h:%p bastion\n\
         Match host 198.51.100.*\n  User far\n\
         Host *\n  User everyone\n  ServerAliveInterval 30\n  IdentityFile ~/.ssh/id_all\n",
    );
    let mut included = String::new();
    for n in 0..100 {
        let _ = writeln!(included, "Host db{n}.lab\n  HostName 198.51.100.{n}");
    }
    fs::write(ssh.join("config"), &config).unwrap();
    fs::write(ssh.join("config.d/10-db.conf"), included).unwrap();
    fs::write(ssh.join("config.d/.hidden.conf"), "Host hidden\n").unwrap();

    let imported = import(home.path(), &["ssh-config"]);
    assert!(imported.success, "{}", imported.notes);
    let credentials = import(home.path(), &["ssh-config", "--credentials"]);
    let found = hosts(&imported.out);
    let logins = logins(&credentials.out);
    assert!(!found.contains_key("hidden"));

    // OpenSSH takes the home from the user database, not from HOME: the include by its path.
    let for_openssh = home.path().join("for-openssh");
    let absolute = format!("Include {}/config.d/*.conf", ssh.display());
    fs::write(
        &for_openssh,
        config.replace("Include config.d/*.conf", &absolute),
    )
    .unwrap();
    let mut compared = 0;
    for n in 0..100 {
        for name in [format!("web{n}.lab"), format!("db{n}.lab")] {
            let theirs = of_openssh(&for_openssh, &name);
            let ours = &found[&name];
            let login = &logins[&ours["credentials"]];
            assert_eq!(ours["host"], theirs["hostname"], "{name}");
            let port = ours.get("port").map_or("22", String::as_str);
            assert_eq!(port, theirs["port"], "{name}");
            assert_eq!(login["username"], theirs["user"], "{name}");
            let key = Path::new(&theirs["identityfile"]).file_name().unwrap();
            assert_eq!(login["key_path"], key.to_string_lossy(), "{name}");
            let jumps = theirs.contains_key("proxyjump") || theirs.contains_key("proxycommand");
            let jump = ours.get("jump").map(String::as_str);
            assert_eq!(jump, jumps.then_some("bastion"), "{name}");
            compared += 1;
        }
    }
    assert_eq!(compared, 200);

    check(home.path(), &imported.out, &credentials.out);
}

/// `name` → its other keys.
fn logins(credentials: &str) -> HashMap<String, HashMap<String, String>> {
    let text = credentials.replace("  - name: ", "  - alias: ");
    let mut logins = hosts(&text);
    for login in logins.values_mut() {
        for value in login.values_mut() {
            let plain = value
                .split("  # ")
                .next()
                .unwrap()
                .trim_matches('"')
                .to_owned();
            *value = plain;
        }
    }
    logins
}

/// What was printed loads as it is.
fn check(home: &Path, servers: &str, credentials: &str) {
    for name in ["config", "keys", "secrets"] {
        fs::create_dir_all(home.join(name)).unwrap();
    }
    fs::write(home.join("config/servers.yml"), servers).unwrap();
    fs::write(home.join("config/credentials.yml"), credentials).unwrap();
    fs::write(
        home.join("config/policy.yml"),
        "rules: [{action: allow, commands: [uptime]}]\n",
    )
    .unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_mcp-ssh-orchestrator"))
        .args(["plan", "web1.lab", "uptime"])
        .env("MCP_SSH_CONFIG_DIR", home.join("config"))
        .env("MCP_SSH_KEYS_DIR", home.join("keys"))
        .env("MCP_SSH_SECRETS_DIR", home.join("secrets"))
        .output()
        .unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.starts_with("allow"), "{text}");
}

#[test]
fn what_is_not_taken_over_is_named_with_its_line() {
    let home = Scratch::new("import");
    let config = home.path().join("config");
    fs::write(
        &config,
        "Host a b!c\n  StrictHostKeyChecking no\n  ProxyCommand nc %h %p\n  FooBar yes\n  \
         ForwardAgent yes\nMatch exec \"true\"\n  User x\nHost c\n  ProxyJump me@gate:2222,far\n",
    )
    .unwrap();
    let imported = import(home.path(), &["ssh-config", config.to_str().unwrap()]);
    for said in [
        "config:2: stricthostkeychecking no: host keys are always verified",
        "config:3: proxycommand nc %h %p: no program is run",
        "config:4: foobar yes: not understood",
        "config:6: `match exec true` is not understood",
        "gate was added",
        "far was added",
    ] {
        assert!(imported.notes.contains(said), "{said}\n{}", imported.notes);
    }
    assert!(
        !imported.notes.contains("forwardagent"),
        "{}",
        imported.notes
    );
    let found = hosts(&imported.out);
    assert_eq!(found["c"]["jump"], "far");
    assert_eq!(found["far"]["jump"], "gate");
    assert_eq!(found["gate"]["port"], "2222");
    // The condition is not known, so nothing below it counts.
    assert_eq!(found["a"]["credentials"], "me");
    let missing = import(home.path(), &["ssh-config", "/nowhere/config"]);
    assert!(!missing.success && missing.out.is_empty());
    assert!(
        missing.notes.contains("/nowhere/config"),
        "{}",
        missing.notes
    );
}

#[test]
fn inventories_of_both_forms_say_the_same() {
    let home = Scratch::new("import");
    let ini = "\
gate ansible_host=192.0.2.1 ansible_user=jump

[web]
web[1:3].lab ansible_port=2222   # the front ends
odd.lab ansible_host=192.0.2.9 ansible_password='s3cret-canary'

[db]
db1.lab ansible_ssh_private_key_file=~/.ssh/db_key
win.lab ansible_connection=winrm

[production:children]
web
db

[db:vars]
ansible_user=dba
ansible_ssh_common_args='-o ProxyJump=gate'

[all:vars]
ansible_user=ops
";
    let yaml = "\
all:
  vars: {ansible_user: ops}
  hosts:
    gate: {ansible_host: 192.0.2.1, ansible_user: jump}
  children:
    production:
      children:
        web:
          hosts:
            web[1:3].lab: {ansible_port: 2222}
            odd.lab: {ansible_host: 192.0.2.9, ansible_password: s3cret-canary}
        db:
          vars: {ansible_user: dba, ansible_ssh_common_args: '-o ProxyJump=gate'}
          hosts:
            db1.lab: {ansible_ssh_private_key_file: ~/.ssh/db_key}
            win.lab: {ansible_connection: winrm}
";
    fs::write(home.path().join("hosts"), ini).unwrap();
    fs::write(home.path().join("hosts.yml"), yaml).unwrap();
    let of = |name: &str| {
        let file = home.path().join(name);
        import(home.path(), &["ansible", file.to_str().unwrap()])
    };
    let (first, second) = (of("hosts"), of("hosts.yml"));
    assert!(
        first.success && second.success,
        "{}{}",
        first.notes,
        second.notes
    );
    assert_eq!(hosts(&first.out), hosts(&second.out));
    let found = hosts(&first.out);
    assert_eq!(found.len(), 6, "{}", first.out);
    assert_eq!(found["web2.lab"]["port"], "2222");
    assert_eq!(found["web2.lab"]["tags"], "[production, web]");
    assert_eq!(found["db1.lab"]["jump"], "gate");
    assert_eq!(found["odd.lab"]["host"], "192.0.2.9");
    for text in [&first.out, &first.notes, &second.out, &second.notes] {
        assert!(!text.contains("s3cret-canary"), "{text}");
    }
    assert!(
        first.notes.contains("win.lab is left out"),
        "{}",
        first.notes
    );
    assert!(
        first
            .notes
            .contains("the password of odd.lab is not printed")
    );
    let credentials = import(
        home.path(),
        &[
            "ansible",
            home.path().join("hosts").to_str().unwrap(),
            "--credentials",
        ],
    );
    let logins = logins(&credentials.out);
    assert_eq!(logins[&found["db1.lab"]["credentials"]]["username"], "dba");
    assert_eq!(logins[&found["web1.lab"]["credentials"]]["username"], "ops");
}
