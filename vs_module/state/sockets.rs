// SPDX-License-Identifier: GPL-2.0

//! Sockets and the services that they belong to.
//!
//! One table, by a socket's cookie and address, is the truth: only this module can write it, and
//! counts of sockets depend on it. A socket without an entry belongs to no service. The end of a
//! request for a connection cannot be seen, so the request carries its tag itself, with a check
//! value ([`Pledge`]). The remainder of a connection in TIME_WAIT keeps its socket's cookie; the
//! tag is remembered here when the socket ends.
//!
//! Context: any but NMI and hard interrupt, under RCU, unless stated. Lock-free, except that a
//! write locks its bucket of the hash table.

use super::State;
use crate::logic::ask::Asked;
use crate::logic::id::VsId;
use crate::logic::tag::Tag;
use crate::shim::bindings as c;
use crate::shim::rcu::{self, read_once};
use core::ptr::NonNull;
use kernel::error::to_result;
use kernel::prelude::*;
use kernel::sync::atomic::{Acquire, Atomic, Full, Relaxed, Release};

/// Whether sockets can be given to services, because their end is seen.
static TRACKS: Atomic<bool> = Atomic::new(false);

/// Makes the table. Once, at load; may sleep.
pub(crate) fn init() -> Result {
    // SAFETY: The module is loaded once.
    to_result(unsafe { c::vs_sockets_init() })
}

/// Frees the table with all entries. Once, at unload, when there are no readers any more; may
/// sleep.
pub(crate) fn exit() {
    // SAFETY: `init` has succeeded, and there are no readers any more.
    unsafe { c::vs_sockets_exit() };
}

/// The entry of a socket.
///
/// # Invariants
///
/// Points to memory that stays an entry while the caller that found it is under RCU. Its socket may
/// end meanwhile, unless the caller holds it, and the entry may then become another socket's.
#[derive(Clone, Copy)]
struct Entry(NonNull<c::vs_socket_entry>);

/// The tag of an entry that was removed: no tag has the top bit without an id.
const ENDED: u32 = 1 << 31;

impl Entry {
    fn of(name: Name) -> Option<Self> {
        // SAFETY: All callers of this file are under RCU.
        // INVARIANT: Just found.
        NonNull::new(unsafe { c::vs_socket_find(name.cookie, name.address) }).map(Entry)
    }

    fn word(&self) -> &Atomic<u32> {
        // SAFETY: The memory stays an entry while the caller is under RCU; all access to its tag is
        // atomic.
        unsafe { Atomic::from_ptr(&raw mut (*self.0.as_ptr()).tag) }
    }

    fn stream(&self) -> &Atomic<usize> {
        // SAFETY: The memory stays an entry while the caller is under RCU; all access to this word
        // is in one piece.
        unsafe { Atomic::from_ptr((&raw mut (*self.0.as_ptr()).stream).cast()) }
    }

    fn asked(&self) -> &Atomic<u64> {
        // SAFETY: The memory stays an entry while the caller is under RCU; all access to this word
        // is atomic, but for the first, before the entry is in the table.
        unsafe { Atomic::from_ptr(&raw mut (*self.0.as_ptr()).asked) }
    }

    /// Whether it is still the entry of the socket of this name.
    fn is_of(self, name: Name) -> bool {
        // SAFETY: The memory stays an entry while the caller is under RCU.
        let key = unsafe { &raw const (*self.0.as_ptr()).key };
        // SAFETY: The memory stays an entry while the caller is under RCU; each half of the key is
        // written in one piece.
        unsafe {
            (&raw const (*key).sk).read_volatile() == name.address
                && (&raw const (*key).cookie).read_volatile() == name.cookie
        }
    }

    /// Removes the entry from the table, and counts its socket off.
    fn end(self, s: &State) {
        // SAFETY: The entry is in the table, or was removed by another caller during this RCU
        // section.
        if unsafe { c::vs_socket_remove(self.0.as_ptr()) } {
            s.socket_gone(Tag::from_raw(self.word().xchg(ENDED, Full)).id());
            // SAFETY: This call has removed the entry.
            unsafe { c::vs_socket_free(self.0.as_ptr()) };
        }
    }
}

