//! The versions of the C libraries that are linked in, as they report them themselves.
//!
//! Asked at run time, not copied at build time: what is printed is what runs. Called by
//! `startup` for `--version` and the first log record.

use std::ffi::{CStr, c_char, c_int};

// Links the libraries; none of these three symbols is in its bindings.
use libssh2_sys as _;

/// Versions as the libraries spell them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Libraries {
    pub libssh2: String,
    pub openssl: String,
    pub zlib: String,
}

unsafe extern "C" {
    /// OpenSSL_version(3): 0 asks for the version text.
    safe fn OpenSSL_version(what: c_int) -> *const c_char;
    /// zlib.h: a static text.
    safe fn zlibVersion() -> *const c_char;
    /// libssh2_version(3): null if the library is older than the number asked for.
    safe fn libssh2_version(required: c_int) -> *const c_char;
}

/// What is linked in.
pub(crate) fn libraries() -> Libraries {
    Libraries {
        libssh2: text(libssh2_version(0)),
        openssl: text(OpenSSL_version(0)),
        zlib: text(zlibVersion()),
    }
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
        assert!(libraries.libssh2.starts_with("1."), "{libraries:?}");
        assert!(libraries.openssl.starts_with("OpenSSL "), "{libraries:?}");
        assert!(libraries.zlib.starts_with("1."), "{libraries:?}");
    }
}
