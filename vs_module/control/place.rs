// SPDX-License-Identifier: GPL-2.0

//! Placing: the administrator gives a task, or a socket, to a virtual service.
//!
//! A task's tag is BPF's to write, so vs.ko calls an empty function, `vs_place()`, to which
//! `core__place` is attached. If that program does not answer, no gates are attached and there are
//! no tags: the task cannot be placed. A socket's tag vs.ko writes itself; but it is BPF that sees
//! the socket's end, so without gates it is refused likewise (`vs_sockets_counted()`).

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

/// What `core__place` has answered: 0 or a negative errno, or [`SILENT`]. Whoever places does so
/// under the mutex for changes, so what is there after `vs_place()` is the answer to it.
static ANSWER: Atomic<i32> = Atomic::new(0);

/// No answer, and no errno.
const SILENT: i32 = 1;

/// See `kfuncs.h`.
#[no_mangle]
extern "C" fn vs_placed_body(error: c_int) {
    ANSWER.store(error, Relaxed);
}

/// Places the process that the pidfd `fd` of the caller stands for, or with `thread` that thread
/// alone: `id` becomes home and current VS. No limit refuses it. May sleep; under the mutex for
/// changes.
///
/// Each thread is first given a tag that says what it is, then each of these is written: without
/// memory for one of them none is placed.
///
/// A thread that is being created meanwhile by one that was not placed yet is placed as well,
/// unless it comes up only after the last one was: who wants to be sure places before threads are
/// made.
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
        // SAFETY: As above; a task has a leader.
        let mut next = unsafe { c::vs_group_leader(task) };
        while !next.is_null() {
            one(next, vs)?;
            // SAFETY: As above.
            next = unsafe { c::vs_next_thread(next) };
        }
    }
    Ok(())
}

/// Places one thread, which stays meanwhile.
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

/// Calls `f` with the socket that is open as `fd` of the caller. May sleep.
fn with_socket<R>(fd: i32, f: impl FnOnce(&State, Sock<'_>) -> R) -> Result<R, Why> {
    let file = File::open(fd).ok_or(Why::Fd)?;
    let sock = file.sock().filter(|sock| sock.is_tagged_kind());
    let sock = sock.ok_or(Why::Fd)?;
    Ok(state::with(|s| f(s, sock)))
}

/// The service that the socket open as `fd` of the caller belongs to. May sleep.
pub(crate) fn socket_of(fd: i32) -> Result<VsId, Failure> {
    Ok(with_socket(fd, |s, sock| s.resolve(sock.owner(s)))?)
}

/// Gives the socket that is open as `fd` of the caller to `id`. No limit refuses it. May sleep;
/// under the mutex for changes.
pub(crate) fn socket(fd: i32, id: VsId) -> Result<(), Failure> {
    // SAFETY: It may be called in any context.
    let counted = unsafe { c::vs_sockets_counted() } != 0;
    with_socket(fd, |s, sock| match counted {
        true => Ok(sock.force(s, id)?),
        false => Err(Why::NoGates.into()),
    })?
}
