// SPDX-License-Identifier: GPL-2.0

//! Functions of this module at tracepoints of the kernel.
//!
//! Unlike a BPF program a probe is never left out, and costs one call.
//!
//! C header: `include/linux/tracepoint.h`

use crate::shim::bindings as c;
use core::marker::PhantomData;
use core::ptr::NonNull;
use kernel::error::to_result;
use kernel::ffi::c_void;
use kernel::prelude::*;
use kernel::str::CStr;

/// A function at a tracepoint.
///
/// # Safety
///
/// [`enter`](Hook::enter) returns a function of the C calling convention. Its arguments are a
/// pointer without meaning and those of the tracepoint, of which it may leave out the last ones:
/// the convention passes them in registers.
pub(crate) unsafe trait Hook {
    const TRACEPOINT: &'static CStr;

    /// The address of the function, which is the same at each call.
    fn enter() -> *mut c_void;
}

/// A hook that is attached.
///
/// # Invariants
///
/// `H::enter()` is registered at `tracepoint`, which is the kernel's own and so never goes.
pub(crate) struct Probe<H: Hook> {
    tracepoint: NonNull<c::tracepoint>,
    _hook: PhantomData<H>,
}

// SAFETY: A probe is only a registration, and any thread can end it.
unsafe impl<H: Hook> Send for Probe<H> {}

impl<H: Hook> Probe<H> {
    /// Attaches the hook. `ENOENT`: the kernel has no such tracepoint. May sleep.
    fn new() -> Result<Self> {
        // SAFETY: The name ends with a NUL. Process context.
        let found = unsafe { c::vs_tracepoint(H::TRACEPOINT.as_ptr().cast()) };
        let tracepoint = NonNull::new(found).ok_or(ENOENT)?;
        // SAFETY: The trait's function fits the tracepoint; the module stays loaded until `drop`
        // has detached the function.
        to_result(unsafe {
            c::tracepoint_probe_register(tracepoint.as_ptr(), H::enter(), core::ptr::null_mut())
        })?;
        // INVARIANT: It was just registered.
        Ok(Probe {
            tracepoint,
            _hook: PhantomData,
        })
    }
}

impl<H: Hook> Drop for Probe<H> {
    /// Detaches the hook: when this returns, its function does not run any more. May sleep.
    fn drop(&mut self) {
        // SAFETY: It is registered, by the type invariant.
        unsafe {
            c::tracepoint_probe_unregister(
                self.tracepoint.as_ptr(),
                H::enter(),
                core::ptr::null_mut(),
            );
            c::vs_tracepoints_synchronize();
        }
    }
}

/// A new probe, if `on` is true and there is none yet.
pub(crate) fn wanted<H: Hook>(present: &Option<Probe<H>>, on: bool) -> Result<Option<Probe<H>>> {
    match on && present.is_none() {
        true => Probe::new().map(Some),
        false => Ok(None),
    }
}

/// Puts a new probe into its place, or detaches the present one if `on` is false.
pub(crate) fn put<H: Hook>(place: &mut Option<Probe<H>>, new: Option<Probe<H>>, on: bool) {
    if !on || new.is_some() {
        *place = new;
    }
}
