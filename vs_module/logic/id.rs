// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! The id of a virtual service, and the order in which ids are given out.

/// The id of a virtual service: its place in all tables. A [`Tag`](super::tag::Tag) carries it on
/// sockets and packets.
///
/// # Invariants
///
/// Less than [`VsId::COUNT`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(transparent)]
pub struct VsId(u16);

impl VsId {
    /// Width of an id: `VS_ID_BITS`.
    pub const BITS: u32 = 14;
    /// How many ids there are.
    pub const COUNT: usize = 1 << Self::BITS;
    /// The service of all that is unclassified.
    pub const ROOT: VsId = VsId(0);

    /// The id `raw`, if there is such an id.
    pub const fn new(raw: u32) -> Option<VsId> {
        if raw < Self::COUNT as u32 {
            // INVARIANT: Just checked.
            Some(VsId(raw as u16))
        } else {
            None
        }
    }

    /// The id in the low bits of `bits`.
    pub const fn from_bits(bits: u32) -> VsId {
        // INVARIANT: The mask leaves `BITS` bits.
        VsId((bits & Self::MASK) as u16)
    }

    pub const MASK: u32 = Self::COUNT as u32 - 1;

    pub const fn get(self) -> u16 {
        self.0
    }

    pub const fn index(self) -> usize {
        self.0 as usize
    }

    pub const fn is_root(self) -> bool {
        self.0 == 0
    }

    /// All ids, root first.
    pub fn all() -> impl Iterator<Item = VsId> {
        // INVARIANT: The range ends at `COUNT`.
        (0..Self::COUNT as u16).map(VsId)
    }
}

/// Gives ids out in turn, so that the id that has been free for longest is next.
#[derive(Clone)]
pub struct IdTurn {
    last: VsId,
}

impl IdTurn {
    /// Begins after `last`.
    pub const fn new(last: VsId) -> Self {
        IdTurn { last }
    }

    /// The next id for which `free` holds; root is never given out. `None`: all are in use.
    pub fn next(&mut self, mut free: impl FnMut(VsId) -> bool) -> Option<VsId> {
        let start = self.last.0 as u32;
        for step in 1..=VsId::COUNT as u32 {
            // INVARIANT: A remainder of `COUNT`.
            let id = VsId(((start + step) % VsId::COUNT as u32) as u16);
            if !id.is_root() && free(id) {
                self.last = id;
                return Some(id);
            }
        }
        None
    }
}
