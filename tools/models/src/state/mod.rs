// SPDX-License-Identifier: MIT OR Apache-2.0

//! Stands in for the module's `state`: its counters unchanged, and the part of a service that they
//! use.

#[path = "../../../../vs_module/state/counter.rs"]
pub(crate) mod counter;
pub(crate) mod service;

pub(crate) mod stat {
    /// The statistics that the counters keep.
    #[derive(Clone, Copy)]
    pub(crate) enum Count {
        Tasks,
        Sockets,
        RefusedTasks,
        RefusedSockets,
    }
}
