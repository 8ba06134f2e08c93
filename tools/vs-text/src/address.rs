// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses and prefixes. IPv4 is kept as ::ffff:a.b.c.d, so one form serves both families, as in
//! the kernel.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::number::number;

/// Bits before the IPv4 part of a mapped address.
const MAPPED: u8 = 96;

/// An address with the number of leading bits that count.
///
/// # Invariants
/// `len` is at most 128, and the bits of `address` behind it are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    address: Ipv6Addr,
    len: u8,
}

impl Prefix {
    /// Makes it from the kernel's form and clears the bits behind `len`. None if `len` is too
    /// large.
    pub fn new(address: [u8; 16], len: u8) -> Option<Self> {
        let bits = u128::from_be_bytes(address) & mask(len)?;
        Some(Self {
            address: bits.into(),
            len,
        })
    }

    /// The address, in network byte order.
    pub fn octets(&self) -> [u8; 16] {
        self.address.octets()
    }

    /// How many leading bits count, of 128.
    pub fn len(&self) -> u8 {
        self.len
    }

    /// Whether no bit counts, so that it matches every address.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it matches an address.
    pub fn contains(&self, address: [u8; 16]) -> bool {
        Self::new(address, self.len) == Some(*self)
    }

    /// Reads `ADDRESS` or `ADDRESS/LENGTH`, IPv4 or IPv6.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, len) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len)),
            None => (text, None),
        };
        let parsed: IpAddr = address
            .parse()
            .map_err(|_| format!("`{address}` is neither an IPv4 nor an IPv6 address"))?;
        let (mapped, width) = match parsed {
            IpAddr::V4(v4) => (v4.to_ipv6_mapped(), 32),
            IpAddr::V6(v6) => (v6, 128),
        };
        let len = match len {
            None => width,
            Some(len) => number(len).filter(|len| *len <= width).ok_or_else(|| {
                format!("`/{len}`: a prefix length of this family is 0 to {width}")
            })?,
        };
        // cannot fail: 128 - width + len <= 128
        let prefix = Self::new(mapped.octets(), 128 - width + len).ok_or("prefix length")?;
        if prefix.address != mapped {
            return Err(format!(
                "`{text}` has bits set behind the prefix: write `{prefix}`"
            ));
        }
        Ok(prefix)
    }
}

/// The mask of a prefix length; None above 128.
fn mask(len: u8) -> Option<u128> {
    match len {
        0 => Some(0),
        1..=128 => Some(u128::MAX << (128 - len)),
        _ => None,
    }
}

/// Prints an address the way people write it: IPv4 as such.
pub fn show(octets: [u8; 16]) -> String {
    let address = Ipv6Addr::from(octets);
    address
        .to_ipv4_mapped()
        .map_or_else(|| address.to_string(), |v4: Ipv4Addr| v4.to_string())
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address.to_ipv4_mapped() {
            Some(v4) if self.len == 128 => write!(f, "{v4}"),
            Some(v4) if self.len >= MAPPED => write!(f, "{v4}/{}", self.len - MAPPED),
            _ if self.len == 128 => write!(f, "{}", self.address),
            _ => write!(f, "{}/{}", self.address, self.len),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts() {
        for (text, len) in [
            ("10.0.0.0/8", 104),
            ("10.1.2.3", 128),
            ("0.0.0.0/0", 96),
            ("::/0", 0),
            ("::1", 128),
            ("2001:db8::/32", 32),
        ] {
            let prefix = Prefix::parse(text).unwrap();
            assert_eq!((prefix.len(), prefix.to_string()), (len, text.to_owned()));
        }
        assert_eq!(
            Prefix::parse("10.1.2.3/32").unwrap().to_string(),
            "10.1.2.3"
        );
        assert_eq!(
            Prefix::parse("::ffff:10.0.0.0/104").unwrap().to_string(),
            "10.0.0.0/8"
        );
        for bad in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "localhost",
        ] {
            assert!(Prefix::parse(bad).is_err(), "{bad}");
        }
        assert!(Prefix::parse("10.1.2.3/16")
            .unwrap_err()
            .contains("`10.1.0.0/16`"));
    }

    proptest! {
        #[test]
        fn round_trip(octets: [u8; 16], mapped: bool, len in 0u8..=128) {
            let mut octets = octets;
            if mapped {
                octets[..12].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
            }
            let prefix = Prefix::new(octets, len).unwrap();
            prop_assert_eq!(Prefix::parse(&prefix.to_string()), Ok(prefix));
            prop_assert!(prefix.contains(octets));
        }
    }
}
