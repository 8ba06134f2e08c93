// SPDX-License-Identifier: GPL-2.0

//! The writing side of the state: it publishes and withdraws services and rules.

use super::*;
use crate::logic::hierarchy::Effective;
use crate::logic::id::IdTurn;
use crate::shim::rcu;
use crate::state::counter::Link;

/// The right to change the state. It lies under the mutex for changes.
///
/// # Invariants
///
/// At most one exists.
pub(crate) struct Writer {
    /// The number of cells that forward to another id's service.
    forwards: usize,
}

/// A service that was given another parent, and its link to the old one.
pub(crate) struct Moved {
    id: VsId,
    old: RcuBox<Link>,
}

impl Writer {
    /// Begins with root, no rules, and every id in its `first` generation. May sleep.
    ///
    /// # Safety
    ///
    /// There is no other writer, and there are no readers of the state yet.
    pub(crate) unsafe fn new(root: &Effective, first: Generation) -> Result<Writer> {
        let rules = RcuBox::new(Classifier::new())?;
        // SAFETY: Root has no parent.
        let service = unsafe { Service::new(VsId::ROOT, core::ptr::null()) }?;
        CLASSIFIER.store(rules.into_raw(), Release);
        for cell in &CELLS {
            cell.generation.store(first.get(), Relaxed);
        }
        // INVARIANT: By the requirement of this function.
        let mut writer = Writer { forwards: 0 };
        writer.open(service, root);
        Ok(writer)
    }

    /// The service of this id; `None`: no service has it, or it forwards to another id's.
    pub(crate) fn service(&self, id: VsId) -> Option<&Service> {
        // SAFETY: By the invariant of the cell. Only this writer frees services, and it must be
        // borrowed mutably for that.
        unsafe { self.pointer(id).as_ref() }.filter(|service| service.id() == id)
    }

    /// The service that the cell points to.
    pub(crate) fn pointer(&self, id: VsId) -> *const Service {
        CELLS[id.index()].service.load(Relaxed)
    }

    /// Whether `id` can be given to a new service now.
    pub(crate) fn is_free(&self, id: VsId) -> bool {
        let cell = &CELLS[id.index()];
        let tags = cell.tags.load(Relaxed);
        self.service(id).is_none()
            && (tags == 0 || tags == CLOSED)
            && cell.generation().next().is_some()
    }

    /// Chooses and claims an id for a new service. `None`: all are in use.
    pub(crate) fn choose(
        &mut self,
        turn: &mut IdTurn,
        taken: impl Fn(VsId) -> bool,
    ) -> Option<VsId> {
        turn.next(|id| !taken(id) && self.claim(id))
    }

    /// Makes sure that no tag can name a free `id` before it is given to a new service. `false`:
    /// some tag does. An id that forwarded stands for root from here on.
    pub(crate) fn claim(&mut self, id: VsId) -> bool {
        if !self.is_free(id) {
            return false;
        }
        let cell = &CELLS[id.index()];
        if cell.tags.load(Relaxed) != CLOSED && !self.close(id) {
            return false;
        }
        let forward = cell.service.xchg(core::ptr::null_mut(), Full);
        self.forwards -= usize::from(!forward.is_null());
        true
    }

    /// Publishes a service, whose id was claimed.
    pub(crate) fn open(&mut self, service: RcuBox<Service>, effective: &Effective) {
        service.show(effective);
        let cell = &CELLS[service.id().index()];
        // The generation is written before the service can be found: see `State::believe`. `claim`
        // has refused an id that is spent.
        if let Some(next) = cell.generation().next() {
            cell.generation.store(next.get(), Release);
        }
        // INVARIANT: The cell of its own id owns it.
        cell.service.store(service.into_raw(), Release);
        cell.tags.store(0, Release);
    }

    /// Whether tags carry `id`, or another id that forwards to it.
    pub(crate) fn is_held(&self, id: VsId) -> bool {
        self.names(id).any(|name| CELLS[name.index()].is_held())
    }

    /// Closes `id`, and the ids that forward to it, so that no tag can name them any more. `false`:
    /// some tag does, and nothing has changed.
    pub(crate) fn shut(&mut self, id: VsId) -> bool {
        let busy = self.names(id).find(|name| !self.close(*name));
        if let Some(busy) = busy {
            for name in self.names(id).take_while(|name| *name != busy) {
                self.reopen(name);
            }
        }
        busy.is_none()
    }

    /// Undoes [`shut`](Self::shut).
    pub(crate) fn unshut(&mut self, id: VsId) {
        for name in self.names(id) {
            self.reopen(name);
        }
    }

    fn close(&self, id: VsId) -> bool {
        CELLS[id.index()].tags.cmpxchg(0, CLOSED, Full).is_ok()
    }

    fn reopen(&self, id: VsId) {
        CELLS[id.index()].tags.store(0, Release);
    }

    /// The ids that lead to the service of `id`: itself, and those that forward to it.
    fn names(&self, id: VsId) -> impl Iterator<Item = VsId> {
        let service = self.pointer(id);
        let (first, count) = match self.forwards {
            0 => (id.index(), 1),
            _ => (0, VsId::COUNT),
        };
        VsId::all()
            .skip(first)
            .take(count)
            .filter(move |name| CELLS[name.index()].service.load(Relaxed).cast_const() == service)
    }

