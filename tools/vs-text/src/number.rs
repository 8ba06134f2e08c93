// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers, as all of the text writes them.

use std::str::FromStr;

/// A plain decimal number: no sign, no blanks. None: it is none, or too large.
pub fn number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}
