// SPDX-License-Identifier: GPL-2.0

//! A whole configuration at once.
//!
//! A [`Plan`] is made on a copy of the tree and allocates all memory that it needs, so carrying it
//! out does not fail. A gate that reads meanwhile sees new services before rules name them, the
//! rules change in one instant, and pruned services go last.

use crate::control::abi::{self, Failure};
use crate::control::registry::Registry;
use crate::control::wire::UserArray;
use crate::logic::classify::Classifier;
use crate::logic::hierarchy::{Attr, Name, Tree};
use crate::logic::id::{IdTurn, VsId};
use crate::logic::rule::{RuleSet, RULES_MAX};
use crate::logic::sort::sort;
use crate::logic::why::Why;
use crate::shim::bindings as c;
use crate::shim::rcu::RcuBox;
use crate::state;
use crate::state::counter::Link;
use crate::state::service::Service;
use crate::table::Table;
use kernel::prelude::*;
use pin_init::Zeroable;

/// Checks a configuration and, unless the caller asks for the check alone, puts it into force.
/// Process context, under the mutex for changes.
pub(crate) fn run(registry: &mut Registry, apply: &mut c::vs_apply) -> Result<(), Failure> {
    apply.at_service = 0;
    apply.at_rule = 0;
    let plan = Plan::new(registry, apply)?;
    if apply.flags & c::VS_APPLY_CHECK == 0 {
        plan.carry_out(registry)?;
    }
    Ok(())
}

/// A service of the configuration.
struct Placed {
    id: VsId,
    /// Its address, also before it is published.
    service: *const Service,
}

/// The changes that are to be made.
struct Plan {
    tree: Tree,
    turn: IdTurn,
    /// By place in the configuration.
    placed: Table<Placed>,
    /// By id: whether the configuration names it. It cannot name root, which stays in any case.
    named: Table<bool>,
    created: Table<RcuBox<Service>>,
    /// Existing services that get another parent, the upper ones first.
    relinked: Table<(VsId, RcuBox<Link>)>,
    pruned: Table<VsId>,
    rules: RcuBox<Classifier>,
    last_rule: u32,
}

impl Plan {
    fn new(registry: &mut Registry, apply: &mut c::vs_apply) -> Result<Plan, Failure> {
        let mut plan = Plan {
            tree: registry.tree.copy()?,
            turn: registry.turn.clone(),
            placed: Table::new(),
            named: Table::filled(VsId::COUNT, false)?,
            created: Table::new(),
            relinked: Table::new(),
            pruned: Table::new(),
            rules: RcuBox::new(Classifier::new())?,
            last_rule: registry.last_rule,
        };
        plan.read_services(registry, apply)?;
        if apply.flags & c::VS_APPLY_PRUNE != 0 {
            plan.prune(registry)?;
        }
        if let Err(deep) = plan.tree.settle() {
            let place = plan.placed.iter().position(|placed| placed.id == deep);
            apply.at_service = place.map_or(0, |place| place as u32 + 1);
            return Err(Why::Depth.into());
        }
        plan.read_rules(registry, apply)?;
        Ok(plan)
    }

    fn read_services(
        &mut self,
        registry: &mut Registry,
        apply: &mut c::vs_apply,
    ) -> Result<(), Failure> {
        if apply.nr_services as usize >= VsId::COUNT {
            return Err(Why::Full.into());
        }
        let mut services = UserArray::new(apply.services, apply.nr_services, apply.service_size)?;
        // All services are read before the first is planned: an id that one of them asks for must
        // not be chosen for another.
        let mut wanted = Table::with_capacity(services.left())?;
        let mut asked = Table::filled(VsId::COUNT, false)?;
        for place in 1..=apply.nr_services {
            apply.at_service = place;
            let mut service = c::vs_config_service::zeroed();
            services.read(&mut service)?;
            if let Some(id) = VsId::new(service.id) {
                asked[id.index()] = true;
            }
            wanted.push(service)?;
        }
        for (place, service) in (1..).zip(wanted.iter()) {
            apply.at_service = place;
            self.add_service(registry, service, apply.nr_services, &asked)?;
        }
        apply.at_service = 0;
        Ok(())
    }

