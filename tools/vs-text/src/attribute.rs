// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attributes of a service and their values with units.
//!
//! | attribute | written | the number behind it |
//! | --- | --- | --- |
//! | `cpu_weight` | `300` | share among siblings, 1 to 10000 |
//! | `cpu_cap` | `150%`, `1500m`, `1500`, `unlimited` | thousandths of one CPU, from 10 |
//! | `tasks_max`, `sockets_max` | `500`, `unlimited` | how many |
//! | `tasks_errno`, `sockets_errno` | `EAGAIN`, `11` | an error number, 1 to 133 |
//! | `accept_order` | `arrival`, `share` | the order's place in `enum vs_order` |

pub use vs_logic::attr::{Attr as Attribute, UNLIMITED};
use vs_logic::attr::{Kind, CAP_MIN, ERRNO_MAX, ORDERS, WEIGHT_MAX};

use crate::number::number;
use crate::problem::nearest;

const UNLIMITED_WORD: &str = "unlimited";

/// The attribute of that name; the error suggests a name.
pub fn named(name: &str) -> Result<Attribute, String> {
    Attribute::ALL
        .into_iter()
        .find(|attribute| attribute.name() == name)
        .ok_or_else(|| {
            let names = Attribute::ALL.map(Attribute::name);
            match nearest(name, names) {
                Some(meant) => {
                    format!("there is no attribute `{name}`: did you mean `{meant}`?")
                }
                None => format!(
                    "there is no attribute `{name}`: there are {}",
                    names.join(", ")
                ),
            }
        })
}

/// The form of a value, for messages.
pub const fn form(attribute: Attribute) -> &'static str {
    match attribute.kind() {
        Kind::Weight => "a number from 1 to 10000, 100 being usual",
        Kind::Cap => {
            "percent of one CPU such as `150%`, thousandths such as `1500m` (from 10m, 1%), or \
             `unlimited`"
        }
        Kind::Limit => "a number, or `unlimited`",
        Kind::Errno => "an error's name such as `EAGAIN`, or its number from 1 to 133",
        Kind::Order => "`arrival` or `share`",
    }
}

/// Reads a value. The error describes the form of values.
pub fn parse(attribute: Attribute, text: &str) -> Result<u32, String> {
    let value = match attribute.kind() {
        Kind::Weight => number(text).filter(|weight| (1..=WEIGHT_MAX).contains(weight)),
        Kind::Cap => cap(text),
        Kind::Limit => limit(text),
        Kind::Errno => ERRNOS
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, errno)| *errno)
            .or_else(|| number(text))
            .filter(|errno| (1..=ERRNO_MAX).contains(errno)),
        Kind::Order => ORDERS
            .iter()
            .position(|order| *order == text)
            .map(|order| order as u32),
    };
    value.ok_or_else(|| {
        format!(
            "`{text}` is no value of {}: it is {}",
            attribute.name(),
            form(attribute)
        )
    })
}

/// Prints a value so that [`parse`] reads it.
pub fn show(attribute: Attribute, value: u32) -> String {
    match attribute.kind() {
        Kind::Cap | Kind::Limit if value == UNLIMITED => UNLIMITED_WORD.to_owned(),
        Kind::Cap if value % 10 == 0 => format!("{}%", value / 10),
        Kind::Cap => format!("{}.{}%", value / 10, value % 10),
        Kind::Weight | Kind::Limit => value.to_string(),
        Kind::Errno => ERRNOS
            .iter()
            .find(|(_, errno)| *errno == value)
            .map_or_else(|| value.to_string(), |(name, _)| (*name).to_owned()),
        Kind::Order => ORDERS
            .get(value as usize)
            .map_or_else(|| value.to_string(), |order| (*order).to_owned()),
    }
}

fn limit(text: &str) -> Option<u32> {
    if text == UNLIMITED_WORD {
        Some(UNLIMITED)
    } else {
        number(text).filter(|n| *n != UNLIMITED)
    }
}

