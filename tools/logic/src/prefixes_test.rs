// SPDX-License-Identifier: MIT OR Apache-2.0

//! The prefixes around an address are those that a look at each of them finds.

use crate::logic::prefixes::{Prefixes, Wanted};
use crate::table::{failing_after, Table};
use proptest::prelude::*;
use proptest::sample::select;

const SPACES: usize = 3;

fn contains(one: &Wanted, space: usize, address: u128) -> bool {
    one.space == space && (one.len == 0 || (one.address ^ address) >> (128 - one.len) == 0)
}

fn table(wanted: &[Wanted]) -> Table<Wanted> {
    let mut table = Table::new();
    table.extend_from_slice(wanted).unwrap();
    table
}

/// Addresses of few bits, at both ends and in the middle, so that prefixes nest, touch and repeat.
fn address() -> impl Strategy<Value = u128> {
    let bits = || select(vec![0_u128, 1, 2, 3, 7]);
    (bits(), bits(), bits(), any::<bool>()).prop_map(|(high, middle, low, all)| {
        let address = (high << 125) | (middle << 60) | low;
        if all {
            !address
        } else {
            address
        }
    })
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let len = prop_oneof![
        select(vec![0_u8, 1, 2, 3, 4, 64, 66, 68, 125, 127]),
        0_u8..128
    ];
    (0..SPACES, address(), len, 0_usize..64).prop_map(|(space, address, len, group)| Wanted {
        space,
        address: match len {
            0 => 0,
            len => address & (u128::MAX << (128 - len)),
        },
        len,
        group,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn finds_what_a_look_at_each_finds(
        wanted in prop::collection::vec(wanted(), 0..80),
        addresses in prop::collection::vec(address(), 1..40),
    ) {
        let prefixes = Prefixes::<SPACES>::compile(table(&wanted)).unwrap();
        // the ends of each prefix, too, and the addresses beside it
        let ends = wanted.iter().flat_map(|one| {
            let last = match one.len {
                0 => u128::MAX,
                len => one.address | (u128::MAX >> len),
            };
            [one.address, last, one.address.wrapping_sub(1), last.wrapping_add(1)]
        });
        for address in addresses.into_iter().chain(ends.collect::<Vec<_>>()) {
            for space in 0..SPACES {
                let mut lengths: Vec<_> = wanted.iter()
                    .filter(|one| contains(one, space, address)).map(|one| one.len).collect();
                lengths.sort_by(|a, b| b.cmp(a));
                lengths.dedup();
                let found: Vec<_> = prefixes.around(space, address).collect();
                prop_assert_eq!(found.iter().map(|one| one.len).collect::<Vec<_>>(), lengths);
                for one in &found {
                    for group in 0..64 {
                        let asked = wanted.iter().any(|wish| {
                            contains(wish, space, address)
                                && (wish.len, wish.group) == (one.len, group)
                        });
                        prop_assert_eq!(one.is_of(group), asked);
                    }
                }
                for group in [0, 31, 63] {
                    let depth = found.iter().filter(|one| one.is_of(group)).count();
                    prop_assert!(depth <= prefixes.depth(space, group));
                }
            }
        }
    }

    #[test]
    fn each_prefix_has_a_number_of_its_own(wanted in prop::collection::vec(wanted(), 0..40)) {
        let prefixes = Prefixes::<SPACES>::compile(table(&wanted)).unwrap();
        let mut seen = std::collections::HashMap::new();
        for one in &wanted {
            let found = prefixes.around(one.space, one.address)
                .find(|found| found.len == one.len).unwrap();
            let key = (one.space, one.address, one.len);
            prop_assert_eq!(*seen.entry(found.number).or_insert(key), key);
        }
    }

    #[test]
    fn without_memory_it_says_so(
        wanted in prop::collection::vec(wanted(), 1..20),
        left in 0_usize..8,
    ) {
        let given = table(&wanted);
        let enough = failing_after(left, || Prefixes::<SPACES>::compile(given)).is_ok();
        prop_assert!(!enough || left >= 2);
    }
}

/// IPv4 networks of all lengths: one in another, or side by side.
#[test]
fn the_depth_is_that_to_which_they_nest() {
    let depth = |side_by_side: bool| {
        let network = |len: u8| {
            let address = 0x0a00_0000 | (u32::from(side_by_side) << (32 - len));
            Wanted {
                space: 0,
                address: 0xffff_0000_0000 | u128::from(address),
                len: 96 + len,
                group: 5,
            }
        };
        let wanted: Vec<_> = (9..32).map(network).collect();
        let prefixes = Prefixes::<SPACES>::compile(table(&wanted)).unwrap();
        assert_eq!(prefixes.depth(0, 6), 0);
        assert_eq!(prefixes.depth(1, 5), 0);
        prefixes.depth(0, 5)
    };
    assert_eq!(depth(false), 23);
    assert_eq!(depth(true), 1);
}
