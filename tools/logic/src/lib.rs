// SPDX-License-Identifier: MIT OR Apache-2.0

//! The pure logic of vs.ko on the host.
//!
//! `vs_module/logic` is compiled here as it stands; only the memory below ([`table`]) is the
//! host's. So vsctl takes the tables of gates, properties, attributes and reasons, and the ranking
//! of rules, from the module's own files. The parser of `vs_netfilter` is compiled for its tests.

// The module's files are documented as the kernel's are: comments do not repeat what a name says.
#![allow(missing_docs)]
// Constants need empty tables, too, and cannot call Default, which no code here needs.
#![allow(clippy::new_without_default)]

#[path = "../../../vs_module/logic/mod.rs"]
mod logic;
pub mod table;

pub use logic::*;

#[cfg(test)]
#[path = "../../../vs_netfilter/parse.rs"]
#[allow(dead_code)] // the module uses all of it, the tests only a part
mod parse;

#[cfg(test)]
mod ask_test;
#[cfg(test)]
mod classify_test;
#[cfg(test)]
mod gate_test;
#[cfg(test)]
mod hierarchy_test;
#[cfg(test)]
mod id_test;
#[cfg(test)]
mod notes_test;
#[cfg(test)]
mod parse_test;
#[cfg(test)]
mod rule_test;
#[cfg(test)]
mod share_test;
#[cfg(test)]
mod sort_test;
#[cfg(test)]
mod tag_test;
#[cfg(test)]
mod work_test;
