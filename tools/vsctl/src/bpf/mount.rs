// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes BPF file systems that are mounted nowhere yet, and mounts them as a whole, by system calls
//! that nix does not have.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;
use nix::libc::{self, c_long};

// linux/mount.h
const FSOPEN_CLOEXEC: u32 = 1;
const FSMOUNT_CLOEXEC: u32 = 1;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 0x4;
const MOVE_MOUNT_BENEATH: u32 = 0x200;

fn descriptor(result: c_long) -> nix::Result<OwnedFd> {
    let fd = Errno::result(result)?;
    // SAFETY: the call succeeded, so this is a new descriptor without another owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// A new BPF file system, accessible to root alone. Unless it is mounted, it ends with the
/// descriptor, and its pins with it.
pub fn detached() -> nix::Result<OwnedFd> {
    // SAFETY: fsopen reads a string up to its NUL; this one is a literal.
    let opened = unsafe { libc::syscall(libc::SYS_fsopen, c"bpf".as_ptr(), FSOPEN_CLOEXEC) };
    let context = descriptor(opened)?;
    let configure = |command: u32, key: *const libc::c_char, value: *const libc::c_char| {
        // SAFETY: fsconfig reads two strings with their NUL, or, for a command that takes none, two
        // null pointers.
        Errno::result(unsafe {
            libc::syscall(
                libc::SYS_fsconfig,
                context.as_raw_fd(),
                command,
                key,
                value,
                0,
            )
        })
    };
    configure(FSCONFIG_SET_STRING, c"mode".as_ptr(), c"700".as_ptr())?;
    configure(FSCONFIG_CMD_CREATE, ptr::null(), ptr::null())?;
    // SAFETY: fsmount takes numbers only.
    descriptor(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, 0) })
}

/// Mounts a file system at `target`: on top of what is mounted there, or beneath it.
pub fn attach(detached: &OwnedFd, target: &CStr, beneath: bool) -> nix::Result<()> {
    let flags = MOVE_MOUNT_F_EMPTY_PATH | if beneath { MOVE_MOUNT_BENEATH } else { 0 };
    let (from, to) = (detached.as_raw_fd(), libc::AT_FDCWD);
    // SAFETY: move_mount reads two strings with their NUL.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            from,
            c"".as_ptr(),
            to,
            target.as_ptr(),
            flags,
        )
    })
    .map(drop)
}

/// How many file systems are mounted at `target`, one over the other.
pub fn layers(target: &CStr) -> io::Result<usize> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(mounts
        .lines()
        .filter(|line| {
            line.split(' ')
                .nth(4)
                .is_some_and(|at| at.as_bytes() == target.to_bytes())
        })
        .count())
}
