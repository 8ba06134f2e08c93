// SPDX-License-Identifier: GPL-2.0

//! The state that all planes share: the services by id, and the compiled rules.
//!
//! Everything here is read under RCU, takes no lock, allocates nothing and may be called in any
//! context but NMI. The registry alone writes it, under the mutex for changes; the table of sockets
//! ([`sockets`]) is written by the gates.

use self::counter::Resource;
use crate::logic::classify::{Call, Classifier, Cost};
use crate::logic::id::VsId;
use crate::logic::rule::{Target, ENTITIES, RULES_MAX};
use crate::logic::tag::{Generation, Tag};
use crate::shim::rcu::{read_once, RcuBox};
use crate::state::service::Service;
use kernel::prelude::*;
use kernel::sync::atomic::{Acquire, Atomic, Full, Relaxed, Release};
use kernel::sync::rcu as read_side;

pub(crate) mod counter;
pub(crate) mod service;
pub(crate) mod share;
pub(crate) mod sockets;
pub(crate) mod stat;
pub(crate) mod streams;
pub(crate) mod writer;

/// One id.
///
/// # Invariants
///
/// `service` is null, or points to a service that RCU readers may use. Where its id is that of the
/// cell, the cell owns it; else the cell forwards what still carries the id.
struct Cell {
    service: Atomic<*mut Service>,
    /// The number of tags that carry the id, or `CLOSED`.
    tags: Atomic<u32>,
    /// How often the id has been given out: [`Generation`].
    generation: Atomic<u32>,
}

/// No tag can carry the id: no service has it, or the service that has it is being destroyed.
const CLOSED: u32 = 1 << 31;

static CELLS: [Cell; VsId::COUNT] = [const {
    Cell {
        service: Atomic::new(core::ptr::null_mut()),
        tags: Atomic::new(CLOSED),
        generation: Atomic::new(0),
    }
}; VsId::COUNT];

static CLASSIFIER: Atomic<*mut Classifier> = Atomic::new(core::ptr::null_mut());
/// Never 0: the scheduler's copies have generation 0 before they are first made.
static GENERATION: Atomic<u64> = Atomic::new(1);

/// Hits by number of rule, modulo the most rules there can be. They live apart from the rules, so
/// that no hit is lost when the rules are compiled anew.
static HITS: [Atomic<*mut HitPage>; RULES_MAX / HIT_PAGE] =
    [const { Atomic::new(core::ptr::null_mut()) }; RULES_MAX / HIT_PAGE];
const HIT_PAGE: usize = 512;
type HitPage = [Atomic<u64>; HIT_PAGE];

/// The new VS of each entity of a call.
#[derive(Clone, Copy)]
pub(crate) struct Verdict {
    /// By entity: its new VS, resolved. `None`: unchanged.
    pub(crate) to: [Option<VsId>; ENTITIES],
    /// The number of the rule that says so.
    pub(crate) rule: Option<u32>,
    /// A rule asked for the VS of an entity that has none, so the task goes home.
    pub(crate) unattributed: bool,
}

impl Verdict {
    /// No rule matches.
    pub(crate) const UNCHANGED: Verdict = Verdict {
        to: [None; ENTITIES],
        rule: None,
        unattributed: false,
    };
}

/// Proof that its holder is under RCU, and access to all that RCU protects here.
pub(crate) struct State(());

/// Calls `f` under RCU. Any context but NMI.
pub(crate) fn with<R>(f: impl FnOnce(&State) -> R) -> R {
    let _guard = read_side::read_lock();
    f(&State(()))
}

/// Calls `f` for a caller that is under RCU already.
///
/// # Safety
///
/// The caller stays under RCU until `f` has returned. The verifier guarantees this for kfuncs with
/// `KF_RCU_PROTECTED`, and the kernel for the tracepoints of packets.
pub(crate) unsafe fn under_rcu<R>(f: impl FnOnce(&State) -> R) -> R {
    f(&State(()))
}

