// SPDX-License-Identifier: GPL-2.0

//! Paths, as rules compare them: of a program, of a cgroup.
//!
//! They are worked out only where a rule asks for them, into a buffer of the caller's. A path that
//! is longer than any rule's can be (`VS_PATH_LEN`) is as good as none: no rule matches it.

use crate::shim::bindings as c;
use kernel::ffi::{c_char, c_int};

/// Room for the longest path that a rule can name, with its NUL.
pub(crate) type Buffer = [u8; c::VS_PATH_LEN as usize];

pub(crate) const EMPTY: Buffer = [0; c::VS_PATH_LEN as usize];

/// The path of the file that `bprm` has been given: what `/proc/PID/exe` shows, of a script its
/// interpreter. May take spinlocks of the dcache, of mounts and of PID 1.
///
/// `None` where the path that the task sees is not the host's: in a user namespace anybody may
/// mount what he likes where he likes, or change his root; a container has files of its own; and a
/// file can be reached by a descriptor whose path leads through another's mounts.
///
/// # Safety
///
/// `bprm` is that of an exec under way, by the running task. The caller is under RCU.
pub(crate) unsafe fn program(bprm: *const c::linux_binprm, buffer: &mut Buffer) -> Option<&[u8]> {
    let len = buffer.len() as c_int;
    // SAFETY: `bprm` holds a reference to its file, that one to its path; the buffer is `len` long;
    // the caller is under RCU.
    let path = unsafe {
        let path = &raw const (*(*bprm).file).__bindgen_anon_1.f_path;
        if !c::vs_current_sees_as_host(path) {
            return None;
        }
        c::d_path(path, buffer.as_mut_ptr().cast::<c_char>(), len)
    };
    // It is the end of the buffer, or an error in the pointer.
    let start = (path as usize).checked_sub(buffer.as_ptr() as usize)?;
    terminated(buffer.get(start..)?)
}

/// The path of the running task's cgroup below the root of cgroup2. The caller is under RCU.
pub(crate) fn cgroup(buffer: &mut Buffer) -> Option<&[u8]> {
    // SAFETY: The buffer is as long as said; the caller is under RCU.
    let len =
        unsafe { c::vs_current_cgroup_path(buffer.as_mut_ptr().cast::<c_char>(), buffer.len()) };
    // The length that it has, or would have; or an error.
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
