// SPDX-License-Identifier: MIT OR Apache-2.0
//! Virtual Services as text: names, addresses, values with units, rules, configurations, and how
//! two configurations differ.
//!
//! Nothing here needs the module, so reading and printing can be tested on any machine. Every error
//! names the mistake, its place in the text, and the remedy.

pub mod address;
pub mod attribute;
pub mod config;
pub mod contest;
pub mod diff;
pub mod name;
mod number;
pub mod pattern;
pub mod problem;
mod quote;
pub mod rule;

/// The gates with their properties and protocols: the same table as in the module.
pub use vs_logic::gate;
