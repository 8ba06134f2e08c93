// SPDX-License-Identifier: GPL-2.0

//! The hooks in every network namespace: those there are, and those to come.
//!
//! C header: `include/net/net_namespace.h`

use super::hooks::OPS;
use crate::shim::bindings as c;
use core::marker::PhantomData;
use core::ptr::NonNull;
use kernel::error::{from_result, to_result};
use kernel::ffi;
use kernel::prelude::*;
use kernel::types::Opaque;

/// A network namespace.
///
/// # Invariants
///
/// `raw` points to a `struct net` that is alive for `'a`.
pub(crate) struct Net<'a> {
    raw: NonNull<c::net>,
    _net: PhantomData<&'a c::net>,
}

impl Net<'_> {
    /// # Safety
    ///
    /// As the type's invariant says of `raw`.
    pub(super) unsafe fn from_raw(raw: NonNull<c::net>) -> Self {
        // INVARIANT: By the requirement of this function.
        Net {
            raw,
            _net: PhantomData,
        }
    }

    pub(super) fn as_ptr(&self) -> *mut c::net {
        self.raw.as_ptr()
    }

    /// Registers all hooks or none. May sleep.
    fn hook(&self) -> Result {
        // SAFETY: By the type invariant; the operations are static and never change.
        to_result(unsafe { c::nf_register_net_hooks(self.raw.as_ptr(), OPS.as_ptr(), OPS.len()) })
    }

    /// Takes them away. They may still be running when this returns. May sleep.
    fn unhook(&self) {
        // SAFETY: By the type invariant. Called once for each `hook` that succeeded.
        unsafe { c::nf_unregister_net_hooks(self.raw.as_ptr(), OPS.as_ptr(), OPS.len()) };
    }
}

/// # Safety
///
/// `net` is a network namespace that is being set up, or given to a subsystem just registered.
unsafe extern "C" fn begin(net: *mut c::net) -> ffi::c_int {
    from_result(|| {
        let net = NonNull::new(net).ok_or(EINVAL)?;
        // SAFETY: By the requirement of this function.
        unsafe { Net::from_raw(net) }.hook()?;
        Ok(0)
    })
}

/// # Safety
///
/// `net` is a network namespace for which `begin` succeeded.
unsafe extern "C" fn end(net: *mut c::net) {
    if let Some(net) = NonNull::new(net) {
        // SAFETY: By the requirement of this function.
        unsafe { Net::from_raw(net) }.unhook();
    }
}

/// What the kernel calls as network namespaces come and go.
pub(super) struct Subsystem(Opaque<c::pernet_operations>);

// SAFETY: Only the kernel looks into it, under its own lock.
unsafe impl Sync for Subsystem {}

impl Subsystem {
    pub(super) const fn new() -> Self {
        Subsystem(Opaque::new(c::pernet_operations {
            init: Some(begin),
            // Not `exit`: a grace period has to lie between this and the namespace's end.
            pre_exit: Some(end),
            ..pin_init::zeroed()
        }))
    }

    /// Hooks all namespaces, or none. May sleep.
    ///
    /// # Safety
    ///
    /// It is not registered, and the caller sees to it that one such call at a time is under way.
    pub(super) unsafe fn register(&'static self) -> Result {
        // SAFETY: By the requirement of this function; it is static.
        to_result(unsafe { c::register_pernet_subsys(self.0.get()) })
    }

    /// Unhooks them all. When this returns no hook runs any more. May sleep.
    ///
    /// # Safety
    ///
    /// It is registered, and the caller sees to it that one such call at a time is under way.
    pub(super) unsafe fn unregister(&'static self) {
        // SAFETY: By the requirement of this function.
        //
        // A grace period passes in there after `pre_exit`, and hooks run under RCU.
        unsafe { c::unregister_pernet_subsys(self.0.get()) };
    }
}
