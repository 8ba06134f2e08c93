// SPDX-License-Identifier: MIT OR Apache-2.0

//! The pure logic of vs.ko on the host.
//!
//! `vs_module/logic` is compiled here as it stands; only the memory below ([`table`]) is the
//! host's. So vsctl has the tables of gates, properties, attributes and reasons, and the contest
//! between rules, from the files that the module is made of. The parser of `vs_netfilter` is
//! compiled for its tests.

// The files of the module are documented as the kernel's are: what a name says is not said again.
#![allow(missing_docs)]
// An empty table is made in constants, too, where there is no Default; nothing here asks for one.
#![allow(clippy::new_without_default)]

#[path = "../../../vs_module/logic/mod.rs"]
mod logic;
pub mod table;

pub use logic::*;

#[cfg(test)]
#[path = "../../../vs_netfilter/parse.rs"]
#[allow(dead_code)] // the module uses all of it, its tests what they test
mod parse;

#[cfg(test)]
mod classify_test;
#[cfg(test)]
mod gate_test;
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
#[cfg(test)]
mod tag_test;
#[cfg(test)]
mod work_test;
