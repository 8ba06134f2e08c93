// SPDX-License-Identifier: GPL-2.0

//! Tells the service of each byte on TCP connections of this machine that carry messages of several
//! services.
//!
//! The two ends of a connection share the notes of both directions ([`crate::logic::notes`]), from
//! the first message on that a rule gives to a service. The notes live as long as one of the two
//! entries in the table of sockets, and such a rule. An end that belonged to a service when it
//! connected, while there was such a rule, is found by its first sequence numbers, in any network
//! namespace; another one by its addresses, in the same namespace. What goes over a connection to
//! another machine is its socket's.
//!
//! Context: any but NMI and hard interrupt, under RCU, with the socket held.

use super::sockets::{shared, Name};
use super::State;
use crate::logic::id::VsId;
use crate::logic::notes::{Notes, Read, SOCKETS, UNKNOWN};
use crate::logic::tag::Tag;
use crate::shim::bindings as c;
use crate::shim::sock::Sock;
use core::ptr::NonNull;

const _: () = {
    assert!(size_of::<Notes>() == size_of::<[u64; c::VS_NOTES_WORDS as usize]>());
    assert!(align_of::<Notes>() <= align_of::<u64>());
};

/// One end of a stream.
///
/// # Invariants
///
/// The stream stays while the caller is under RCU; its notes are [`Notes`].
#[derive(Clone, Copy)]
struct End {
    stream: NonNull<c::vs_stream>,
    /// The notes of what this end sends; the other ones are of what it reads.
    own: usize,
}

impl End {
    /// The end that a word of an entry names.
    fn of(word: usize) -> Option<Self> {
        // SAFETY: The word is that of an entry, and the caller is under RCU.
        let stream = unsafe { c::vs_stream_of(word as _) };
        // INVARIANT: A stream is freed a grace period after its last entry.
        NonNull::new(stream).map(|stream| End {
            stream,
            own: word & c::VS_STREAM_END as usize,
        })
    }

    /// Calls `f` with the notes of a direction, under their lock.
    fn with<R>(self, direction: usize, f: impl FnOnce(&mut Notes) -> R) -> R {
        let stream = self.stream.as_ptr();
        // SAFETY: The stream stays, by the type invariant; the lock is taken last of all.
        let flags = unsafe { c::vs_stream_lock(stream) };
        // SAFETY: The words are `Notes`, by the type invariant, and the lock is held: nobody else
        // has a reference.
        let done = f(unsafe { &mut *(&raw mut (*stream).notes[direction]).cast::<Notes>() });
        // SAFETY: Taken above.
        unsafe { c::vs_stream_unlock(stream, flags) };
        done
    }
}

unsafe extern "C" fn begin(notes: *mut u64, read: u32) {
    // SAFETY: `vs_stream_make` gives room for `Notes`, which nobody else has yet.
    unsafe { notes.cast::<Notes>().write(Notes::new(read)) };
}

/// The other end of a connection, by the first sequence numbers, with a reference. It has the same
/// owner, as the connection took its client's service from the SYN, which nobody can forge. So a
/// relay that gives both of its sides the same numbers is not taken for one connection.
fn paired(s: &State, sock: Sock<'_>, name: Name) -> Option<NonNull<c::sock>> {
    let found = NonNull::new(shared::paired(name))?;
    // SAFETY: It is alive, by the reference.
    let is_other_end = unsafe { Sock::new(found.as_ptr()) }.is_some_and(|peer| {
        let has_owner = s.resolve(peer.owner(s)) == s.resolve(sock.owner(s));
        // SAFETY: TCP sockets, both alive; the first is locked.
        has_owner && unsafe { c::vs_tcp_is_pair(sock.as_ptr(), found.as_ptr()) }
    });
    if !is_other_end {
        // SAFETY: The reference of `shared::paired`.
        unsafe { c::sock_gen_put(found.as_ptr()) };
    }
    is_other_end.then_some(found)
}

