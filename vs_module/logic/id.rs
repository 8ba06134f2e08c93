// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! The id of a virtual service: what it looks like in a mark, and which one is given out next.

/// The id of a virtual service, as a tag carries it.
///
/// # Invariants
///
/// Less than [`VsId::COUNT`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(transparent)]
pub(crate) struct VsId(u16);

impl VsId {
    /// Width of an id: `VS_ID_BITS`.
    pub(crate) const BITS: u32 = 14;
    /// How many ids there are.
    pub(crate) const COUNT: usize = 1 << Self::BITS;
    /// The largest `mark_shift` that leaves room for an id in a mark of 32 bits.
    pub(crate) const SHIFT_MAX: u32 = u32::BITS - Self::BITS;
    /// The service of all that is unclassified.
    pub(crate) const ROOT: VsId = VsId(0);

    /// The id `raw`, if there is such an id.
    pub(crate) const fn new(raw: u32) -> Option<VsId> {
        if raw < Self::COUNT as u32 {
            // INVARIANT: Just checked.
            Some(VsId(raw as u16))
        } else {
            None
        }
    }

    /// The id in `mark`, whose lowest bit is bit `shift`.
    pub(crate) const fn from_mark(mark: u32, shift: u32) -> VsId {
        // INVARIANT: The mask leaves `BITS` bits.
        VsId(((mark >> shift) & Self::MASK) as u16)
    }

    /// `mark` with this id in it. The bits that are not ours stay as they are.
    pub(crate) const fn to_mark(self, mark: u32, shift: u32) -> u32 {
        (mark & !(Self::MASK << shift)) | ((self.0 as u32) << shift)
    }

    const MASK: u32 = Self::COUNT as u32 - 1;

    pub(crate) const fn get(self) -> u16 {
        self.0
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) const fn is_root(self) -> bool {
        self.0 == 0
    }

    /// All ids, root first.
    pub(crate) fn all() -> impl Iterator<Item = VsId> {
        // INVARIANT: The range ends at `COUNT`.
        (0..Self::COUNT as u16).map(VsId)
    }
}

/// Seconds for which an id rests after the last task or socket that carried it has gone.
///
/// Time-wait sockets and packets in queues carry ids too, and are not counted. The former live
/// for 60 s (`TCP_TIMEWAIT_LEN`), the latter for less.
pub(crate) const QUARANTINE: u32 = 120;

/// Whether an id last carried in second `last` can be given out in second `now`.
///
/// `last` is 0 for an id that never was. The clock may wrap.
pub(crate) fn rested(last: u32, now: u32) -> bool {
    last == 0 || now.wrapping_sub(last) >= QUARANTINE
}

/// Gives ids out in turn, so that the one that rested longest is next.
#[derive(Clone)]
pub(crate) struct IdTurn {
    last: VsId,
}

impl IdTurn {
    /// Begins after `last`.
    pub(crate) const fn new(last: VsId) -> Self {
        IdTurn { last }
    }

    /// The next id for which `free` holds; root is never given out. `None`: all are in use.
    pub(crate) fn next(&mut self, mut free: impl FnMut(VsId) -> bool) -> Option<VsId> {
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
