// SPDX-License-Identifier: GPL-2.0

//! The rights that commands need.

use crate::logic::id::VsId;
use crate::shim::bindings as c;
use kernel::bindings;
use kernel::ffi::c_int;
use kernel::prelude::*;

/// The use that a command makes of what it names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// It only reads. The right to read the device is enough, so that an exporter need not be root.
    Ask,
    /// It changes something.
    Change,
}

/// The caller of a command, by the open device that it comes with.
#[derive(Clone, Copy)]
pub(crate) struct Caller {
    /// `f_mode` of the file: what it is open for.
    mode: u32,
}

impl Caller {
    /// # Safety
    ///
    /// `file` is valid: that of the system call under way.
    pub(crate) unsafe fn new(file: *const bindings::file) -> Self {
        // SAFETY: By the requirement of this function; the mode of an open file does not change.
        let mode = unsafe { (*file).f_mode };
        Caller { mode }
    }

    /// Whether the caller may do `access` to the service `_scope` and all below it: `EBADF` if the
    /// device is not open for it, `EPERM` if the caller lacks the capability.
    ///
    /// Every right is one to the whole tree today, so `_scope` is not looked at. A right to a
    /// subtree belongs here, and nowhere else. Process context.
    pub(crate) fn may(self, access: Access, _scope: VsId) -> Result {
        let open = match access {
            Access::Ask => c::FMODE_READ,
            Access::Change => c::FMODE_WRITE,
        };
        if self.mode & open == 0 {
            return Err(EBADF);
        }
        match access {
            Access::Ask => Ok(()),
            // SAFETY: Needs process context only.
            Access::Change if unsafe { bindings::capable(bindings::CAP_SYS_ADMIN as c_int) } => {
                Ok(())
            }
            Access::Change => Err(EPERM),
        }
    }
}
