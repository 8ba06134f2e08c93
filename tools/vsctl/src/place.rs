// SPDX-License-Identifier: MIT OR Apache-2.0
//! Processes and threads as descriptors: a pid can be another process's by the time it is used, a
//! pidfd cannot.

use std::os::fd::{FromRawFd, OwnedFd};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::libc;

use crate::failure::Failure;

/// A descriptor of a process.
pub fn process(pid: u32) -> Result<OwnedFd> {
    open(pid, 0).map_err(|errno| explain(pid, errno))
}

/// A descriptor of a thread.
pub fn thread(tid: u32) -> Result<OwnedFd> {
    open(tid, libc::PIDFD_THREAD).map_err(|errno| explain(tid, errno))
}

/// Tells whether an error says that the task has ended.
pub fn has_exited(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(Failure::Refused {
            errno: Errno::ESRCH,
            ..
        })
    )
}

fn open(pid: u32, flags: u32) -> nix::Result<OwnedFd> {
    // the kernel reports such a number as another error than that of a missing process
    if i32::try_from(pid).is_err() || pid == 0 {
        return Err(Errno::ESRCH);
    }
    // SAFETY: pidfd_open takes two numbers and touches no memory of ours.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, flags) })?;
    // SAFETY: the call succeeded, so this is a new descriptor without another owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn explain(pid: u32, errno: Errno) -> anyhow::Error {
    match errno {
        Errno::ESRCH => Failure::Refused {
            what: format!("task {pid}"),
            reason: crate::abi::VS_WHY_NO_TASK,
            errno,
        }
        .into(),
        Errno::EINVAL | Errno::ENOENT => Failure::Usage(format!(
            "{pid} is a thread, not a process\n  do: name its process, or use --thread to place \
             this thread only"
        ))
        .into(),
        errno => Err::<(), _>(errno)
            .with_context(|| format!("task {pid}"))
            .unwrap_err(),
    }
}
