// SPDX-License-Identifier: GPL-2.0

//! Parts that the kernel crate lacks: bindings of our own, sockets and packets, RCU
//! boxes, per-CPU counters, arrays, devices.

pub(crate) mod bindings;
pub(crate) mod file;
pub(crate) mod misc;
pub(crate) mod percpu;
pub(crate) mod probe;
pub(crate) mod rcu;
pub(crate) mod skb;
pub(crate) mod sock;
pub(crate) mod table;
