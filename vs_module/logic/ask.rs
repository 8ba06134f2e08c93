// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! Questions to other servers: for which work a socket was used to ask, and whether what comes back
//! can be its answer.
//!
//! A task asks another server by a socket that it opened as a client. Many servers keep such
//! connections, and use them for one piece of work after the other, or for several at once. A
//! receipt there belongs to the work in hand only if that work has asked, and no other question was
//! open then: otherwise it can be another's answer.

/// One piece of work of one task, told from all others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asker(u64);

impl Asker {
    /// Of the task of this id (the kernel gives out at most 2^22, and no 0), its piece of work of
    /// this number.
    pub fn new(task: u32, number: u32) -> Self {
        Asker(((u64::from(task) << 32) | u64::from(number)) & ASKER)
    }
}

/// The questions by one socket: the last asker, and whether others asked at the same time.
///
/// ```text
///   63      62          53 .. 0
///   open    several     the last asker, 0: a task without work
/// ```
///
/// Where `several` is set, questions of different askers were open at once, and the rest says
/// nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asked(u64);

const OPEN: u64 = 1 << 63;
const SEVERAL: u64 = 1 << 62;
const ASKER: u64 = (1 << 54) - 1;

impl Asked {
    /// Nothing was asked.
    pub const NOTHING: Asked = Asked(0);

    /// Reads the word that [`raw`](Self::raw) gave.
    pub const fn from_raw(raw: u64) -> Self {
        Asked(raw)
    }

    /// The word in which it is kept.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The socket is connected, for the piece of work `by`, if for any: the other server may be the
    /// first to speak.
    pub fn connected(by: Option<Asker>) -> Self {
        Asked(by.map_or(0, |by| by.0))
    }

    /// A question is about to be sent, for the piece of work `by`, if for any.
    pub fn asks(self, by: Option<Asker>) -> Self {
        let by = by.map_or(0, |by| by.0);
        match self.0 & SEVERAL != 0 || self.0 & OPEN != 0 && self.0 & ASKER != by {
            true => Asked(SEVERAL),
            false => Asked(OPEN | by),
        }
    }

    /// Something was received. More of the same answer can follow.
    pub fn answered(self) -> Self {
        Asked(self.0 & !OPEN)
    }

    /// Whether what is received belongs to the piece of work `by`.
    pub fn is_by(self, by: Asker) -> bool {
        self.0 & SEVERAL == 0 && self.0 & ASKER == by.0
    }
}
