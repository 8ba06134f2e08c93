// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! The decisions of vs.ko, without the kernel.
//!
//! These files make no kernel call, hold no lock and know no RCU, so that the same files are
//! compiled into the module and into the crate `vs-logic` (tools/logic). There unit and property
//! tests run them, and vsctl uses their tables and their ranking of rules. All memory comes from
//! [`crate::table::Table`], of which each side has its own, and whose every allocation can fail.

// vsctl uses parts that the module does not use, and does so from outside of the crate.
#![allow(dead_code, unreachable_pub)]

pub mod ask;
pub mod attr;
pub mod classify;
pub mod gate;
pub mod hierarchy;
pub mod id;
pub mod notes;
pub mod rule;
pub mod share;
pub mod sort;
pub mod tag;
pub mod why;
pub mod work;
