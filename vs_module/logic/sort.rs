// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! Sorting, for the module.
//!
//! The sort of `core` panics if an ordering contradicts itself, in a function of which objtool does
//! not know that it never returns, so objtool warns about each caller. This sort needs no memory,
//! does not recurse, and takes n log n steps for any input.

/// Sorts `items` so that `less` never holds for an item and the one before it. Items that are
/// neither less nor greater come in any order.
pub fn sort<T>(items: &mut [T], less: impl Fn(&T, &T) -> bool) {
    for root in (0..items.len() / 2).rev() {
        sift(items, root, &less);
    }
    for end in (1..items.len()).rev() {
        items.swap(0, end);
        sift(&mut items[..end], 0, &less);
    }
}

/// Makes a heap of `items`, with the largest first; it is one already except at `root`.
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
