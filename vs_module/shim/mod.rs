// SPDX-License-Identifier: GPL-2.0

//! Parts that the kernel crate lacks: bindings of our own, RCU boxes, per-CPU counters, arrays.

pub(crate) mod bindings;
pub(crate) mod percpu;
pub(crate) mod rcu;
pub(crate) mod table;
