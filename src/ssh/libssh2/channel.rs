//! The channels of a session: commands, or tunnels to the next hosts.
//!
//! A session has one open channel at hand. Where several use the session, each channel is set
//! aside once it is open, and used by its handle, so a channel cannot outlive its session, be
//! used with another, or be forgotten. One that was closed is kept until the host has closed it too, and
//! nothing is read of it any more. Called through [`Session`] like the rest.

use std::ffi::{CStr, c_char, c_int};
use std::ptr::{self, NonNull};
use std::task::Poll;

use libssh2_sys as sys;

use crate::ssh::libssh2::externs::{
    libssh2_channel_has_exit_status, libssh2_channel_signal_ex, ssh2_transport_read,
};
use crate::ssh::libssh2::{Fault, Session, Step, Stream, length, text};

/// One of several channels of a session; means nothing to another session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ssh) struct Tunnel(u64);

/// Number of the extended-data stream that is stderr (RFC 4254 §5.2).
const STDERR: c_int = 1;

impl Session {
    /// Opens the channel for a command.
    pub(in crate::ssh) fn open_exec(&mut self, window: u32, packet: u32) -> Step<()> {
        const KIND: &[u8] = b"session";
        // SAFETY: a live session, a type name with its length, no message.
        let channel = unsafe {
            sys::libssh2_channel_open_ex(
                self.ptr(),
                KIND.as_ptr().cast(),
                length(KIND.len()),
                window,
                packet,
                ptr::null(),
                0,
            )
        };
        self.opened(channel)
    }

    /// Opens a channel to an address as the host sees it (RFC 4254 §7.2).
    pub(in crate::ssh) fn open_tunnel(&mut self, host: &CStr, port: u16) -> Step<()> {
        // SAFETY: a live session and two NUL-terminated strings, which are copied.
        let channel = unsafe {
            sys::libssh2_channel_direct_tcpip_ex(
                self.ptr(),
                host.as_ptr(),
                c_int::from(port),
                c"127.0.0.1".as_ptr(),
                0,
            )
        };
        self.opened(channel)
    }

    fn opened(&mut self, channel: *mut sys::LIBSSH2_CHANNEL) -> Step<()> {
        match NonNull::new(channel) {
            Some(channel) => {
                self.channel = Some(channel);
                Poll::Ready(Ok(()))
            }
            // SAFETY: a live session.
            None => match unsafe { sys::libssh2_session_last_errno(self.ptr()) } {
                0 => Poll::Ready(Err(Fault::new(sys::LIBSSH2_ERROR_PROTO, "no channel"))),
                code => self.step(code),
            },
        }
    }

    pub(in crate::ssh) fn exec(&mut self, command: &str) -> Step<()> {
        const KIND: &[u8] = b"exec";
        let Some(channel) = self.channel else {
            return no_channel();
        };
        // SAFETY: a live channel; both pointers are valid for the lengths beside them.
        let code = unsafe {
            sys::libssh2_channel_process_startup(
                channel.as_ptr(),
                KIND.as_ptr().cast(),
                length(KIND.len()),
                command.as_ptr().cast(),
                length(command.len()),
            )
        };
        self.step(code)
    }

    /// `Ready(0)`: this stream has ended, or has nothing although the other has.
    pub(in crate::ssh) fn read(&mut self, stream: Stream, into: &mut [u8]) -> Step<usize> {
        let Some(channel) = self.channel else {
            return no_channel();
        };
        let number = if stream == Stream::Stderr { STDERR } else { 0 };
        // SAFETY: a live channel and a buffer of the length beside it.
        let count = unsafe {
            sys::libssh2_channel_read_ex(
                channel.as_ptr(),
                number,
                into.as_mut_ptr().cast(),
                into.len(),
            )
        };
        self.counted(count)
    }

