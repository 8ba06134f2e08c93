// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers, in the form that all texts use.

use std::str::FromStr;

/// Reads a plain decimal number, without sign or blanks. None: the text is no number, or it is too
/// large.
pub fn number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}
