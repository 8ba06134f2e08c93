// SPDX-License-Identifier: GPL-2.0

//! Paths of programs and cgroups, in the form that rules compare.
//!
//! A path is printed only if a rule asks for it, into a buffer of the caller. A path that is longer
//! than a rule's path can be (`VS_PATH_LEN`) counts as none: no rule matches it.

use crate::shim::bindings as c;
use kernel::ffi::{c_char, c_int};

/// Room for the longest path that a rule can name, with its NUL.
pub(crate) type Buffer = [u8; c::VS_PATH_LEN as usize];

pub(crate) const EMPTY: Buffer = [0; c::VS_PATH_LEN as usize];

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
    let len = buffer.len() as c_int;
    // SAFETY: `bprm` holds a reference to its file, and the file one to its path; the buffer is
    // `len` long; the caller is under RCU.
    let path = unsafe {
        let path = &raw const (*(*bprm).file).__bindgen_anon_1.f_path;
        if !c::vs_current_sees_as_host(path) {
            return None;
        }
        c::d_path(path, buffer.as_mut_ptr().cast::<c_char>(), len)
    };
    // The pointer is into the end of the buffer, or carries an error.
    let start = (path as usize).checked_sub(buffer.as_ptr() as usize)?;
    terminated(buffer.get(start..)?)
}

/// The path of the running task's cgroup below the root of cgroup2. The caller is under RCU.
pub(crate) fn cgroup(buffer: &mut Buffer) -> Option<&[u8]> {
    // SAFETY: The buffer has the length that is passed; the caller is under RCU.
    let len =
        unsafe { c::vs_current_cgroup_path(buffer.as_mut_ptr().cast::<c_char>(), buffer.len()) };
    // The length that the path has or would have, or an error.
    if usize::try_from(len).ok()? < buffer.len() {
        terminated(buffer)
    } else {
        None
    }
}

fn terminated(bytes: &[u8]) -> Option<&[u8]> {
    bytes
        .iter()
        .position(|&byte| byte == 0)
        .map(|end| &bytes[..end])
}
