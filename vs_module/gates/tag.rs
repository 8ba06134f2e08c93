// SPDX-License-Identifier: GPL-2.0

//! A task's tag, as the gates hand it over, and the verdict they get back.
//!
//! The tag itself lives in BPF task local storage (`gates/tag.bpf.h`). What vs.ko keeps are
//! references: a tag counts as a task of its home VS, and its current VS is held while it is
//! another one, so that no id that a tag says is given to another service.

use crate::logic::id::VsId;
use crate::shim::bindings as c;
use crate::state::{self, State};
use kernel::prelude::*;

/// What a tag says, in the word that kfuncs take: `VS_WHO()`.
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
            home: VsId::from_mark(raw & 0xffff, 0),
            cur: VsId::from_mark(raw >> 16, 0),
        }
    }

    /// The VS that is to be held: the current one, unless the task is counted there.
    fn held(self) -> Option<VsId> {
        (self.cur != self.home).then_some(self.cur)
    }
}

/// What becomes of the running task and of its call, packed as `VS_VERDICT_*` says.
#[derive(Clone, Copy, Default)]
pub(crate) struct Answer {
    /// Its new current VS. `None`: unchanged.
    pub(crate) cur: Option<VsId>,
    /// Its new home VS, or for `fork` the child's. `None`: unchanged.
    pub(crate) home: Option<VsId>,
    /// The VS of the datagram that is being sent. `None`: its socket's.
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

    pub(crate) fn pack(self) -> u64 {
        let id = |id: Option<VsId>| id.map_or(u64::from(c::VS_UNCHANGED), |id| id.get().into());
        id(self.cur) << c::VS_VERDICT_CUR
            | id(self.home) << c::VS_VERDICT_HOME
            | id(self.message) << c::VS_VERDICT_MESSAGE
    }
}

/// The verdict that refuses the call.
pub(crate) fn refusal(error: Error) -> u64 {
    Answer::UNCHANGED.pack() | u64::from(error.to_errno().unsigned_abs()) << c::VS_VERDICT_ERRNO
}

/// The VS of the datagram that the running task just sends by `sk`, if a rule of the gate `send` gave
/// it one. Any context but NMI.
pub(crate) fn message_of(sk: *const c::sock) -> Option<VsId> {
    // SAFETY: Only compared with the socket that the task sends by.
    let answer = unsafe { c::vs_message_of(sk) };
    (answer & c::VS_MESSAGE != 0).then(|| Who::new(answer).home)
}

fn release(s: &State, who: Who) {
    if let Some(id) = who.held() {
        s.release(id);
    }
}

// The kfuncs: `kfuncs.h` says what they are for. Any context but NMI; `kfuncs.c` has all of them
// called under RCU.

#[no_mangle]
extern "C" fn vs_tag_hold_body(who: u32) -> bool {
    let who = Who::new(who);
    // A home is counted when the tag says it; until then it must not have gone.
    let holds = |s: &State| s.is_open(who.home) && who.held().is_none_or(|id| s.hold(id));
    // SAFETY: See above.
    unsafe { state::under_rcu(holds) }
}

#[no_mangle]
extern "C" fn vs_tag_release_body(who: u32) {
    // SAFETY: See above.
    unsafe { state::under_rcu(|s| release(s, Who::new(who))) };
}

#[no_mangle]
extern "C" fn vs_tag_replaced_body(old: u32, who: u32) {
    let (old, who) = (Who::new(old), Who::new(who));
    let replaced = |s: &State| {
        s.task_moved(old.home, who.home);
        release(s, old);
        if who.cur != old.cur {
            s.service(who.cur).rebound();
        }
    };
    // SAFETY: See above.
    unsafe { state::under_rcu(replaced) };
}

#[no_mangle]
extern "C" fn vs_task_gone_body(who: u32) {
    let who = Who::new(who);
    let gone = |s: &State| {
        s.task_gone(who.home);
        release(s, who);
    };
    // SAFETY: See above.
    unsafe { state::under_rcu(gone) };
}
