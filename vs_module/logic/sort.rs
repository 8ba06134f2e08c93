// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! Sorting, for the module.
//!
//! The one in `core` panics where an ordering contradicts itself, in a function that objtool does
//! not know to never return; it complains of each caller. This one needs no memory, does not
//! recurse, and takes n log n steps whatever it is given.

/// Sorts `items` so that of two neighbours `less` never holds for the second and the first. Those
/// that are neither less nor greater come in any order.
pub fn sort<T>(items: &mut [T], less: impl Fn(&T, &T) -> bool) {
    for root in (0..items.len() / 2).rev() {
        sift(items, root, &less);
    }
    for end in (1..items.len()).rev() {
        items.swap(0, end);
        sift(&mut items[..end], 0, &less);
    }
}

/// Makes a heap of `items`, whose largest is first, where it is one but for `root`.
fn sift<T>(items: &mut [T], mut root: usize, less: &impl Fn(&T, &T) -> bool) {
    loop {
        let mut child = 2 * root + 1;
        if child >= items.len() {
            return;
        }
        if child + 1 < items.len() && less(&items[child], &items[child + 1]) {
            child += 1;
        }
        if !less(&items[root], &items[child]) {
            return;
        }
        items.swap(root, child);
        root = child;
    }
}
