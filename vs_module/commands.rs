// SPDX-License-Identifier: GPL-2.0

//! The commands of `/dev/vsctl`, one function each; `uapi/vs.h` says what each of them means.
//!
//! All run in process context, take the mutex for changes and may sleep.

use crate::abi::{self, Failure};
use crate::chardev::{self, Structure};
use crate::config::{self, AttrOp};
use crate::logic::hierarchy::{Attr, Change};
use crate::logic::id::VsId;
use crate::logic::rule::Gate;
use crate::logic::why::Why;
use crate::stat::Count;
use crate::vs_bindings as uapi;
use crate::{apply, netfilter, place, state};
use kernel::prelude::*;
use kernel::uaccess::{UserPtr, UserSlice, UserSliceWriter};

pub(crate) fn info(info: &mut uapi::vs_info) -> Result<(), Failure> {
    config::with(|config| {
        *info = uapi::vs_info {
            abi: uapi::VS_ABI_VERSION,
            mark_shift: crate::mark_shift(),
            features: if netfilter::is_on() { uapi::VS_FEATURE_PACKETS.into() } else { 0 },
            services: config.tree.nodes().len() as u32,
            rules: config.writer.classifier().set().rules().len() as u32,
            generation: state::generation(),
        };
        Ok(())
    })
}

pub(crate) fn create(create: &mut uapi::vs_create) -> Result<(), Failure> {
    let wanted = (create.id != abi::ANY).then_some(create.id);
    let id = config::with(|config| {
        config.create(&create.name, create.parent, create.priority, wanted)
    })?;
    create.id = id.get().into();
    Ok(())
}

pub(crate) fn destroy(destroy: &mut uapi::vs_destroy) -> Result<(), Failure> {
    config::with(|config| {
        let id = config.tree.find(destroy.id)?;
        let holders = config.holders(id);
        destroy.children = holders.children;
        destroy.rules = holders.rules;
        destroy.tasks = holders.tasks;
        destroy.sockets = holders.sockets;
        match destroy.move_to {
            abi::ANY => config.destroy(id),
            into => config.merge(id, into),
        }
    })
}

pub(crate) fn change(change: &mut uapi::vs_change) -> Result<(), Failure> {
    const ALL: u32 = uapi::VS_CHANGE_NAME | uapi::VS_CHANGE_PARENT | uapi::VS_CHANGE_PRIORITY;
    if change.what & !ALL != 0 {
        return Err(EINVAL.into());
    }
    let asked = |what: u32| change.what & what != 0;
    let wanted = Change {
        name: asked(uapi::VS_CHANGE_NAME).then_some(change.name),
        parent: asked(uapi::VS_CHANGE_PARENT).then_some(change.parent),
        priority: asked(uapi::VS_CHANGE_PRIORITY).then_some(change.priority),
    };
    config::with(|config| config.change(config.tree.find(change.id)?, &wanted))
}

pub(crate) fn set_attr(set: &mut uapi::vs_set_attr) -> Result<(), Failure> {
    let attr = Attr::new(set.attr).ok_or(EINVAL)?;
    let op = match (u32::from(set.op), set.value) {
        (uapi::VS_ATTR_SET, value) => AttrOp::Set(value),
        (uapi::VS_ATTR_DETACH, 0) => AttrOp::Detach,
        (uapi::VS_ATTR_SHARE, 0) => AttrOp::Share,
        _ => return Err(EINVAL.into()),
    };
    config::with(|config| config.set_attr(config.tree.find(set.id)?, attr, op))
}

pub(crate) fn query(query: &mut uapi::vs_query) -> Result<(), Failure> {
    config::with(|config| {
        let id = config.query(query.id, &query.service.name)?;
        query.service = abi::show_service(&config.tree, id).ok_or(Why::NoService)?;
        query.id = id.get().into();
        Ok(())
    })
}

/// Where a list goes to.
struct Items<'a> {
    list: &'a mut uapi::vs_list,
    writer: UserSliceWriter,
}

impl<'a> Items<'a> {
    /// Begins a list of `T`, and says from which number on.
    fn new<T: Structure>(list: &'a mut uapi::vs_list) -> Result<(u32, Self), Failure> {
        let size = list.item_size as usize;
        if size < T::FIRST {
            return Err(EINVAL.into());
        }
        let length = size.checked_mul(list.room as usize).ok_or(EINVAL)?;
        let writer = UserSlice::new(UserPtr::from_addr(list.items as usize), length).writer();
        list.count = 0;
        let from = match list.after {
            uapi::VS_LIST_START => 0,
            after => after + 1,
        };
        Ok((from, Items { list, writer }))
    }

