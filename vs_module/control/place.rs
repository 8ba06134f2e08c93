// SPDX-License-Identifier: GPL-2.0

//! Placing: the administrator gives a task, or a socket, to a virtual service.
//!
//! Only BPF programs write a task's tag, so vs.ko calls an empty function, `vs_place()`, to which
//! `core__place` is attached. If that program does not answer, no gates are attached and there are
//! no tags: the task cannot be placed. vs.ko writes a socket's tag itself, but BPF programs see the
//! socket's end, so without gates a socket cannot be placed either (`vs_sockets_counted()`).

use crate::control::abi::Failure;
use crate::logic::id::VsId;
use crate::logic::why::Why;
use crate::shim::bindings as c;
use crate::shim::file::File;
use crate::shim::sock::Sock;
use crate::state::{self, State};
use kernel::ffi::c_int;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};

/// The answer of `core__place`: 0 or a negative errno, or [`SILENT`]. Tasks are placed under the
/// mutex for changes, so the value after `vs_place()` is the answer to that call.
static ANSWER: Atomic<i32> = Atomic::new(0);

/// No answer has come. The value is no errno.
const SILENT: i32 = 1;

/// Body of `vs_placed()`, see `kfuncs.h`.
#[no_mangle]
extern "C" fn vs_placed_body(error: c_int) {
    ANSWER.store(error, Relaxed);
}

/// Places the process of the caller's pidfd `fd`, or with `thread` that thread alone: `id` becomes
/// home and current VS. No limit refuses it. May sleep; under the mutex for changes.
///
/// Each thread first gets a tag with its present home, then each tag is written: if there is no
/// memory for one of the tags, no thread is placed.
///
/// A new thread of a thread that is not placed yet is placed as well, unless it appears only after
/// the last one was placed. To be sure, place a process before it makes threads.
pub(crate) fn task(fd: i32, id: VsId, thread: bool) -> Result<(), Failure> {
    let file = File::open(fd).ok_or(Why::Fd)?;
    let pid = file.pid().ok_or(Why::Fd)?;
    let _rcu = kernel::sync::rcu::read_lock();
    // SAFETY: The file keeps the pid; the task stays under RCU.
    let task = unsafe { c::pid_task(pid, c::PIDTYPE_PID) };
    if task.is_null() {
        return Err(Why::NoTask.into());
    }
    let id = id.get().into();
    if thread {
        return one(task, id);
    }
    for vs in [c::VS_UNCHANGED, id] {
        // SAFETY: The task stays under RCU, and has a leader.
        let mut next = unsafe { c::vs_group_leader(task) };
        while !next.is_null() {
            one(next, vs)?;
            // SAFETY: The thread stays under RCU.
            next = unsafe { c::vs_next_thread(next) };
        }
    }
    Ok(())
}

/// Places one thread. The caller is under RCU, so the thread stays.
fn one(task: *mut c::task_struct, vs: u32) -> Result<(), Failure> {
    ANSWER.store(SILENT, Relaxed);
    // SAFETY: The caller is under RCU.
    unsafe { c::vs_place(task, vs) };
    match ANSWER.load(Relaxed) {
        0 => Ok(()),
        SILENT => Err(Why::NoGates.into()),
        error => Err(Error::from_errno(error).into()),
    }
}

/// Calls `f` with the socket that the caller has open as `fd`. May sleep.
fn with_socket<R>(fd: i32, f: impl FnOnce(&State, Sock<'_>) -> R) -> Result<R, Why> {
    let file = File::open(fd).ok_or(Why::Fd)?;
    let sock = file.sock().filter(|sock| sock.is_tagged_kind());
    let sock = sock.ok_or(Why::Fd)?;
    Ok(state::with(|s| f(s, sock)))
}

/// The service to which the socket that the caller has open as `fd` belongs. May sleep.
pub(crate) fn socket_of(fd: i32) -> Result<VsId, Failure> {
    Ok(with_socket(fd, |s, sock| s.resolve(sock.owner(s)))?)
}

/// Gives the socket that the caller has open as `fd` to `id`. No limit refuses it. May sleep; under
/// the mutex for changes.
pub(crate) fn socket(fd: i32, id: VsId) -> Result<(), Failure> {
    // SAFETY: `vs_sockets_counted()` may be called in any context.
    let counted = unsafe { c::vs_sockets_counted() } != 0;
    with_socket(fd, |s, sock| match counted {
        true => Ok(sock.force(s, id)?),
        false => Err(Why::NoGates.into()),
    })?
}
