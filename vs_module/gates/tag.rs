// SPDX-License-Identifier: GPL-2.0

//! A task's tag, as the gates hand it over, and the verdict they get back.
//!
//! The tag itself lives in BPF task local storage (`bpf/tag.bpf.h`). What vs.ko keeps are
//! references: a tag counts as a task of its home VS, and its current VS is held while it is
//! another one, so that no id that a tag says is given to another service.

use crate::logic::id::VsId;
use crate::logic::work::Work;
use crate::shim::bindings as c;
use crate::state::{self, State};
use core::marker::PhantomData;
use core::ptr::NonNull;
use kernel::prelude::*;

/// Home and current VS of a tag, in the word that kfuncs take: `VS_WHO()`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Who {
    /// Where the task was placed or born.
    pub(crate) home: VsId,
    /// For whom it works.
    pub(crate) cur: VsId,
}

impl Who {
    pub(crate) fn new(raw: u32) -> Self {
        // A tag only ever says ids; of anything else, its low bits are taken for one.
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

    /// The work that it tells of, which came by `object`.
    pub(crate) fn work(self, object: u64) -> Work {
        Work::new(self.home, self.cur, object, false, false)
    }

    /// The VS that is to be held: the current one, unless the task is counted there.
    fn held(self) -> Option<VsId> {
        (self.cur != self.home).then_some(self.cur)
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
    /// `None`: it has none, and is root's.
    pub(crate) fn new(_rcu: &'a State) -> Option<Self> {
        // SAFETY: Under RCU, says the argument.
        // INVARIANT: It stays as long as that.
        NonNull::new(unsafe { c::vs_current_tag() }).map(|tag| OwnTag(tag, PhantomData))
    }

    /// The work in hand.
    pub(crate) fn work(self) -> Work {
        let tag = self.0.as_ptr();
        // SAFETY: By the type invariant; home and cur are one word, which others replace at once.
        unsafe {
            let who = Who::new((&raw const (*tag).__bindgen_anon_1.both).read_volatile());
            Work::new(
                who.home,
                who.cur,
                (*tag).work,
                (*tag).replied != 0,
                (*tag).sending != 0,
            )
        }
    }

    /// The work goes on, and came by `object` last.
    pub(crate) fn set_way(self, object: u64) {
        // SAFETY: By the type invariant.
        unsafe { (*self.0.as_ptr()).work = object };
    }

    /// Begins the age of the work anew.
    pub(crate) fn renew(self) {
        // SAFETY: By the type invariant.
        unsafe { (*self.0.as_ptr()).since = c::vs_jiffies() };
    }

    /// Keeps the VS of a datagram that was taken off a queue.
    pub(crate) fn keep_message(self, message: VsId) {
        let tag = self.0.as_ptr();
        // SAFETY: By the type invariant.
        unsafe {
            (*tag).message = message.get();
            (*tag).sends = 0;
        }
    }

    /// The VS of the datagram that was taken off a queue, which is told once: of the protocols
    /// whose datagrams are not seen it is nobody's.
    pub(crate) fn take_message(self) -> VsId {
        let tag = self.0.as_ptr();
        // SAFETY: By the type invariant.
        unsafe {
            if (*tag).sends != 0 {
                return VsId::ROOT; // it is that of a datagram which the task has sent
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
    /// The VS of the datagram that is being sent (`None`: its socket's), or for `fork` the one that
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

    /// The task becomes `home`'s.
    pub(crate) fn belongs_to(home: Option<VsId>) -> Self {
        Answer {
            cur: home,
            home,
            message: None,
        }
    }

    /// As kfuncs return it.
    pub(crate) fn pack(self) -> u64 {
        let id = |id: Option<VsId>| id.map_or(u64::from(c::VS_UNCHANGED), |id| id.get().into());
        id(self.cur) << c::VS_VERDICT_CUR
            | id(self.home) << c::VS_VERDICT_HOME
            | id(self.message) << c::VS_VERDICT_MESSAGE
    }
}

/// The same verdict with another current VS, or what else `VS_VERDICT_CUR` can say.
pub(crate) fn with_cur(verdict: u64, cur: u32) -> u64 {
    verdict & !(0xffff << c::VS_VERDICT_CUR) | u64::from(cur) << c::VS_VERDICT_CUR
}

/// The verdict that refuses the call.
pub(crate) fn refusal(error: Error) -> u64 {
    Answer::UNCHANGED.pack() | u64::from(error.to_errno().unsigned_abs()) << c::VS_VERDICT_ERRNO
}

/// The VS of the datagram that the running task just sends by `sk`, if a rule of the gate `send`
/// gave it one. Any context but NMI.
pub(crate) fn message_of(sk: *const c::sock) -> Option<VsId> {
    // SAFETY: Only compared with the socket that the task sends by.
    let answer = unsafe { c::vs_message_of(sk) };
    (answer & c::VS_MESSAGE != 0).then(|| Who::new(answer).home)
}

/// References that `new` has and `old` has not: a task counted at home, a current VS held.
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

// The kfuncs: `kfuncs.h` says what they are for. Any context but NMI; `kfuncs.c` has all of them
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
