// SPDX-License-Identifier: MIT OR Apache-2.0

//! The conditions that a rule may have, and the form it is kept in.

use crate::logic::gate::Proto;
use crate::logic::id::VsId;
use crate::logic::rule::{
    directory, masked, props, Facts, Gate, RuleSet, Spec, Target, ANY, ENTITIES, HOME, REF,
};
use crate::logic::why::{Refusal, Why};
use proptest::prelude::*;

fn spec(gate: Gate) -> Spec<'static> {
    Spec {
        gate: gate as u32,
        from: [ANY; ENTITIES],
        to: [ANY; ENTITIES],
        facts: Facts::NONE,
        local_len: 0,
        peer_len: 0,
    }
}

/// The tests have services 0 to 9.
fn pushed(spec: &Spec<'_>) -> Result<RuleSet, Refusal> {
    let mut set = RuleSet::new();
    set.push(1, spec, |raw| {
        VsId::new(raw)
            .filter(|id| id.get() < 10)
            .ok_or(Why::NoService)
    })?;
    Ok(set)
}

fn refused(spec: &Spec<'_>) -> Option<Why> {
    match pushed(spec) {
        Err(Refusal::Why(why)) => Some(why),
        _ => None,
    }
}

fn with_path(gate: Gate, property: u32, path: &[u8]) -> Option<Why> {
    refused(&Spec {
        facts: Facts {
            props: property,
            path,
            ..Facts::NONE
        },
        ..spec(gate)
    })
}

#[test]
fn gates_that_only_count_take_no_rules() {
    for gate in Gate::ALL {
        let counts = matches!(gate, Gate::Exit | Gate::Close | Gate::Wait | Gate::Read);
        let wanted = counts.then_some(Why::Gate);
        assert_eq!(refused(&spec(gate)), wanted, "{gate:?}");
    }
    assert_eq!(
        refused(&Spec {
            gate: Gate::COUNT as u32,
            ..spec(Gate::Exec)
        }),
        Some(Why::Gate)
    );
}

#[test]
fn a_gate_has_the_entities_and_properties_it_has() {
    for gate in Gate::ALL.into_iter().filter(|gate| gate.takes_rules()) {
        for n in 0..ENTITIES {
            let mut left = spec(gate);
            left.from[n] = 1;
            let mut right = spec(gate);
            right.to[n] = 1;
            let mut other = spec(gate);
            other.to[0] = REF + n as u32;
            let wanted = (n >= gate.entities().len()).then_some(Why::Entity);
            for spec in [left, other] {
                assert_eq!(refused(&spec), wanted, "{gate:?} {n}");
            }
            let keeps = [(Gate::Recv, 2), (Gate::Hint, 1)].contains(&(gate, n));
            let wanted = (n >= gate.entities().len() || keeps).then_some(Why::Entity);
            assert_eq!(refused(&right), wanted, "{gate:?} {n}");
        }
        for bit in 0..32 {
            let facts = Facts {
                props: 1 << bit,
                iface: [b'x'; 16],
                path: b"/a",
                cgroup: b"/a",
                ..Facts::NONE
            };
            let wanted = (gate.props() & (1 << bit) == 0).then_some(Why::Property);
            assert_eq!(
                refused(&Spec {
                    facts,
                    ..spec(gate)
                }),
                wanted,
                "{gate:?} bit {bit}"
            );
        }
    }
}

#[test]
fn a_message_is_given_a_service_where_it_can_be_told_from_its_socket() {
    for proto in Proto::ALL {
        let is_told = matches!(
            proto,
            Proto::Tcp | Proto::Udp | Proto::UnixStream | Proto::UnixDgram | Proto::Queue
        );
        let proto = proto as u8;
        let facts = Facts {
            props: props::PROTO,
            proto,
            ..Facts::NONE
        };
        let to = [ANY, ANY, 1];
        let wanted = (!is_told).then_some(Why::Entity);
        assert_eq!(
            refused(&Spec {
                facts,
                to,
                ..spec(Gate::Send)
            }),
            wanted,
            "{proto}"
        );
        assert_eq!(
            refused(&Spec {
                facts,
                ..spec(Gate::Send)
            }),
            None,
            "{proto}, unchanged"
        );
        assert_eq!(
            refused(&Spec {
                facts: Facts { props: 0, ..facts },
                to,
                ..spec(Gate::Send)
            }),
            None,
            "not asked for"
        );
    }
}

#[test]
fn the_left_side_names_services_only() {
    for special in [HOME, REF, REF + 1, REF - 1, 10, 0x3fff, 0x4000, 0xffff] {
        let mut spec = spec(Gate::Recv);
        spec.from[0] = special;
        assert_eq!(refused(&spec), Some(Why::NoService), "{special:#x}");
    }
}

