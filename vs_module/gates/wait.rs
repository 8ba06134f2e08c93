// SPDX-License-Identifier: GPL-2.0

//! Gate wait: a task that asks for its next piece of work is done with the one in hand.
//!
//! Safety of what is here: the verifier has seen to it that pointers are valid for the call, and
//! the hooks that sockets are in use by it, so that they stay.

use super::*;

#[no_mangle]
extern "C" fn vs_gate_wait_body(who: u32, by: u64, address: u64, serves: bool) -> u64 {
    with(|s| {
        let (work, asker) = in_hand(s, Who::new(who));
        let name = Name {
            cookie: by,
            address,
        };
        let way = (by != 0).then(|| way_by(name, serves, asker, |was| was));
        let next = work.waits(way);
        if next != work {
            s.service(work.cur()).hit(Gate::Wait);
        }
        worked(s, Gate::Wait, End::Wait, work, None, next)
    })
}

/// Called in the tick's interrupt.
#[no_mangle]
extern "C" fn vs_work_ages_body(who: u32, age: u64) -> u64 {
    let work = Who::new(who).work(0);
    // SAFETY: Only computes.
    let age = unsafe { c::vs_jiffies_to_ns(age) };
    let next = work.ages(age, crate::work_age());
    with(|s| worked(s, Gate::Wait, End::Age, work, None, next))
}

/// The task has replied, and sleeps. Called under the lock of its run queue.
#[no_mangle]
extern "C" fn vs_work_sleeps_body(who: u32) -> u64 {
    let who = Who::new(who);
    let work = Work::new(who.home, who.cur, 0).said(true, false, false);
    with(|s| worked(s, Gate::Wait, End::Sleep, work, None, work.sleeps()))
}
