// SPDX-License-Identifier: GPL-2.0

//! A whole configuration at once.
//!
//! A [`Plan`] is worked out on a copy of the tree, with all memory that it takes; carrying it out
//! cannot fail. A gate that reads meanwhile sees new services before rules name them, the rules
//! change in one instant, and what is pruned goes last.

use crate::abi::{self, Failure};
use crate::chardev;
use crate::config::Config;
use crate::limit::Link;
use crate::logic::classify::Classifier;
use crate::logic::hierarchy::{Attr, Name, Tree};
use crate::logic::id::{IdTurn, VsId};
use crate::logic::rule::{RuleSet, RULES_MAX};
use crate::logic::sort::sort;
use crate::logic::why::Why;
use crate::rcu::RcuBox;
use crate::service::Service;
use crate::table::Table;
use crate::vs_bindings as uapi;
use kernel::prelude::*;
use kernel::uaccess::{UserPtr, UserSlice};
use pin_init::Zeroable;

/// Checks a configuration, and unless it is only to be checked, puts it into force. Process context,
/// under the mutex for changes.
pub(crate) fn run(config: &mut Config, apply: &mut uapi::vs_apply) -> Result<(), Failure> {
    apply.at_service = 0;
    apply.at_rule = 0;
    let plan = Plan::new(config, apply)?;
    if apply.flags & uapi::VS_APPLY_CHECK == 0 {
        plan.carry_out(config)?;
    }
    Ok(())
}

/// A service of the configuration.
struct Placed {
    id: VsId,
    /// Where it is, or will be when it is published.
    service: *const Service,
}

/// What is to be done.
struct Plan {
    tree: Tree,
    turn: IdTurn,
    /// By place in the configuration.
    placed: Table<Placed>,
    /// By id: the configuration names it. It cannot name root, which stays all the same.
    named: Table<bool>,
    created: Table<RcuBox<Service>>,
    /// Existing services that get another parent; those above come first.
    relinked: Table<(VsId, RcuBox<Link>)>,
    pruned: Table<VsId>,
    rules: RcuBox<Classifier>,
    last_rule: u32,
}

impl Plan {
    fn new(config: &mut Config, apply: &mut uapi::vs_apply) -> Result<Plan, Failure> {
        let mut plan = Plan {
            tree: config.tree.copy()?,
            turn: config.turn.clone(),
            placed: Table::new(),
            named: Table::filled(VsId::COUNT, false)?,
            created: Table::new(),
            relinked: Table::new(),
            pruned: Table::new(),
            rules: RcuBox::new(Classifier::new())?,
            last_rule: config.last_rule,
        };
        plan.read_services(config, apply)?;
        if apply.flags & uapi::VS_APPLY_PRUNE != 0 {
            plan.prune(config)?;
        }
        if let Err(deep) = plan.tree.settle() {
            let place = plan.placed.iter().position(|placed| placed.id == deep);
            apply.at_service = place.map_or(0, |place| place as u32 + 1);
            return Err(Why::Depth.into());
        }
        plan.read_rules(config, apply)?;
        Ok(plan)
    }

    fn read_services(
        &mut self,
        config: &mut Config,
        apply: &mut uapi::vs_apply,
    ) -> Result<(), Failure> {
        let (count, size) = (apply.nr_services as usize, apply.service_size as usize);
        if count >= VsId::COUNT {
            return Err(Why::Full.into());
        }
        if count != 0 && size < size_of::<uapi::vs_config_service>() {
            return Err(EINVAL.into());
        }
        let user = UserPtr::from_addr(apply.services as usize);
        let length = count.checked_mul(size).ok_or(EINVAL)?;
        let mut reader = UserSlice::new(user, length).reader();
        for place in 1..=apply.nr_services {
            apply.at_service = place;
            let mut service = uapi::vs_config_service::zeroed();
            chardev::read(&mut reader, size, &mut service)?;
            self.add_service(config, &service, apply.nr_services)?;
        }
        apply.at_service = 0;
        Ok(())
    }