/// Grows with every change of tree, attributes or rules, after the change can be seen.
pub(crate) fn generation() -> u64 {
    GENERATION.load(Acquire)
}

impl State {
    /// The rules in force.
    pub(crate) fn classifier(&self) -> &Classifier {
        // SAFETY: The classifier is set before any caller exists, and freed a grace period after it
        // was replaced.
        unsafe { &*read_once(&CLASSIFIER) }
    }

    /// The service that `id` stands for; root if `id` has no service.
    pub(crate) fn service(&self, id: VsId) -> &Service {
        let own = read_once(&CELLS[id.index()].service);
        let service = if own.is_null() {
            read_once(&CELLS[VsId::ROOT.index()].service)
        } else {
            own
        };
        // SAFETY: By the invariant of the cell; root's service exists from before the first caller
        // until after the last.
        unsafe { &*service }
    }

    /// The id that `id` stands for.
    pub(crate) fn resolve(&self, id: VsId) -> VsId {
        self.service(id).id()
    }

    /// The tag that sockets and packets of the service `id` carry.
    pub(crate) fn tag(&self, id: VsId) -> Tag {
        Tag::new(id, CELLS[id.index()].generation())
    }

    /// The service that the tag of an uncounted entity stands for: of a packet, a request, a
    /// remainder in TIME_WAIT. Root if its service is gone, even if another service has the id now.
    pub(crate) fn believe(&self, tag: Tag) -> VsId {
        let id = tag.id();
        if tag.is_nobodys() {
            return VsId::ROOT;
        }
        // A new owner of the id comes with the next generation, which is written before the owner
        // can be found. So the generation is read after the owner.
        let service = CELLS[id.index()].service.load(Acquire);
        if service.is_null() || CELLS[id.index()].generation() != tag.generation() {
            return VsId::ROOT;
        }
        // SAFETY: The cell points to a service that RCU readers may use, and `self` shows that the
        // caller is one.
        unsafe { &*service }.id()
    }

    /// Asks the rules about a call, without effects. Resolves the ids in it.
    pub(crate) fn evaluate(&self, call: &mut Call<'_>, cost: &mut Cost) -> Verdict {
        call.from = call.from.map(|id| self.resolve(id));
        call.work = self.resolve(call.work);
        // a packet has no caller
        let home = match call.gate.is_task(0) {
            true => call.from[0],
            false => VsId::ROOT,
        };
        let Some(rule) = self.classifier().classify(call, cost) else {
            return Verdict::UNCHANGED;
        };
        let mut verdict = Verdict {
            rule: Some(rule.rule),
            ..Verdict::UNCHANGED
        };
        for (n, target) in rule.to.iter().enumerate() {
            verdict.to[n] = match *target {
                Target::Unchanged => None,
                Target::Service(id) => Some(self.resolve(id)),
                Target::Home => Some(home),
                Target::Entity(other) => {
                    let id = match usize::from(other) {
                        0 if call.gate.is_task(0) => call.work,
                        other => call.from[other],
                    };
                    if id.is_root() && call.gate.is_task(n) {
                        // No tenant pays on a guess: the task works for its own service.
                        verdict.unattributed = true;
                        Some(home)
                    } else {
                        Some(id)
                    }
                }
            };
        }
        verdict
    }

    /// Asks the rules about a call, whose ids are resolved; counts the rule's hit, and a call that
    /// cannot be attributed.
    pub(crate) fn verdict(&self, call: &mut Call<'_>) -> Verdict {
        let verdict = self.evaluate(call, &mut Cost::default());
        if let Some(counter) = verdict.rule.and_then(hit_counter) {
            counter.add(1, Relaxed);
        }
        if verdict.unattributed {
            self.service(call.from[0]).unattributed();
        }
        verdict
    }

    /// Counts a new task at home in `home`, or refuses it at a limit. Returns its home: root, if
    /// the service has just gone.
    pub(crate) fn task_born(&self, home: VsId) -> Result<VsId> {
        self.born(home, Resource::Tasks)
    }