/// A socket's name in the table: cookie and address. Two copies of one socket differ in their
/// addresses, two sockets that lie at one address after each other in their cookies.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    pub(crate) cookie: u64,
    pub(crate) address: u64,
}

/// The service of the socket of this name. Its id may stand for another service by now;
/// [`State::resolve`] tells which.
pub(crate) fn owner(name: Name) -> VsId {
    if name.cookie == 0 {
        return VsId::ROOT;
    }
    let Some(entry) = Entry::of(name) else {
        return VsId::ROOT;
    };
    let tag = Tag::from_raw(read_once(entry.word()));
    // If another socket has got the entry before the tag was read, this socket has ended.
    match entry.is_of(name) {
        true => tag.id(),
        false => VsId::ROOT,
    }
}

/// Has a socket or a request been given to a service since tracking began? If not, no look-up can
/// find anything.
static USED: Atomic<bool> = Atomic::new(false);

/// Can there be a socket, a request or a remainder that belongs to a service? Any context.
pub(crate) fn any() -> bool {
    read_once(&USED)
}

fn use_it() {
    if !read_once(&USED) {
        USED.store(true, Relaxed);
    }
}

/// The way in which a change of owner is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// A limit refuses a socket that belonged to no service, but not one that changes its owner: it
    /// is counted already.
    Limited,
    /// No limit refuses it.
    Forced,
}

/// Gives the socket of this name to `to`, and counts it there.
///
/// The caller's reference keeps the socket from ending meanwhile. Fails with the error of a limit,
/// or with `ENOMEM`; the socket then keeps its owner.
pub(crate) fn give(s: &State, name: Name, to: VsId, claim: Claim) -> Result {
    loop {
        match Entry::of(name) {
            None if to.is_root() || !read_once(&TRACKS) => return Ok(()),
            None => {
                use_it();
                let held = count(s, VsId::ROOT, to, claim)?;
                let mut added = false;
                // SAFETY: The caller is under RCU, in no hard interrupt; `added` can be written.
                let there = unsafe {
                    c::vs_socket_add(name.cookie, name.address, s.tag(held).raw(), &mut added)
                };
                if added && read_once(&TRACKS) {
                    return Ok(());
                }
                match NonNull::new(there) {
                    // Tracking has ended meanwhile, and `untrack` may have missed the entry.
                    // INVARIANT: It was just put into the table.
                    Some(entry) if added => Entry(entry).end(s),
                    there => {
                        s.socket_gone(held);
                        there.ok_or(ENOMEM)?;
                    }
                }
            }
            Some(entry) => {
                let old = read_once(entry.word());
                let from = Tag::from_raw(old).id();
                if old == ENDED || from == to && !from.is_root() {
                    match old {
                        // Another caller is taking all tags off.
                        ENDED => core::hint::spin_loop(),
                        _ => return Ok(()),
                    }
                    continue;
                }
                if from == to {
                    return Ok(());
                }
                let held = count(s, from, to, claim)?;
                if entry.word().cmpxchg(old, s.tag(held).raw(), Full).is_ok() {
                    s.socket_gone(from);
                    return Ok(());
                }
                s.socket_gone(held);
            }
        }
    }
}

/// Counts a socket for `to`, before it is counted off `from`. Returns the id for which it is
/// counted.
fn count(s: &State, from: VsId, to: VsId, claim: Claim) -> Result<VsId> {
    if claim == Claim::Limited && from.is_root() {
        s.socket_born(to)
    } else {
        Ok(s.socket_joined(to))
    }
}

/// Has anything been asked by a socket of a service since tracking began? If not, no receipt is an
/// answer.
static ASKED: Atomic<bool> = Atomic::new(false);

/// Whether anything has been asked by any socket. Any context.
pub(crate) fn any_asked() -> bool {
    read_once(&ASKED)
}

