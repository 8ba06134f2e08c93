// SPDX-License-Identifier: GPL-2.0

//! A task's tag, as the gates hand it over, and the verdict they get back.
//!
//! The tag itself lives in BPF task local storage (`bpf/tag.bpf.h`). vs.ko keeps references: a tag
//! counts as a task of its home VS, and holds its current VS if that is another one, so that no id
//! in a tag is given to another service.

use crate::logic::ask::Asker;
use crate::logic::id::VsId;
use crate::logic::work::Work;
use crate::shim::bindings as c;
use crate::shim::sock::Sock;
use crate::state::streams::Parts;
use crate::state::{self, State};
use core::marker::PhantomData;
use core::ptr::NonNull;
use kernel::prelude::*;

/// Home and current VS of a tag, in the word that kfuncs take: `VS_WHO()`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Who {
    /// Where the task was placed or born.
    pub(crate) home: VsId,
    /// The VS that it works for.
    pub(crate) cur: VsId,
}

impl Who {
    pub(crate) fn new(raw: u32) -> Self {
        // A tag has ids only; of any other value the low bits are taken for an id.
        Who {
            home: VsId::from_bits(raw & 0xffff),
            cur: VsId::from_bits(raw >> 16),
        }
    }

    pub(crate) fn of(work: Work) -> Self {
        Who {
            home: work.home(),
            cur: work.cur(),
        }
    }

    /// The work that these two tell of; `object` is the way by which it came.
    pub(crate) fn work(self, object: u64) -> Work {
        Work::new(self.home, self.cur, object)
    }

    /// The VS that the tag holds: the current one, unless the task is counted there.
    fn held(self) -> Option<VsId> {
        (self.cur != self.home).then_some(self.cur)
    }
}

/// The value of a tag's `sends` while its task reads by the socket of this cookie; 0 for 0. It is
/// odd, so it is no socket's address, and two sockets differ in it.
fn reads_by(cookie: u64) -> u64 {
    match cookie {
        0 => 0,
        cookie => cookie << 1 | 1,
    }
}

/// The running task's tag.
///
/// # Invariants
///
/// The pointer is valid for `'a`, for which the kernel is under RCU. The running task alone writes
/// the fields that are written here.
#[derive(Clone, Copy)]
pub(crate) struct OwnTag<'a>(NonNull<c::vs_tag>, PhantomData<&'a State>);

impl<'a> OwnTag<'a> {
    /// `None`: the task has no tag, and is root's.
    pub(crate) fn new(_rcu: &'a State) -> Option<Self> {
        // SAFETY: The argument proves that the caller is under RCU.
        // INVARIANT: The tag stays as long as the caller is under RCU.
        NonNull::new(unsafe { c::vs_current_tag() }).map(|tag| OwnTag(tag, PhantomData))
    }

    /// The work in hand.
    pub(crate) fn work(self) -> Work {
        let tag = self.0.as_ptr();
        // SAFETY: By the type invariant; home and cur are one word, which other tasks replace as a
        // whole.
        unsafe {
            let who = Who::new((&raw const (*tag).__bindgen_anon_1.both).read_volatile());
            Work::new(who.home, who.cur, (*tag).work).said(
                (*tag).replied != 0,
                (*tag).sending != 0,
                (*tag).told != 0,
            )
        }
    }

    /// The work in hand, as one that asks other servers.
    pub(crate) fn asker(self) -> Asker {
        // SAFETY: By the type invariant.
        let number = unsafe { (*self.0.as_ptr()).number };
        Asker::new(kernel::current!().pid() as u32, number)
    }

    /// The task itself has said for whom it works.
    pub(crate) fn set_told(self) {
        // SAFETY: By the type invariant.
        unsafe { (*self.0.as_ptr()).told = 1 };
    }

    /// The work in hand is another piece for the same service, which came by `object`.
    pub(crate) fn set_way(self, object: u64) {
        let tag = self.0.as_ptr();
        // SAFETY: By the type invariant.
        unsafe {
            (*tag).work = object;
            (*tag).number = (*tag).number.wrapping_add(1);
            (*tag).told = 0;
        }
    }

