// SPDX-License-Identifier: MIT OR Apache-2.0
//! Virtual Services as text: names, addresses, values with units, rules, configurations, and how
//! two configurations differ.
//!
//! Nothing here touches a system: what is read and printed can be tested on any machine, and every
//! error says what is wrong, where in the text, and what to do.

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

/// The gates with their properties and protocols: the table that the module is made of.
pub use vs_logic::gate;
