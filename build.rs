//! Holds what makes this program one hardened file, whatever directory cargo was called in.
//!
//! The settings stand in `.cargo/config.toml`, which cargo looks for from the *working
//! directory* upwards: a build with `--manifest-path` from elsewhere, or `cargo install`
//! from a repository, does not see them and would give a dynamic binary with the system's
//! zlib and with libssh2's assertions compiled in, which a hostile server can fail. Most of
//! them act on the build of dependencies, which no build script of ours can reach; so this
//! one carries what it can (the linker's arguments) and refuses the rest with the reason.
//!
//! `MCP_SSH_BUILD_AS_IS=1` builds all the same, for packagers with rules of their own. What
//! deviates is then recorded in the binary: `--version` and the first log record say it.
//! So it is for builds under a sanitizer, Miri or a fuzzer, which cannot be static.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

const OPT_OUT: &str = "MCP_SSH_BUILD_AS_IS";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={OPT_OUT}");
    println!("cargo::rustc-link-arg-bins=-Wl,-z,relro,-z,now,-z,noexecstack");
    if knows_packed_relocations() {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    println!(
        "cargo::rustc-env=MCP_SSH_VENDORED_LIBSSH2={}",
        vendored_libssh2()
    );

    let deviations: Vec<&Rule> = RULES.iter().filter(|rule| !(rule.holds)()).collect();
    let is_instrumented = ["CARGO_CFG_FUZZING", "CARGO_CFG_SANITIZE", "CARGO_CFG_MIRI"]
        .iter()
        .any(|name| env::var_os(name).is_some());
    if deviations.is_empty() {
        println!("cargo::rustc-env=MCP_SSH_BUILD=hardened");
        return;
    }
    let names: Vec<&str> = deviations.iter().map(|rule| rule.otherwise).collect();
    println!("cargo::rustc-env=MCP_SSH_BUILD={}", names.join(", "));
    if variable(OPT_OUT).is_empty() && !is_instrumented {
        for rule in &deviations {
            println!("cargo::error={}: {}", rule.otherwise, rule.mend);
        }
        println!(
            "cargo::error=this build would not be the one that SECURITY.md describes. Build in \
             the repository's own directory, where cargo reads .cargo/config.toml, without \
             RUSTFLAGS and CFLAGS of your own; or set {OPT_OUT}=1, which is recorded in the binary"
        );
    }
}

/// Something that `.cargo/config.toml` sees to.
struct Rule {
    holds: fn() -> bool,
    /// What the binary is like where it does not hold.
    otherwise: &'static str,
    mend: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        holds: || {
            let features = variable("CARGO_CFG_TARGET_FEATURE");
            features.split(',').any(|feature| feature == "crt-static")
        },
        otherwise: "dynamically linked",
        mend: "rustc needs -C target-feature=+crt-static",
    },
    Rule {
        holds: || variable("LIBZ_SYS_STATIC") == "1",
        otherwise: "zlib perhaps the system's",
        mend: "libz-sys needs LIBZ_SYS_STATIC=1",
    },
    Rule {
        // libssh2-sys names its root only where it compiled the C itself.
        holds: || env::var_os("DEP_SSH2_ROOT").is_some(),
        otherwise: "libssh2 the system's",
        mend: "libssh2-sys must not be given LIBSSH2_SYS_USE_PKG_CONFIG",
    },
    Rule {
        holds: || has_c_flag("-DNDEBUG"),
        otherwise: "libssh2 with assertions",
        mend: "the C compiler needs -DNDEBUG in CFLAGS, or a hostile server can end the process",
    },
    Rule {
        holds: || {
            let named = [
                "-DLIBSSH2_KEX_SHA1_ENABLE",
                "-DLIBSSH2_HMAC_SHA1_ENABLE",
                "-DLIBSSH2_RSA_SHA1_ENABLE",
                "-DLIBSSH2_3DES_ENABLE",
            ];
            named.into_iter().all(has_c_flag)
        },
        otherwise: "libssh2 without legacy_algorithms",
        mend: "the C compiler needs the four -DLIBSSH2_..._ENABLE of .cargo/config.toml in CFLAGS",
    },
    Rule {
        holds: || {
            variable("OPENSSL_NO_VENDOR").is_empty()
                && variable("OPENSSL_SRC_PERL").ends_with("scripts/openssl-configure")
        },
        otherwise: "OpenSSL perhaps the system's, or with code that loads libraries",
        mend: "openssl-src needs OPENSSL_SRC_PERL=scripts/openssl-configure, and no OPENSSL_NO_VENDOR",
    },
];

/// By the names under which the cc crate looks for the C compiler's flags.
fn has_c_flag(wanted: &str) -> bool {
    let target = variable("TARGET");
    let names = [
        "CFLAGS".to_owned(),
        "TARGET_CFLAGS".to_owned(),
        format!("CFLAGS_{target}"),
        format!("CFLAGS_{}", target.replace('-', "_")),
    ];
    names.iter().any(|name| {
        let flags = variable(name);
        flags.split_whitespace().any(|flag| flag == wanted)
    })
}

/// Whether the C library that is linked in relocates itself by DT_RELR: half a megabyte less of
/// a static-pie file, which without glibc 2.36 or newer would not start. In doubt it does not.
fn knows_packed_relocations() -> bool {
    // What links knows whose headers and library it takes; scripts/static-pie hands this on.
    let linker = Some(variable("RUSTC_LINKER")).filter(|linker| !linker.is_empty());
    let macros = Command::new(linker.as_deref().unwrap_or("cc"))
        .args([
            "-E",
            "-dM",
            "-include",
            "features.h",
            "-x",
            "c",
            "/dev/null",
        ])
        .output();
    let macros = macros.map_or_else(|_| Vec::new(), |output| output.stdout);
    let text = String::from_utf8_lossy(&macros);
    let number = |name: &str| -> Option<u32> {
        let mut lines = text.lines();
        lines.find_map(|line| {
            line.strip_prefix("#define ")?
                .strip_prefix(name)?
                .trim()
                .parse()
                .ok()
        })
    };
    number("__GLIBC__ ") == Some(2) && number("__GLIBC_MINOR__ ") >= Some(36)
}

/// An unset variable is an empty one.
fn variable(name: &str) -> String {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).unwrap_or_default()
}

/// The version of the header that libssh2-sys compiled against.
fn vendored_libssh2() -> String {
    let header = Path::new(&variable("DEP_SSH2_INCLUDE")).join("libssh2.h");
    let text = fs::read_to_string(&header).unwrap_or_default();
    let version = text.lines().find_map(|line| {
        let value = line.strip_prefix("#define LIBSSH2_VERSION ")?;
        Some(value.trim().trim_matches('"').to_owned())
    });
    version.unwrap_or_else(|| "unknown".to_owned())
}