    /// Restarts the age of the work.
    pub(crate) fn renew(self) {
        // SAFETY: By the type invariant.
        unsafe { (*self.0.as_ptr()).since = c::vs_jiffies() as u32 };
    }

    /// Keeps the VS of a datagram that was taken off a queue.
    pub(crate) fn keep_message(self, message: VsId) {
        let tag = self.0.as_ptr();
        // SAFETY: By the type invariant.
        unsafe {
            (*tag).message = message.get();
            (*tag).sends = 0;
            (*tag).reads = 0;
        }
    }

    /// The VS of the message that is being sent by `sock`, if a rule gave it one.
    pub(crate) fn message_by(self, sock: Sock<'_>) -> Option<VsId> {
        let tag = self.0.as_ptr();
        // SAFETY: By the type invariant.
        unsafe { ((*tag).sends == sock.address()).then(|| VsId::from_bits((*tag).message.into())) }
    }

    /// Notes what a part of a stream is that the task reads, by the socket of this cookie (0: it is
    /// not known, and the receipt is told in the same call).
    pub(crate) fn read_part(self, part: Parts, by: u64) {
        let tag = self.0.as_ptr();
        let message = match part {
            Parts::Of(message) => message.get(),
            Parts::Sockets | Parts::Several => c::VS_UNCHANGED as u16,
        };
        let by = reads_by(by);
        // SAFETY: By the type invariant.
        unsafe {
            let first = (*tag).reads == 0 || (*tag).sends != by;
            if part == Parts::Several || !first && (*tag).message != message {
                (*tag).reads = 2;
            } else if first {
                (*tag).reads = 1;
            }
            if first {
                (*tag).message = message;
                (*tag).sends = by;
            }
        }
    }

    /// Tells once what the task has read of the stream `sock`. A call that tells no receipt may
    /// have read of another stream before: that is forgotten.
    pub(crate) fn take_parts(self, sock: Sock<'_>) -> Parts {
        let tag = self.0.as_ptr();
        // SAFETY: By the type invariant.
        unsafe {
            let (reads, message, by) = ((*tag).reads, (*tag).message, (*tag).sends);
            if reads == 0 {
                return Parts::Sockets;
            }
            (*tag).reads = 0;
            (*tag).message = 0;
            (*tag).sends = 0;
            if by != 0 && by != reads_by(sock.cookie()) {
                return Parts::Sockets;
            }
            match (reads, u32::from(message)) {
                (1, c::VS_UNCHANGED) => Parts::Sockets,
                (1, message) => Parts::Of(VsId::from_bits(message)),
                _ => Parts::Several,
            }
        }
    }

    /// The VS of the datagram that was taken off a queue. It is told once, so a datagram of a
    /// protocol whose queues are not seen belongs to no service.
    pub(crate) fn take_message(self) -> VsId {
        let tag = self.0.as_ptr();
        // SAFETY: By the type invariant.
        unsafe {
            if (*tag).sends != 0 {
                return VsId::ROOT; // `message` is the VS of a datagram that the task has sent
            }
            let message = VsId::from_bits((*tag).message.into());
            (*tag).message = 0;
            message
        }
    }
}

/// The changes to the running task and to its call, packed as `VS_VERDICT_*` says.
#[derive(Clone, Copy, Default)]
pub(crate) struct Answer {
    /// Its new current VS. `None`: unchanged.
    pub(crate) cur: Option<VsId>,
    /// Its new home VS, or for `fork` the child's. `None`: unchanged.
    pub(crate) home: Option<VsId>,
    /// The VS of the message that is being sent (`None`: its socket's), or for `fork` the VS that
    /// the child works for (`None`: its home).
    pub(crate) message: Option<VsId>,
}

impl Answer {
    /// Nothing changes.
    pub(crate) const UNCHANGED: Answer = Answer {
        cur: None,
        home: None,
        message: None,
    };

