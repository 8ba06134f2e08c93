// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! The service whose turn it is: the one that has most of its CPU share left.
//!
//! The CPU time that a service has used counts for about a second ([`Used`]): half of it is
//! forgotten in each half-life. Two services are compared where their ways up the tree part
//! ([`Path`]): there the one is due whose node has used less for its weight. This does not depend
//! on the scheduler, which has an order of its own while it runs.

use super::hierarchy::DEPTH_MAX;

/// CPU use that is forgotten by and by, and the time at which it was written down.
///
/// ```text
///   63 .. 24                     23 .. 0
///   use, in units of 4 ns        step of the time
/// ```
///
/// One word, so that it can be changed by compare-and-swap. A step is 2^26 ns (67 ms), a half-life
/// 16 steps (1.07 s). All use of 1,024 CPUs comes to less than 1,600 s, the largest that fits is
/// 4,398 s.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct Used(u64);

/// Binary logarithm of a step in ns.
const STEP_SHIFT: u32 = 26;
/// Steps in which half of a use is forgotten.
const HALF_LIFE: u32 = 16;
const STEP_BITS: u32 = 24;
const STEP_MASK: u32 = (1 << STEP_BITS) - 1;
/// Binary logarithm of the unit in ns.
const UNIT_SHIFT: u32 = 2;
const MOST: u64 = u64::MAX >> STEP_BITS;
/// A clock that was read a little earlier on another CPU is taken for no time passed; one that is
/// further back has gone round.
const BACK: u32 = 16;

/// 2^24 * 2^(-n/16)
const DECAY: [u32; HALF_LIFE as usize] = [
    16_777_216, 16_065_917, 15_384_775, 14_732_511, 14_107_901, 13_509_772, 12_937_002, 12_388_516,
    11_863_283, 11_360_319, 10_878_679, 10_417_458, 9_975_792, 9_552_851, 9_147_842, 8_760_003,
];

/// The step of a time in ns.
pub const fn step(ns: u64) -> u32 {
    (ns >> STEP_SHIFT) as u32 & STEP_MASK
}

/// How many steps there are from `then` to `now`.
pub const fn steps(then: u32, now: u32) -> u32 {
    let steps = now.wrapping_sub(then) & STEP_MASK;
    if steps > STEP_MASK - BACK {
        0
    } else {
        steps
    }
}

/// What is left of `value` after so many steps.
const fn decayed(value: u64, steps: u32) -> u64 {
    let halves = steps / HALF_LIFE;
    if halves >= 40 {
        return 0;
    }
    // 40 bits by 24
    (value * DECAY[(steps % HALF_LIFE) as usize] as u64) >> (24 + halves)
}

impl Used {
    /// Nothing.
    pub const NONE: Used = Used(0);

    pub const fn from_raw(raw: u64) -> Used {
        Used(raw)
    }

    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Steps from the time at which it was written down to `step`.
    const fn age(self, step: u32) -> u32 {
        steps(self.0 as u32, step)
    }

    /// How much it is at `step`.
    pub const fn at(self, step: u32) -> u64 {
        decayed(self.0 >> STEP_BITS, self.age(step))
    }

    /// This and `ns` more, which [`spread`] has told if they were used over some time.
    #[must_use]
    pub fn plus(self, step: u32, ns: u64) -> Used {
        let sum = self.at(step).saturating_add(ns >> UNIT_SHIFT).min(MOST);
        let step = match self.age(step) {
            0 => self.0 as u32,
            _ => step,
        };
        Used((sum << STEP_BITS) | u64::from(step & STEP_MASK))
    }
}

/// What counts of `ns` that were used evenly in the last so many steps.
pub fn spread(ns: u64, steps: u32) -> u64 {
    if steps < 2 {
        return ns;
    }
    let each = (ns / u64::from(steps)).min(1 << 40);
    // The sum of a geometric series: (1 - q^n) / (1 - q), with 1 / (1 - q) = 23.587.
    let kept = (1 << 24) - decayed(1 << 24, steps);
    ((each * kept) >> 24) * 23_587 / 1000
}

/// A node on the way from a service up to root, or as the first one, what is a node's own: a party
/// of its own beside the child nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Level {
    /// Its number; no two of a tree are equal.
    pub key: u32,
    /// 1 to [`WEIGHT_MAX`](super::attr::WEIGHT_MAX).
    pub weight: u32,
    /// What all of it has used: [`Used::at`].
    pub used: u64,
}

/// A service's way up to root.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    levels: [Level; Path::ROOM],
    len: usize,
}

impl Path {
    /// The node's own and the nodes up to root.
    const ROOM: usize = DEPTH_MAX + 2;

    pub const fn new() -> Self {
        Path {
            levels: [Level {
                key: 0,
                weight: 0,
                used: 0,
            }; Path::ROOM],
            len: 0,
        }
    }

    /// One more level upwards. `false`: there are more than a tree has.
    pub fn push(&mut self, level: Level) -> bool {
        match self.levels.get_mut(self.len) {
            Some(place) => {
                *place = level;
                self.len += 1;
                true
            }
            None => false,
        }
    }

    /// The levels from root down.
    fn down(&self) -> impl Iterator<Item = &Level> {
        self.levels[..self.len].iter().rev()
    }

    /// Whether this one has more left of its share than `other`. Not if they are equal, or of one
    /// node.
    pub fn is_due_before(&self, other: &Path) -> bool {
        let mut ways = self.down().zip(other.down());
        match ways.find(|(one, two)| one.key != two.key) {
            // 40 bits by 14
            Some((one, two)) => one.used * u64::from(two.weight) < two.used * u64::from(one.weight),
            None => false,
        }
    }
}

/// Of so many accepts of a listener, one takes the oldest connection in any case.
pub const OLDEST_EVERY: u32 = 64;

/// The accepts of a listener, counted in a word that it shares with listeners of the same hash.
///
/// ```text
///   63 .. 32            31 .. 0
///   of which listener   how many
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Turn(u64);

impl Turn {
    pub const fn from_raw(raw: u64) -> Turn {
        Turn(raw)
    }

    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The next accept of `listener`, and whether it takes the oldest connection: it does where
    /// another listener has had the word, as it is not known when it last did.
    pub const fn next(self, listener: u32) -> (Turn, bool) {
        let count = match (self.0 >> 32) as u32 == listener {
            true => ((self.0 as u32) + 1) % OLDEST_EVERY,
            false => 0,
        };
        (Turn(((listener as u64) << 32) | count as u64), count == 0)
    }
}
