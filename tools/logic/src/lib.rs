// SPDX-License-Identifier: GPL-2.0

//! The pure logic of vs.ko on the host.
//!
//! `vs_module/logic` is compiled here as it stands; only the memory below it ([`table`]) is the
//! host's. There is nothing to use in this crate: it is its tests.

// The module uses all of it, the tests what they test.
#![allow(dead_code)]

#[path = "../../../vs_module/logic/mod.rs"]
mod logic;
mod table;

#[cfg(test)]
mod classify_test;
#[cfg(test)]
mod hierarchy_test;
#[cfg(test)]
mod id_test;
#[cfg(test)]
mod rule_test;
#[cfg(test)]
mod sort_test;