    /// The task works for `cur` from here on.
    pub(crate) fn works_for(cur: Option<VsId>) -> Self {
        Answer {
            cur,
            ..Self::UNCHANGED
        }
    }

    /// The task is at home in `home`, and works for it.
    pub(crate) fn belongs_to(home: Option<VsId>) -> Self {
        Answer {
            cur: home,
            home,
            message: None,
        }
    }

    /// The word that kfuncs return.
    pub(crate) fn pack(self) -> u64 {
        let id = |id: Option<VsId>| id.map_or(u64::from(c::VS_UNCHANGED), |id| id.get().into());
        id(self.cur) << c::VS_VERDICT_CUR
            | id(self.home) << c::VS_VERDICT_HOME
            | id(self.message) << c::VS_VERDICT_MESSAGE
    }
}

/// Writes another value into the `VS_VERDICT_CUR` of a verdict.
pub(crate) fn with_cur(verdict: u64, cur: u32) -> u64 {
    verdict & !(0xffff << c::VS_VERDICT_CUR) | u64::from(cur) << c::VS_VERDICT_CUR
}

/// The verdict that refuses the call.
pub(crate) fn refusal(error: Error) -> u64 {
    Answer::UNCHANGED.pack() | u64::from(error.to_errno().unsigned_abs()) << c::VS_VERDICT_ERRNO
}

/// The VS of the datagram that the running task is sending by `sk`, if a rule of the gate `send`
/// gave it one. Any context but NMI.
pub(crate) fn message_of(sk: *const c::sock) -> Option<VsId> {
    // SAFETY: `sk` is only compared with the socket that the task sends by.
    let answer = unsafe { c::vs_message_of(sk) };
    (answer & c::VS_MESSAGE != 0).then(|| Who::new(answer).home)
}

/// Takes the references that `new` has and `old` has not: a task counted at home, a current VS
/// held.
fn hold(s: &State, old: Who, new: Who) -> bool {
    if new.home != old.home && s.task_joined(new.home) != new.home {
        return false;
    }
    match new.held() {
        Some(id) if old.held() != Some(id) && !s.hold(id) => {
            if new.home != old.home {
                s.task_gone(new.home);
            }
            false
        }
        _ => true,
    }
}

/// Gives back the references that `from` has and `kept` has not.
fn release(s: &State, from: Who, kept: Who) {
    if from.home != kept.home {
        s.task_gone(from.home);
    }
    match from.held() {
        Some(id) if kept.held() != Some(id) => s.release(id),
        _ => (),
    }
}

// The bodies of kfuncs that `kfuncs.h` documents. Any context but NMI; `kfuncs.c` has all of them
// called under RCU.

#[no_mangle]
extern "C" fn vs_tag_hold_body(old: u32, who: u32) -> bool {
    // SAFETY: The verifier has the caller under RCU (KF_RCU_PROTECTED).
    unsafe { state::under_rcu(|s| hold(s, Who::new(old), Who::new(who))) }
}

#[no_mangle]
extern "C" fn vs_tag_release_body(old: u32, who: u32) {
    // SAFETY: The verifier has the caller under RCU (KF_RCU_PROTECTED).
    unsafe { state::under_rcu(|s| release(s, Who::new(who), Who::new(old))) };
}

#[no_mangle]
extern "C" fn vs_tag_replaced_body(old: u32, who: u32) {
    let (old, who) = (Who::new(old), Who::new(who));
    let replaced = |s: &State| {
        release(s, old, who);
        if who.cur != old.cur {
            s.service(who.cur).rebound();
        }
    };
    // SAFETY: The verifier has the caller under RCU (KF_RCU_PROTECTED).
    unsafe { state::under_rcu(replaced) };
}

#[no_mangle]
extern "C" fn vs_task_gone_body(who: u32) {
    let nobody = Who {
        home: VsId::ROOT,
        cur: VsId::ROOT,
    };
    // SAFETY: The verifier has the caller under RCU (KF_RCU_PROTECTED).
    unsafe { state::under_rcu(|s| release(s, Who::new(who), nobody)) };
}