    /// Plans for the next service of the configuration.
    fn add_service(
        &mut self,
        config: &mut Config,
        wanted: &uapi::vs_config_service,
        count: u32,
    ) -> Result<(), Failure> {
        let name = Name::new(&wanted.name)?;
        if wanted.detached & !Attr::MASK != 0 || wanted.attr[Attr::COUNT..] != [0; 2] {
            return Err(EINVAL.into());
        }
        // Parents come first, so that all above a service has its final place.
        let (parent, above) = match wanted.parent as usize {
            0 => (VsId::ROOT, config.writer.pointer(VsId::ROOT)),
            place => match self.placed.get(place - 1) {
                Some(placed) => (placed.id, placed.service),
                None if wanted.parent > count => return Err(Why::NoService.into()),
                None => return Err(Why::Order.into()),
            },
        };

        let (id, service) = match self.tree.named(&name) {
            Some(VsId::ROOT) => return Err(Why::Root.into()),
            Some(id) if self.named[id.index()] => return Err(Why::Duplicate.into()),
            Some(id) => {
                if self.tree.get(id).is_some_and(|node| node.parent != parent) {
                    // SAFETY: The parent is in the planned tree, and not destroyed before this has
                    // another one.
                    let link = RcuBox::new(unsafe { Link::new(above) })?;
                    self.relinked.push((id, link))?;
                    self.tree.move_below(id, parent);
                }
                self.tree.rank(id, wanted.priority);
                (id, config.writer.pointer(id))
            }
            None => {
                let taken = |id| self.tree.get(id).is_some();
                let id = config.writer.choose(&mut self.turn, taken).ok_or(Why::Full)?;
                self.tree.create(id, name, parent, wanted.priority)?;
                // SAFETY: As above.
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

    /// Plans to take away what the configuration does not name.
    fn prune(&mut self, config: &Config) -> Result<(), Failure> {
        let mut below = Table::new();
        for node in self.tree.nodes() {
            if !node.id.is_root() && !self.named[node.id.index()] {
                below.push((node.depth, node.id))?;
            }
        }
        // From the bottom up. What hangs below these is pruned too, or was moved away.
        sort(&mut below, |a, b| a > b);
        for (_, id) in below.iter() {
            if config.writer.is_held(*id) {
                return Err(config.holding(*id).into());
            }
            self.tree.destroy(*id)?;
            self.pruned.push(*id)?;
        }
        Ok(())
    }

    fn read_rules(
        &mut self,
        config: &mut Config,
        apply: &mut uapi::vs_apply,
    ) -> Result<(), Failure> {
        let (count, size) = (apply.nr_rules as usize, apply.rule_size as usize);
        if count > RULES_MAX || apply.nr_rules >= uapi::VS_LIST_START - self.last_rule {
            return Err(Why::Full.into());
        }
        if count != 0 && size < size_of::<uapi::vs_rule>() {
            return Err(EINVAL.into());
        }
        let user = UserPtr::from_addr(apply.rules as usize);
        let length = count.checked_mul(size).ok_or(EINVAL)?;
        let mut reader = UserSlice::new(user, length).reader();
        let mut set = RuleSet::with_room(count)?;
        let mut raw = KBox::<uapi::vs_rule>::zeroed(GFP_KERNEL)?;
        for place in 1..=apply.nr_rules {
            apply.at_rule = place;
            chardev::read(&mut reader, size, &mut *raw)?;
            let number = self.last_rule + 1;
            set.push(number, &abi::spec(&raw)?, |place| match usize::from(place) {
                0 => Ok(VsId::ROOT),
                place => self.placed.get(place - 1).map(|placed| placed.id).ok_or(Why::NoService),
            })?;
            config.writer.make_hits(number)?;
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

    /// Puts it into force. Fails only where a task or socket has joined a service that is to be
    /// pruned since the plan was made, or without memory, and then changes nothing.
    fn carry_out(self, config: &mut Config) -> Result<(), Failure> {
        let mut moved = Table::with_capacity(self.relinked.len())?;
        for (n, id) in self.pruned.iter().enumerate() {
            if let Err(why) = config.shut(*id) {
                self.pruned[..n].iter().for_each(|id| config.writer.unshut(*id));
                return Err(why.into());
            }
        }

        // Nothing fails from here on.
        for service in self.created {
            let effective = self.tree.effective(service.id());
            config.writer.open(service, &effective);
        }
        for (id, link) in self.relinked {
            if let Some(old) = config.writer.relink(id, link) {
                // There is room for all.
                let _ = moved.push(old);
            }
        }
        for node in self.tree.nodes() {
            config.writer.show(node.id, &self.tree.effective(node.id));
        }
        for rule in self.rules.set().rules() {
            config.writer.clear_hits(rule.number());
        }
        config.writer.publish(self.rules);
        config.writer.settle(moved);
        for id in self.pruned {
            config.writer.withdraw(id);
        }
        config.tree = self.tree;
        config.turn = self.turn;
        config.last_rule = self.last_rule;
        config.writer.changed();
        Ok(())
    }
}