    fn is_full(&self) -> bool {
        self.list.count == self.list.room
    }

    fn add<T: Structure>(&mut self, number: u32, item: &mut T) -> Result {
        chardev::write(&mut self.writer, self.list.item_size as usize, item)?;
        self.list.count += 1;
        self.list.after = number;
        Ok(())
    }
}

pub(crate) fn list(list: &mut uapi::vs_list) -> Result<(), Failure> {
    let (from, mut items) = Items::new::<uapi::vs_service>(list)?;
    config::with(|config| {
        for id in VsId::all().skip(from as usize) {
            if items.is_full() {
                break;
            }
            if let Some(mut service) = abi::show_service(&config.tree, id) {
                items.add(id.get().into(), &mut service)?;
            }
        }
        Ok(())
    })
}

pub(crate) fn rule_list(list: &mut uapi::vs_list) -> Result<(), Failure> {
    let (from, mut items) = Items::new::<uapi::vs_rule>(list)?;
    config::with(|config| {
        let classifier = config.writer.classifier();
        let rules = classifier.set().rules();
        for rule in &rules[rules.partition_point(|rule| rule.number() < from)..] {
            if items.is_full() {
                break;
            }
            let hits = config.writer.hits(rule.number());
            items.add(rule.number(), &mut abi::show_rule(classifier, rule, hits))?;
        }
        Ok(())
    })
}

pub(crate) fn stat(stat: &mut uapi::vs_stat) -> Result<(), Failure> {
    config::with(|config| {
        let id = config.tree.find(stat.id)?;
        let stats = config.stats(id)?;
        *stat = uapi::vs_stat {
            id: stat.id,
            cpu_ns: stats.get(Count::Cpu),
            tasks: stats.get(Count::Tasks),
            sockets: stats.get(Count::Sockets),
            rebinds: stats.get(Count::Rebinds),
            unattributed: stats.get(Count::Unattributed),
            refused: stats.get(Count::Refused),
            packets_in: stats.get(Count::PacketsIn),
            bytes_in: stats.get(Count::BytesIn),
            packets_out: stats.get(Count::PacketsOut),
            bytes_out: stats.get(Count::BytesOut),
            ..Default::default()
        };
        for gate in Gate::ALL {
            stat.hits[gate as usize] = stats.hits(gate);
        }
        Ok(())
    })
}

pub(crate) fn rule_add(rule: &mut uapi::vs_rule) -> Result<(), Failure> {
    rule.id = config::with(|config| config.add_rule(rule))?;
    rule.hits = 0;
    Ok(())
}

pub(crate) fn rule_del(rule: &mut uapi::vs_rule) -> Result<(), Failure> {
    config::with(|config| config.delete_rule(rule.id))
}

pub(crate) fn rule_test(test: &mut uapi::vs_rule_test) -> Result<(), Failure> {
    config::with(|config| config.test_rules(test))
}

pub(crate) fn place_task(place: &mut uapi::vs_place_task) -> Result<(), Failure> {
    if place.flags & !uapi::VS_PLACE_THREAD != 0 {
        return Err(EINVAL.into());
    }
    let thread_only = place.flags & uapi::VS_PLACE_THREAD != 0;
    config::with(|config| {
        let id = config.tree.find(place.id)?;
        place::task(place.pidfd, id, thread_only)
    })
}

pub(crate) fn place_socket(place: &mut uapi::vs_place_socket) -> Result<(), Failure> {
    if place.flags != 0 {
        return Err(EINVAL.into());
    }
    config::with(|config| {
        let id = config.tree.find(place.id)?;
        Ok(place::socket(place.fd, id)?)
    })
}

pub(crate) fn apply(apply: &mut uapi::vs_apply) -> Result<(), Failure> {
    if apply.flags & !(uapi::VS_APPLY_CHECK | uapi::VS_APPLY_PRUNE) != 0 {
        return Err(EINVAL.into());
    }
    config::with(|config| apply::run(config, apply))
}

pub(crate) fn gate_packet(gate: &mut uapi::vs_gate_packet) -> Result<(), Failure> {
    if gate.on > 1 {
        return Err(EINVAL.into());
    }
    Ok(netfilter::set_on(gate.on == 1)?)
}
