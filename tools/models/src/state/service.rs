// SPDX-License-Identifier: MIT OR Apache-2.0

//! A service, with the parts that limits need. Links are never freed: whether readers have left
//! them is not tested here.

use crate::logic::hierarchy::{Attr, UNLIMITED};
use crate::rcu::Rcu;
use crate::state::counter::{transfer, Link, Resource};
use crate::state::stat::Count;
use shuttle::sync::atomic::{AtomicI64, AtomicPtr, Ordering};

pub(crate) struct Stats([AtomicI64; 4]);

impl Stats {
    pub(crate) fn add(&self, count: Count, value: u64) {
        self.0[count as usize].fetch_add(value as i64, Ordering::SeqCst);
    }

    pub(crate) fn get(&self, count: Count) -> i64 {
        self.0[count as usize].load(Ordering::SeqCst)
    }
}

pub(crate) struct Service {
    link: AtomicPtr<Link>,
    tasks_max: u32,
    stats: Stats,
}

fn new_link(parent: Option<&'static Service>) -> *mut Link {
    let parent = parent.map_or(core::ptr::null(), core::ptr::from_ref);
    // SAFETY: Services of a model are never freed.
    Box::into_raw(Box::new(unsafe { Link::new(parent) }))
}

impl Service {
    /// A service below `parent`, never freed; without one it is root.
    pub(crate) fn new(parent: Option<&'static Service>, tasks_max: u32) -> &'static Service {
        Box::leak(Box::new(Service {
            link: AtomicPtr::new(new_link(parent)),
            tasks_max,
            stats: Stats([const { AtomicI64::new(0) }; 4]),
        }))
    }

    pub(crate) fn link(&self) -> &Link {
        // SAFETY: Links of a model are never freed.
        unsafe { &*self.link.load(Ordering::SeqCst) }
    }

    pub(crate) fn limit(&self, resource: Resource) -> u32 {
        match resource {
            Resource::Tasks => self.tasks_max,
            Resource::Sockets => UNLIMITED,
        }
    }

    /// The errno of a refusal is the only attribute that the counters ask for.
    pub(crate) fn attr(&self, _: Attr) -> u32 {
        11
    }

    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }
}

/// Moves services below other parents in one change, as `Writer::relink` and `Writer::settle` do:
/// from the top down, and with one grace period for all.
pub(crate) fn relocate(rcu: &Rcu, moves: &[(&'static Service, &'static Service)]) {
    let links = moves
        .iter()
        .map(|(service, parent)| (*service, new_link(Some(*parent))))
        .collect::<Vec<_>>();
    let swap = |(service, link): (&'static Service, _)| {
        (service, service.link.swap(link, Ordering::SeqCst))
    };
    let old = links.into_iter().map(swap).collect::<Vec<_>>();
    rcu.synchronize();
    for (service, old) in old {
        // SAFETY: Links of a model are never freed.
        let old = unsafe { &*old };
        for resource in Resource::ALL {
            let held = old.held(resource);
            transfer(service, resource, held);
            if let Some(parent) = old.parent() {
                transfer(parent, resource, -held);
            }
        }
    }
}
