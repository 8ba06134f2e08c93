// SPDX-License-Identifier: MIT OR Apache-2.0
//! The headers shared with C, as bindgen reads them: uapi/vs.h, and those of gates and scheduler.
//! The test below pins the ABI's layout: a change of the header that moves a field breaks it, and
//! must be meant.

#![allow(missing_docs, non_camel_case_types, non_upper_case_globals, dead_code)]
#![allow(clippy::all, clippy::undocumented_unsafe_blocks)]

include!(concat!(env!("OUT_DIR"), "/abi.rs"));

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    /// Pins the size of a structure and the offset of each of its fields, in order.
    macro_rules! pin {
        ($name:ident: $size:literal { $($field:ident: $offset:literal),+ $(,)? }) => {
            assert_eq!(size_of::<$name>(), $size, concat!("size of ", stringify!($name)));
            $(assert_eq!(
                offset_of!($name, $field), $offset,
                concat!(stringify!($name), ".", stringify!($field))
            );)+
            // a new field that is not listed here shows in the list of all names
            let $name { $($field: _),+ } = $name::default();
        };
    }

    #[test]
    fn layout() {
        pin!(vs_info: 32 {
            abi: 0, ids_max: 4, features: 8, services: 16, rules: 20, generation: 24,
        });
        pin!(vs_create: 80 { name: 0, id: 64, parent: 68, priority: 72, reason: 76 });
        pin!(vs_destroy: 40 {
            id: 0, move_to: 4, children: 8, rules: 12, tasks: 16, sockets: 24, reason: 32,
            reserved: 36,
        });
        pin!(vs_change: 88 {
            id: 0, what: 4, name: 8, parent: 72, priority: 76, reason: 80, reserved: 84,
        });
        pin!(vs_set_attr: 16 { id: 0, op: 4, attr: 6, value: 8, reason: 12 });
        pin!(vs_service: 216 {
            id: 0, parent: 4, name: 8, priority: 72, depth: 76, children: 80, detached: 84,
            attr: 88,
        });
        pin!(vs_query: 224 { id: 0, reason: 4, service: 8 });
        pin!(vs_list: 24 { items: 0, room: 8, after: 12, count: 16, item_size: 20 });
        pin!(vs_rule: 624 {
            id: 0, gate: 4, from: 8, to: 20, props: 32, uid: 36, gid: 40, proto: 44,
            local_len: 45, peer_len: 46, reserved1: 47, local_port: 48, peer_port: 50, local: 52,
            peer: 68, iface: 84, path: 100, cgroup: 356, reason: 612, hits: 616,
        });
        pin!(vs_rule_test: 48 {
            call: 0, call_size: 8, work: 12, rule: 16, matching: 20, shapes: 24, to: 28,
            reason: 40, reserved: 44,
        });
        pin!(vs_place_task: 16 { pidfd: 0, id: 4, flags: 8, reason: 12 });
        pin!(vs_place_socket: 16 { fd: 0, id: 4, flags: 8, reason: 12 });
        pin!(vs_stat: 720 {
            id: 0, reason: 4, cpu_ns: 8, tasks: 16, sockets: 24, rebinds: 32, unattributed: 40,
            refused: 48, packets_in: 112, bytes_in: 120, packets_out: 128, bytes_out: 136,
            ends: 144, hits: 208,
        });
        pin!(vs_config_service: 208 {
            name: 0, id: 64, parent: 68, priority: 72, detached: 76, attr: 80,
        });
        pin!(vs_apply: 56 {
            services: 0, rules: 8, nr_services: 16, nr_rules: 20, flags: 24, reason: 28,
            at_service: 32, at_rule: 36, service_size: 40, rule_size: 44, scope: 48, reserved: 52,
        });
        pin!(vs_gate_switch: 8 { gate: 0, on: 4 });
        pin!(vs_socket: 16 { fd: 0, id: 4, flags: 8, reason: 12 });
        pin!(vs_tags: 8 { on: 0, reserved: 4 });
    }

    /// A command's number is direction, size, magic and its place in the list.
    #[test]
    fn commands_fit() {
        let number = |nr: u32, size: usize| 3 << 30 | (size as u32) << 16 | 0xB5 << 8 | nr;
        for (at, (command, size)) in [
            (NR_VS_IOC_INFO, size_of::<vs_info>()),
            (NR_VS_IOC_CREATE, size_of::<vs_create>()),
            (NR_VS_IOC_DESTROY, size_of::<vs_destroy>()),
            (NR_VS_IOC_CHANGE, size_of::<vs_change>()),
            (NR_VS_IOC_SET_ATTR, size_of::<vs_set_attr>()),
            (NR_VS_IOC_QUERY, size_of::<vs_query>()),
            (NR_VS_IOC_LIST, size_of::<vs_list>()),
            (NR_VS_IOC_STAT, size_of::<vs_stat>()),
            (NR_VS_IOC_RULE_ADD, size_of::<vs_rule>()),
            (NR_VS_IOC_RULE_DEL, size_of::<vs_rule>()),
            (NR_VS_IOC_RULE_LIST, size_of::<vs_list>()),
            (NR_VS_IOC_RULE_TEST, size_of::<vs_rule_test>()),
            (NR_VS_IOC_PLACE_TASK, size_of::<vs_place_task>()),
            (NR_VS_IOC_PLACE_SOCKET, size_of::<vs_place_socket>()),
            (NR_VS_IOC_APPLY, size_of::<vs_apply>()),
            (NR_VS_IOC_GATE, size_of::<vs_gate_switch>()),
            (NR_VS_IOC_SOCKET, size_of::<vs_socket>()),
            (NR_VS_IOC_TAGS, size_of::<vs_tags>()),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(command, number(at as u32, size), "command {at}");
        }
    }
}
