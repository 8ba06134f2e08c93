// SPDX-License-Identifier: MIT OR Apache-2.0
//! Patterns of paths: one path, or `/dir/*` for everything below a folder.

use std::fmt;

use crate::quote::quoted;

/// Longest pattern in bytes: `VS_PATH_LEN` without the final NUL.
pub const PATTERN_MAX: usize = 255;
/// The end of a pattern for a whole folder.
pub const BELOW: &[u8] = b"/*";

/// A path or a folder's whole content. Paths are bytes.
///
/// # Invariants
/// One to 255 bytes without NUL; begins with `/`, or with `@` for the abstract name of a unix
/// socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(Vec<u8>);

impl Pattern {
    /// Reads a path of the file system or of cgroup2.
    pub fn path(bytes: &[u8]) -> Result<Self, String> {
        if bytes.first() != Some(&b'/') {
            return Err(format!(
                "`{}` does not begin with `/`: a full path is needed",
                quoted(bytes)
            ));
        }
        let parts: Vec<&[u8]> = bytes[1..].split(|b| *b == b'/').collect();
        if bytes.len() > 1 && parts.iter().any(|part| matches!(*part, b"" | b"." | b"..")) {
            return Err(format!(
                "`{}` has an empty part, `.` or `..`: the kernel compares with the path as it is \
                 without them",
                quoted(bytes)
            ));
        }
        Self::new(bytes)
    }

    /// Reads where a unix socket is bound to: a path, or `@name` for an abstract name.
    pub fn unix(bytes: &[u8]) -> Result<Self, String> {
        match bytes.first() {
            Some(b'@') if bytes.len() > 1 => Self::new(bytes),
            Some(b'@') => {
                Err("an abstract name needs at least one character behind `@`".to_owned())
            }
            _ => Self::path(bytes),
        }
    }

    /// From what the kernel gives, which has checked it.
    pub fn trusted(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    fn new(bytes: &[u8]) -> Result<Self, String> {
        if bytes.contains(&0) {
            return Err("a path cannot contain a NUL byte".to_owned());
        }
        if bytes.len() > PATTERN_MAX {
            return Err(format!(
                "this path has {} bytes: at most {PATTERN_MAX} are possible",
                bytes.len()
            ));
        }
        Ok(Self(bytes.to_vec()))
    }

    /// How many components it has; a whole path counts one more than its folder.
    pub fn depth(&self) -> u32 {
        let slashes = self.0.iter().filter(|b| **b == b'/').count() as u32;
        if self.0.ends_with(BELOW) {
            slashes
        } else {
            slashes + 1
        }
    }

    /// Its bytes, as the kernel takes them.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&self.0))
    }
}

/// Tells whether a pattern matches. `/dir/*` matches what is below the folder, not the folder.
pub fn matches(pattern: &[u8], path: &[u8]) -> bool {
    match pattern.strip_suffix(BELOW) {
        Some(folder) => {
            path.len() > folder.len() + 1 && path.starts_with(folder) && path[folder.len()] == b'/'
        }
        None => pattern == path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for good in ["/", "/usr/bin/x", "/*", "/a b/*", "/a/.hidden", "/a/..b"] {
            assert!(Pattern::path(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in [
            "", "x", "a/b", "/a//b", "/a/", "/a/../b", "/./a", "@x", "/a\0b",
        ] {
            assert!(Pattern::path(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Pattern::unix(b"@name").is_ok());
        assert!(Pattern::unix(b"@").is_err());
        assert!(Pattern::path(&[b"/".as_slice(), &[b'x'; 254]].concat()).is_ok());
        assert!(Pattern::path(&[b"/".as_slice(), &[b'x'; 255]].concat()).is_err());
    }

    #[test]
    fn matching() {
        assert!(matches(b"/run/*", b"/run/x/y"));
        assert!(!matches(b"/run/*", b"/run"));
        assert!(!matches(b"/run/*", b"/run/"));
        assert!(!matches(b"/run/*", b"/runner/x"));
        assert!(matches(b"/*", b"/x"));
        assert!(matches(b"/x", b"/x"));
        assert!(!matches(b"/x", b"/x/y"));
    }
}
