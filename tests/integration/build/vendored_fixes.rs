//! Promise: the C source that is compiled in has the fixes that SECURITY.md names.
//!
//! libssh2's release notes list each commit; the released 1.11.1 has none of these.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// An advisory about libssh2 and the commit that mends it.
const LIBSSH2: [(&str, &str); 10] = [
    ("CVE-2025-15661", "2dae3024"),
    ("CVE-2026-7598", "256d04b6"),
    ("CVE-2026-55199", "17626857"),
    ("CVE-2026-55200", "97acf3df"),
    ("CVE-2026-58050", "34497525"),
    ("CVE-2026-58051", "a9758da4"),
    ("CVE-2026-66032", "5e477614"),
    ("CVE-2026-66033", "a2ed82d4"),
    ("CVE-2026-66034", "a13bb6c7"),
    ("CVE-2026-66035", "42e33d81"),
];

#[test]
fn libssh2_is_mended() {
    let notes = source_of("libssh2-sys").join("libssh2/RELEASE-NOTES");
    let notes = std::fs::read_to_string(notes).unwrap();
    let security = include_str!("../../../SECURITY.md");
    for (advisory, commit) in LIBSSH2 {
        assert!(
            notes.contains(commit),
            "{advisory}: {commit} is not in libssh2's source"
        );
        assert!(
            security.contains(advisory),
            "SECURITY.md does not name {advisory}"
        );
    }
}

/// Where cargo keeps the source that `Cargo.lock` names.
fn source_of(package: &str) -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let found: Vec<_> = packages
        .iter()
        .filter(|found| found["name"] == package)
        .collect();
    assert_eq!(found.len(), 1, "{package}");
    let manifest = PathBuf::from(found[0]["manifest_path"].as_str().unwrap());
    manifest.parent().unwrap().to_owned()
}

