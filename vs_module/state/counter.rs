// SPDX-License-Identifier: GPL-2.0

//! The numbers of tasks and sockets that a service and all below it hold, and their limits.
//!
//! Each service has a [`Link`] to its parent, which counts the things held through it: by the
//! service itself and by all below. To take one thing, the link of each service on the way up is
//! incremented, and if one would exceed its service's limit all increments are undone. A service
//! that moves to another parent gets a new link; when no reader uses the old link any more, its
//! count is moved over as a whole. So each link's count is exact at any time, except for a grace
//! period after a move: then things that were held before the move still count for the old parent.

use crate::logic::hierarchy::{Attr, DEPTH_MAX, UNLIMITED};
use crate::state::service::Service;
use crate::state::stat::Count;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};

/// The resources that are limited.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    Tasks,
    Sockets,
}

impl Resource {
    pub(crate) const COUNT: usize = 2;
    pub(crate) const ALL: [Resource; Resource::COUNT] = [Resource::Tasks, Resource::Sockets];

    /// The attribute that limits it.
    pub(crate) fn limit(self) -> Attr {
        match self {
            Resource::Tasks => Attr::TasksMax,
            Resource::Sockets => Attr::SocketsMax,
        }
    }

    /// The attribute with the error of a call at the limit.
    fn errno(self) -> Attr {
        match self {
            Resource::Tasks => Attr::TasksErrno,
            Resource::Sockets => Attr::SocketsErrno,
        }
    }

    /// The statistic that counts it.
    pub(crate) fn count(self) -> Count {
        match self {
            Resource::Tasks => Count::Tasks,
            Resource::Sockets => Count::Sockets,
        }
    }

    /// The statistic that counts calls refused at its limit.
    pub(crate) fn refused(self) -> Count {
        match self {
            Resource::Tasks => Count::RefusedTasks,
            Resource::Sockets => Count::RefusedSockets,
        }
    }
}

/// A service's place in the tree, and the counts of things held through it.
///
/// # Invariants
///
/// `parent` is null for root only, else a service that lives longer than any reader of this link: a
/// service is not destroyed while it has children, and is freed a grace period after that.
pub(crate) struct Link {
    parent: *const Service,
    held: [Atomic<i64>; Resource::COUNT],
}

// SAFETY: `parent` is only followed under RCU, from any thread; the rest is atomic.
unsafe impl Send for Link {}
// SAFETY: Under RCU any thread may follow `parent`; the rest is atomic.
unsafe impl Sync for Link {}

impl Link {
    /// A link through which nothing is held.
    ///
    /// # Safety
    ///
    /// As the type's invariant says of `parent`.
    pub(crate) unsafe fn new(parent: *const Service) -> Self {
        // INVARIANT: By the requirement of this function.
        Link {
            parent,
            held: [const { Atomic::new(0) }; Resource::COUNT],
        }
    }

    /// The number held.
    pub(crate) fn held(&self, resource: Resource) -> i64 {
        self.held[resource as usize].load(Relaxed)
    }

    /// The parent; the reader is under RCU, or holds the mutex for changes.
    pub(crate) fn parent(&self) -> Option<&Service> {
        // SAFETY: By the type invariant; `&self` shows that the caller may read the link.
        unsafe { self.parent.as_ref() }
    }

    fn add(&self, resource: Resource, count: i64) -> i64 {
        self.held[resource as usize].fetch_add(count, Relaxed) + count
    }
}

/// Adds `count` to what `service` and all above it hold, limits or not. Under RCU, any context.
pub(crate) fn transfer(service: &Service, resource: Resource, count: i64) {
    let mut at = Some(service);
    while let Some(service) = at {
        let link = service.link();
        link.add(resource, count);
        at = link.parent();
    }
}

/// Levels on the longest way up: half of it may be read before a move, half after it.
const WAY: usize = 2 * (DEPTH_MAX + 1);

/// Takes one for `service`. Under RCU, any context.
///
/// At a limit nothing is taken, the refusal is counted, and the service with the limit determines
/// the error.
pub(crate) fn try_charge(service: &Service, resource: Resource) -> Result {
    // Links are remembered because a service that moves meanwhile has another link afterwards. A
    // reader may pass once from the way up before a change to the way up after it, and not back:
    // changes are published from the top down, and each waits until the readers of the last one
    // have left.
    let mut way: [Option<&Link>; WAY] = [None; WAY];
    let mut at = Some(service);
    for place in &mut way {
        let Some(above) = at else { break };
        let link = above.link();
        let held = link.add(resource, 1);
        *place = Some(link);
        let limit = above.limit(resource);
        if limit != UNLIMITED && held > i64::from(limit) {
            let errno = above.attr(resource.errno()) as i32;
            for link in way.iter().flatten() {
                link.add(resource, -1);
            }
            service.stats().add(resource.refused(), 1);
            return Err(Error::from_errno(-errno));
        }
        at = link.parent();
    }
    service.stats().add(resource.count(), 1);
    Ok(())
}

/// Takes one for `service`, limits or not. Under RCU, any context.
pub(crate) fn charge(service: &Service, resource: Resource) {
    transfer(service, resource, 1);
    service.stats().add(resource.count(), 1);
}

/// Gives one back. Under RCU, any context.
pub(crate) fn uncharge(service: &Service, resource: Resource) {
    transfer(service, resource, -1);
    service.stats().add(resource.count(), 1_u64.wrapping_neg());
}
