// SPDX-License-Identifier: MIT OR Apache-2.0
//! The figures of the paper's experiments: recorded in the guest ([`measure`]), computed
//! ([`account`], [`log`], [`row`]), judged ([`goals`]) and shown ([`table`], [`plot`]).

pub mod account;
pub mod goals;
pub mod log;
pub mod measure;
pub mod plot;
pub mod row;
pub mod table;