    /// Withdraws a service that was shut. Its id stands for root from here on.
    pub(crate) fn withdraw(&mut self, id: VsId) {
        for name in self.names(id).filter(|name| *name != id) {
            CELLS[name.index()]
                .service
                .store(core::ptr::null_mut(), Release);
            self.forwards -= 1;
        }
        if let Some(service) = self.take(id, core::ptr::null_mut()) {
            service.retire();
        }
    }

    /// Makes all ids that lead to `from` lead to `to`, to which it adds the holdings and counts of
    /// `from`. Sleeps for a grace period.
    pub(crate) fn forward(&mut self, from: VsId, to: VsId) {
        let target = self.pointer(to).cast_mut();
        for name in self.names(from).filter(|name| *name != from) {
            CELLS[name.index()].service.store(target, Release);
        }
        let Some(old) = self.take(from, target) else {
            return;
        };
        self.forwards += 1;
        // Readers may still count on the old service; when they have left, its counts are final.
        rcu::synchronize();
        if let (Some(new), Some(parent)) = (self.service(to), old.parent()) {
            for resource in Resource::ALL {
                let held = old.link().held(resource);
                counter::transfer(parent, resource, -held);
                counter::transfer(new, resource, held);
            }
            new.share().forgo(old.stats());
            new.stats().take_over(old.stats());
        }
    }

    /// Takes a service out of its cell, and puts `instead` there.
    fn take(&mut self, id: VsId, instead: *mut Service) -> Option<RcuBox<Service>> {
        self.service(id)?;
        let service = CELLS[id.index()].service.xchg(instead, Full);
        // SAFETY: The cell of its own id owned the service, and owns it no more.
        Some(unsafe { RcuBox::from_raw(service) })
    }

    /// Publishes other attributes of a service.
    pub(crate) fn show(&mut self, id: VsId, effective: &Effective) {
        if let Some(service) = self.service(id) {
            service.show(effective);
        }
    }

    /// Puts a service below the parent that `link` leads to. If one change moves several services,
    /// call this from the top down, so that no way up is ever a circle.
    pub(crate) fn relink(&mut self, id: VsId, link: RcuBox<Link>) -> Option<Moved> {
        let old = self.service(id)?.relink(link);
        Some(Moved { id, old })
    }

    /// Moves the counts of the old links to the new ones. Sleeps for a grace period.
    pub(crate) fn settle(&mut self, moved: impl IntoIterator<Item = Moved>) {
        let mut waited = false;
        for Moved { id, old } in moved {
            // When all readers of the old links have left, the counts of these are final.
            if !waited {
                rcu::synchronize();
                waited = true;
            }
            if let (Some(service), Some(parent)) = (self.service(id), old.parent()) {
                for resource in Resource::ALL {
                    let held = old.held(resource);
                    counter::transfer(service, resource, held);
                    counter::transfer(parent, resource, -held);
                }
            }
        }
    }

    /// The rules in force.
    pub(crate) fn classifier(&self) -> &Classifier {
        // SAFETY: Only this writer frees classifiers, and it must be borrowed mutably for that.
        unsafe { &*CLASSIFIER.load(Relaxed) }
    }

    /// Puts other rules into force.
    pub(crate) fn publish(&mut self, rules: RcuBox<Classifier>) {
        let old = CLASSIFIER.xchg(rules.into_raw(), Full);
        // SAFETY: The pointer came from a box, and the exchange took it out.
        unsafe { RcuBox::from_raw(old) }.retire();
    }

    /// Makes the generation grow, after a change.
    pub(crate) fn changed(&mut self) {
        GENERATION.fetch_add(1, Full);
    }

    /// Makes room to count the hits of a rule that is to come. May sleep.
    pub(crate) fn make_hits(&mut self, rule: u32) -> Result {
        let page = &HITS[rule as usize % RULES_MAX / HIT_PAGE];
        if page.load(Relaxed).is_null() {
            let new = KBox::new([const { Atomic::new(0) }; HIT_PAGE], GFP_KERNEL)?;
            page.store(KBox::into_raw(new), Release);
        }
        Ok(())
    }

    /// Clears the counter of a new rule, which an older rule may have used.
    pub(crate) fn clear_hits(&mut self, rule: u32) {
        if let Some(counter) = hit_counter(rule) {
            counter.store(0, Relaxed);
        }
    }

    /// How often a rule has won.
    pub(crate) fn hits(&self, rule: u32) -> u64 {
        hit_counter(rule).map_or(0, |counter| counter.load(Relaxed))
    }
}

impl Drop for Writer {
    /// Frees everything, as the module goes. There are no readers of the state any more.
    fn drop(&mut self) {
        rcu::synchronize();
        // A cell that forwards must not be followed once its service is freed, so it is cleared
        // first.
        for id in VsId::all().filter(|id| self.service(*id).is_none()) {
            CELLS[id.index()]
                .service
                .store(core::ptr::null_mut(), Relaxed);
        }
        for id in VsId::all() {
            let own = self.take(id, core::ptr::null_mut());
            drop(own);
        }
        let rules = CLASSIFIER.xchg(core::ptr::null_mut(), Full);
        // SAFETY: The pointer came from a box, and the exchange took it out.
        drop(unsafe { RcuBox::from_raw(rules) });
        for page in &HITS {
            let page = page.xchg(core::ptr::null_mut(), Full);
            if !page.is_null() {
                // SAFETY: The pointer came from a box, and the exchange took it out.
                drop(unsafe { KBox::from_raw(page) });
            }
        }
        rcu::barrier();
    }
}
