// SPDX-License-Identifier: MIT OR Apache-2.0

//! Ids, and the order in which they are given out.

use crate::logic::id::{IdTurn, VsId};
use proptest::prelude::*;
use std::collections::HashSet;

fn id(raw: u32) -> VsId {
    VsId::new(raw).unwrap()
}

#[test]
fn ids_have_14_bits() {
    assert_eq!(VsId::new(16_383).map(VsId::get), Some(16_383));
    assert_eq!(VsId::new(16_384), None);
    assert_eq!(VsId::all().count(), VsId::COUNT);
    assert!(id(0).is_root());
}

proptest! {
    #[test]
    fn a_turn_gives_each_free_id_once_and_never_root(
        start in 0_u32..16_384,
        taken in prop::collection::hash_set(1_u32..16_384, 0..50),
    ) {
        let mut turn = IdTurn::new(id(start));
        let free = VsId::COUNT - 1 - taken.len();
        let mut given = HashSet::new();
        for _ in 0..free {
            let next = turn.next(|id| !taken.contains(&id.get().into())).unwrap();
            prop_assert!(!next.is_root() && !taken.contains(&next.get().into()));
            prop_assert!(given.insert(next.get()), "{} came twice in one round", next.get());
        }
    }
}

#[test]
fn a_freed_id_is_the_last_to_be_given_out_again() {
    let mut turn = IdTurn::new(id(0));
    let first = turn.next(|_| true).unwrap();
    for _ in 0..VsId::COUNT - 2 {
        assert_ne!(turn.next(|_| true), Some(first));
    }
    assert_eq!(turn.next(|_| true), Some(first));
}

#[test]
fn without_a_free_id_there_is_none() {
    assert_eq!(IdTurn::new(id(5)).next(|_| false), None);
}
