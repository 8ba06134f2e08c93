// SPDX-License-Identifier: GPL-2.0

//! Files that a caller names by a descriptor.

use crate::shim::bindings as c;
use crate::shim::sock::Sock;
use core::ptr::NonNull;

/// An open file of the caller's.
///
/// # Invariants
///
/// Holds a reference to the file.
pub(crate) struct File(NonNull<c::file>);

impl File {
    /// `None`: the caller has no such descriptor. May sleep.
    pub(crate) fn open(fd: i32) -> Option<Self> {
        let fd = u32::try_from(fd).ok()?;
        // SAFETY: Any number will do.
        let file = unsafe { c::fget(fd) };
        // INVARIANT: fget() took the reference.
        NonNull::new(file).map(File)
    }

    /// The process or thread that it stands for, if it is a pidfd.
    pub(crate) fn pid(&self) -> Option<*mut c::pid> {
        // SAFETY: An open file has an inode, and that one a file system.
        unsafe {
            let inode = (*self.0.as_ptr()).f_inode;
            ((*(*inode).i_sb).s_magic == c::PID_FS_MAGIC as usize)
                .then(|| (*inode).i_private.cast())
        }
    }

    /// The socket that it is, if it is one.
    pub(crate) fn sock(&self) -> Option<Sock<'_>> {
        // SAFETY: The file is open.
        let socket = unsafe { c::sock_from_file(self.0.as_ptr()) };
        // SAFETY: An open file keeps its socket.
        (!socket.is_null()).then(|| unsafe { Sock::of(socket) })?
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { c::fput(self.0.as_ptr()) };
    }
}
