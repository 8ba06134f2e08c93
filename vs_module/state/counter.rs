// SPDX-License-Identifier: GPL-2.0

//! How many tasks and sockets a service and all below it hold, and how many they may.
//!
//! Each service has a [`Link`] to its parent, which counts what is held through it: by the service
//! itself and by all below. To take one, the link of each service on the way up is counted up, and
//! if one would exceed that service's limit all is undone. When a service moves to another parent
//! it gets a new link; when no reader uses the old one any more, what it counted is moved over as a
//! whole. So at any time each link's count is exact, but for a grace period after a move, during
//! which what was held before the move still counts for the old parent.

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

    /// The attribute that says what a call at the limit fails with.
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

    /// The statistic that counts calls refused for it.
    pub(crate) fn refused(self) -> Count {
        match self {
            Resource::Tasks => Count::RefusedTasks,
            Resource::Sockets => Count::RefusedSockets,
        }
    }
}

/// A service's place in the tree, and what is held through it.
///
/// # Invariants
///
/// `parent` is null for root only, else a service that lives longer than any reader of this link:
/// a service is not destroyed while it has children, and freed a grace period after.
pub(crate) struct Link {
    parent: *const Service,
    held: [Atomic<i64>; Resource::COUNT],
}

// SAFETY: `parent` is only followed under RCU, from any thread; the rest is atomic.
unsafe impl Send for Link {}
// SAFETY: See above.
unsafe impl Sync for Link {}

impl Link {
    /// Nothing is held.
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

    /// How many are held.
    pub(crate) fn held(&self, resource: Resource) -> i64 {
        self.held[resource as usize].load(Relaxed)
    }

    /// The parent; the reader is under RCU, or holds the mutex for changes.
    pub(crate) fn parent(&self) -> Option<&Service> {
        // SAFETY: By the type invariant, as `&self` shows that the caller may read it.
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

/// Levels on the longest way up: half of it may have been read before a move, half after.
const WAY: usize = 2 * (DEPTH_MAX + 1);

/// Takes one for `service`. Under RCU, any context.
///
/// At a limit nothing changes, the refusal is counted, and the error is the one that the service
/// whose limit it is says.
pub(crate) fn try_charge(service: &Service, resource: Resource) -> Result {
    // Links are remembered because a service that moves meanwhile would have another one. The ways
    // up before and after a change share no more than a point where one passes into the other:
    // changes are published from the top down, and each waits until the readers of the last left.
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
