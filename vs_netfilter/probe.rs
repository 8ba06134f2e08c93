// SPDX-License-Identifier: GPL-2.0

//! Functions of this module at tracepoints of the kernel.
//!
//! Unlike a BPF program a probe is never left out, and costs one call.
//!
//! C header: `include/linux/tracepoint.h`

use crate::shim::bindings as c;
use crate::shim::skb::Skb;
use crate::state::{self, State};
use core::marker::PhantomData;
use core::ptr::NonNull;
use kernel::error::to_result;
use kernel::ffi::c_void;
use kernel::prelude::*;
use kernel::str::CStr;

/// What is done with a packet at one tracepoint.
///
/// # Safety
///
/// The tracepoint's first argument is a packet, which nobody else has meanwhile; it has at most one
/// more. The kernel is under RCU there.
pub(super) unsafe trait Hook {
    const TRACEPOINT: &'static CStr;

    /// Softirq, or process context with bottom halves off. Under RCU.
    fn see(state: &State, skb: &mut Skb<'_>);
}

/// A hook that is attached.
///
/// # Invariants
///
/// `enter::<H>` is registered at `tracepoint`, which is the kernel's own and so never goes.
pub(super) struct Probe<H: Hook> {
    tracepoint: NonNull<c::tracepoint>,
    _hook: PhantomData<H>,
}

// SAFETY: A probe is only a registration, which any thread can end.
unsafe impl<H: Hook> Send for Probe<H> {}

impl<H: Hook> Probe<H> {
    /// Attaches it. `ENOENT`: the kernel has no such tracepoint. May sleep.
    fn new() -> Result<Self> {
        // SAFETY: The name ends with a NUL. Process context.
        let found = unsafe { c::vs_tracepoint(H::TRACEPOINT.as_ptr().cast()) };
        let tracepoint = NonNull::new(found).ok_or(ENOENT)?;
        // SAFETY: A function with the tracepoint's arguments: of a second one, which the calling
        // convention has in a register, it knows nothing.
        to_result(unsafe {
            c::tracepoint_probe_register(
                tracepoint.as_ptr(),
                enter::<H> as *mut c_void,
                core::ptr::null_mut(),
            )
        })?;
        // INVARIANT: It was just registered.
        Ok(Probe {
            tracepoint,
            _hook: PhantomData,
        })
    }
}

impl<H: Hook> Drop for Probe<H> {
    /// When this returns, it does not run any more. May sleep.
    fn drop(&mut self) {
        // SAFETY: It is registered, by the type invariant.
        unsafe {
            c::tracepoint_probe_unregister(
                self.tracepoint.as_ptr(),
                enter::<H> as *mut c_void,
                core::ptr::null_mut(),
            );
            c::vs_tracepoints_synchronize();
        }
    }
}

/// What the kernel calls.
///
/// # Safety
///
/// `skb` is the packet of the tracepoint.
unsafe extern "C" fn enter<H: Hook>(_data: *mut c_void, skb: *mut c::sk_buff) {
    let Some(skb) = NonNull::new(skb) else { return };
    // SAFETY: By the requirement of this function, and of `Hook`.
    let mut skb = unsafe { Skb::from_raw(skb) };
    // SAFETY: The kernel is under RCU at all tracepoints that a `Hook` names.
    unsafe { state::under_rcu(|state| H::see(state, &mut skb)) };
}

/// A new probe, if `on` says that there should be one and there is none.
pub(super) fn wanted<H: Hook>(present: &Option<Probe<H>>, on: bool) -> Result<Option<Probe<H>>> {
    match on && present.is_none() {
        true => Probe::new().map(Some),
        false => Ok(None),
    }
}

/// Puts a new probe into its place, or takes away the one that should not be.
pub(super) fn put<H: Hook>(place: &mut Option<Probe<H>>, new: Option<Probe<H>>, on: bool) {
    if !on || new.is_some() {
        *place = new;
    }
}
