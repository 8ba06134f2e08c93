// SPDX-License-Identifier: MIT OR Apache-2.0

//! Notes of a stream: what is read in any portions is told as its sender's, or as several's.

use crate::logic::notes::{Notes, Read, ROOM, SOCKETS, UNKNOWN};
use proptest::prelude::*;
use std::collections::VecDeque;

const A: u32 = (1 << 31) | 1;
const B: u32 = (1 << 31) | 2;

#[test]
fn each_message_is_its_senders() {
    let mut notes = Notes::new(100);
    notes.sends(110, A);
    notes.sends(120, A);
    notes.sends(130, B);
    assert_eq!(notes.reads(100), Read::Nothing);
    assert_eq!(notes.reads(110), Read::Of(SOCKETS), "before the first note");
    assert_eq!(notes.reads(125), Read::Of(A));
    assert_eq!(notes.reads(130), Read::Of(A));
    assert_eq!(notes.reads(131), Read::Of(B));
    notes.sends(140, A);
    assert_eq!(notes.reads(141), Read::Several);
    assert_eq!(notes.reads(150), Read::Of(A));
}

#[test]
fn what_was_not_sent_is_not_noted() {
    let mut notes = Notes::new(0);
    notes.sends(10, A);
    notes.sends(10, B);
    assert_eq!(notes.reads(10), Read::Of(SOCKETS));
    assert_eq!(notes.reads(20), Read::Of(B));
    notes.sends(20, A);
    notes.sends(20, SOCKETS);
    assert_eq!(notes.reads(30), Read::Of(SOCKETS));
}

#[test]
fn a_stream_of_one_service_needs_no_room() {
    let mut notes = Notes::new(0);
    let mut at = 0_u32;
    for _ in 0..9 {
        notes.sends(at, A);
        at = at.wrapping_add(1 << 30);
        assert_eq!(notes.reads(at), Read::Of(A));
    }
}

/// Bytes are sent for a service, or as many are read.
#[derive(Clone, Copy, Debug)]
enum Event {
    Sends(u32, u32),
    Reads(u32),
}

proptest! {
    /// Beside a queue of bytes, each of which knows its sender: nothing is told as another
    /// service's; all is told that there is room to note; and the notes recover.
    #[test]
    fn no_byte_is_told_as_anothers(
        start in any::<u32>(),
        events in prop::collection::vec(
            prop_oneof![
                (0_u32..4, 0_u32..5).prop_map(|(whose, size)| Event::Sends(whose, size)),
                (1_u32..9).prop_map(Event::Reads),
            ],
            0..300,
        ),
    ) {
        let (mut notes, mut queue) = (Notes::new(start), VecDeque::new());
        let (mut sent, mut read) = (start, start);
        let mut overflown = false;
        for event in events {
            match event {
                Event::Sends(whose, size) => {
                    let whose = if whose == 0 { SOCKETS } else { (1 << 31) | whose };
                    notes.sends(sent, whose);
                    for _ in 0..size {
                        queue.push_back(whose);
                    }
                    sent = sent.wrapping_add(size);
                }
                Event::Reads(size) => {
                    let size = size.min(queue.len() as u32);
                    let bytes: Vec<u32> = queue.drain(..size as usize).collect();
                    read = read.wrapping_add(size);
                    let one = bytes.first().copied();
                    let same = bytes.iter().all(|byte| Some(*byte) == one);
                    match notes.reads(read) {
                        Read::Nothing => prop_assert_eq!(size, 0),
                        Read::Of(whose) => {
                            prop_assert!(same && Some(whose) == one && whose != UNKNOWN);
                        }
                        Read::Several => prop_assert!(!same || overflown),
                    }
                }
            }
            let mut changes = 1;
            for (one, next) in queue.iter().zip(queue.iter().skip(1)) {
                changes += usize::from(one != next);
            }
            overflown |= changes >= ROOM;
        }
    }

    /// After too many changes, all that is sent once there is room is told again.
    #[test]
    fn notes_recover(more in 1..40_u32) {
        let mut notes = Notes::new(0);
        let full = ROOM as u32 + more;
        for at in 0..full {
            notes.sends(at, if at % 2 == 0 { A } else { B });
        }
        for at in 1..=full {
            let wanted = if at % 2 == 1 { A } else { B };
            let got = notes.reads(at);
            prop_assert!(got == Read::Of(wanted) || got == Read::Several, "{at}: {got:?}");
            prop_assert_eq!(got == Read::Several, at >= ROOM as u32);
        }
        notes.sends(full, A);
        prop_assert_eq!(notes.reads(full + 1), Read::Of(A));
    }
}
