// SPDX-License-Identifier: GPL-2.0

//! Gate hint: a task says by `/dev/vshint` which connection it serves, and when it is done. The
//! other gates cannot tell where threads are handed requests through memory, or run user-level
//! threads.
//!
//! Every process may open the device. A hint is believed only where a rule says so for the caller's
//! home, and names only a socket that the caller has.
//!
//! Context: process context. Nothing sleeps but the look-up of the descriptor.

use super::*;
use crate::shim::file::File;
use crate::shim::misc::Misc;
use kernel::bindings;
use kernel::ffi::{c_long, c_uint, c_ulong};
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};

/// Not 0: the gate is attached.
static ON: Atomic<i32> = Atomic::new(0);

/// Attaches the gate, or takes it off.
pub(crate) fn set(on: bool) {
    ON.store(on.into(), Relaxed);
}

/// Whether it is attached.
pub(crate) fn is_on() -> bool {
    ON.load(Relaxed) != 0
}

/// Makes the device appear, for everybody.
pub(crate) fn register(module: &'static ThisModule) -> impl PinInit<Misc, Error> {
    Misc::register(module, c"vshint", 0o666, ioctl)
}

/// Serves the calls of `uapi/vs_hint.h`. Returns whether the task works for another service than
/// its home from now on.
unsafe extern "C" fn ioctl(_: *mut bindings::file, request: c_uint, argument: c_ulong) -> c_long {
    let done = match request {
        c::VS_HINT_SERVES => serves(argument),
        c::VS_HINT_DONE if argument == 0 => Ok(says(|_, work| (None, work.waits(None)))),
        c::VS_HINT_DONE => Err(EINVAL),
        _ => Err(ENOTTY),
    };
    match done {
        Ok(works) => works.into(),
        Err(error) => error.to_errno() as c_long,
    }
}

/// The task serves the socket that it has open as `fd`: as if it had received something there.
fn serves(fd: c_ulong) -> Result<bool> {
    let fd = i32::try_from(fd).map_err(|_| EBADF)?;
    let file = File::open(fd).ok_or(EBADF)?;
    // 7.2's crate does not name it.
    let no_socket = Error::from_errno(-(bindings::ENOTSOCK as c_int));
    let sock = file.sock().ok_or(no_socket)?;
    Ok(says(|s, work| {
        let who = Who::of(work);
        let call = Use::of(Gate::Hint, Some(sock), Untold::Keep);
        let verdict = match count(s, Gate::Hint, who) {
            Some(wants) if sock.is_tagged_kind() => labelled(s, who, sock, call, Some(wants)),
            _ => Ok(Verdict::UNCHANGED),
        };
        // No rule gives the socket away, so that there is nothing to refuse.
        let verdict = verdict.unwrap_or(Verdict::UNCHANGED);
        let way = Way {
            object: sock.made_cookie(),
            serves: true,
            asked: false,
        };
        (verdict.rule, work.serves(way, verdict.to[0]))
    }))
}

/// Gives the task the work that `next` makes of what it has in hand, and says whether it has any
/// then. Not attached, it does nothing.
fn says(next: impl FnOnce(&State, Work) -> (Option<u32>, Work)) -> bool {
    if !is_on() {
        return false;
    }
    state::with(|s| {
        let tag = OwnTag::new(s);
        let work = tag.map_or(Work::at(VsId::ROOT), OwnTag::work);
        let (rule, next) = next(s, work);
        if next != work {
            let answer = worked(s, Gate::Hint, End::Hint, work, rule, next);
            // SAFETY: Task context.
            unsafe { c::vs_bind_current(answer, next.object()) };
            if let Some(tag) = OwnTag::new(s).filter(|_| next.is_told()) {
                tag.set_told();
            }
        } else if let Some(tag) = tag.filter(|_| work.is_any()) {
            tag.renew();
        }
        OwnTag::new(s).is_some_and(|tag| tag.work().is_any())
    })
}
