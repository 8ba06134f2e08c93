// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attributes of a service and their values with units.
//!
//! | attribute | written | the number behind it |
//! | --- | --- | --- |
//! | `cpu_weight` | `300` | share among siblings, 1 to 10000 |
//! | `cpu_cap` | `150%`, `1500m`, `1500`, `unlimited` | thousandths of one CPU, from 10 |
//! | `tasks_max`, `sockets_max` | `500`, `unlimited` | how many |
//! | `tasks_errno`, `sockets_errno` | `EAGAIN`, `11` | an error number, 1 to 133 |

use crate::number::number;
use crate::problem::nearest;

/// No limit: `VS_UNLIMITED`.
pub const UNLIMITED: u32 = u32::MAX;
const UNLIMITED_WORD: &str = "unlimited";
/// Smallest cap, in thousandths of one CPU.
const CAP_MIN: u32 = 10;
/// Largest error number that programs know, EHWPOISON: those above are the kernel's own.
const ERRNO_MAX: u32 = 133;

/// An attribute. The order is that of `enum vs_attr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attribute {
    /// Share of CPU time among siblings.
    CpuWeight,
    /// Most CPU time.
    CpuCap,
    /// Most tasks, threads among them.
    TasksMax,
    /// Most sockets.
    SocketsMax,
    /// What fork fails with at the limit.
    TasksErrno,
    /// What socket and socketpair fail with at the limit, and a unix socket's connect to one who has reached it.
    SocketsErrno,
}

impl Attribute {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::CpuWeight,
        Self::CpuCap,
        Self::TasksMax,
        Self::SocketsMax,
        Self::TasksErrno,
        Self::SocketsErrno,
    ];

    /// Its name, as a key in a configuration and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CpuWeight => "cpu_weight",
            Self::CpuCap => "cpu_cap",
            Self::TasksMax => "tasks_max",
            Self::SocketsMax => "sockets_max",
            Self::TasksErrno => "tasks_errno",
            Self::SocketsErrno => "sockets_errno",
        }
    }

    /// The attribute of that name; the error suggests one.
    pub fn named(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|attribute| attribute.name() == name)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name);
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

    /// Its bit in a set of attributes.
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// What a value looks like, for messages.
    pub const fn form(self) -> &'static str {
        match self {
            Self::CpuWeight => "a number from 1 to 10000, 100 being usual",
            Self::CpuCap => {
                "percent of one CPU such as `150%`, thousandths such as `1500m` (from 10m, 1%), or `unlimited`"
            }
            Self::TasksMax | Self::SocketsMax => "a number, or `unlimited`",
            Self::TasksErrno | Self::SocketsErrno => "an error's name such as `EAGAIN`, or its number from 1 to 133",
        }
    }

    /// Reads a value. The error says what a value looks like.
    pub fn parse(self, text: &str) -> Result<u32, String> {
        let value = match self {
            Self::CpuWeight => number(text).filter(|weight| (1..=10_000).contains(weight)),
            Self::CpuCap => cap(text),
            Self::TasksMax | Self::SocketsMax => limit(text),
            Self::TasksErrno | Self::SocketsErrno => ERRNOS
                .iter()
                .find(|(name, _)| *name == text)
                .map(|(_, errno)| *errno)
                .or_else(|| number(text))
                .filter(|errno| (1..=ERRNO_MAX).contains(errno)),
        };
        value.ok_or_else(|| {
            format!(
                "`{text}` is no value of {}: it is {}",
                self.name(),
                self.form()
            )
        })
    }

    /// Prints a value so that `parse` reads it.
    pub fn show(self, value: u32) -> String {
        match self {
            Self::CpuWeight => value.to_string(),
            Self::CpuCap | Self::TasksMax | Self::SocketsMax if value == UNLIMITED => {
                UNLIMITED_WORD.to_owned()
            }
            Self::CpuCap if value % 10 == 0 => format!("{}%", value / 10),
            Self::CpuCap => format!("{}.{}%", value / 10, value % 10),
            Self::TasksMax | Self::SocketsMax => value.to_string(),
            Self::TasksErrno | Self::SocketsErrno => ERRNOS
                .iter()
                .find(|(_, errno)| *errno == value)
                .map_or_else(|| value.to_string(), |(name, _)| (*name).to_owned()),
        }
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
        // a tenth of a percent is the smallest step there is: more digits would be lost without a word
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
            assert_eq!(Attribute::CpuCap.parse(text), Ok(value), "{text}");
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
            assert!(Attribute::CpuCap.parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn others() {
        assert_eq!(Attribute::CpuWeight.parse("10000"), Ok(10_000));
        assert!(Attribute::CpuWeight.parse("0").is_err());
        assert!(Attribute::CpuWeight.parse("10001").is_err());
        assert!(Attribute::CpuWeight.parse("unlimited").is_err());
        assert_eq!(Attribute::TasksMax.parse("0"), Ok(0));
        assert!(Attribute::TasksMax.parse("+1").is_err());
        assert!(Attribute::TasksMax.parse("4294967295").is_err());
        assert_eq!(Attribute::TasksErrno.parse("EAGAIN"), Ok(11));
        assert_eq!(Attribute::SocketsErrno.show(105), "ENOBUFS");
        assert!(Attribute::TasksErrno.parse("134").is_err());
        assert!(Attribute::TasksErrno.parse("EWHAT").is_err());
    }

    #[test]
    fn unknown_name_suggests() {
        assert!(Attribute::named("cpu_wieght")
            .unwrap_err()
            .contains("`cpu_weight`"));
        assert_eq!(Attribute::named("tasks_max"), Ok(Attribute::TasksMax));
    }

    proptest! {
        #[test]
        fn round_trip(which in 0usize..6, value: u32) {
            let attribute = Attribute::ALL[which];
            // whatever the kernel may hold and the text takes comes back the same
            if let Ok(read) = attribute.parse(&attribute.show(value)) {
                prop_assert_eq!(read, value);
            }
        }

        #[test]
        fn valid_values_print_readably(which in 0usize..6, value in 10u32..=ERRNO_MAX) {
            let attribute = Attribute::ALL[which];
            prop_assert_eq!(attribute.parse(&attribute.show(value)), Ok(value));
        }

        #[test]
        fn any_text_is_survived(which in 0usize..6, text in ".*") {
            let _ = Attribute::ALL[which].parse(&text);
        }
    }
}
