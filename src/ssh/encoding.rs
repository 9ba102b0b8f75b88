//! The strings of the SSH protocol: a length and as many bytes (RFC 4251 section 5).
//!
//! Owns taking one off a buffer and putting one into it. Knows nothing of what they mean.
//! Called wherever a key, a certificate or a message of an agent is read or made.

/// The string at the front, and what follows it; `None` if it is not whole.
pub(crate) fn take_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// Appends a string; `None` if it is longer than its length field can say.
pub(crate) fn put_string(into: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    let length = u32::try_from(bytes.len()).ok()?;
    into.extend_from_slice(&length.to_be_bytes());
    into.extend_from_slice(bytes);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_taken_and_what_is_cut_is_not() {
        let mut bytes = Vec::new();
        put_string(&mut bytes, b"abc").unwrap();
        put_string(&mut bytes, b"").unwrap();
        assert_eq!(bytes, b"\0\0\0\x03abc\0\0\0\0");
        let (first, rest) = take_string(&bytes).unwrap();
        assert_eq!(
            (first, take_string(rest)),
            (&b"abc"[..], Some((&b""[..], &b""[..])))
        );
        for cut in 0..7 {
            assert_eq!(take_string(&bytes[..cut]), None, "{cut}");
        }
        assert_eq!(take_string(b"\xff\xff\xff\xffabc"), None);
    }
}
