//! A proxy in front of an honest server, which meddles with what the server says.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{Listener, serve};

/// What the proxy does to the bytes from the server.
#[derive(Clone)]
pub(crate) enum Meddle {
    /// Nothing; remembers them.
    Record(Arc<Mutex<Vec<u8>>>),
    /// Flips the bits of the mask in the byte at this offset.
    Flip { at: usize, mask: u8 },
    /// Closes after so many.
    Cut { after: usize },
    /// Says nothing more after so many, and does not close.
    Stall { after: usize },
    /// Exclusive-ors these into the first four bytes after the server's NEWKEYS, which
    /// are the length of its first encrypted packet. Cuts that packet short if told to.
    Length { xor: [u8; 4], keep: Option<usize> },
}

/// Forwards to `target`.
pub(crate) fn proxy(target: SocketAddr, meddle: Meddle) -> Listener {
    serve(move |client| {
        let server = TcpStream::connect(target).unwrap();
        let (mut from_client, mut to_server) =
            (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || {
            let _ = std::io::copy(&mut from_client, &mut to_server);
            let _ = to_server.shutdown(Shutdown::Write);
        });
        forward(server, client, &meddle);
    })
}

fn forward(mut server: TcpStream, mut client: TcpStream, meddle: &Meddle) {
    let mut passed = 0;
    let mut clear = Vec::new();
    let mut encrypted_from = None;
    let mut buffer = [0; 65536];
    loop {
        let count = match server.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        let bytes = &mut buffer[..count];
        let mut keep = count;
        let mut stall = false;
        match meddle {
            Meddle::Record(record) => record.lock().unwrap().extend_from_slice(bytes),
            Meddle::Flip { at, mask } => {
                if let Some(byte) = at.checked_sub(passed).and_then(|at| bytes.get_mut(at)) {
                    *byte ^= mask;
                }
            }
            Meddle::Cut { after } | Meddle::Stall { after } => {
                keep = after.saturating_sub(passed).min(count);
                stall = matches!(meddle, Meddle::Stall { .. }) && keep < count;
            }
            Meddle::Length { xor, keep: most } => {
                if encrypted_from.is_none() {
                    clear.extend_from_slice(bytes);
                    encrypted_from = end_of_clear(&clear);
                }
                if let Some(from) = encrypted_from {
                    for (index, mask) in xor.iter().enumerate() {
                        if let Some(byte) = (from + index)
                            .checked_sub(passed)
                            .and_then(|at| bytes.get_mut(at))
                        {
                            *byte ^= mask;
                        }
                    }
                    if let Some(most) = most {
                        keep = (from + most).saturating_sub(passed).min(count);
                        stall = keep < count;
                    }
                }
            }
        }
        let cut = keep < count && !stall;
        if client.write_all(&buffer[..keep]).is_err() || cut {
            break;
        }
        passed += count;
        if stall {
            let mut sink = [0; 4096];
            while client.read(&mut sink).is_ok_and(|count| count > 0) {}
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

/// Where the server's encrypted packets begin: after its NEWKEYS.
pub(crate) fn end_of_clear(stream: &[u8]) -> Option<usize> {
    let mut at = stream.iter().position(|&b| b == b'\n')? + 1;
    loop {
        let length = u32::from_be_bytes(stream.get(at..at + 4)?.try_into().unwrap()) as usize;
        let kind = *stream.get(at + 5)?;
        stream.get(at + 3 + length)?;
        at += 4 + length;
        if kind == 21 {
            return Some(at);
        }
    }
}

/// The offsets within the clear part that say nothing: padding, which RFC 4253 leaves
/// outside of what is signed.
pub(crate) fn clear_padding(stream: &[u8]) -> Vec<std::ops::Range<usize>> {
    let end = end_of_clear(stream).unwrap();
    let mut at = stream.iter().position(|&b| b == b'\n').unwrap() + 1;
    let mut padding = Vec::new();
    while at < end {
        let length = u32::from_be_bytes(stream[at..at + 4].try_into().unwrap()) as usize;
        let pad = usize::from(stream[at + 4]);
        padding.push(at + 4 + length - pad..at + 4 + length);
        at += 4 + length;
    }
    padding
}
