// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! Address prefixes of rules: finds those that contain an address, the longest first.
//!
//! Prefixes nest or are disjoint. So they cut the addresses into intervals, in each of which one
//! prefix is the longest, and each prefix knows the next longer one around it. A look-up is a
//! binary search among the intervals (at most 20 steps) and a walk outwards.
//!
//! Prefixes are kept by *space*: those of different gates, or of a socket's own address and its
//! peer's, have nothing to do with each other.

use super::sort::sort;
use crate::table::{NoMemory, Table};

/// A prefix that one of the rules asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    pub space: usize,
    /// Its bits behind `len` are zero.
    pub address: u128,
    /// 0 to 127: a whole address is no prefix.
    pub len: u8,
    /// The group of rules that wants it, below 64.
    pub group: usize,
}

/// A prefix of a [`Prefixes`].
#[derive(Clone, Copy)]
struct Prefix {
    address: u128,
    /// Bit n: group n wants it.
    groups: u64,
    /// The longest prefix around it, or [`NONE`].
    around: u32,
    len: u8,
}

impl Prefix {
    /// The first address behind it; `None`: it reaches to the last one.
    fn end(&self) -> Option<u128> {
        match self.len {
            0 => None,
            len => self.address.checked_add(1 << (128 - u32::from(len))),
        }
    }
}

/// From this address on, up to the next interval, a prefix is the longest; [`NONE`]: there is none.
#[derive(Clone, Copy)]
struct Interval {
    start: u128,
    prefix: u32,
}

const NONE: u32 = u32::MAX;

/// Prefixes of `SPACES` spaces.
///
/// # Invariants
///
/// - `prefixes` is ordered by space, address and length, without duplicates; so one comes after all
///   that are around it. `around` is smaller than the prefix's own place.
/// - `intervals` is ordered by space and start; `spaces` says where each space's begin and end.
pub struct Prefixes<const SPACES: usize> {
    prefixes: Table<Prefix>,
    intervals: Table<Interval>,
    spaces: [(u32, u32); SPACES],
}

impl<const SPACES: usize> Prefixes<SPACES> {
    /// No prefix.
    pub const fn new() -> Self {
        Prefixes {
            prefixes: Table::new(),
            intervals: Table::new(),
            spaces: [(0, 0); SPACES],
        }
    }

    /// Takes time in proportion to the number of prefixes, with its logarithm, and to the depth to
    /// which they nest.
    pub fn compile(mut wanted: Table<Wanted>) -> Result<Self, NoMemory> {
        sort(&mut wanted, |a, b| {
            (a.space, a.address, a.len) < (b.space, b.address, b.len)
        });
        let mut this = Prefixes::new();
        for of_space in wanted.chunk_by(|a, b| a.space == b.space) {
            let begin = this.intervals.len();
            this.nest(of_space, begin)?;
            if let Some(space) = this.spaces.get_mut(of_space[0].space) {
                *space = (begin as u32, this.intervals.len() as u32);
            }
        }
        Ok(this)
    }

    /// Adds the prefixes of one space, whose intervals begin at the place `begin`.
    fn nest(&mut self, wanted: &[Wanted], begin: usize) -> Result<(), NoMemory> {
        let mut inner = NONE;
        for same in wanted.chunk_by(|a, b| (a.address, a.len) == (b.address, b.len)) {
            let (address, len) = (same[0].address, same[0].len);
            inner = self.leave(inner, Some(address), begin)?;
            let place = self.prefixes.len() as u32;
            self.prefixes.push(Prefix {
                address,
                groups: same.iter().fold(0, |bits, one| bits | (1 << one.group)),
                around: inner,
                len,
            })?;
            self.start(address, place, begin)?;
            inner = place;
        }
        self.leave(inner, None, begin)?;
        Ok(())
    }

    /// Leaves the prefixes, from `inner` outwards, that end before the address `next` (`None`:
    /// all). Returns the innermost one that is left.
    fn leave(&mut self, mut inner: u32, next: Option<u128>, begin: usize) -> Result<u32, NoMemory> {
        while let Some(prefix) = self.prefixes.get(inner as usize).copied() {
            let end = prefix.end();
            if next.is_some_and(|next| end.is_none_or(|end| end > next)) {
                break;
            }
            inner = prefix.around;
            if let Some(end) = end {
                self.start(end, inner, begin)?;
            }
        }
        Ok(inner)
    }

    /// Starts an interval; one before it that would be empty goes.
    fn start(&mut self, start: u128, prefix: u32, begin: usize) -> Result<(), NoMemory> {
        let interval = Interval { start, prefix };
        match self.intervals[begin..].last_mut() {
            Some(last) if last.start == start => *last = interval,
            _ => self.intervals.push(interval)?,
        }
        Ok(())
    }

    /// The prefixes of this space that contain `address`, the longest first.
    pub fn around(&self, space: usize, address: u128) -> Around<'_> {
        let (begin, end) = self.spaces[space];
        let intervals = &self.intervals[begin as usize..end as usize];
        let behind = intervals.partition_point(|interval| interval.start <= address);
        let next = match behind.checked_sub(1) {
            Some(place) => intervals[place].prefix,
            None => NONE,
        };
        Around {
            prefixes: &self.prefixes,
            next,
        }
    }

    /// To how many prefixes that are wanted for `group` an address of this space can belong.
    pub fn depth(&self, space: usize, group: usize) -> usize {
        let (begin, end) = self.spaces[space];
        self.intervals[begin as usize..end as usize]
            .iter()
            .map(|interval| {
                let around = Around {
                    prefixes: &self.prefixes,
                    next: interval.prefix,
                };
                around.filter(|found| found.is_of(group)).count()
            })
            .max()
            .unwrap_or(0)
    }
}

/// The prefixes that contain an address, from the inside outwards.
#[derive(Clone)]
pub struct Around<'a> {
    prefixes: &'a [Prefix],
    next: u32,
}

/// A prefix that was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// Its number: no other prefix has it, in any space.
    pub number: u32,
    pub len: u8,
    groups: u64,
}

impl Found {
    /// Whether it is wanted for this group.
    pub fn is_of(&self, group: usize) -> bool {
        (self.groups >> group) & 1 != 0
    }
}

impl Iterator for Around<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        let number = self.next;
        let prefix = self.prefixes.get(number as usize)?;
        self.next = prefix.around;
        Some(Found {
            number,
            len: prefix.len,
            groups: prefix.groups,
        })
    }
}
