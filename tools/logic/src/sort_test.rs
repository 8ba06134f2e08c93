// SPDX-License-Identifier: MIT OR Apache-2.0

//! Sorting sorts.

use crate::logic::sort::sort;
use proptest::prelude::*;

proptest! {
    #[test]
    fn sorts_as_the_standard_library_does(items in prop::collection::vec(0_u8..50, 0..200)) {
        let (mut ours, mut theirs) = (items.clone(), items);
        sort(&mut ours, |a, b| a < b);
        theirs.sort();
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn an_order_that_contradicts_itself_loses_nothing(
        items in prop::collection::vec(0_u8..50, 0..100),
    ) {
        let (mut ours, mut theirs) = (items.clone(), items);
        sort(&mut ours, |a, b| a.wrapping_mul(37) % 3 != b.wrapping_mul(11) % 3);
        ours.sort();
        theirs.sort();
        prop_assert_eq!(ours, theirs);
    }
}