/// Thousandths of one CPU: `150%`, `12.5%`, `1500m`, `1500`, `unlimited`.
fn cap(text: &str) -> Option<u32> {
    if text == UNLIMITED_WORD {
        return Some(UNLIMITED);
    }
    let thousandths = if let Some(percent) = text.strip_suffix('%') {
        let (whole, tenth) = percent.split_once('.').unwrap_or((percent, "0"));
        // a tenth of a percent is the smallest step: further digits would be lost without a message
        let tenth = (tenth.len() == 1).then(|| number(tenth))??;
        number::<u32>(whole)?.checked_mul(10)?.checked_add(tenth)?
    } else {
        number(text.strip_suffix('m').unwrap_or(text))?
    };
    (CAP_MIN..UNLIMITED)
        .contains(&thousandths)
        .then_some(thousandths)
}

/// Errors a limit might sensibly be reported as. Any other can be given by number.
const ERRNOS: [(&str, u32); 16] = [
    ("EPERM", 1),
    ("EINTR", 4),
    ("EIO", 5),
    ("EAGAIN", 11),
    ("ENOMEM", 12),
    ("EACCES", 13),
    ("EBUSY", 16),
    ("EINVAL", 22),
    ("ENFILE", 23),
    ("EMFILE", 24),
    ("ENOSPC", 28),
    ("EUSERS", 87),
    ("ENOBUFS", 105),
    ("ECONNABORTED", 103),
    ("ECONNREFUSED", 111),
    ("EDQUOT", 122),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use vs_logic::attr::ORDER_SHARE;

    #[test]
    fn caps() {
        for (text, value) in [
            ("150%", 1500),
            ("12.5%", 125),
            ("1%", 10),
            ("1500m", 1500),
            ("1500", 1500),
            ("unlimited", UNLIMITED),
        ] {
            assert_eq!(parse(Attribute::CpuCap, text), Ok(value), "{text}");
        }
        for bad in [
            "",
            "%",
            "m",
            "0%",
            "9",
            "9m",
            "0.9%",
            "1.25%",
            "1.%",
            ".5%",
            "-5%",
            "+5%",
            "5 %",
            "1e3",
            "4294967295",
            "500000000%",
            "429496729.5%",
            "unlimitedm",
        ] {
            assert!(parse(Attribute::CpuCap, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn others() {
        assert_eq!(parse(Attribute::CpuWeight, "10000"), Ok(10_000));
        assert!(parse(Attribute::CpuWeight, "0").is_err());
        assert!(parse(Attribute::CpuWeight, "10001").is_err());
        assert!(parse(Attribute::CpuWeight, "unlimited").is_err());
        assert_eq!(parse(Attribute::TasksMax, "0"), Ok(0));
        assert!(parse(Attribute::TasksMax, "+1").is_err());
        assert!(parse(Attribute::TasksMax, "4294967295").is_err());
        assert_eq!(parse(Attribute::TasksErrno, "EAGAIN"), Ok(11));
        assert_eq!(show(Attribute::SocketsErrno, 105), "ENOBUFS");
        assert!(parse(Attribute::TasksErrno, "134").is_err());
        assert!(parse(Attribute::TasksErrno, "EWHAT").is_err());
        assert_eq!(parse(Attribute::AcceptOrder, "share"), Ok(ORDER_SHARE));
        assert_eq!(show(Attribute::AcceptOrder, 0), "arrival");
        assert!(parse(Attribute::AcceptOrder, "1").is_err());
        assert!(parse(Attribute::AcceptOrder, "").is_err());
    }

    #[test]
    fn unknown_name_suggests() {
        assert!(named("cpu_wieght").unwrap_err().contains("`cpu_weight`"));
        assert_eq!(named("tasks_max"), Ok(Attribute::TasksMax));
    }

    proptest! {
        #[test]
        fn round_trip(which in 0..Attribute::COUNT, value: u32) {
            let attribute = Attribute::ALL[which];
            // every value that kernel and text accept comes back the same
            if let Ok(read) = parse(attribute, &show(attribute, value)) {
                prop_assert_eq!(read, value);
            }
        }

        #[test]
        fn valid_values_print_readably(which in 0..Attribute::COUNT, value in 0..=ERRNO_MAX) {
            let attribute = Attribute::ALL[which];
            prop_assume!(attribute.check(value).is_ok());
            prop_assert_eq!(parse(attribute, &show(attribute, value)), Ok(value));
        }

        #[test]
        fn any_text_is_survived(which in 0..Attribute::COUNT, text in ".*") {
            let _ = parse(Attribute::ALL[which], &text);
        }
    }
}