/// Makes the stream of `sock` and the other end of its connection. `None`: it has none here.
fn make(s: &State, sock: Sock<'_>, name: Name) -> Option<End> {
    let found = match paired(s, sock, name) {
        Some(found) => found.as_ptr(),
        None => {
            let mut again = false;
            // SAFETY: A TCP socket, alive.
            let found = unsafe { c::vs_tcp_peer(sock.as_ptr(), &mut again) };
            // The other end of a new connection can be a moment behind.
            // SAFETY: A TCP socket, alive and locked.
            if found.is_null() && !again && !unsafe { c::vs_tcp_is_new(sock.as_ptr()) } {
                shared::none(name);
            }
            found
        }
    };
    // SAFETY: Null, or a reference that is given back below.
    let peer = unsafe { Sock::new(found) }?;
    let names = [name, peer.made_name()];
    // SAFETY: TCP sockets, both alive.
    let copied = [sock, peer].map(|sock| unsafe { c::vs_tcp_copied_seq(sock.as_ptr()) });
    let mut word = shared::make(names, copied, begin);
    // SAFETY: TCP sockets, both alive; the first is locked.
    if !unsafe { c::vs_tcp_is_pair(sock.as_ptr(), found) } {
        // The peer has begun another connection, perhaps before it had this stream to forget. If
        // so, nobody notes or reads anything at this end of it.
        shared::forget(name);
        word = 0;
    }
    // SAFETY: The reference of `paired` or `vs_tcp_peer`.
    unsafe { c::sock_gen_put(found) };
    End::of(word)
}

/// Whether the bytes of a TCP socket are what its tasks send and receive, each in its call.
fn is_plain(sock: Sock<'_>) -> bool {
    // SAFETY: A TCP socket, alive; under RCU.
    unsafe { c::vs_tcp_is_plain(sock.as_ptr()) }
}

/// The running task is about to send by `sock`, a TCP socket that it has locked: from the next byte
/// on, a message of `message`, or (`None`) of the socket's service.
pub(crate) fn sends(s: &State, sock: Sock<'_>, message: Option<VsId>) {
    let name = sock.made_name();
    let end = match shared::word(name) {
        Some(0) if message.is_some() => make(s, sock, name),
        Some(word) => End::of(word),
        None => None,
    };
    let Some(end) = end else { return };
    let whose = match message {
        // Those that are not plain are noted, too: they are not the last message's.
        Some(id) if is_plain(sock) => match id.is_root() {
            // not the socket's
            true => UNKNOWN,
            false => s.tag(s.resolve(id)).raw(),
        },
        _ => SOCKETS,
    };
    // SAFETY: A TCP socket, alive.
    let at = unsafe { c::vs_tcp_write_seq(sock.as_ptr()) };
    end.with(end.own, |notes| notes.sends(at, whose));
}

/// `sock`, a TCP socket that is locked, begins a connection: what is noted of one that it had
/// before says nothing about this one.
pub(crate) fn connects(sock: Sock<'_>) {
    if sock.cookie() != 0 {
        let name = sock.made_name();
        shared::pair(name, 0);
        shared::forget(name);
    }
}

/// `sock`, a TCP socket that is locked, is connected now, as a client or by a listener.
pub(crate) fn connected(sock: Sock<'_>, client: bool) {
    if sock.cookie() != 0 {
        // SAFETY: A TCP socket, alive and locked.
        let pair = unsafe { c::vs_tcp_pair(sock.as_ptr(), client) };
        shared::pair(sock.made_name(), pair);
    }
}

/// Forgets whose bytes are whose, everywhere: what is sent and read from here on is not noted.
/// Nothing of this file runs meanwhile. Process context, not under RCU; may sleep.
pub(crate) fn forget() {
    shared::forget_all();
}

/// The service of bytes that were read of a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parts {
    /// The one that the socket belongs to.
    Sockets,
    /// The one that their messages were given to.
    Of(VsId),
    /// Several, or it is not known which: for which of them the task works first cannot be told.
    Several,
}

/// Bytes were received by `sock`, a TCP socket that is locked. `None`: none, or it is not known
/// which: they are the socket's.
pub(crate) fn reads(s: &State, sock: Sock<'_>) -> Option<Parts> {
    let end = End::of(shared::word(sock.made_name())?)?;
    // SAFETY: A TCP socket, alive.
    let to = unsafe { c::vs_tcp_copied_seq(sock.as_ptr()) };
    match end.with(1 - end.own, |notes| notes.reads(to)) {
        // taken off the queue long before a task receives it, or after
        _ if !is_plain(sock) => None,
        Read::Nothing => None,
        Read::Of(SOCKETS) => Some(Parts::Sockets),
        Read::Of(whose) => Some(Parts::Of(s.believe(Tag::from_raw(whose)))),
        Read::Several => Some(Parts::Several),
    }
}