/// Changes what is known of the questions by the socket of this name, and returns what was known.
/// Nothing is ever known of a socket that belongs to no service.
///
/// The caller's reference keeps the socket from ending meanwhile.
pub(crate) fn ask(name: Name, change: impl Fn(Asked) -> Asked) -> Asked {
    let Some(entry) = Entry::of(name) else {
        return Asked::NOTHING;
    };
    let mut old = Asked::from_raw(read_once(entry.asked()));
    loop {
        let new = change(old);
        if new == old {
            return old;
        }
        if !read_once(&ASKED) {
            ASKED.store(true, Relaxed);
        }
        match entry.asked().cmpxchg(old.raw(), new.raw(), Full) {
            Ok(_) => return old,
            Err(other) => old = Asked::from_raw(other),
        }
    }
}

/// The streams that two sockets share.
pub(super) mod shared {
    use super::*;

    /// The word of the socket of this name: see `shim/streams.h`. `None`: it belongs to no service.
    pub(in crate::state) fn word(name: Name) -> Option<usize> {
        Entry::of(name).map(|entry| entry.stream().load(Acquire))
    }

    /// Writes that the socket of this name has no peer that could share notes.
    pub(in crate::state) fn none(name: Name) {
        if let Some(entry) = Entry::of(name) {
            // Not if the peer has been quicker.
            let _ = entry.stream().cmpxchg(0, c::VS_STREAM_NONE as usize, Full);
        }
    }

    /// Takes the stream of the socket of this name off it, or what [`none`] has written.
    pub(in crate::state) fn forget(name: Name) {
        if let Some(entry) = Entry::of(name) {
            // SAFETY: The caller holds the socket, so this stays its entry.
            unsafe { c::vs_stream_forget(entry.0.as_ptr()) };
        }
    }

    /// Lets the other end of its connection find the socket of this name by the number `pair`; 0:
    /// not any more. The caller holds the socket, and is the only one that does this for it.
    pub(in crate::state) fn pair(name: Name, pair: u64) {
        // As for `make`.
        if let Some(entry) = Entry::of(name).filter(|_| read_once(&TRACKS)) {
            // SAFETY: The caller holds the socket, so this stays its entry; under RCU, in no hard
            // interrupt.
            unsafe { c::vs_socket_pair(entry.0.as_ptr(), pair) };
        }
    }

    /// The other end of the connection of the socket of this name, in any network namespace, with a
    /// reference; null: it is not known.
    pub(in crate::state) fn paired(name: Name) -> *mut c::sock {
        match Entry::of(name) {
            // SAFETY: An entry, under RCU, in no hard interrupt.
            Some(entry) => unsafe { c::vs_socket_paired(entry.0.as_ptr()) },
            None => core::ptr::null_mut(),
        }
    }

    /// Takes off all streams, and lets no end find the other one. Process context; may sleep.
    pub(in crate::state) fn forget_all() {
        extern "C" fn see(entry: *mut c::vs_socket_entry) {
            // SAFETY: The walk shows entries of the table, under RCU. One that is freed meanwhile
            // has no stream any more and is in no pair, nor is one that is made of it, as nobody
            // makes streams or pairs.
            unsafe {
                c::vs_stream_forget(entry);
                c::vs_socket_unpair(entry);
            }
        }
        // SAFETY: Process context.
        unsafe { c::vs_sockets_each(Some(see)) };
    }

    /// Makes the stream of two sockets, which the caller holds; `copied` are the positions up to
    /// which they have read. Returns the word of the first one; 0: one of them belongs to no
    /// service, tracking has ended, or there is no memory.
    pub(in crate::state) fn make(
        names: [Name; 2],
        copied: [u32; 2],
        begin: unsafe extern "C" fn(*mut u64, u32),
    ) -> usize {
        // `untrack` waits for a caller that has seen this, so that it finds what is made here.
        if !read_once(&TRACKS) {
            return 0;
        }
        match names.map(Entry::of) {
            // SAFETY: The caller holds both sockets, so these stay their entries; under RCU, in no
            // hard interrupt.
            [Some(own), Some(peer)] => unsafe {
                c::vs_stream_make(
                    own.0.as_ptr(),
                    peer.0.as_ptr(),
                    copied[0],
                    copied[1],
                    Some(begin),
                ) as usize
            },
            _ => 0,
        }
    }
}

/// A socket has ended: counts it off. No other code uses it any more.
pub(crate) fn ended(s: &State, name: Name) {
    if let Some(entry) = Entry::of(name) {
        remember(name.cookie, Tag::from_raw(read_once(entry.word())));
        entry.end(s);
    }
}

