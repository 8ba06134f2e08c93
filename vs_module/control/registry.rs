// SPDX-License-Identifier: GPL-2.0

//! Changes to services, one at a time.
//!
//! One mutex serialises them all. Each checks and allocates everything before it changes anything,
//! so that a change that fails leaves no trace. Rules are in `rules`, whole configurations in
//! `apply`. All of this runs in process context and may sleep.

use crate::control::abi::{self, Failure};
use crate::gates::probes;
use crate::logic::classify::Classifier;
use crate::logic::hierarchy::{Attr, Change, Name, Tree, NAME_LEN};
use crate::logic::id::{IdTurn, VsId};
use crate::logic::tag::Generation;
use crate::logic::why::Why;
use crate::shim::rcu::RcuBox;
use crate::state::counter::Link;
use crate::state::service::Service;
use crate::state::stat::{Count, Stats};
use crate::state::writer::Writer;
use kernel::prelude::*;

kernel::sync::global_lock! {
    // SAFETY: Initialised in `init`, before the device exists through which all other callers come.
    unsafe(uninit) static CHANGES: Mutex<Option<Registry>> = None;
}

/// The state that commands change: what the administrator sees, and the right to publish it to hot
/// paths.
pub(crate) struct Registry {
    pub(crate) tree: Tree,
    pub(crate) turn: IdTurn,
    /// The number of the youngest rule.
    pub(crate) last_rule: u32,
    pub(crate) writer: Writer,
}

/// The numbers of things that hold on to a service.
#[derive(Default)]
pub(crate) struct Holders {
    pub(crate) children: u32,
    pub(crate) rules: u32,
    pub(crate) tasks: u64,
    pub(crate) sockets: u64,
}

/// Begins with root and no rules. At load, before any other caller.
pub(crate) fn init() -> Result {
    // SAFETY: The module is loaded once.
    unsafe { CHANGES.init() };
    let tree = Tree::new().map_err(|refusal| Failure::from(refusal).error)?;
    // A packet in a queue outlives the module. Each load begins with a random id and generation, so
    // a new service hardly ever gets the tag that such a packet carries.
    // SAFETY: Can be called in any context.
    let seed = unsafe { kernel::bindings::get_random_u32() };
    let first = Generation::first(seed >> VsId::BITS);
    // SAFETY: The module is loaded once, and there are no readers of the state yet.
    let writer = unsafe { Writer::new(&tree.effective(VsId::ROOT), first) }?;
    *CHANGES.lock() = Some(Registry {
        tree,
        turn: IdTurn::new(VsId::from_bits(seed)),
        last_rule: 0,
        writer,
    });
    Ok(())
}

/// Frees everything. At unload, when there are no callers any more.
pub(crate) fn exit() {
    *CHANGES.lock() = None;
}

/// Calls `f` with the mutex held.
pub(crate) fn with<R>(f: impl FnOnce(&mut Registry) -> Result<R, Failure>) -> Result<R, Failure> {
    f(CHANGES.lock().as_mut().ok_or(ENODEV)?)
}

impl Registry {
    /// Adds a service, with the id that is wanted or with one chosen here.
    pub(crate) fn create(
        &mut self,
        name: &[u8; NAME_LEN],
        parent: u32,
        priority: i32,
        wanted: Option<u32>,
    ) -> Result<VsId, Failure> {
        let name = Name::new(name)?;
        let parent = self.tree.find(parent)?;
        let id = match wanted {
            Some(raw) => {
                let id = VsId::new(raw).ok_or(Why::Range)?;
                self.writer.claim(id).then_some(id).ok_or(Why::IdTaken)?
            }
            None => self
                .writer
                .choose(&mut self.turn, |_| false)
                .ok_or(Why::Full)?,
        };
        // SAFETY: The parent is in the tree, and is destroyed neither before nor while it has
        // children.
        let service = unsafe { Service::new(id, self.writer.pointer(parent)) }?;
        self.tree.create(id, name, parent, priority)?;
        self.writer.open(service, &self.tree.effective(id));
        self.writer.changed();
        Ok(id)
    }

    /// The numbers of things that hold on to a service.
    pub(crate) fn holders(&self, id: VsId) -> Holders {
        let count = |count| {
            self.writer
                .service(id)
                .map_or(0, |service| service.stats().get(count))
        };
        Holders {
            children: self.tree.get(id).map_or(0, |node| node.children),
            rules: self.writer.classifier().set().naming(id) as u32,
            tasks: count(Count::Tasks),
            sockets: count(Count::Sockets),
        }
    }

    /// Destroys a service that nothing holds on to.
    pub(crate) fn destroy(&mut self, id: VsId) -> Result<(), Failure> {
        let holders = self.holders(id);
        if id.is_root() {
            return Err(Why::Root.into());
        }
        if holders.children != 0 {
            return Err(Why::HasChildren.into());
        }
        if holders.rules != 0 {
            return Err(Why::HasRules.into());
        }
        self.shut(id)?;
        self.tree
            .destroy(id)
            .inspect_err(|_| self.writer.unshut(id))?;
        self.writer.withdraw(id);
        self.writer.changed();
        Ok(())
    }

    /// Closes `id` so that no tag can name it any more; fails if a tag names it.
    pub(crate) fn shut(&mut self, id: VsId) -> Result<(), Why> {
        if self.writer.shut(id) {
            return Ok(());
        }
        Err(self.holding(id))
    }

