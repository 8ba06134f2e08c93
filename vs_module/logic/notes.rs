// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! Tells the service of each byte in one direction of a TCP connection that carries messages of
//! several services.
//!
//! The sender notes at which position of the stream another service's bytes begin, and the receiver
//! reads the notes that its position passes. Both ends are on this machine and share the notes,
//! under one lock. Positions are TCP's sequence numbers, which wrap around; those that are compared
//! lie in one window, so they are less than 2^31 apart.

/// Whose bytes they are: a raw tag, or one of these.
pub type Whose = u32;

/// Those of the service that the socket belongs to.
pub const SOCKETS: Whose = 0;
/// It is not known, because there were too many notes. No tag: its top bit is not set.
pub const UNKNOWN: Whose = 1;

/// How many changes can lie between the receiver's position and the sender's.
pub const ROOM: usize = 16;

/// From this position on the bytes are this service's.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Mark {
    at: u32,
    whose: Whose,
}

/// The notes of one direction.
///
/// # Invariants
///
/// The first `len` marks are in the order of their positions, none of which is before `read`.
/// `last` is the service of the last mark, or `current` if there is none.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Notes {
    marks: [Mark; ROOM],
    len: u32,
    /// Up to here the receiver has read.
    read: u32,
    /// Whose the bytes from there to the first mark are.
    current: Whose,
    /// Whose the bytes are that are sent now.
    last: Whose,
}

/// What was read at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Read {
    /// No bytes.
    Nothing,
    /// Bytes of one service.
    Of(Whose),
    /// Bytes of several services, or of nobody knows which.
    Several,
}

/// Whether the position `one` is before `other`.
fn is_before(one: u32, other: u32) -> bool {
    (one.wrapping_sub(other) as i32) < 0
}

impl Notes {
    /// No notes, of a direction whose receiver has read up to `read`: all bytes are the socket's.
    pub fn new(read: u32) -> Self {
        Notes {
            read,
            ..Notes::default()
        }
    }

    /// The bytes from the position `at` on are `whose`.
    pub fn sends(&mut self, at: u32, whose: Whose) {
        if whose == self.last {
            return;
        }
        let len = self.len as usize;
        match self.marks[..len].last_mut() {
            // what was to be sent there was not
            Some(mark) if mark.at == at => mark.whose = whose,
            Some(mark) if len == ROOM => {
                mark.whose = UNKNOWN;
                self.last = UNKNOWN;
                return;
            }
            _ => {
                self.marks[len] = Mark { at, whose };
                self.len += 1;
            }
        }
        self.last = whose;
    }

    /// Takes off the first mark, as the receiver's position has passed it.
    fn pass(&mut self) {
        self.current = self.marks[0].whose;
        self.marks.copy_within(1.., 0);
        self.len -= 1;
    }

    /// Whether the first mark is before the position `to`.
    fn changes_before(&self, to: u32) -> bool {
        self.len > 0 && is_before(self.marks[0].at, to)
    }

    /// The receiver has read up to the position `to`.
    pub fn reads(&mut self, to: u32) -> Read {
        if !is_before(self.read, to) {
            return Read::Nothing;
        }
        // a mark at the position itself is that of its first byte
        while self.changes_before(self.read.wrapping_add(1)) {
            self.pass();
        }
        let first = self.current;
        let mut several = first == UNKNOWN;
        while self.changes_before(to) {
            self.pass();
            several |= self.current != first;
        }
        self.read = to;
        match several {
            true => Read::Several,
            false => Read::Of(first),
        }
    }
}