/// Promise: so are those that no header for users has.
#[test]
fn internal_declarations_are_those_of_the_source() {
    let source = |file: &str| {
        let file = source_of("libssh2-sys").join("libssh2/src").join(file);
        let text = std::fs::read_to_string(file).unwrap();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let (pem, misc, header) = (source("pem.c"), source("misc.c"), source("misc.h"));
    assert!(source("openssl.c").contains(
        "int ssh2_pub_privkey(LIBSSH2_SESSION *session, char **method, \
         unsigned char **pubkeydata, size_t *pubkeydata_len, \
         const char *privkeyfile, const char *privkeyblob, size_t privkeyblob_len, \
         const char *passphrase) {"
    ));
    assert!(
        source("hostkey.c").contains("const struct hostkey_method **ssh2_hostkey_methods(void) {")
    );
    assert!(source("libssh2_priv.h").contains(
        "struct hostkey_method { const char *name; size_t hash_len; \
         int (*init)(LIBSSH2_SESSION *session, const unsigned char *hostkey_data, \
         size_t hostkey_data_len, void **abstract); \
         int (*initPEM)(LIBSSH2_SESSION *session, const char *privkeyfile, \
         const char *privkeyblob, size_t privkeyblob_len, const char *passphrase, \
         void **abstract); \
         int (*sig_verify)(LIBSSH2_SESSION *session, const unsigned char *sig, size_t sig_len, \
         const unsigned char *m, size_t m_len, void **abstract); \
         int (*signv)(LIBSSH2_SESSION *session, unsigned char **signature, \
         size_t *signature_len, int veccount, const struct iovec datavec[], void **abstract); \
         int (*encrypt)(LIBSSH2_SESSION *session, unsigned char **dst, size_t *dst_len, \
         const unsigned char *src, size_t src_len, void **abstract); \
         int (*dtor)(LIBSSH2_SESSION *session, void **abstract); };"
    ));
    assert!(source("transport.c").contains("int ssh2_transport_read(LIBSSH2_SESSION *session) {"));
    assert!(pem.contains(
        "int ssh2_openssh_pem_parse(LIBSSH2_SESSION *session, const char *filename, \
         const char *blob, size_t blob_len, const char *passphrase, \
         struct string_buf **decrypted_buf) {"
    ));
    assert!(
        misc.contains(
            "void ssh2_string_buf_free(LIBSSH2_SESSION *session, struct string_buf *buf) {"
        )
    );
    assert!(header.contains(
        "struct string_buf { unsigned char *data; unsigned char *dataptr; size_t len; };"
    ));
}

/// Promise: what is declared by hand is what the vendored header says. A type that differs
/// would be read wrongly at run time, and nothing else would notice.
#[test]
fn declarations_are_those_of_the_header() {
    let header = source_of("libssh2-sys").join("libssh2/include/libssh2.h");
    let header = std::fs::read_to_string(header)
        .unwrap()
        .replace("\\\n", " ");
    let ours = include_str!("../../../src/ssh/libssh2/externs.rs");
    let functions = statements(ours, "fn libssh2_", ";");
    assert_eq!(functions.len(), 6, "{functions:?}");
    for function in functions {
        let (name, rest) = function.split_once('(').unwrap();
        let name = name.trim_start_matches("fn ");
        let (parameters, result) = rest.rsplit_once(')').unwrap();
        let declared = prototype(&header, &format!("{name}("));
        let types = split(parameters).map(|one| c_type(one.split_once(':').unwrap().1));
        let expected = (c_result(result), types.collect::<Vec<_>>());
        assert_eq!(expected, declared, "{name}");
    }
    let callbacks = statements(ours, "/// `LIBSSH2_", ";");
    assert_eq!(callbacks.len(), 4, "{callbacks:?}");
    for callback in callbacks {
        let name = callback.split('`').nth(1).unwrap();
        let (_, rest) = callback.split_once("fn(").unwrap();
        let (parameters, result) = rest.rsplit_once(')').unwrap();
        let macro_text = header.split(&format!("#define {name}(")).nth(1).unwrap();
        let macro_text = macro_text.lines().next().unwrap();
        let (_, body) = macro_text.split_once(')').unwrap();
        let (kind, declared) = body.split_once(")(").unwrap();
        let kind = kind.split('(').next().unwrap();
        let declared = declared.trim_end().strip_suffix(')').unwrap();
        let declared: Vec<_> = split(declared).map(without_name).collect();
        let types: Vec<_> = split(parameters).map(c_type).collect();
        assert_eq!(
            (c_result(result), types),
            (squeeze(kind), declared),
            "{name}"
        );
    }
    for number in statements(ours, "const LIBSSH2_", ";") {
        let (name, value) = number.split_once('=').unwrap();
        let name = name.trim_start_matches("const ").split(':').next().unwrap();
        let defined = header.split(&format!("#define {name} ")).nth(1).unwrap();
        assert_eq!(
            defined.split_whitespace().next(),
            Some(value.trim()),
            "{name}"
        );
    }
}

/// What begins with `start` and goes as far as `end`.
fn statements(text: &str, start: &str, end: &str) -> Vec<String> {
    let found = text.match_indices(start).map(|(at, _)| {
        let rest = &text[at..];
        rest[..rest.find(end).unwrap()].to_owned()
    });
    found.collect()
}

/// Result and parameter types of a function of the header.
fn prototype(header: &str, name: &str) -> (String, Vec<String>) {
    let mut places = header.match_indices(name).filter_map(|(at, _)| {
        let line = header[..at].rfind("LIBSSH2_API ")?;
        let result = &header[line + "LIBSSH2_API ".len()..at];
        let is_word = !result.contains(['(', ';', '#']);
        is_word.then(|| (result.to_owned(), &header[at + name.len()..]))
    });
    let (result, rest) = places.next().unwrap_or_else(|| panic!("no {name}"));
    let parameters = &rest[..rest.find(");").unwrap()];
    let parameters = split(parameters).map(without_name).collect();
    (squeeze(&result), parameters)
}

fn split(parameters: &str) -> impl Iterator<Item = &str> {
    parameters
        .split(',')
        .map(str::trim)
        .filter(|one| !one.is_empty())
}

/// A parameter of the header without its name.
fn without_name(parameter: &str) -> String {
    if let Some((callback, _)) = parameter.split_once("(*") {
        return callback.to_owned();
    }
    let name = parameter.rfind(['*', ' ']).unwrap() + 1;
    squeeze(&parameter[..name])
}

fn c_result(result: &str) -> String {
    match result.trim().strip_prefix("->") {
        Some(kind) => c_type(kind),
        None => "void".to_owned(),
    }
}

fn c_type(kind: &str) -> String {
    let kind = kind.trim();
    if let Some(of) = kind.strip_prefix("*mut ") {
        return c_type(of) + "*";
    }
    if let Some(of) = kind.strip_prefix("*const ") {
        return format!("const{}*", c_type(of));
    }
    let name = match kind {
        "c_int" => "int",
        "c_long" => "long",
        "c_char" => "char",
        "c_uchar" => "unsignedchar",
        "c_void" => "void",
        "usize" => "size_t",
        "isize" => "ssize_t",
        "Option<GenericCallback>" => "libssh2_cb_generic*",
        "SignCallback" => "LIBSSH2_USERAUTH_PUBLICKEY_SIGN_FUNC",
        other => other,
    };
    name.to_owned()
}

/// The type without blanks. A socket is a descriptor here.
fn squeeze(kind: &str) -> String {
    let kind: String = kind.split_whitespace().collect();
    kind.replace("libssh2_socket_t", "int")
}
