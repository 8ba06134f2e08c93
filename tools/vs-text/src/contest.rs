// SPDX-License-Identifier: MIT OR Apache-2.0
//! Explains in words why one rule wins over another.
//!
//! The classifier itself ranks the rules, by their [`Merit`].

use std::cmp::Ordering;

pub use vs_logic::classify::Merit;

/// Tells why a rule of this merit loses to one of `better`.
pub fn loses(merit: &Merit, better: &Merit) -> String {
    let named = |priority: Option<i32>| match priority {
        Some(priority) => format!("names a service of priority {priority}"),
        None => "names no service on its left side".to_owned(),
    };
    let fewer = |what: &str, own: u32, other: u32| format!("has {own} {what}, the other {other}");
    match merit.cmp(better) {
        Ordering::Greater | Ordering::Equal => {
            "does not lose by the order this vsctl knows".to_owned()
        }
        Ordering::Less if merit.priority != better.priority => {
            format!(
                "{}, the other {}",
                named(merit.priority),
                named(better.priority)
            )
        }
        Ordering::Less if merit.conditions != better.conditions => {
            fewer("conditions", merit.conditions, better.conditions)
        }
        Ordering::Less if merit.bits != better.bits => {
            fewer("bits of address prefix", merit.bits, better.bits)
        }
        Ordering::Less if merit.depth != better.depth => {
            fewer("components of path", merit.depth, better.depth)
        }
        Ordering::Less => "is as specific, and younger".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Reverse;

    #[test]
    fn each_cause_has_its_words() {
        let merit = |priority, conditions, bits, depth, number| Merit {
            priority,
            conditions,
            bits,
            depth,
            number: Reverse(number),
        };
        // each criterion beats all that follow
        let order = [
            (merit(Some(10), 1, 0, 0, 9), ""),
            (
                merit(Some(0), 2, 0, 0, 8),
                "of priority 0, the other names a service of priority 10",
            ),
            (merit(Some(0), 1, 0, 0, 7), "has 1 conditions, the other 2"),
            (merit(None, 4, 0, 0, 6), "names no service"),
            (merit(None, 1, 112, 0, 5), "conditions"),
            (
                merit(None, 1, 104, 0, 4),
                "has 104 bits of address prefix, the other 112",
            ),
            (merit(None, 1, 0, 4, 2), "bits of address prefix"),
            (merit(None, 1, 0, 2, 1), "components of path"),
            (merit(None, 1, 0, 2, 3), "younger"),
        ];
        for pair in order.windows(2) {
            let (better, (worse, cause)) = (pair[0].0, pair[1]);
            assert!(better > worse, "{better:?} / {worse:?}");
            assert!(loses(&worse, &better).contains(cause), "{worse:?}");
        }
    }
}
