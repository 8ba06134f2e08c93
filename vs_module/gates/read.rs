// SPDX-License-Identifier: GPL-2.0

//! Gate read: a task receives something by what is no socket: a pipe, an eventfd, a queue. Nothing
//! tells for whom it is, so it is not the work in hand, which ends.
//!
//! It ends before the read, which may wait, and may find nothing. The gate is a probe of the
//! module, because a receipt must never be missed: see `shim/entries.h`.

use super::*;
use kernel::error::to_result;
use kernel::prelude::*;

/// The gate is attached, while this is there.
pub(super) struct Reads(());

impl Reads {
    /// Attaches it; one at a time. `ENOENT`: this kernel lacks a function at which reads are seen.
    /// May sleep.
    pub(super) fn new() -> Result<Self> {
        // SAFETY: Process context; one at a time, by the requirement of this function.
        to_result(unsafe { c::vs_reads_watch() })?;
        Ok(Reads(()))
    }
}

impl Drop for Reads {
    /// When this returns, [`vs_gate_read`] does not run any more. May sleep.
    fn drop(&mut self) {
        // SAFETY: It was begun.
        unsafe { c::vs_reads_end() };
    }
}

/// The running task is about to read. Context: as `shim/entries.h` says; not the tick's interrupt.
#[no_mangle]
extern "C" fn vs_gate_read() {
    state::with(|s| {
        if let Some(work) = OwnTag::new(s)
            .map(OwnTag::work)
            .filter(|work| work.is_any())
        {
            read(s, work);
        }
    });
}

/// The rest of [`vs_gate_read`], for a task with work in hand. Not inlined: most have none.
#[inline(never)]
fn read(s: &State, work: Work) {
    // The task may have asked by it, but it cannot be told whose the answer is. Where the task has
    // said for whom it works, it says when it works for another.
    let next = work.received(Way::QUEUE, None);
    s.service(work.cur()).hit(Gate::Read);
    let answer = worked(s, Gate::Read, End::Receipt, work, None, next);
    // SAFETY: Task context.
    unsafe { c::vs_bind_current(answer, next.object()) };
}