    /// Counts off a task that was counted at `home`.
    pub(crate) fn task_gone(&self, home: VsId) {
        self.gone(home, Resource::Tasks);
    }

    /// Counts a task at home in `home`, limits or not. Returns its home: root, if the service has
    /// just gone.
    pub(crate) fn task_joined(&self, home: VsId) -> VsId {
        self.joined(home, Resource::Tasks)
    }

    /// Counts a new socket for `id`, or refuses it at a limit. Returns the id that it may carry:
    /// root's, if the service has just gone.
    pub(crate) fn socket_born(&self, id: VsId) -> Result<VsId> {
        self.born(id, Resource::Sockets)
    }

    /// Counts off a socket that was counted for `id`.
    pub(crate) fn socket_gone(&self, id: VsId) {
        self.gone(id, Resource::Sockets);
    }

    /// Counts a socket for `id`, limits or not. Returns the id that it may carry: root's, if the
    /// service has just gone.
    pub(crate) fn socket_joined(&self, id: VsId) -> VsId {
        self.joined(id, Resource::Sockets)
    }

    /// A tag begins to carry `id` beyond what counts as a task or socket: as a task's current VS,
    /// if that is not its home. While it does, the id is not given to another service. `false`: no
    /// service has the id any more, and the tag must not be written.
    pub(crate) fn hold(&self, id: VsId) -> bool {
        id.is_root() || CELLS[id.index()].hold()
    }

    /// Undoes [`hold`](Self::hold): the tag does not carry the id any more.
    pub(crate) fn release(&self, id: VsId) {
        if !id.is_root() {
            CELLS[id.index()].release();
        }
    }

    // Root's own tasks and sockets are not counted: some of them exist from before the module.

    fn born(&self, id: VsId, resource: Resource) -> Result<VsId> {
        // An id that is being destroyed stands for root already.
        if id.is_root() || !CELLS[id.index()].hold() {
            return Ok(VsId::ROOT);
        }
        counter::try_charge(self.service(id), resource)
            .inspect_err(|_| CELLS[id.index()].release())
            .map(|()| id)
    }

    fn gone(&self, id: VsId, resource: Resource) {
        if !id.is_root() {
            counter::uncharge(self.service(id), resource);
            CELLS[id.index()].release();
        }
    }

    fn joined(&self, to: VsId, resource: Resource) -> VsId {
        if to.is_root() || !CELLS[to.index()].hold() {
            return VsId::ROOT;
        }
        counter::charge(self.service(to), resource);
        to
    }
}

impl Cell {
    /// One more tag; `false`: the id is closed.
    fn hold(&self) -> bool {
        let mut tags = read_once(&self.tags);
        while tags & CLOSED == 0 {
            match self.tags.cmpxchg(tags, tags + 1, Full) {
                Ok(_) => return true,
                Err(now) => tags = now,
            }
        }
        false
    }

    fn generation(&self) -> Generation {
        Generation::from_raw(read_once(&self.generation))
    }

    fn is_held(&self) -> bool {
        let tags = read_once(&self.tags);
        tags != 0 && tags & CLOSED == 0
    }

    /// One tag less.
    fn release(&self) {
        self.tags.fetch_sub(1, Full);
    }
}

/// Begins a new generation of each id, so that no tag on an uncounted entity is believed any more.
/// An id that is spent keeps its last generation. Under the mutex for changes.
pub(crate) fn renew() {
    for cell in &CELLS {
        if let Some(next) = cell.generation().next() {
            cell.generation.store(next.get(), Release);
        }
    }
}

fn hit_counter(rule: u32) -> Option<&'static Atomic<u64>> {
    let n = rule as usize % RULES_MAX;
    let page = read_once(&HITS[n / HIT_PAGE]);
    // SAFETY: A page is freed when the module goes, when there are no callers any more.
    unsafe { page.as_ref() }.map(|page| &page[n % HIT_PAGE])
}
