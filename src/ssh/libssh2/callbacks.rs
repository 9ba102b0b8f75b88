//! What libssh2 calls: for bytes, for the answer to a prompt, for a signature, and with the
//! words of a host that hangs up.
//!
//! They run on the thread that called into libssh2, during that call. None of them panics, and
//! none but [`interactive`] blocks: that one waits for a person, where one is to be asked.

use std::ffi::{c_char, c_int, c_uchar, c_void};
use std::ptr;

use libssh2_sys as sys;
use nix::libc;

use crate::ssh::libssh2::allocator::{allocate, wire_of};
use crate::ssh::libssh2::length;

pub(in crate::ssh) type Signer<'a> = dyn FnMut(&[u8]) -> Option<Vec<u8>> + 'a;

pub(crate) unsafe extern "C" fn receive(
    _: c_int,
    into: *mut c_void,
    length: usize,
    _: c_int,
    context: *mut *mut c_void,
) -> isize {
    // SAFETY: libssh2 passes the session's context.
    let wire = unsafe { wire_of(context) };
    let received = wire.receive(length, |bytes| {
        // SAFETY: libssh2 passes a buffer of `length` bytes, which it need not have written
        // before and which is not the wire's; these are no more than `length`.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), into.cast(), bytes.len()) }
    });
    match received {
        Ok(Some(count)) => isize::try_from(count).unwrap_or(0),
        Ok(None) => -(libc::EAGAIN as isize),
        Err(_) => -(libc::ECONNRESET as isize),
    }
}

pub(crate) unsafe extern "C" fn send(
    _: c_int,
    from: *const c_void,
    length: usize,
    _: c_int,
    context: *mut *mut c_void,
) -> isize {
    // SAFETY: libssh2 passes `length` readable bytes, and the session's context.
    let (wire, from) = unsafe {
        (
            wire_of(context),
            std::slice::from_raw_parts(from.cast::<u8>(), length),
        )
    };
    match wire.send(from) {
        Ok(()) => isize::try_from(length).unwrap_or(0),
        Err(_) => -(libc::EPIPE as isize),
    }
}

/// The host hangs up and says why (RFC 4253 section 11.1).
pub(crate) unsafe extern "C" fn disconnected(
    _: *mut sys::LIBSSH2_SESSION,
    reason: c_int,
    message: *const c_char,
    length: c_int,
    _: *const c_char,
    _: c_int,
    context: *mut *mut c_void,
) {
    let length = usize::try_from(length).unwrap_or(0);
    // SAFETY: libssh2 passes the session's context.
    let wire = unsafe { wire_of(context) };
    let message = if message.is_null() {
        &[]
    } else {
        // SAFETY: not null, and libssh2 passes `length` readable bytes.
        unsafe { std::slice::from_raw_parts(message.cast::<u8>(), length) }
    };
    wire.note_disconnect(reason, message);
}

/// Answers each prompt that an answer is named for, and nothing else with anything: a host that
/// asks for more (a new password, an unknown code) gets empty answers.
pub(crate) extern "C" fn interactive(
    _: *const c_char,
    _: c_int,
    _: *const c_char,
    _: c_int,
    count: c_int,
    prompts: *const sys::LIBSSH2_USERAUTH_KBDINT_PROMPT,
    responses: *mut sys::LIBSSH2_USERAUTH_KBDINT_RESPONSE,
    context: *mut *mut c_void,
) {
    let count = usize::try_from(count).unwrap_or(0);
    if count == 0 || prompts.is_null() || responses.is_null() {
        return;
    }
    // SAFETY: libssh2 passes `count` prompts, as many zeroed responses, and its context.
    let (wire, prompts, responses) = unsafe {
        (
            wire_of(context),
            std::slice::from_raw_parts(prompts, count),
            std::slice::from_raw_parts_mut(responses, count),
        )
    };
    for (prompt, response) in prompts.iter().zip(responses) {
        let question = match prompt.text.is_null() {
            true => &[][..],
            // SAFETY: libssh2 has `length` bytes there for the time of this call.
            false => unsafe { std::slice::from_raw_parts(prompt.text.cast::<u8>(), prompt.length) },
        };
        let Some(reply) = wire.answer(question, prompt.echo == 0) else {
            continue;
        };
        let copy = allocate(reply.len(), context).cast::<u8>();
        if !copy.is_null() {
            // SAFETY: `copy` was just allocated with this length. libssh2 frees it.
            unsafe { ptr::copy_nonoverlapping(reply.as_ptr(), copy, reply.len()) };
            response.text = copy.cast();
            response.length = length(reply.len());
        }
    }
}

