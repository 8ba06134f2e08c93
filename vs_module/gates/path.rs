// SPDX-License-Identifier: GPL-2.0

//! Paths of programs and cgroups, in the form that rules compare.
//!
//! A path is printed only if a rule asks for it. A rule's path is shorter than `VS_PATH_LEN`, but
//! it can name a directory, and what lies below has any length: a path that the small buffer does
//! not hold is printed into a page that is allocated for it. A path longer than the kernel's own
//! calls give (`PATH_MAX`), or without memory for that page, counts as none: no rule matches it.

use crate::shim::bindings as c;
use kernel::alloc::flags::{GFP_ATOMIC, __GFP_NOWARN};
use kernel::alloc::KVec;
use kernel::ffi::{c_char, c_int};

/// Room for a path.
pub(crate) struct Buffer {
    short: [u8; c::VS_PATH_LEN as usize],
    long: KVec<u8>,
}

impl Buffer {
    pub(crate) const fn new() -> Self {
        Buffer {
            short: [0; c::VS_PATH_LEN as usize],
            long: KVec::new(),
        }
    }

    /// The path that `print` writes into a buffer, up to its NUL. `print` returns where the path
    /// begins; `None`: the buffer is too small.
    fn filled(&mut self, print: impl Fn(&mut [u8]) -> Option<usize>) -> Option<&[u8]> {
        let (bytes, start) = match print(&mut self.short) {
            Some(start) => (&self.short[..], start),
            None => {
                self.long =
                    KVec::from_elem(0, c::PATH_MAX as usize, GFP_ATOMIC | __GFP_NOWARN).ok()?;
                let start = print(&mut self.long)?;
                (&self.long[..], start)
            }
        };
        terminated(bytes.get(start..)?)
    }
}

/// The path of the file that `bprm` executes: the path that `/proc/PID/exe` shows, for a script
/// that of its interpreter. May take spinlocks of the dcache, of mounts and of PID 1.
///
/// `None` if the path that the task sees is not the host's: in a user namespace any user may mount
/// anything anywhere, or change their root; a container has files of its own; and a file can be
/// reached by a descriptor whose path leads through the mounts of another task.
///
/// # Safety
///
/// `bprm` belongs to an exec of the running task that is under way. The caller is under RCU.
pub(crate) unsafe fn program(bprm: *const c::linux_binprm, buffer: &mut Buffer) -> Option<&[u8]> {
    // SAFETY: `bprm` holds a reference to its file, and the file one to its path.
    let path = unsafe { &raw const (*(*bprm).file).__bindgen_anon_1.f_path };
    // SAFETY: `path` is valid, and the caller is under RCU.
    if !unsafe { c::vs_current_sees_as_host(path) } {
        return None;
    }
    buffer.filled(|bytes| {
        // SAFETY: `path` is valid; the buffer has the length that is passed; the caller is under
        // RCU.
        let printed = unsafe {
            c::d_path(
                path,
                bytes.as_mut_ptr().cast::<c_char>(),
                bytes.len() as c_int,
            )
        };
        // The pointer is into the end of the buffer, or carries an error.
        let start = (printed as usize).checked_sub(bytes.as_ptr() as usize)?;
        (start < bytes.len()).then_some(start)
    })
}

/// The path of the running task's cgroup below the root of cgroup2. The caller is under RCU.
pub(crate) fn cgroup(buffer: &mut Buffer) -> Option<&[u8]> {
    buffer.filled(|bytes| {
        // SAFETY: The buffer has the length that is passed; the caller is under RCU.
        let len =
            unsafe { c::vs_current_cgroup_path(bytes.as_mut_ptr().cast::<c_char>(), bytes.len()) };
        // The length that the path has or would have, or an error.
        usize::try_from(len)
            .is_ok_and(|len| len < bytes.len())
            .then_some(0)
    })
}

fn terminated(bytes: &[u8]) -> Option<&[u8]> {
    bytes
        .iter()
        .position(|&byte| byte == 0)
        .map(|end| &bytes[..end])
}