    /// Plans the next service of the configuration. `asked`: by id, whether the configuration asks
    /// for it.
    fn add_service(
        &mut self,
        registry: &mut Registry,
        wanted: &c::vs_config_service,
        count: u32,
        asked: &[bool],
    ) -> Result<(), Failure> {
        let name = Name::new(&wanted.name)?;
        let unknown = &wanted.attr[Attr::COUNT..];
        if wanted.detached & !Attr::MASK != 0 || unknown.iter().any(|value| *value != 0) {
            return Err(EINVAL.into());
        }
        let id = match wanted.id {
            0 | abi::ANY => None,
            raw => Some(VsId::new(raw).ok_or(Why::Range)?),
        };
        // Parents come first, so all services above this one have their final place.
        let (parent, above) = match wanted.parent as usize {
            0 => (VsId::ROOT, registry.writer.pointer(VsId::ROOT)),
            place => match self.placed.get(place - 1) {
                Some(placed) => (placed.id, placed.service),
                None if wanted.parent > count => return Err(Why::NoService.into()),
                None => return Err(Why::Order.into()),
            },
        };

        let (id, service) = match self.tree.named(&name) {
            Some(VsId::ROOT) => return Err(Why::Root.into()),
            Some(id) if self.named[id.index()] => return Err(Why::Duplicate.into()),
            Some(present) if id.is_some_and(|id| id != present) => {
                return Err(Why::OtherId.into());
            }
            Some(id) => {
                if self.tree.get(id).is_some_and(|node| node.parent != parent) {
                    // SAFETY: The parent is in the planned tree, and is not destroyed before this
                    // service has another one.
                    let link = RcuBox::new(unsafe { Link::new(above) })?;
                    self.relinked.push((id, link))?;
                    self.tree.move_below(id, parent);
                }
                self.tree.rank(id, wanted.priority);
                (id, registry.writer.pointer(id))
            }
            None => {
                let taken = |id| self.tree.get(id).is_some();
                let id = match id {
                    Some(id) => (!taken(id) && registry.writer.claim(id))
                        .then_some(id)
                        .ok_or(Why::IdTaken)?,
                    None => registry
                        .writer
                        .choose(&mut self.turn, |id| taken(id) || asked[id.index()])
                        .ok_or(Why::Full)?,
                };
                self.tree.create(id, name, parent, wanted.priority)?;
                // SAFETY: The parent is in the planned tree, and is not destroyed while it has
                // children.
                let service = unsafe { Service::new(id, above) }?;
                let pointer = core::ptr::from_ref(&*service);
                self.created.push(service)?;
                (id, pointer)
            }
        };
        for attr in Attr::ALL {
            if wanted.detached & attr.bit() != 0 {
                self.tree.detach(id, attr)?;
                self.tree.set(id, attr, wanted.attr[attr as usize])?;
            } else {
                self.tree.share(id, attr)?;
            }
        }
        self.named[id.index()] = true;
        Ok(self.placed.push(Placed { id, service })?)
    }

    /// Plans to destroy the services that the configuration does not name.
    fn prune(&mut self, registry: &Registry) -> Result<(), Failure> {
        let mut below = Table::new();
        for node in self.tree.nodes() {
            if !node.id.is_root() && !self.named[node.id.index()] {
                below.push((node.depth, node.id))?;
            }
        }
        // From the bottom up. Services below these are pruned too, or were moved away.
        sort(&mut below, |a, b| a > b);
        for (_, id) in below.iter() {
            if registry.writer.is_held(*id) {
                return Err(registry.holding(*id).into());
            }
            self.tree.destroy(*id)?;
            self.pruned.push(*id)?;
        }
        Ok(())
    }

    fn read_rules(
        &mut self,
        registry: &mut Registry,
        apply: &mut c::vs_apply,
    ) -> Result<(), Failure> {
        let count = apply.nr_rules as usize;
        if count > RULES_MAX || apply.nr_rules >= c::VS_LIST_START - self.last_rule {
            return Err(Why::Full.into());
        }
        let mut rules = UserArray::new(apply.rules, apply.nr_rules, apply.rule_size)?;
        let mut set = RuleSet::with_room(count)?;
        let mut raw = KBox::<c::vs_rule>::zeroed(GFP_KERNEL)?;
        for place in 1..=apply.nr_rules {
            apply.at_rule = place;
            rules.read(&mut *raw)?;
            let number = self.last_rule + 1;
            set.push(number, &abi::spec(&raw)?, |place| match place as usize {
                0 => Ok(VsId::ROOT),
                place => self
                    .placed
                    .get(place - 1)
                    .map(|placed| placed.id)
                    .ok_or(Why::NoService),
            })?;
            registry.writer.make_hits(number)?;
            self.last_rule = number;
        }
        apply.at_rule = 0;

        let rules = Classifier::compile(set, |id| self.tree.priority(id));
        self.rules = RcuBox::new(rules.map_err(|rejected| {
            apply.at_rule = rejected.at.map_or(0, |place| place as u32 + 1);
            rejected.refusal
        })?)?;
        Ok(())
    }

    /// Puts the plan into force. Fails, without a change, only if a task or socket has joined a
    /// service to be pruned since the plan was made, or without memory.
    fn carry_out(self, registry: &mut Registry) -> Result<(), Failure> {
        let mut moved = Table::with_capacity(self.relinked.len())?;
        Registry::watch(&self.rules)?;
        for (n, id) in self.pruned.iter().enumerate() {
            if let Err(why) = registry.shut(*id) {
                self.pruned[..n]
                    .iter()
                    .for_each(|id| registry.writer.unshut(*id));
                return Err(why.into());
            }
        }

        // Nothing fails from here on.
        for service in self.created {
            let effective = self.tree.effective(service.id());
            registry.writer.open(service, &effective);
        }
        for (id, link) in self.relinked {
            if let Some(old) = registry.writer.relink(id, link) {
                // The plan has made room for all.
                let _ = moved.push(old);
            }
        }
        for node in self.tree.nodes() {
            registry.writer.show(node.id, &self.tree.effective(node.id));
        }
        for rule in self.rules.set().rules() {
            registry.writer.clear_hits(rule.number());
        }
        registry.publish(self.rules);
        registry.writer.settle(moved);
        for id in self.pruned {
            registry.writer.withdraw(id);
        }
        registry.tree = self.tree;
        registry.turn = self.turn;
        registry.last_rule = self.last_rule;
        registry.writer.changed();
        let services = registry.tree.nodes().len() as u32;
        let rules = registry.writer.classifier().set().rules().len() as u32;
        // SAFETY: May be called in any context.
        unsafe { c::vs_trace_apply(services, rules, state::generation()) };
        Ok(())
    }
}