/// Lets sockets be given to services from now on. Under the mutex for changes; their end is seen.
pub(crate) fn track() {
    TRACKS.store(true, Release);
}

/// Takes the tag off every socket, in every network namespace and held by any task, and lets no
/// socket be given to a service any more. Under the mutex for changes; may sleep.
pub(crate) fn untrack() {
    TRACKS.store(false, Release);
    // After this, a caller that has seen the old value has added its entry.
    rcu::synchronize();
    extern "C" fn see(entry: *mut c::vs_socket_entry) {
        if let Some(entry) = NonNull::new(entry) {
            // INVARIANT: The walk shows entries of the table, under RCU.
            super::with(|s| Entry(entry).end(s));
        }
    }
    // SAFETY: Process context.
    unsafe { c::vs_sockets_each(Some(see)) };
    // A caller that found an entry before it was removed may still look at it; entries get new
    // sockets only when tracking begins again, which is after this.
    rcu::synchronize();
    for note in &REMAINDERS {
        note.store(0, Relaxed);
    }
    USED.store(false, Relaxed);
    ASKED.store(false, Relaxed);
}

// Remainders in TIME_WAIT.

/// How many are remembered; a newer one takes the place of an older one with the same low bits.
const NOTES: usize = 1 << NOTE_BITS;
const NOTE_BITS: u32 = 13;
/// All bits of a tag but the top one, which is always set.
const TAG_BITS: u32 = 31;

/// By the low bits of the cookie: its other bits (33 of them) and the tag. They are one word, so
/// that both are always of one socket. Cookies are consecutive numbers, so two sockets look alike
/// here only after 2^46.
static REMAINDERS: [Atomic<u64>; NOTES] = [const { Atomic::new(0) }; NOTES];

fn note_of(cookie: u64) -> (&'static Atomic<u64>, u64) {
    let key = (cookie >> NOTE_BITS) << TAG_BITS;
    (&REMAINDERS[cookie as usize % NOTES], key)
}

fn remember(cookie: u64, tag: Tag) {
    if !tag.is_nobodys() {
        let (note, key) = note_of(cookie);
        note.store(key | u64::from(tag.raw() & !ENDED), Relaxed);
    }
}

/// The service of a connection in TIME_WAIT, by its socket's cookie. Root if the socket belonged to
/// no service, or is not remembered any more.
pub(crate) fn remainder(s: &State, cookie: u64) -> VsId {
    let (note, key) = note_of(cookie);
    let word = note.load(Relaxed);
    match word >> TAG_BITS == key >> TAG_BITS && word != 0 {
        true => s.believe(Tag::from_raw(word as u32 | ENDED)),
        false => VsId::ROOT,
    }
}

/// The tag that a request for a connection carries, and a check value. They lie in two fields for
/// an LSM that labels packets, which are uninitialised if no LSM does.
#[derive(Clone, Copy)]
pub(crate) struct Pledge {
    pub(crate) tag: u32,
    pub(crate) check: u32,
}

/// The secret, made anew each time that tracking begins.
static SECRET: Atomic<u32> = Atomic::new(0);

impl Pledge {
    /// The pledge for a request of the service `id`.
    pub(crate) fn new(s: &State, id: VsId) -> Self {
        if !id.is_root() {
            use_it();
        }
        let tag = s.tag(id).raw();
        Pledge {
            tag,
            check: Self::check(tag),
        }
    }

    fn check(tag: u32) -> u32 {
        tag.rotate_left(16) ^ read_once(&SECRET)
    }

    /// The service that the request belongs to: root if it was made before tracking began.
    pub(crate) fn owner(self, s: &State) -> VsId {
        match self.check == Self::check(self.tag) {
            true => s.believe(Tag::from_raw(self.tag)),
            false => VsId::ROOT,
        }
    }

    /// Makes the pledges of all earlier requests invalid.
    pub(crate) fn renew() {
        // SAFETY: Can be called in any context.
        SECRET.store(unsafe { kernel::bindings::get_random_u32() }, Relaxed);
    }
}
