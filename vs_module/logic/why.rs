// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! Why something was refused.

use crate::table::NoMemory;

/// The causes that the ABI can name: `enum vs_reason`, in its order (abi.rs holds them together).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum Why {
    NameBad = 1,
    NameTaken,
    IdTaken,
    NoService,
    Root,
    Depth,
    Cycle,
    Full,
    HasChildren,
    HasTasks,
    HasSockets,
    HasRules,
    Shared,
    Range,
    Gate,
    Property,
    Entity,
    Value,
    NoRule,
    NoTask,
    Fd,
    NoGates,
    Duplicate,
    Order,
}

/// An operation that was not done, and left no trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// The caller asked for something that is not possible.
    Why(Why),
    /// An allocation failed.
    NoMemory,
}

impl From<Why> for Refusal {
    fn from(why: Why) -> Self {
        Refusal::Why(why)
    }
}

impl From<NoMemory> for Refusal {
    fn from(_: NoMemory) -> Self {
        Refusal::NoMemory
    }
}
