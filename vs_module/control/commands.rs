// SPDX-License-Identifier: GPL-2.0

//! The commands of `/dev/vsctl`, one function each; `uapi/vs.h` documents them.
//!
//! All run in process context, take the mutex for changes and may sleep.

use crate::control::abi::{self, Failure};
use crate::control::registry::{self, AttrOp, Registry};
use crate::control::wire::{Structure, UserArray};
use crate::control::{apply, place};
use crate::gates::{hint, probes};
use crate::logic::hierarchy::{Attr, Change};
use crate::logic::id::VsId;
use crate::logic::rule::Gate;
use crate::logic::why::Why;
use crate::logic::work::End;
use crate::shim::bindings as c;
use crate::state::counter::Resource;
use crate::state::stat::Count;
use crate::table::Table;
use crate::{netfilter, state};
use kernel::prelude::*;

pub(crate) fn info(info: &mut c::vs_info) -> Result<(), Failure> {
    registry::with(|registry| {
        *info = c::vs_info {
            abi: c::VS_ABI_VERSION,
            ids_max: VsId::COUNT as u32,
            features: features(),
            services: registry.tree.nodes().len() as u32,
            rules: registry.writer.classifier().set().rules().len() as u32,
            generation: state::generation(),
        };
        Ok(())
    })
}

pub(crate) fn create(create: &mut c::vs_create) -> Result<(), Failure> {
    let wanted = (create.id != abi::ANY).then_some(create.id);
    let id = registry::with(|registry| {
        registry.create(&create.name, create.parent, create.priority, wanted)
    })?;
    create.id = id.get().into();
    Ok(())
}

pub(crate) fn destroy(destroy: &mut c::vs_destroy) -> Result<(), Failure> {
    registry::with(|registry| {
        let id = registry.tree.find(destroy.id)?;
        let holders = registry.holders(id);
        destroy.children = holders.children;
        destroy.rules = holders.rules;
        destroy.tasks = holders.tasks;
        destroy.sockets = holders.sockets;
        match destroy.move_to {
            abi::ANY => registry.destroy(id),
            into => registry.merge(id, into),
        }
    })
}

pub(crate) fn change(change: &mut c::vs_change) -> Result<(), Failure> {
    const ALL: u32 = c::VS_CHANGE_NAME | c::VS_CHANGE_PARENT | c::VS_CHANGE_PRIORITY;
    if change.what & !ALL != 0 {
        return Err(EINVAL.into());
    }
    let asked = |what: u32| change.what & what != 0;
    let wanted = Change {
        name: asked(c::VS_CHANGE_NAME).then_some(change.name),
        parent: asked(c::VS_CHANGE_PARENT).then_some(change.parent),
        priority: asked(c::VS_CHANGE_PRIORITY).then_some(change.priority),
    };
    registry::with(|registry| registry.change(registry.tree.find(change.id)?, &wanted))
}

pub(crate) fn set_attr(set: &mut c::vs_set_attr) -> Result<(), Failure> {
    let attr = Attr::new(set.attr).ok_or(EINVAL)?;
    let op = match (u32::from(set.op), set.value) {
        (c::VS_ATTR_SET, value) => AttrOp::Set(value),
        (c::VS_ATTR_DETACH, 0) => AttrOp::Detach,
        (c::VS_ATTR_SHARE, 0) => AttrOp::Share,
        _ => return Err(EINVAL.into()),
    };
    registry::with(|registry| registry.set_attr(registry.tree.find(set.id)?, attr, op))
}

pub(crate) fn query(query: &mut c::vs_query) -> Result<(), Failure> {
    registry::with(|registry| {
        let id = registry.query(query.id, &query.service.name)?;
        query.service = abi::show_service(&registry.tree, id).ok_or(Why::NoService)?;
        query.id = id.get().into();
        Ok(())
    })
}

/// How many items of a list are looked up at a time.
const CHUNK: usize = 16;

