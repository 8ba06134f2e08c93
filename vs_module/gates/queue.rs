// SPDX-License-Identifier: GPL-2.0

//! The parts of the gates `send` and `recv` for messages in System V and POSIX queues, which are no
//! sockets.
//!
//! A message belongs to its sender's home, or to the service that a rule of `send` gives it to. The
//! receiver is bound when it copies the message, after it has taken it off the queue; so also one
//! to which the sender has handed it directly. The receiver's side is seen by probes of the module,
//! because a receipt must never be missed: see `shim/entries.h`.

use super::probes::{sends_are_seen, worked_on};
use super::*;
use kernel::error::to_result;
use kernel::prelude::*;

/// The messages of queues are seen, while this is there.
pub(super) struct Queues(());

impl Queues {
    /// One at a time. `ENOENT`: this kernel lacks a function at which they are seen. May sleep.
    pub(super) fn new() -> Result<Self> {
        // SAFETY: Process context; one at a time, by the requirement of this function.
        to_result(unsafe { c::vs_messages_init() })?;
        // SAFETY: As above; the table is there.
        let watched = to_result(unsafe { c::vs_queues_watch() });
        if watched.is_err() {
            // SAFETY: Nobody uses the table.
            unsafe { c::vs_messages_exit() };
        }
        watched.map(|()| Queues(()))
    }
}

impl Drop for Queues {
    /// When this returns, the functions below do not run any more, and no message has a tag. May
    /// sleep.
    fn drop(&mut self) {
        // SAFETY: It was begun; process context. Nobody uses the table after the first call.
        unsafe {
            c::vs_queues_end();
            c::vs_messages_exit();
        }
    }
}

/// A message in a queue, as rules see it. Those that ask for a cgroup do not match: its path is
/// under a lock that sleeps under PREEMPT_RT, and preemption is off where a message is received.
fn source() -> Source<'static> {
    Source {
        proto: Some(Proto::Queue),
        ..Source::default()
    }
}

/// The running task has made a message for a queue: it gets its tag.
///
/// # Safety
///
/// `msg` is valid, and nobody else has it yet.
#[no_mangle]
unsafe extern "C" fn vs_message_made_body(msg: *const c::msg_msg, who: u32) {
    let who = Who::new(who);
    with(|s| {
        let ruled = match sends_are_seen() {
            true => count(s, Gate::Send, who).and_then(|wants| {
                let from = [who.home, VsId::ROOT, who.home];
                let hands = handing(who, in_hand(s, who).0);
                classify(s, Gate::Send, hands, from, source(), wants).to[2]
            }),
            false => None,
        };
        let message = s.resolve(ruled.unwrap_or(who.home));
        if !message.is_root() {
            // SAFETY: The message is valid, by the requirement of this function.
            unsafe { c::vs_message_tag(msg, s.tag(message).raw()) };
        }
    });
}

/// The running task is about to copy a message that it has taken off a queue. Preemption is off.
///
/// # Safety
///
/// `msg` is valid, and the task's.
#[no_mangle]
unsafe extern "C" fn vs_message_read(msg: *const c::msg_msg) {
    state::with(|s| {
        let tag = OwnTag::new(s);
        let work = tag.map_or(Work::at(VsId::ROOT), OwnTag::work);
        let who = Who::of(work);
        let verdict = match count(s, Gate::Recv, who) {
            None => Verdict::UNCHANGED,
            Some(wants) => {
                // SAFETY: The message is the task's, by the requirement of this function.
                let message = s.believe(Tag::from_raw(unsafe { c::vs_message_tag_of(msg) }));
                let from = [who.home, VsId::ROOT, message];
                classify(s, Gate::Recv, who, from, source(), wants)
            }
        };
        if verdict.to[0].is_some() || work.is_any() {
            worked_on(s, tag, work, Way::QUEUE, &verdict);
        }
    });
}

/// The running task, which only looks at a message, is about to copy it into `copy`, which it has
/// made for that: this is no message of its own.
///
/// # Safety
///
/// `copy` is valid.
#[no_mangle]
unsafe extern "C" fn vs_message_copied(copy: *const c::msg_msg) {
    // SAFETY: By the requirement of this function.
    unsafe { c::vs_message_gone(copy) };
}

/// A message is about to be freed.
///
/// # Safety
///
/// `msg` is valid.
#[no_mangle]
unsafe extern "C" fn vs_message_freed(msg: *const c::msg_msg) {
    // SAFETY: By the requirement of this function.
    unsafe { c::vs_message_gone(msg) };
}
