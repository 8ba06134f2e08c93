// SPDX-License-Identifier: GPL-2.0

//! The order in which connections are accepted, where the administrator asked for one.

use super::*;
use crate::logic::attr::ORDER_SHARE;
use crate::logic::hierarchy::Attr;
use crate::logic::share::Turn;
use crate::shim::rcu::read_once;
use crate::state::share::{self, Now};
use kernel::sync::atomic::{Atomic, Full};

/// Connections that an accept looks at, the oldest first.
const LOOKED_AT: u32 = 256;
/// Services that are compared, of those to which these connections belong: the first ones.
const COMPARED: usize = 16;

/// The turns of listeners, by their cookies.
static TURNS: [Atomic<u64>; 256] = [const { Atomic::new(0) }; 256];

/// Whether this accept takes the oldest connection in any case.
fn takes_oldest(listener: Sock<'_>) -> bool {
    // Consecutive numbers: listeners that were made one after the other have turns of their own.
    let number = listener.made_cookie() as u32;
    let turns = &TURNS[number as usize % TURNS.len()];
    let old = read_once(turns);
    let (new, oldest) = Turn::from_raw(old).next(number);
    // An accept that another one has overtaken takes the oldest, so that turns count all others.
    turns.cmpxchg(old, new.raw(), Full).is_err() || oldest
}

/// The services to which waiting connections belong, in the order of the first of each.
struct Waiting<'a> {
    s: &'a State,
    services: [VsId; COMPARED],
    count: usize,
    /// The marks of requests that were seen, by the low bits of their service's id: most are like
    /// one before.
    marks: [(u32, u32); COMPARED],
    last: Option<VsId>,
}

/// The node of which a connection is to be put first.
struct Due<'a> {
    s: &'a State,
    node: VsId,
}

/// # Safety
///
/// `conn` is a request or a full socket, alive; `data` is a [`Waiting`], which nobody else uses.
unsafe extern "C" fn sees(conn: *mut c::sock, data: *mut c_void) -> bool {
    // SAFETY: By the requirement of this function.
    let (conn, waiting) = unsafe { (Sock::new(conn), &mut *data.cast::<Waiting<'_>>()) };
    let Some(conn) = conn else { return false };
    let marks = conn.secids();
    let seen = &mut waiting.marks[marks.0 as usize % COMPARED];
    // A socket that is no request has none.
    if marks != (0, 0) && marks == *seen {
        return false;
    }
    *seen = marks;
    let id = waiting.s.resolve(conn.owner(waiting.s));
    if waiting.last == Some(id) {
        return false;
    }
    waiting.last = Some(id);
    let known = waiting.services[..waiting.count].contains(&id);
    if let (false, Some(place)) = (known, waiting.services.get_mut(waiting.count)) {
        *place = id;
        waiting.count += 1;
    }
    false
}

/// # Safety
///
/// `conn` is a request or a full socket, alive; `data` is a [`Due`].
unsafe extern "C" fn is_due(conn: *mut c::sock, data: *mut c_void) -> bool {
    // SAFETY: By the requirement of this function.
    let (conn, due) = unsafe { (Sock::new(conn), &*data.cast_const().cast::<Due<'_>>()) };
    conn.is_some_and(|conn| due.s.service(conn.owner(due.s)).cpu_node() == due.node)
}

/// Puts a connection first that is of the node that has most of its share left. Not inlined: most
/// listeners have no order.
#[inline(never)]
fn order(s: &State, listener: Sock<'_>, served: VsId) {
    // SAFETY: The listener is in use by the call.
    if unsafe { c::vs_waiting(listener.as_ptr()) } < 2 || takes_oldest(listener) {
        return;
    }
    let mut waiting = Waiting {
        s,
        services: [VsId::ROOT; COMPARED],
        count: 0,
        marks: [(0, 0); COMPARED],
        last: None,
    };
    // SAFETY: The listener is in use by the call, in task context, and no lock is held. `sees` gets
    // what it requires.
    unsafe {
        c::vs_waiting_each(
            listener.as_ptr(),
            LOOKED_AT,
            Some(sees),
            (&raw mut waiting).cast(),
        )
    };
    let [first, others @ ..] = &waiting.services[..waiting.count] else {
        return;
    };
    let node = |id: VsId| s.service(id).cpu_node();
    let oldest = node(*first);
    if others.iter().all(|id| node(*id) == oldest) {
        return;
    }
    let now = Now::read();
    // The work for it has just ended, and was charged.
    share::look(s, s.service(served), now, true);
    share::look_around(s, now);
    for id in &waiting.services[..waiting.count] {
        share::look(s, s.service(*id), now, false);
    }
    let (mut due, mut way) = (oldest, share::path(s, oldest, now));
    for id in others {
        let id = node(*id);
        if id == due {
            continue;
        }
        if let (Some(first), Some(other)) = (&way, share::path(s, id, now)) {
            if other.is_due_before(first) {
                (due, way) = (id, Some(other));
            }
        }
    }
    if due != oldest {
        let mut due = Due { s, node: due };
        // SAFETY: As above; `is_due` gets what it requires.
        unsafe {
            c::vs_waiting_each(
                listener.as_ptr(),
                LOOKED_AT,
                Some(is_due),
                (&raw mut due).cast(),
            )
        };
    }
}

/// The caller is about to accept a connection, and has no work in hand any more; `served` is the
/// service that it has worked for last. Task context, no lock held.
///
/// # Safety
///
/// `socket` is valid and in use by the call.
#[no_mangle]
unsafe extern "C" fn vs_accept_order_body(socket: *const c::socket, who: u32, served: u32) {
    let home = Who::new(who).home;
    with(|s| {
        if s.service(home).attr(Attr::AcceptOrder) != ORDER_SHARE {
            return;
        }
        // SAFETY: By the requirement of this function.
        if let Some(listener) = unsafe { Sock::of(socket) } {
            order(s, listener, VsId::from_bits(served));
        }
    });
}
