// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tables are consistent: each number is the row's place, and each name finds its row.

use crate::logic::attr::Attr;
use crate::logic::gate::{props, Gate, Property, Proto};
use crate::logic::rule::ENTITIES;
use crate::logic::why::Why;

#[test]
fn numbers_are_places() {
    for (n, gate) in Gate::ALL.into_iter().enumerate() {
        assert_eq!(gate as usize, n);
        assert_eq!(Gate::named(gate.name()), Some(gate));
        assert_eq!(Gate::new(n as u32), Some(gate));
        assert_eq!(gate.takes_rules(), gate.props() != 0, "{gate:?}");
        assert!(gate.entities().len() <= ENTITIES, "{gate:?}");
    }
    assert_eq!(Gate::new(Gate::COUNT as u32), None);
    for (n, property) in Property::ALL.into_iter().enumerate() {
        assert_eq!(property.bit(), 1 << n);
        assert_eq!(Property::named(property.name()), Some(property));
    }
    assert_eq!(Property::among(props::TASK).count(), 3);
    for (n, proto) in Proto::ALL.into_iter().enumerate() {
        assert_eq!(Proto::new(n as u8), Some(proto));
        assert_eq!(Proto::named(proto.name()), (n > 0).then_some(proto));
    }
    for (n, attr) in Attr::ALL.into_iter().enumerate() {
        assert_eq!(Attr::new(n as u16), Some(attr));
        assert_eq!(attr.check(attr.default()), Ok(()), "{attr:?}");
    }
    assert_eq!(Why::new(0), None);
    for (n, why) in Why::ALL.into_iter().enumerate() {
        assert_eq!((why as usize, Why::new(n as u32 + 1)), (n + 1, Some(why)));
    }
    assert_eq!(Why::new(Why::ALL.len() as u32 + 1), None);
}

#[test]
fn a_word_is_either_an_entity_or_a_property() {
    for gate in Gate::ALL {
        for entity in gate.entities() {
            assert_eq!(Property::named(entity.name), None, "{}", entity.name);
        }
    }
}

#[test]
fn the_caller_comes_first_and_is_a_task() {
    for gate in Gate::ALL.into_iter().filter(|gate| gate.takes_rules()) {
        let called = gate != Gate::Packet;
        assert_eq!(gate.is_task(0), called, "{gate:?}");
        assert_eq!(gate.entities()[0].name == "task", called, "{gate:?}");
    }
}

#[test]
fn every_reason_has_a_sentence_of_its_own() {
    let mut seen = std::collections::HashSet::new();
    for why in Why::ALL {
        assert!(!why.advice().is_empty());
        assert!(seen.insert(why.what()), "two reasons say: {}", why.what());
    }
}