#[test]
fn the_right_side_is_kept_as_it_was_said() {
    for (raw, target) in [
        (ANY, Target::Unchanged),
        (HOME, Target::Home),
        (REF + 2, Target::Entity(2)),
        (0, Target::Service(VsId::ROOT)),
        (7, Target::Service(VsId::new(7).unwrap())),
    ] {
        let mut spec = spec(Gate::Recv);
        spec.to[1] = raw;
        let set = pushed(&spec).unwrap();
        let rule = set.rules()[0];
        assert_eq!(
            (rule.targets()[1], rule.to()[1], target.raw()),
            (target, raw, raw)
        );
        assert_eq!(
            (rule.targets()[0], rule.targets()[2]),
            (Target::Unchanged, Target::Unchanged)
        );
    }
    for raw in [REF + 3, REF + 7] {
        let mut spec = spec(Gate::Recv);
        spec.to[0] = raw;
        assert_eq!(refused(&spec), Some(Why::Entity));
    }
    for raw in [HOME + 1, ANY - 1, REF - 1, 10] {
        let mut spec = spec(Gate::Recv);
        spec.to[0] = raw;
        assert_eq!(refused(&spec), Some(Why::NoService));
    }
}

#[test]
fn paths_are_absolute() {
    for good in [b"/a".as_slice(), b"/", b"/a/*", b"/*", b"/a*", b"/a/b*c"] {
        assert_eq!(with_path(Gate::Exec, props::PATH, good), None);
    }
    for bad in [b"".as_slice(), b"a", b"*", b"./a", b"@a"] {
        assert_eq!(with_path(Gate::Exec, props::PATH, bad), Some(Why::Value));
    }
    assert_eq!(with_path(Gate::Connect, props::UNIX, b"@a"), None);
    assert_eq!(
        with_path(Gate::Connect, props::UNIX, b"a"),
        Some(Why::Value)
    );
}

#[test]
fn values_are_checked() {
    let facts = |props| Facts {
        props,
        ..Facts::NONE
    };
    let base = || spec(Gate::Packet);
    let proto = Facts {
        proto: Proto::ALL.len() as u8,
        ..facts(props::PROTO)
    };
    assert_eq!(
        refused(&Spec {
            facts: proto,
            ..base()
        }),
        Some(Why::Value)
    );
    assert_eq!(
        refused(&Spec {
            facts: facts(props::IFACE),
            ..base()
        }),
        Some(Why::Value)
    );
    assert_eq!(
        refused(&Spec {
            facts: facts(props::LOCAL),
            local_len: 129,
            ..base()
        }),
        Some(Why::Value)
    );
    assert_eq!(
        refused(&Spec {
            facts: facts(props::PEER),
            peer_len: 129,
            ..base()
        }),
        Some(Why::Value)
    );
    assert_eq!(
        refused(&Spec {
            local_len: 129,
            peer_len: 200,
            ..base()
        }),
        None,
        "what is not asked for is not read"
    );
}

#[test]
fn what_is_not_asked_for_is_not_kept() {
    let facts = Facts {
        props: props::LPORT,
        proto: 1,
        uid: 2,
        gid: 3,
        local: [4; 16],
        peer: [5; 16],
        local_port: 6,
        peer_port: 7,
        iface: [8; 16],
        path: b"/x",
        cgroup: b"/y",
    };
    let set = pushed(&Spec {
        facts,
        local_len: 9,
        peer_len: 9,
        ..spec(Gate::Accept)
    })
    .unwrap();
    let kept = set.facts(&set.rules()[0]);
    let wanted = Facts {
        props: props::LPORT,
        local_port: 6,
        ..Facts::NONE
    };
    assert_eq!(format!("{kept:?}"), format!("{wanted:?}"));
}

proptest! {
    #[test]
    fn a_mask_keeps_its_bits(address: [u8; 16], len in 0_u8..=128) {
        let kept = u128::from_be_bytes(masked(&address, len));
        let whole = u128::from_be_bytes(address);
        for bit in 0..128 {
            let place = 1_u128 << (127 - bit);
            prop_assert_eq!(kept & place, if bit < u32::from(len) { whole & place } else { 0 });
        }
    }

    #[test]
    fn a_directory_is_what_stands_before_its_last_slash(
        path in "/?([ab]{0,2}/){0,4}[ab]{0,2}", slashes in 1_u8..5,
    ) {
        let last = path.match_indices('/').nth(usize::from(slashes) - 1);
        let wanted = last.map(|(at, _)| &path[..=at]);
        let wanted = wanted.filter(|dir| dir.len() < path.len());
        prop_assert_eq!(directory(path.as_bytes(), slashes), wanted.map(str::as_bytes));
    }
}
