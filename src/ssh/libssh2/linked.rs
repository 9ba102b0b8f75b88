//! Which C libraries are linked in, how they were built, and whether they are the ones that
//! this program was made for.
//!
//! Versions are asked of the libraries at run time: what is printed is what runs. How the
//! whole was built is what `build.rs` found. Refuses nothing itself: [`check`] says what is
//! wrong, and [`crate::ssh::warm_up`] does not let a server start with it.

use std::ffi::{CStr, c_char};

use crate::ssh::libssh2::externs::{
    CRYPTO_THREAD_get_current_id, OpenSSL_version, libssh2_version, zlibVersion,
};

/// The version in the header of the vendored libssh2 (`build.rs`). Advisories are mended by
/// this one and by nothing older (`tests/vendored_fixes.rs`).
const VENDORED: &str = env!("MCP_SSH_VENDORED_LIBSSH2");

/// How this program was built; see `build.rs`.
const BUILD: &str = env!("MCP_SSH_BUILD");

/// Versions as the libraries spell them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Libraries {
    pub libssh2: String,
    pub openssl: String,
    pub zlib: String,
}

/// What is linked in.
pub(crate) fn libraries() -> Libraries {
    Libraries {
        libssh2: text(libssh2_version(0)),
        openssl: text(OpenSSL_version(0)),
        zlib: text(zlibVersion()),
    }
}

/// `hardened`, or in which points this build is not what its repository makes of it.
pub(crate) fn build() -> &'static str {
    BUILD
}

/// # Errors
/// libssh2 is not the vendored one, or libcrypto has no locks: two logins at once would
/// corrupt the heap.
pub(crate) fn check() -> Result<(), String> {
    let found = text(libssh2_version(0));
    if found != VENDORED {
        return Err(format!(
            "libssh2 {found} is linked in, and not the vendored {VENDORED}: build without \
             LIBSSH2_SYS_USE_PKG_CONFIG and without another libssh2 in the linker's way"
        ));
    }
    if CRYPTO_THREAD_get_current_id() == 0 {
        return Err(
            "OpenSSL was built without threads: build with this repository's .cargo/config.toml"
                .into(),
        );
    }
    Ok(())
}

/// Copies a static C string; a null pointer becomes "unknown".
fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return "unknown".to_owned();
    }
    // SAFETY: not null, and all three libraries return NUL-terminated constants that
    // live as long as the program.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_report_themselves() {
        let libraries = libraries();
        assert_eq!(libraries.libssh2, VENDORED);
        assert!(libraries.openssl.starts_with("OpenSSL "), "{libraries:?}");
        assert!(libraries.zlib.starts_with("1."), "{libraries:?}");
        assert_eq!(check(), Ok(()));
    }
}
