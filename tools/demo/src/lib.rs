// SPDX-License-Identifier: MIT OR Apache-2.0
//! The figures of the demonstration: recorded in the guest ([`measure`]), computed ([`run`],
//! [`log`], [`row`]) and shown ([`table`], [`plot`]) on the host.

pub mod log;
pub mod measure;
pub mod plot;
pub mod row;
pub mod run;
pub mod table;
