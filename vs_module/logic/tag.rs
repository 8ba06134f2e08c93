// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! A tag: the 32 bits that say on a socket, a request or a packet which service it belongs to.

use super::id::VsId;

/// The service that an entity belongs to, in a form that can wait in a queue for any time.
///
/// ```text
///   31   30 .. 14     13 .. 0
///    1   generation   id        or 0: nobody's
/// ```
///
/// An id is given out again after its service is gone, and each time with the next generation. A
/// packet keeps its tag for as long as it lies in a queue; if the id has a new owner by then, the
/// generations differ and the tag stands for nobody. A generation is never used twice
/// ([`Generation::next`] ends), so this needs no waiting time.
///
/// The top bit tells a tag from a security id of an LSM, which may stand in the same field of a
/// packet (`secmark`): the kernel counts those up from 1.
///
/// # Invariants
///
/// Zero, or the top bit is set and the id is not root's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct Tag(u32);

const SET: u32 = 1 << 31;

impl Tag {
    /// Nobody's: root's.
    pub const NOBODYS: Tag = Tag(0);

    /// The tag of the service that has `id` in this generation.
    pub const fn new(id: VsId, generation: Generation) -> Tag {
        if id.is_root() {
            Tag::NOBODYS
        } else {
            // INVARIANT: The top bit is set, and the id is not root's.
            Tag(SET | (generation.0 << VsId::BITS) | id.get() as u32)
        }
    }

    /// Reads the value of a field. A value that is no tag stands for no service.
    pub const fn from_raw(raw: u32) -> Tag {
        if raw & SET == 0 || raw & VsId::MASK == 0 {
            Tag::NOBODYS
        } else {
            // INVARIANT: Just checked.
            Tag(raw)
        }
    }

    pub const fn raw(self) -> u32 {
        self.0
    }

    /// The id, even if it is another service's by now.
    pub const fn id(self) -> VsId {
        VsId::from_bits(self.0)
    }

    pub const fn generation(self) -> Generation {
        Generation((self.0 & !SET) >> VsId::BITS)
    }

    pub const fn is_nobodys(self) -> bool {
        self.0 == 0
    }
}

/// How often an id has been given out.
///
/// # Invariants
///
/// At most [`Generation::LAST`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Generation(u32);

impl Generation {
    /// The last generation; an id that has reached it is spent until the module is loaded anew. As
    /// ids are given out in turn, that is after two thousand million services.
    pub const LAST: u32 = (1 << (31 - VsId::BITS)) - 1;

    /// A generation from the first half of them, made of any number.
    pub const fn first(seed: u32) -> Generation {
        // INVARIANT: Not above half of the last.
        Generation(seed & (Self::LAST >> 1))
    }

    /// The generation that [`get`](Self::get) gave.
    pub const fn from_raw(raw: u32) -> Generation {
        // INVARIANT: The mask is the last one.
        Generation(raw & Self::LAST)
    }

    pub const fn get(self) -> u32 {
        self.0
    }

    /// The one after this. `None`: the id is spent.
    pub const fn next(self) -> Option<Generation> {
        if self.0 < Self::LAST {
            // INVARIANT: Just checked.
            Some(Generation(self.0 + 1))
        } else {
            None
        }
    }
}
