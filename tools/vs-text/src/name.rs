// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of services, and the other words that may stand for a service.

use crate::gate::Gate;
use crate::number::number;
use vs_logic::rule::REF;

/// Longest name in bytes: `VS_NAME_LEN` without the final NUL.
pub const NAME_MAX: usize = vs_logic::hierarchy::NAME_LEN - 1;
/// The service of all that is unclassified.
pub const ROOT: &str = "root";
/// On the right side of a rule: the caller's home.
pub const HOME: &str = "home";

/// Checks a name for a new service: it must be 1 to 63 of `a-z 0-9 . _ -`, and no word that means
/// something else in a rule. The error names the mistake.
pub fn check(name: &str) -> Result<(), String> {
    check_form(name)?;
    if name == ROOT {
        return Err(format!(
            "`{ROOT}` is the service of all that is unclassified and always exists"
        ));
    }
    if is_reserved(name) {
        return Err(format!(
            "`{name}` has a meaning of its own in a rule and cannot name a service"
        ));
    }
    Ok(())
}

/// Checks the form of a name, whether or not a service may have it. The error names the mistake.
pub fn check_form(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("a name cannot be empty".to_owned());
    }
    if let Some(bad) = name
        .chars()
        .find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-'))
    {
        return Err(format!(
            "`{}` in the name `{}`: a name is made of a-z 0-9 . _ -",
            bad.escape_debug(),
            name.escape_debug()
        ));
    }
    if name.len() > NAME_MAX {
        return Err(format!(
            "the name `{name}` has {} characters: at most {NAME_MAX} are possible",
            name.len()
        ));
    }
    Ok(())
}

/// Whether a word stands for an entity or for `home` on the right side of rules.
pub fn is_reserved(name: &str) -> bool {
    let mut entities = Gate::ALL.iter().flat_map(|gate| gate.entities());
    name == HOME || entities.any(|entity| entity.name == name)
}

/// A service as the text names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// By its name.
    Name(String),
    /// By its id, written `#ID`. Printed only for a service whose name means something else in a
    /// rule.
    Id(u32),
}

impl Service {
    /// Reads a name or `#ID`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(id) = text.strip_prefix('#') {
            return match number(id) {
                Some(id) if id < REF => Ok(Self::Id(id)),
                _ => Err(format!(
                    "`#{id}` is no id: `vsctl ls` shows those there are"
                )),
            };
        }
        check_form(text)?;
        Ok(Self::Name(text.to_owned()))
    }

    /// Its name, unless it is given by id.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Id(_) => None,
        }
    }
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Id(id) => write!(f, "#{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "pg.main_2-x", &"x".repeat(63)] {
            assert_eq!(check(good), Ok(()));
        }
        for bad in [
            "",
            "A",
            "ü",
            "a b",
            "a/b",
            "#1",
            "*",
            "root",
            "home",
            "conn",
            "task",
            &"x".repeat(64),
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids() {
        assert_eq!(Service::parse("#16383"), Ok(Service::Id(16383)));
        for bad in ["#4294967280", "#4294967296", "#", "#-1", "#+5", "#x"] {
            assert!(Service::parse(bad).is_err(), "{bad}");
        }
    }
}
