// SPDX-License-Identifier: MIT OR Apache-2.0

//! Questions to other servers: no order of questions and receipts takes one's answer for another's.

use crate::logic::ask::{Asked, Asker};
use proptest::prelude::*;

fn asker(n: u32) -> Asker {
    Asker::new(n, n)
}

#[test]
fn an_answer_is_the_last_askers() {
    let (one, other) = (asker(1), asker(2));
    let asked = Asked::NOTHING.asks(Some(one));
    assert!(asked.is_by(one) && !asked.is_by(other));
    // more of the answer
    assert!(asked.answered().is_by(one));
    // a connection that is kept, and used again
    let again = asked.answered().asks(Some(other));
    assert!(again.is_by(other) && !again.is_by(one));
    assert!(Asked::connected(Some(one)).is_by(one));
    assert!(Asked::connected(Some(one)).asks(Some(other)).is_by(other));
}

#[test]
fn of_several_at_once_it_cannot_be_told() {
    let (one, other) = (asker(1), asker(2));
    for (first, second) in [
        (Some(one), Some(other)),
        (Some(one), None),
        (None, Some(one)),
    ] {
        let mixed = Asked::NOTHING.asks(first).asks(second);
        for asked in [mixed, mixed.answered(), mixed.answered().asks(Some(one))] {
            assert!(
                !asked.is_by(one) && !asked.is_by(other),
                "{first:?} {second:?}"
            );
        }
    }
    let twice = Asked::NOTHING.asks(Some(one)).asks(Some(one));
    assert!(twice.is_by(one), "one asks in two parts");
}

#[test]
fn pieces_of_work_differ_by_task_and_number() {
    let last = (1 << 22) - 1;
    let one = Asker::new(last, u32::MAX);
    assert_ne!(one, Asker::new(last, 0));
    assert_ne!(one, Asker::new(last - 1, u32::MAX));
    assert!(Asked::from_raw(Asked::NOTHING.asks(Some(one)).raw()).is_by(one));
    assert!(!Asked::NOTHING.is_by(Asker::new(1, 0)));
}

/// A question of the asker of this number (0: a task without work), or a receipt.
#[derive(Clone, Copy, Debug)]
enum Event {
    Asks(u32),
    Answered,
}

proptest! {
    /// What is received is taken for an answer only to one whose question alone was open since the
    /// last receipt, or who was the last to ask before.
    #[test]
    fn nobody_gets_anothers_answer(
        events in prop::collection::vec(
            prop_oneof![(0_u32..4).prop_map(Event::Asks), Just(Event::Answered)], 0..40),
    ) {
        let mut asked = Asked::NOTHING;
        let (mut open, mut last) = (std::collections::BTreeSet::new(), 0);
        let mut mixed = false;
        for event in events {
            match event {
                Event::Asks(n) => {
                    asked = asked.asks((n != 0).then(|| asker(n)));
                    open.insert(n);
                    last = n;
                }
                Event::Answered => {
                    asked = asked.answered();
                    open.clear();
                }
            }
            mixed |= open.len() > 1;
            for n in 1..4 {
                prop_assert_eq!(asked.is_by(asker(n)), !mixed && last == n);
            }
        }
    }
}
