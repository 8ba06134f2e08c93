// SPDX-License-Identifier: GPL-2.0

//! A virtual service, as gates, scheduler and packet probes see it.
//!
//! The part that only the administrator asks for (name, priority, and so on) is in the tree, under
//! the mutex for changes. This is the part that hot paths need, computed beforehand, so that they
//! walk the tree only to take or give back things that are limited.

use crate::logic::hierarchy::{Attr, Effective};
use crate::logic::id::VsId;
use crate::logic::rule::Gate;
use crate::logic::work::End;
use crate::shim::rcu::{read_once, RcuBox};
use crate::state::counter::{Link, Resource};
use crate::state::share::Share;
use crate::state::stat::{Count, Stats};
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed, Release};

/// The weight of a node that has a cap but no weight of its own: that of the tasks beside it.
pub(crate) const WEIGHT: u32 = 100;

/// One virtual service. Read under RCU, in any context; written under the mutex for changes.
///
/// # Invariants
///
/// `link` is never null, and what it points to is this object's, readable under RCU.
pub(crate) struct Service {
    id: VsId,
    link: Atomic<*mut Link>,
    /// Effective values; for a limit the one to check at this level, [`UNLIMITED`] if it is shared.
    ///
    /// [`UNLIMITED`]: crate::logic::hierarchy::UNLIMITED
    attrs: [Atomic<u32>; Attr::COUNT],
    /// Bit n: attribute n is its own.
    detached: Atomic<u32>,
    /// The nearest service upwards, itself included, that the scheduler sees.
    node: Atomic<u32>,
    stats: Stats,
    share: Share,
}

impl Service {
    /// Makes a service below `parent`, without publishing it. May sleep.
    ///
    /// # Safety
    ///
    /// As [`Link`]'s invariant says of `parent`.
    pub(crate) unsafe fn new(id: VsId, parent: *const Service) -> Result<RcuBox<Service>> {
        let stats = Stats::new()?;
        // SAFETY: By the requirement of this function.
        let link = RcuBox::new(unsafe { Link::new(parent) })?;
        // INVARIANT: The link is given up to the service, which frees it.
        RcuBox::new(Service {
            id,
            link: Atomic::new(link.into_raw()),
            attrs: [const { Atomic::new(0) }; Attr::COUNT],
            detached: Atomic::new(0),
            node: Atomic::new(0),
            stats,
            share: Share::new(),
        })
    }

    pub(crate) fn id(&self) -> VsId {
        self.id
    }

    /// The effective value of an attribute.
    pub(crate) fn attr(&self, attr: Attr) -> u32 {
        read_once(&self.attrs[attr as usize])
    }

    /// Whether an attribute is its own.
    pub(crate) fn is_detached(&self, attr: Attr) -> bool {
        read_once(&self.detached) & attr.bit() != 0
    }

    /// The limit to be checked at this level.
    pub(crate) fn limit(&self, resource: Resource) -> u32 {
        let attr = resource.limit();
        if self.is_detached(attr) {
            self.attr(attr)
        } else {
            crate::logic::hierarchy::UNLIMITED
        }
    }

    /// The nearest service upwards, itself included, with a weight or a cap of its own: the node
    /// that the scheduler sees. Root if there is none.
    pub(crate) fn cpu_node(&self) -> VsId {
        VsId::new(self.node.load(Relaxed)).unwrap_or(VsId::ROOT)
    }

    /// The weight of its node beside its siblings.
    pub(crate) fn cpu_weight(&self) -> u32 {
        match self.is_detached(Attr::CpuWeight) || self.id.is_root() {
            true => self.attr(Attr::CpuWeight),
            false => WEIGHT,
        }
    }

    /// Its place in the tree.
    pub(crate) fn link(&self) -> &Link {
        // SAFETY: By the type invariant; `&self` shows that the caller is under RCU, or holds the
        // mutex.
        unsafe { &*read_once(&self.link) }
    }

    /// The service above; `None` for root.
    pub(crate) fn parent(&self) -> Option<&Service> {
        self.link().parent()
    }

    /// Replaces the link to its parent, and returns the old link, which readers may still use.
    /// Under the mutex.
    pub(crate) fn relink(&self, link: RcuBox<Link>) -> RcuBox<Link> {
        // INVARIANT: The service takes ownership of the new link, and gives up that of the old one.
        let old = self.link.xchg(link.into_raw(), kernel::sync::atomic::Full);
        // SAFETY: By the type invariant; the exchange took it.
        unsafe { RcuBox::from_raw(old) }
    }

    /// Publishes other attributes. Under the mutex; a reader may see some of them earlier than
    /// others, and the generation grows when all are written.
    pub(crate) fn show(&self, effective: &Effective) {
        for (place, value) in self.attrs.iter().zip(effective.attrs) {
            place.store(value, Relaxed);
        }
        self.node.store(u32::from(effective.node.get()), Relaxed);
        self.detached.store(effective.detached, Release);
    }

    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// What it has used of late.
    pub(crate) fn share(&self) -> &Share {
        &self.share
    }

    /// CPU time was spent for it. Any context, lock-free, like all of the following.
    pub(crate) fn charge_cpu(&self, ns: u64) {
        self.stats.add(Count::Cpu, ns);
    }

    /// One of its tasks came to this gate.
    pub(crate) fn hit(&self, gate: Gate) {
        self.stats.hit(gate);
    }

    /// A task began to work for it.
    pub(crate) fn rebound(&self) {
        self.stats.add(Count::Rebinds, 1);
    }

    /// Work for it has ended.
    pub(crate) fn ended(&self, end: End) {
        self.stats.ended(end);
    }

    /// A rule asked for the VS of an entity that had none, and a task at home here went home.
    pub(crate) fn unattributed(&self) {
        self.stats.add(Count::Unattributed, 1);
    }

    /// A packet came in, of this many bytes from the IP header on.
    pub(crate) fn packet_in(&self, bytes: u64) {
        self.stats.add(Count::PacketsIn, 1);
        self.stats.add(Count::BytesIn, bytes);
    }

    /// A packet went out, of this many bytes from the IP header on.
    pub(crate) fn packet_out(&self, bytes: u64) {
        self.stats.add(Count::PacketsOut, 1);
        self.stats.add(Count::BytesOut, bytes);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. The service itself is freed when no reader is left, and
        // its link is read through it.
        drop(unsafe { RcuBox::from_raw(self.link.load(Relaxed)) });
    }
}
