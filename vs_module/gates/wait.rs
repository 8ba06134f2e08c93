// SPDX-License-Identifier: GPL-2.0

//! Gate wait: a task that asks for its next piece of work has done with the one in hand.
//!
//! Safety of what is here: the verifier has seen to it that pointers are valid for the call, and
//! the hooks that sockets are in use by it, so that they stay.

use super::*;

#[no_mangle]
extern "C" fn vs_gate_wait_body(who: u32) -> u64 {
    with(|s| ended(s, Gate::Wait, Who::new(who)))
}
