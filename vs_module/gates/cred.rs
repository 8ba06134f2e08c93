// SPDX-License-Identifier: GPL-2.0

//! Gates where a task becomes another one: exec, setuid, setgid. A rule of these gives it a new
//! home: the task itself has changed, not the work that it has in hand.
//!
//! Safety of what is here: the verifier has seen to it that pointers are valid for the call, and
//! the hooks that sockets are in use by it, so that they stay.

use super::*;

/// # Safety
///
/// `bprm` is valid: the exec that is under way.
#[no_mangle]
unsafe extern "C" fn vs_gate_exec_body(bprm: *const c::linux_binprm, who: u32) -> u64 {
    // SAFETY: By the requirement of this function.
    let exec = unsafe { bprm.as_ref() };
    transformed(
        Gate::Exec,
        who,
        Source {
            exec,
            ..Source::default()
        },
    )
}

/// # Safety
///
/// `cred` is valid: the credentials that the task is about to have.
#[no_mangle]
unsafe extern "C" fn vs_gate_setuid_body(cred: *const c::cred, who: u32) -> u64 {
    // SAFETY: By the requirement of this function.
    let cred = unsafe { cred.as_ref() };
    transformed(
        Gate::Setuid,
        who,
        Source {
            cred,
            ..Source::default()
        },
    )
}

/// # Safety
///
/// As for [`vs_gate_setuid_body`].
#[no_mangle]
unsafe extern "C" fn vs_gate_setgid_body(cred: *const c::cred, who: u32) -> u64 {
    // SAFETY: By the requirement of this function.
    let cred = unsafe { cred.as_ref() };
    transformed(
        Gate::Setgid,
        who,
        Source {
            cred,
            ..Source::default()
        },
    )
}
