// SPDX-License-Identifier: MIT OR Apache-2.0

//! The pure logic of vs.ko on the host.
//!
//! `vs_module/logic` and the parser of `vs_netfilter` are compiled here as they stand; only the
//! memory below ([`table`]) is the host's. There is nothing to use in this crate: it is its tests.

// The module uses all of it, the tests what they test.
#![allow(dead_code)]

#[path = "../../../vs_module/logic/mod.rs"]
mod logic;
#[path = "../../../vs_netfilter/parse.rs"]
mod parse;
mod table;

#[cfg(test)]
mod classify_test;
#[cfg(test)]
mod hierarchy_test;
#[cfg(test)]
mod id_test;
#[cfg(test)]
mod parse_test;
#[cfg(test)]
mod rule_test;
#[cfg(test)]
mod sort_test;
