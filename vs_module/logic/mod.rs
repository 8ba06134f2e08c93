// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! What vs.ko decides, without the kernel.
//!
//! These files make no kernel call, hold no lock and know no RCU, so that the same text is
//! compiled into the module and into the host crate `tools/logic`, where unit and property tests
//! run it. All memory comes from [`crate::table::Table`], which each side has of its own, and
//! whose every allocation can fail.

pub(crate) mod classify;
pub(crate) mod hierarchy;
pub(crate) mod id;
pub(crate) mod rule;
pub(crate) mod sort;
pub(crate) mod why;