    /// Tells which tags carry `id`: sockets' if only these do, else tasks', as home or as current
    /// VS.
    pub(crate) fn holding(&self, id: VsId) -> Why {
        match self.holders(id) {
            Holders {
                tasks: 0,
                sockets: 1..,
                ..
            } => Why::HasSockets,
            _ => Why::HasTasks,
        }
    }

    /// Destroys a service and gives its tasks, sockets and rules to another.
    pub(crate) fn merge(&mut self, id: VsId, into: u32) -> Result<(), Failure> {
        let into = self.tree.find(into)?;
        if id.is_root() || id == into {
            return Err(Why::Root.into());
        }
        if self.tree.get(id).is_some_and(|node| node.children != 0) {
            return Err(Why::HasChildren.into());
        }
        let rules = if self.writer.classifier().set().naming(id) != 0 {
            let mut set = self.writer.classifier().set().copy(0)?;
            set.repoint(id, into);
            Some(self.compile(set, |id| self.tree.priority(id))?)
        } else {
            None
        };
        self.tree.destroy(id)?;
        if let Some(rules) = rules {
            self.publish(rules);
        }
        self.writer.forward(id, into);
        self.writer.changed();
        Ok(())
    }

    /// Renames or moves a service, or changes its priority.
    pub(crate) fn change(&mut self, id: VsId, change: &Change) -> Result<(), Failure> {
        let node = *self.tree.get(id).ok_or(Why::NoService)?;
        let link = match change.parent {
            Some(parent) if parent != u32::from(node.parent.get()) => {
                let parent = self.tree.find(parent)?;
                Some(self.link(parent)?)
            }
            _ => None,
        };
        let rules = match change.priority {
            Some(priority) if priority != node.priority => {
                let ranks = |other| {
                    if other == id {
                        priority
                    } else {
                        self.tree.priority(other)
                    }
                };
                Some(self.compile(self.writer.classifier().set().copy(0)?, ranks)?)
            }
            _ => None,
        };

        self.tree.change(id, change)?;
        if let Some(rules) = rules {
            self.publish(rules);
        }
        let moved = link.and_then(|link| self.writer.relink(id, link));
        if moved.is_some() {
            self.show_below(id);
        }
        self.writer.settle(moved);
        self.writer.changed();
        Ok(())
    }

    /// Sets, detaches or shares an attribute.
    pub(crate) fn set_attr(&mut self, id: VsId, attr: Attr, op: AttrOp) -> Result<(), Failure> {
        match op {
            AttrOp::Set(value) => self.tree.set(id, attr, value)?,
            AttrOp::Detach => self.tree.detach(id, attr)?,
            AttrOp::Share => self.tree.share(id, attr)?,
        }
        self.show_below(id);
        self.writer.changed();
        Ok(())
    }

    /// Publishes the attributes of a service and of all below it to hot paths.
    fn show_below(&mut self, id: VsId) {
        for node in self.tree.nodes() {
            if self.tree.is_within(node.id, id) {
                self.writer.show(node.id, &self.tree.effective(node.id));
            }
        }
    }

    /// A link to `parent`, which is in the tree.
    pub(crate) fn link(&self, parent: VsId) -> Result<RcuBox<Link>> {
        // SAFETY: The parent is not destroyed while it has children, and is freed a grace period
        // after that.
        RcuBox::new(unsafe { Link::new(self.writer.pointer(parent)) })
    }

    /// Compiles rules for publishing.
    pub(crate) fn compile(
        &self,
        set: crate::logic::rule::RuleSet,
        priority: impl Fn(VsId) -> i32,
    ) -> Result<RcuBox<Classifier>, Failure> {
        let rules = Classifier::compile(set, priority).map_err(|rejected| rejected.refusal)?;
        Self::watch(&rules)?;
        Ok(RcuBox::new(rules)?)
    }

    /// Has what compiled rules are about seen, before they are published: messages on streams,
    /// which cost something at each. `ENOMEM`, `ENOENT`: see [`probes::set_streams`].
    pub(crate) fn watch(rules: &Classifier) -> Result {
        for proto in probes::STREAMS {
            if rules.set().gives_messages(proto) {
                probes::set_streams(proto, true)?;
            }
        }
        Ok(())
    }

    /// Puts compiled rules into force. Cannot fail.
    pub(crate) fn publish(&mut self, rules: RcuBox<Classifier>) {
        let unused = probes::STREAMS.map(|proto| !rules.set().gives_messages(proto));
        self.writer.publish(rules);
        for (proto, unused) in probes::STREAMS.into_iter().zip(unused) {
            if unused {
                // Turning off cannot fail.
                let _ = probes::set_streams(proto, false);
            }
        }
    }

    /// The service that a query means, by id or by name.
    pub(crate) fn query(&self, raw: u32, name: &[u8; NAME_LEN]) -> Result<VsId, Failure> {
        Ok(match raw {
            abi::ANY => abi::named(&self.tree, name)?,
            id => self.tree.find(id)?,
        })
    }

    /// The statistics of a service.
    pub(crate) fn stats(&self, id: VsId) -> Result<&Stats, Failure> {
        Ok(self.writer.service(id).ok_or(Why::NoService)?.stats())
    }
}

/// A change to an attribute.
#[derive(Clone, Copy)]
pub(crate) enum AttrOp {
    Set(u32),
    Detach,
    Share,
}