    /// Bytes that the host may send before it is told that it may send more.
    pub(in crate::ssh) fn window(&self) -> u32 {
        let Some(channel) = self.channel else {
            return 0;
        };
        // SAFETY: a live channel; the other two results are not asked for.
        let left = unsafe {
            sys::libssh2_channel_window_read_ex(channel.as_ptr(), ptr::null_mut(), ptr::null_mut())
        };
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// Whether something of it has arrived that was not read.
    pub(in crate::ssh) fn has_unread(&self) -> bool {
        let mut unread = 0;
        if let Some(channel) = self.channel {
            // SAFETY: a live channel and a place for one of the results.
            unsafe {
                sys::libssh2_channel_window_read_ex(channel.as_ptr(), &mut unread, ptr::null_mut());
            }
        }
        unread > 0
    }

    /// Lets the host send so much more. While it is pending (in a key exchange) nothing is to
    /// be read of the channel: libssh2 would take its own widening for this one.
    pub(in crate::ssh) fn widen(&mut self, by: u32) -> Step<()> {
        let Some(channel) = self.channel else {
            return no_channel();
        };
        // SAFETY: a live channel; 1: at once; the result is not asked for.
        let code = unsafe {
            sys::libssh2_channel_receive_window_adjust2(
                channel.as_ptr(),
                by.into(),
                1,
                ptr::null_mut(),
            )
        };
        self.step(code)
    }

    /// Sends on the tunnel; `Ready(n)` is how much of it was taken.
    pub(in crate::ssh) fn write(&mut self, bytes: &[u8]) -> Step<usize> {
        let Some(channel) = self.channel else {
            return no_channel();
        };
        // SAFETY: a live channel and a buffer of the length beside it.
        let count = unsafe {
            sys::libssh2_channel_write_ex(channel.as_ptr(), 0, bytes.as_ptr().cast(), bytes.len())
        };
        self.counted(count)
    }

    /// Tells the command that nothing more comes on its stdin.
    pub(in crate::ssh) fn send_eof(&mut self) -> Step<()> {
        let Some(channel) = self.channel else {
            return no_channel();
        };
        // SAFETY: a live channel.
        let code = unsafe { sys::libssh2_channel_send_eof(channel.as_ptr()) };
        self.step(code)
    }

    /// The peer will send no more data, and none of it is left unread.
    pub(in crate::ssh) fn at_eof(&self) -> bool {
        // SAFETY: a live channel.
        self.channel
            .is_some_and(|channel| unsafe { sys::libssh2_channel_eof(channel.as_ptr()) } == 1)
    }

    /// Waits for the peer's close, after [`Session::at_eof`].
    pub(in crate::ssh) fn wait_closed(&mut self) -> Step<()> {
        let Some(channel) = self.channel else {
            return no_channel();
        };
        // SAFETY: a live channel.
        let code = unsafe { sys::libssh2_channel_wait_closed(channel.as_ptr()) };
        self.step(code)
    }

    /// Sends a signal to the command, by name without `SIG` (RFC 4254 §6.9).
    pub(in crate::ssh) fn signal(&mut self, name: &CStr) -> Step<()> {
        let Some(channel) = self.channel else {
            return no_channel();
        };
        // SAFETY: a live channel and a name with its length.
        let code = unsafe {
            libssh2_channel_signal_ex(channel.as_ptr(), name.as_ptr(), name.count_bytes())
        };
        self.step(code)
    }

    /// The status as it was sent; libssh2 hands the number on as a signed one.
    pub(in crate::ssh) fn exit_status(&self) -> Option<u32> {
        let channel = self.channel?;
        // SAFETY: a live channel.
        let status = unsafe {
            (libssh2_channel_has_exit_status(channel.as_ptr()) == 1)
                .then(|| sys::libssh2_channel_get_exit_status(channel.as_ptr()))
        };
        status.map(c_int::cast_unsigned)
    }

    /// The signal that ended the command, without `SIG`, as the host names it.
    pub(in crate::ssh) fn exit_signal(&self) -> Option<String> {
        let channel = self.channel?;
        let mut name: *mut c_char = ptr::null_mut();
        let none = ptr::null_mut();
        // SAFETY: a live channel; `name` is null or a NUL-terminated string that is ours to
        // free with the session's allocator, after it was copied.
        unsafe {
            sys::libssh2_channel_get_exit_signal(
                channel.as_ptr(),
                &mut name,
                ptr::null_mut(),
                none,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            );
            let signal = text(name);
            sys::libssh2_free(self.ptr(), name.cast());
            signal
        }
    }

    /// Closes the channel; the next one can be opened at once. Whether the host has closed
    /// it too is [`Session::closed`]'s.
    pub(in crate::ssh) fn close_channel(&mut self) {
        self.closing.extend(self.channel.take());
    }

    /// Sends what a close takes, and waits until the host has closed all that was closed here.
    pub(in crate::ssh) fn closed(&mut self) -> Step<()> {
        self.closing.retain(|channel| {
            // SAFETY: a live channel of a live session; unless the call has to be repeated, it is
            // gone after it, and so is our pointer. It fails for no other reason.
            unsafe { sys::libssh2_channel_free(channel.as_ptr()) == sys::LIBSSH2_ERROR_EAGAIN }
        });
        match self.closing.is_empty() {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    /// Lets libssh2 take in all that has arrived, also where it is kept back from its other
    /// calls ([`Wire::shut`]).
    ///
    /// # Errors
    /// The link is lost, or the peer does not keep to the protocol; or it sent more than a
    /// window or the packet size allows: libssh2 drops what is over it and says so only until
    /// its next call, and the output would have a hole.
    ///
    /// [`Wire::shut`]: crate::ssh::transport::buffers::Wire::shut
    pub(in crate::ssh) fn take_packets(&mut self) -> Result<(), Fault> {
        let was_shut = self.wire().shut(false);
        let taken = loop {
            // SAFETY: a live session, in a state in which any call reads its packets.
            let (code, noted) = unsafe {
                let code = ssh2_transport_read(self.ptr());
                (code, sys::libssh2_session_last_errno(self.ptr()))
            };
            match (code, noted) {
                (
                    _,
                    sys::LIBSSH2_ERROR_CHANNEL_WINDOW_EXCEEDED
                    | sys::LIBSSH2_ERROR_CHANNEL_PACKET_EXCEEDED,
                ) => break self.done(noted),
                (sys::LIBSSH2_ERROR_EAGAIN, _) => break Ok(()),
                (0.., _) => {}
                (code, _) => break self.done(code),
            }
        };
        self.wire().shut(was_shut);
        taken
    }

    /// Sets the open channel aside, so that the next can be opened beside it.
    pub(in crate::ssh) fn set_aside(&mut self) -> Option<Tunnel> {
        let channel = self.channel.take()?;
        let tunnel = Tunnel(self.tunnels);
        self.tunnels = self.tunnels.wrapping_add(1);
        self.aside.push((tunnel, channel));
        Some(tunnel)
    }

    /// Does something with a channel that was set aside.
    pub(in crate::ssh) fn on<T>(&mut self, tunnel: Tunnel, act: impl FnOnce(&mut Self) -> T) -> T {
        let found = self.aside.iter().find(|(other, _)| *other == tunnel);
        let channel = found.map(|(_, channel)| *channel);
        let open = std::mem::replace(&mut self.channel, channel);
        let result = act(self);
        self.channel = open;
        result
    }

    /// Closes a channel that was set aside, as [`Session::close_channel`].
    pub(in crate::ssh) fn close_tunnel(&mut self, tunnel: Tunnel) {
        let at = self.aside.iter().position(|(other, _)| *other == tunnel);
        if let Some(index) = at {
            self.closing.push(self.aside.swap_remove(index).1);
        }
    }

    /// How many channels were closed here and not yet there.
    pub(in crate::ssh) fn closing(&self) -> usize {
        self.closing.len()
    }
}

fn no_channel<T>() -> Step<T> {
    Poll::Ready(Err(Fault::new(
        sys::LIBSSH2_ERROR_CHANNEL_UNKNOWN,
        "no channel is open",
    )))
}
