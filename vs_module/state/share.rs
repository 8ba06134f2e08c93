// SPDX-License-Identifier: GPL-2.0

//! What services have used of their CPU shares of late, for the order in which connections are
//! accepted.
//!
//! Nothing is kept for it while tasks run: an accept looks at the accounts of the services
//! concerned, and passes on what they have used since they were last looked at to their nodes and
//! the nodes above. What others use is found by looking at one more of all services each time.
//!
//! Context: any but NMI, under RCU. Lock-free.

use super::{State, CELLS};
use crate::logic::hierarchy::DEPTH_MAX;
use crate::logic::id::VsId;
use crate::logic::share::{spread, step, steps, Level, Path, Used};
use crate::shim::bindings as c;
use crate::shim::rcu::read_once;
use crate::state::service::{Service, WEIGHT};
use crate::state::stat::{Count, Stats};
use kernel::sync::atomic::{Atomic, Full, Relaxed};

/// A service's part in the use of its node, and what that node has used.
pub(crate) struct Share {
    /// Of its CPU account, what has been passed on to nodes.
    passed: Atomic<u64>,
    /// The time of that, as a [`Now`].
    at: Atomic<u64>,
    /// As a node: what the services have used that are scheduled as one with it. [`Used`].
    own: Atomic<u64>,
    /// As a node: what it and all nodes below it have used. [`Used`].
    all: Atomic<u64>,
}

/// The time, in ticks of the kernel.
#[derive(Clone, Copy)]
pub(crate) struct Now(u64);

impl Now {
    pub(crate) fn read() -> Self {
        // SAFETY: Any context.
        Now(unsafe { c::vs_jiffies() })
    }

    fn step(self) -> u32 {
        // SAFETY: Only computes.
        step(unsafe { c::vs_jiffies_to_ns(self.0) })
    }
}

impl Share {
    pub(crate) fn new() -> Self {
        Share {
            passed: Atomic::new(0),
            at: Atomic::new(Now::read().0),
            own: Atomic::new(0),
            all: Atomic::new(0),
        }
    }

    /// What `stats` say is about to be added to its account, and was not used just now. Under the
    /// mutex for changes.
    pub(crate) fn forgo(&self, stats: &Stats) {
        self.passed.fetch_add(stats.get(Count::Cpu), Full);
    }
}

/// Adds to a [`Used`].
fn add(to: &Atomic<u64>, step: u32, ns: u64) {
    let mut old = read_once(to);
    // Each failure is another's success.
    while let Err(now) = to.cmpxchg(old, Used::from_raw(old).plus(step, ns).raw(), Relaxed) {
        old = now;
    }
}

/// Passes on what a service has used since it was last looked at; does nothing if that was in this
/// tick, unless `anew`.
pub(crate) fn look(s: &State, service: &Service, now: Now, anew: bool) {
    let share = service.share();
    let at = read_once(&share.at);
    if at == now.0 && !anew {
        return;
    }
    share.at.store(now.0, Relaxed);
    let (total, passed) = (service.stats().get(Count::Cpu), read_once(&share.passed));
    // Another caller has seen more of it, or passes it on.
    if total <= passed || share.passed.cmpxchg(passed, total, Full).is_err() {
        return;
    }
    let step = now.step();
    let ns = spread(total - passed, steps(Now(at).step(), step));
    let mut node = s.service(service.cpu_node());
    add(&node.share().own, step, ns);
    // As many levels as a tree has, so that a change that is under way ends no walk late.
    for _ in 0..=DEPTH_MAX {
        add(&node.share().all, step, ns);
        match node.parent() {
            Some(parent) => node = s.service(parent.cpu_node()),
            None => break,
        }
    }
}

/// Ids that one call of [`look_around`] passes at most.
const IDS: u32 = 128;
/// The id at which the next call begins.
static NEXT: Atomic<u32> = Atomic::new(0);

/// Looks at one service more, of all, so that nodes know what others use.
pub(crate) fn look_around(s: &State, now: Now) {
    let begin = read_once(&NEXT);
    for n in 0..IDS {
        let id = VsId::from_bits(begin.wrapping_add(n));
        if !read_once(&CELLS[id.index()].service).is_null() {
            NEXT.store(begin.wrapping_add(n + 1), Relaxed);
            return look(s, s.service(id), now, false);
        }
    }
    NEXT.store(begin.wrapping_add(IDS), Relaxed);
}

/// The way of the services of the node `id` up to root. `None`: the tree is being changed.
pub(crate) fn path(s: &State, id: VsId, now: Now) -> Option<Path> {
    const OWN: u32 = 1 << VsId::BITS;
    let step = now.step();
    let mut node = s.service(id);
    let mut path = Path::new();
    path.push(Level {
        key: OWN | u32::from(node.id().get()),
        weight: match node.id().is_root() {
            true => node.cpu_weight(),
            false => WEIGHT,
        },
        used: Used::from_raw(read_once(&node.share().own)).at(step),
    });
    loop {
        let there = path.push(Level {
            key: node.id().get().into(),
            weight: node.cpu_weight(),
            used: Used::from_raw(read_once(&node.share().all)).at(step),
        });
        if !there {
            return None;
        }
        match node.parent() {
            Some(parent) => node = s.service(parent.cpu_node()),
            None => return Some(path),
        }
    }
}