/// Makes a list: `find` puts the next items after a number, with their numbers, into a table that
/// has room for `CHUNK` at most. Items are copied to the caller without the mutex, because a copy
/// can take as long as the caller likes.
fn make_list<T: Structure>(
    list: &mut c::vs_list,
    find: impl Fn(&Registry, u32, usize, &mut Table<(u32, T)>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if (list.item_size as usize) < T::FIRST {
        return Err(EINVAL.into());
    }
    let mut items = UserArray::<T>::new(list.items, list.room, list.item_size)?;
    list.count = 0;
    let mut from = match list.after {
        c::VS_LIST_START => 0,
        after => after + 1,
    };
    while items.left() != 0 {
        let room = items.left().min(CHUNK);
        let mut found = Table::with_capacity(room)?;
        registry::with(|registry| find(registry, from, room, &mut found))?;
        for (number, item) in found.iter_mut() {
            items.write(item)?;
            list.count += 1;
            list.after = *number;
            from = *number + 1;
        }
        if found.len() < room {
            break;
        }
    }
    Ok(())
}

pub(crate) fn list(list: &mut c::vs_list) -> Result<(), Failure> {
    make_list(list, |registry, from, room, found| {
        for id in VsId::all().skip(from as usize) {
            if found.len() == room {
                break;
            }
            if let Some(service) = abi::show_service(&registry.tree, id) {
                found.push((id.get().into(), service))?;
            }
        }
        Ok(())
    })
}

pub(crate) fn rule_list(list: &mut c::vs_list) -> Result<(), Failure> {
    make_list(list, |registry, from, room, found| {
        let classifier = registry.writer.classifier();
        let rules = classifier.set().rules();
        let first = rules.partition_point(|rule| rule.number() < from);
        for rule in rules[first..].iter().take(room) {
            let hits = registry.writer.hits(rule.number());
            found.push((rule.number(), abi::show_rule(classifier, rule, hits)))?;
        }
        Ok(())
    })
}

pub(crate) fn stat(stat: &mut c::vs_stat) -> Result<(), Failure> {
    registry::with(|registry| {
        let id = registry.tree.find(stat.id)?;
        let stats = registry.stats(id)?;
        *stat = c::vs_stat {
            id: stat.id,
            cpu_ns: stats.get(Count::Cpu),
            tasks: stats.get(Count::Tasks),
            sockets: stats.get(Count::Sockets),
            rebinds: stats.get(Count::Rebinds),
            unattributed: stats.get(Count::Unattributed),
            packets_in: stats.get(Count::PacketsIn),
            bytes_in: stats.get(Count::BytesIn),
            packets_out: stats.get(Count::PacketsOut),
            bytes_out: stats.get(Count::BytesOut),
            ..Default::default()
        };
        for resource in Resource::ALL {
            stat.refused[resource as usize] = stats.get(resource.refused());
        }
        for end in End::ALL {
            stat.ends[end as usize] = stats.ends(end);
        }
        for gate in Gate::ALL {
            stat.hits[gate as usize] = stats.hits(gate);
        }
        Ok(())
    })
}

pub(crate) fn rule_add(rule: &mut c::vs_rule) -> Result<(), Failure> {
    rule.id = registry::with(|registry| registry.add_rule(rule))?;
    rule.hits = 0;
    Ok(())
}

pub(crate) fn rule_del(rule: &mut c::vs_rule) -> Result<(), Failure> {
    registry::with(|registry| registry.delete_rule(rule.id))
}

pub(crate) fn rule_test(test: &mut c::vs_rule_test) -> Result<(), Failure> {
    let mut call = KBox::<c::vs_rule>::zeroed(GFP_KERNEL)?;
    UserArray::new(test.call, 1, test.call_size)?.read(&mut *call)?;
    registry::with(|registry| registry.test_rules(test, &call))
}

pub(crate) fn place_task(place: &mut c::vs_place_task) -> Result<(), Failure> {
    if place.flags & !c::VS_PLACE_THREAD != 0 {
        return Err(EINVAL.into());
    }
    let thread_only = place.flags & c::VS_PLACE_THREAD != 0;
    registry::with(|registry| {
        let id = registry.tree.find(place.id)?;
        place::task(place.pidfd, id, thread_only)
    })
}

pub(crate) fn place_socket(place: &mut c::vs_place_socket) -> Result<(), Failure> {
    if place.flags != 0 {
        return Err(EINVAL.into());
    }
    registry::with(|registry| {
        let id = registry.tree.find(place.id)?;
        place::socket(place.fd, id)
    })
}

pub(crate) fn socket(socket: &mut c::vs_socket) -> Result<(), Failure> {
    if socket.flags != 0 {
        return Err(EINVAL.into());
    }
    socket.id = place::socket_of(socket.fd)?.get().into();
    Ok(())
}

pub(crate) fn apply(apply: &mut c::vs_apply) -> Result<(), Failure> {
    // So far only the whole tree can have a configuration.
    if apply.flags & !(c::VS_APPLY_CHECK | c::VS_APPLY_PRUNE) != 0 || apply.scope != c::VS_ROOT {
        return Err(EINVAL.into());
    }
    registry::with(|registry| apply::run(registry, apply))
}

pub(crate) fn gate(switch: &mut c::vs_gate_switch) -> Result<(), Failure> {
    if switch.on > 1 {
        return Err(EINVAL.into());
    }
    let on = switch.on == 1;
    Ok(match Gate::new(switch.gate) {
        Some(Gate::Packet) => netfilter::set_packets(on)?,
        Some(Gate::Hint) => hint::set(on),
        Some(gate) => probes::set(gate, on)?,
        None => return Err(EINVAL.into()),
    })
}

pub(crate) fn tags(tags: &mut c::vs_tags) -> Result<(), Failure> {
    if tags.on > 1 {
        return Err(EINVAL.into());
    }
    let on = tags.on == 1;
    registry::with(|_| {
        netfilter::set_tags(on)?;
        match on {
            true => probes::learn_tags(),
            false => probes::forget_tags(),
        }
        Ok(())
    })
}

/// The features that are on: `VS_FEATURE_*`.
fn features() -> u64 {
    let flag = |on, feature: u64| if on { feature } else { 0 };
    flag(netfilter::is_on(), c::VS_FEATURE_PACKETS.into())
        | flag(netfilter::carries(), c::VS_FEATURE_TAGS.into())
        | flag(hint::is_on(), c::VS_FEATURE_HINT.into())
        | flag(probes::reads_are_seen(), c::VS_FEATURE_READ.into())
}
