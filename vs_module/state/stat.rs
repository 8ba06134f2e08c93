// SPDX-License-Identifier: GPL-2.0

//! Counts and times of each service.
//!
//! All counters are per CPU and lock-free, so that counting costs the same in any context and two
//! CPUs never wait for one another. A reader adds them up.

use crate::logic::rule::Gate;
use crate::logic::work::End;
use crate::shim::percpu::PerCpu;
use kernel::prelude::*;

/// Counters by meaning; the counters of the ends of work, and of the gates, follow after the last.
#[derive(Clone, Copy)]
pub(crate) enum Count {
    /// CPU time, in nanoseconds.
    Cpu,
    /// Tasks at home here: those born less those gone. The counter of one CPU may be negative, but
    /// the sum is not.
    Tasks,
    /// Sockets that carry the tag: those counted less those counted off, as for tasks.
    Sockets,
    Rebinds,
    Unattributed,
    RefusedTasks,
    RefusedSockets,
    PacketsIn,
    BytesIn,
    PacketsOut,
    BytesOut,
}

const ENDS: usize = Count::BytesOut as usize + 1;
const GATES: usize = ENDS + End::ALL.len();
const COUNTERS: usize = GATES + Gate::COUNT;

/// The statistics of one service.
pub(crate) struct Stats(PerCpu<COUNTERS>);

impl Stats {
    /// Statistics that are all zero. May sleep.
    pub(crate) fn new() -> Result<Self> {
        Ok(Stats(PerCpu::new()?))
    }

    /// Any context.
    pub(crate) fn add(&self, count: Count, value: u64) {
        self.0.add(count as usize, value);
    }

    /// Any context.
    pub(crate) fn hit(&self, gate: Gate) {
        self.0.add(GATES + gate as usize, 1);
    }

    /// Any context.
    pub(crate) fn ended(&self, end: End) {
        self.0.add(ENDS + end as usize, 1);
    }

    pub(crate) fn ends(&self, end: End) -> u64 {
        self.0.sum(ENDS + end as usize)
    }

    pub(crate) fn get(&self, count: Count) -> u64 {
        self.0.sum(count as usize)
    }

    pub(crate) fn hits(&self, gate: Gate) -> u64 {
        self.0.sum(GATES + gate as usize)
    }

    /// Adds the counts of `other`, on which nothing is counted any more.
    pub(crate) fn take_over(&self, other: &Stats) {
        for n in 0..COUNTERS {
            self.0.add(n, other.0.sum(n));
        }
    }
}
