// SPDX-License-Identifier: GPL-2.0

//! Memory that RCU readers access.
//!
//! The kernel crate has the read side only. This module needs little more: an object is made before
//! it is published, and freed a grace period after it was withdrawn, without a wait.

use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::ops::Deref;
use kernel::bindings;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, AtomicType};
use kernel::types::Opaque;

/// A heap object that readers under RCU may hold references to.
///
/// Dropping it frees it at once, which is right for an object that was never published;
/// [`retire`](Self::retire) frees it when no reader can have it any more.
pub(crate) struct RcuBox<T>(KBox<Inner<T>>);

#[repr(C)]
struct Inner<T> {
    value: T,
    head: UnsafeCell<Opaque<bindings::callback_head>>,
}

impl<T> RcuBox<T> {
    /// Makes an object. May sleep.
    pub(crate) fn new(value: T) -> Result<Self> {
        let inner = Inner {
            value,
            head: UnsafeCell::new(Opaque::uninit()),
        };
        Ok(RcuBox(KBox::new(inner, GFP_KERNEL)?))
    }

    /// Gives up ownership; [`from_raw`](Self::from_raw) takes it back.
    pub(crate) fn into_raw(self) -> *mut T {
        // `value` is the first field.
        KBox::into_raw(self.0).cast()
    }

    /// Takes ownership back.
    ///
    /// # Safety
    ///
    /// `raw` came from [`into_raw`](Self::into_raw), and ownership has not been taken since.
    pub(crate) unsafe fn from_raw(raw: *mut T) -> Self {
        // SAFETY: By the requirement of this function; `value` is the first field.
        RcuBox(unsafe { KBox::from_raw(raw.cast()) })
    }
}

/// `READ_ONCE()`. For a pointer it is `rcu_dereference()`: by the address dependency, the object
/// was written before the pointer can be seen here. `Atomic::load()` does the same by a call out of
/// line, which hot paths would feel.
pub(crate) fn read_once<T: AtomicType>(from: &Atomic<T>) -> T {
    // SAFETY: The reference is valid and aligned; a type with atomic operations is a word, which is
    // read in one piece.
    unsafe { from.as_ptr().read_volatile() }
}

impl<T: Send + 'static> RcuBox<T> {
    /// Frees the object when all readers that might have it are gone. Does not sleep.
    ///
    /// The object is dropped in softirq context, so its drop must not sleep. The module waits for
    /// all such drops before it goes, see [`barrier`].
    pub(crate) fn retire(self) {
        let inner = KBox::into_raw(self.0);
        // SAFETY: `inner` was just given up by its box, so no other code frees it, and the head is
        // used once.
        unsafe { bindings::call_rcu(Opaque::cast_into((*inner).head.get()), Some(free::<T>)) };
    }
}

impl<T> Deref for RcuBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

/// # Safety
///
/// `head` lies in an `Inner<T>` that is owned by this callback.
unsafe extern "C" fn free<T>(head: *mut bindings::callback_head) {
    // SAFETY: By the requirement of this function.
    let inner = unsafe { head.byte_sub(offset_of!(Inner<T>, head)) };
    // SAFETY: `retire` gave it up from its box.
    drop(unsafe { KBox::from_raw(inner.cast::<Inner<T>>()) });
}

/// Waits until all readers that are under way have left. Sleeps.
pub(crate) fn synchronize() {
    // SAFETY: Only needs a context that may sleep.
    unsafe { bindings::synchronize_rcu() };
}

/// Waits until all retired objects have been freed. Sleeps.
pub(crate) fn barrier() {
    // SAFETY: Only needs a context that may sleep.
    unsafe { bindings::rcu_barrier() };
}
