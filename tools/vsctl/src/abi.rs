// SPDX-License-Identifier: MIT OR Apache-2.0
//! The headers shared with C, as bindgen reads them: uapi/vs.h, and what gates and scheduler show. The ABI's layout is pinned by the test below: a change of the header that moves a field
//! breaks it, and must be meant.

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
            $(assert_eq!(offset_of!($name, $field), $offset, concat!(stringify!($name), ".", stringify!($field)));)+
            // a field that was added and is not listed here shows in the list of all names
            let $name { $($field: _),+ } = $name::default();
        };
    }

    #[test]
    fn layout() {
        pin!(vs_info: 32 { abi: 0, mark_shift: 4, features: 8, services: 16, rules: 20, generation: 24 });
        pin!(vs_create: 48 { name: 0, id: 32, parent: 36, priority: 40, reason: 44 });
        pin!(vs_destroy: 40 { id: 0, move_to: 4, children: 8, rules: 12, tasks: 16, sockets: 24, reason: 32, reserved: 36 });
        pin!(vs_change: 56 { id: 0, what: 4, name: 8, parent: 40, priority: 44, reason: 48, reserved: 52 });
        pin!(vs_set_attr: 16 { id: 0, op: 4, attr: 6, value: 8, reason: 12 });
        pin!(vs_service: 88 { id: 0, parent: 4, name: 8, priority: 40, depth: 44, children: 48, detached: 52, attr: 56 });
        pin!(vs_query: 96 { id: 0, reason: 4, service: 8 });
        pin!(vs_list: 24 { items: 0, room: 8, after: 12, count: 16, item_size: 20 });
        pin!(vs_rule: 608 {
            id: 0, gate: 4, from: 6, to: 12, props: 18, uid: 20, gid: 24, proto: 28, local_len: 29, peer_len: 30,
            reserved1: 31, local_port: 32, peer_port: 34, local: 36, peer: 52, iface: 68, path: 84, cgroup: 340,
            reason: 596, hits: 600,
        });
        pin!(vs_rule_test: 640 {
            call: 0, home: 608, rule: 612, matching: 616, shapes: 620, to: 624, reserved: 630, reason: 632, reserved2: 636,
        });
        pin!(vs_place_task: 16 { pidfd: 0, id: 4, flags: 8, reason: 12 });
        pin!(vs_place_socket: 16 { fd: 0, id: 4, flags: 8, reason: 12 });
        pin!(vs_stat: 216 {
            id: 0, reason: 4, cpu_ns: 8, tasks: 16, sockets: 24, rebinds: 32, unattributed: 40, refused: 48,
            packets_in: 56, bytes_in: 64, packets_out: 72, bytes_out: 80, hits: 88,
        });
        pin!(vs_config_service: 80 { name: 0, parent: 32, priority: 36, detached: 40, reserved: 44, attr: 48 });
        pin!(vs_apply: 48 {
            services: 0, rules: 8, nr_services: 16, nr_rules: 20, flags: 24, reason: 28, at_service: 32, at_rule: 36,
            service_size: 40, rule_size: 44,
        });
        pin!(vs_gate_packet: 8 { on: 0, reserved: 4 });
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
            (NR_VS_IOC_GATE_PACKET, size_of::<vs_gate_packet>()),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(command, number(at as u32, size), "command {at}");
        }
    }
}