pub(crate) unsafe extern "C" fn sign(
    session: *mut sys::LIBSSH2_SESSION,
    signature: *mut *mut c_uchar,
    signature_length: *mut usize,
    data: *const c_uchar,
    data_length: usize,
    context: *mut *mut c_void,
) -> c_int {
    // SAFETY: `context` is what `login_signer` passed: the address of a pointer to the
    // signer, both alive; `data` has `data_length` bytes.
    let (signer, data) = unsafe {
        (
            &mut **context.cast::<*mut Signer<'_>>(),
            std::slice::from_raw_parts(data, data_length),
        )
    };
    let Some(made) = signer(data) else { return -1 };
    // SAFETY: the session is alive (it calls this); the result is freed by libssh2.
    let copy = unsafe { allocate(made.len(), sys::libssh2_session_abstract(session)) }.cast::<u8>();
    if copy.is_null() {
        return -1;
    }
    // SAFETY: `copy` has this length; the two results are libssh2's to be written.
    unsafe {
        ptr::copy_nonoverlapping(made.as_ptr(), copy, made.len());
        *signature = copy;
        *signature_length = made.len();
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::answers::Answers;
    use crate::ssh::libssh2::allocator::release;
    use crate::ssh::transport::buffers::Wire;

    fn context(wire: &Wire) -> *mut c_void {
        ptr::from_ref(wire).cast_mut().cast()
    }

    #[test]
    fn bytes_pass_between_the_library_and_the_wire() {
        let wire = Wire::default();
        let mut context = context(&wire);
        let mut into = [0_u8; 4];
        let mut read = || {
            // SAFETY: the buffer has the length that is told, the context is a wire's.
            unsafe { receive(0, into.as_mut_ptr().cast(), into.len(), 0, &raw mut context) }
        };
        assert_eq!(read(), -(libc::EAGAIN as isize));
        let filled = wire.fill(|space| {
            space.get_mut(..3).unwrap().copy_from_slice(b"abc");
            Ok::<_, ()>(3)
        });
        assert_eq!((filled, read()), (Ok(3), 3));
        assert_eq!(into, *b"abc\0");
        let write = |context: &mut *mut c_void| {
            let from = b"to the peer";
            // SAFETY: as above.
            unsafe { send(0, from.as_ptr().cast(), from.len(), 0, &raw mut *context) }
        };
        assert_eq!(write(&mut context), 11);
        let sent = wire.drain(|bytes| {
            assert_eq!(bytes, b"to the peer");
            Ok::<_, ()>(bytes.len())
        });
        assert_eq!(sent, Ok(11));
        wire.kill();
        assert_eq!(write(&mut context), -(libc::EPIPE as isize));
    }

    #[test]
    fn only_the_first_hidden_question_for_the_password_gets_it() {
        let wire = Wire::default();
        wire.set_answers(Some(Answers::new(Some(b"secret"), &[], None)));
        let mut context = context(&wire);
        let text = b"Password: ";
        let prompts = [1_u8, 0, 0].map(|echo| sys::LIBSSH2_USERAUTH_KBDINT_PROMPT {
            text: text.as_ptr().cast_mut(),
            length: text.len(),
            echo,
        });
        let mut responses = [(); 3].map(|()| sys::LIBSSH2_USERAUTH_KBDINT_RESPONSE {
            text: ptr::null_mut(),
            length: 0,
        });
        interactive(
            ptr::null(),
            0,
            ptr::null(),
            0,
            3,
            prompts.as_ptr(),
            responses.as_mut_ptr(),
            &raw mut context,
        );
        let [shown, hidden, second] = responses;
        assert!(shown.text.is_null() && second.text.is_null());
        assert_eq!(hidden.length, 6);
        // SAFETY: six bytes were allocated for it.
        let reply = unsafe { std::slice::from_raw_parts(hidden.text.cast::<u8>(), 6) };
        assert_eq!(reply, b"secret");
        release(hidden.text.cast(), &raw mut context);
        assert_eq!(wire.allocated(), 0);
    }
}
