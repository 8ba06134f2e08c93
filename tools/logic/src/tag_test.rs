// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tags are read back as they were made, and tags of different services differ.

use crate::logic::id::VsId;
use crate::logic::tag::{Generation, Tag};
use proptest::prelude::*;

fn id() -> impl Strategy<Value = VsId> {
    (0..VsId::COUNT as u32).prop_map(|raw| VsId::new(raw).unwrap())
}

fn generation() -> impl Strategy<Value = Generation> {
    (0..=Generation::LAST).prop_map(Generation::from_raw)
}

proptest! {
    #[test]
    fn a_tag_tells_id_and_generation(id in id(), generation in generation()) {
        let tag = Tag::new(id, generation);
        prop_assert_eq!(Tag::from_raw(tag.raw()), tag);
        prop_assert_eq!(tag.id(), id);
        prop_assert_eq!(tag.is_nobodys(), id.is_root());
        if !id.is_root() {
            prop_assert_eq!(tag.generation(), generation);
            prop_assert!(tag.raw() >> 31 == 1, "it could be a security id");
        }
    }

    #[test]
    fn tags_of_two_generations_differ(id in id(), generation in generation()) {
        if let (Some(next), false) = (generation.next(), id.is_root()) {
            prop_assert_ne!(Tag::new(id, generation), Tag::new(id, next));
        }
    }

    #[test]
    fn any_field_is_a_tag_or_nobodys(raw in any::<u32>()) {
        let tag = Tag::from_raw(raw);
        prop_assert!(tag == Tag::NOBODYS || tag.raw() == raw);
        prop_assert_eq!(tag, Tag::new(tag.id(), tag.generation()));
    }
}

#[test]
fn a_security_id_is_nobodys() {
    for secid in [1, 2, 1 << 14, (1 << 31) - 1] {
        assert_eq!(Tag::from_raw(secid), Tag::NOBODYS);
    }
}

#[test]
fn generations_end() {
    let mut generation = Generation::first(u32::MAX);
    assert!(generation.get() <= Generation::LAST / 2);
    let mut left = 0;
    while let Some(next) = generation.next() {
        assert!(next.get() > generation.get());
        generation = next;
        left += 1;
    }
    assert!(left >= Generation::LAST / 2);
    assert_eq!(generation.get(), Generation::LAST);
}
