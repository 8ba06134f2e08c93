// SPDX-License-Identifier: GPL-2.0

//! A character device whose only operation is ioctl(2).
//!
//! It is registered by hand: the kernel crate's registration leaves `owner` empty, so that the
//! module could go while the device is open, and has no mode.

use core::ffi::CStr;
use kernel::bindings;
use kernel::error::to_result;
use kernel::ffi::{c_int, c_long, c_uint, c_ulong};
use kernel::prelude::*;
use kernel::types::Opaque;
use pin_init::Zeroable;

/// Serves ioctl(2): the file, the request, its argument; returns the call's result, or a negative
/// errno. Called in process context, may sleep.
pub(crate) type Ioctl = unsafe extern "C" fn(*mut bindings::file, c_uint, c_ulong) -> c_long;

/// The device, while it is registered.
///
/// # Invariants
///
/// `misc` is registered, and its name and operations live as long as it.
#[pin_data(PinnedDrop)]
pub(crate) struct Misc {
    operations: bindings::file_operations,
    #[pin]
    misc: Opaque<bindings::miscdevice>,
}

// SAFETY: Registering and deregistering can be done by any thread; in between only C uses it.
unsafe impl Send for Misc {}
// SAFETY: Any thread may register and deregister it; in between only C uses it.
unsafe impl Sync for Misc {}

impl Misc {
    /// Makes `/dev/NAME` appear, with the permissions `mode`. From then on calls come.
    pub(crate) fn register(
        module: &'static ThisModule,
        name: &'static CStr,
        mode: u16,
        ioctl: Ioctl,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(&this in Self {
            operations: bindings::file_operations {
                owner: module.as_ptr(),
                unlocked_ioctl: Some(ioctl),
                compat_ioctl: bindings::compat_ptr_ioctl,
                ..Zeroable::zeroed()
            },
            misc <- Opaque::try_ffi_init(move |misc: *mut bindings::miscdevice| {
                // SAFETY: `this` is pinned, so that the operations stay where they are for as long
                // as the device is registered, and `misc` can be written to.
                unsafe {
                    misc.write(bindings::miscdevice {
                        minor: bindings::MISC_DYNAMIC_MINOR as c_int,
                        name: name.as_ptr().cast(),
                        fops: &raw const (*this.as_ptr()).operations,
                        mode,
                        ..Zeroable::zeroed()
                    })
                };
                // INVARIANT: Registered, or there is no object.
                // SAFETY: It was just written.
                to_result(unsafe { bindings::misc_register(misc) })
            }),
        }? Error)
    }
}

#[pinned_drop]
impl PinnedDrop for Misc {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant.
        unsafe { bindings::misc_deregister(self.misc.get()) };
    }
}
