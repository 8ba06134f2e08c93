// SPDX-License-Identifier: GPL-2.0
//! Why one rule wins over another: the order of Documentation/rules.md, in words.
//!
//! The kernel decides; this explains. Its order is that of `merit` in vs_module/logic/classify.rs.

use std::cmp::{Ordering, Reverse};

use crate::address::Prefix;
use crate::gate::Proto;
use crate::name::{Service, ROOT};
use crate::pattern::{self, Pattern};
use crate::rule::{Call, Rule};

/// Whether a rule matches a call. An entity that the call does not name is root's, and a rule that asks for what is not
/// known of the call does not match. Services must be written the same way in both.
pub fn matches(rule: &Rule, call: &Call) -> bool {
    let root = Service::Name(ROOT.to_owned());
    let (asked, known) = (&rule.conditions, &call.conditions);
    rule.gate == call.gate
        && rule.from.iter().zip(&call.from).all(|(asked, of)| {
            asked
                .as_ref()
                .is_none_or(|s| s == of.as_ref().unwrap_or(&root))
        })
        && path(&asked.path, &known.path)
        && path(&asked.unix, &known.unix)
        && path(&asked.cgroup, &known.cgroup)
        && same(&asked.uid, &known.uid)
        && same(&asked.gid, &known.gid)
        && same::<Proto>(&asked.proto, &known.proto)
        && prefix(asked.local, known.local)
        && same(&asked.lport, &known.lport)
        && prefix(asked.peer, known.peer)
        && same(&asked.pport, &known.pport)
        && same(&asked.iface, &known.iface)
}

fn same<T: PartialEq>(asked: &Option<T>, known: &Option<T>) -> bool {
    asked.is_none() || asked == known
}

fn path(asked: &Option<Pattern>, known: &Option<Pattern>) -> bool {
    match (asked, known) {
        (None, _) => true,
        (Some(asked), Some(known)) => pattern::matches(asked.bytes(), known.bytes()),
        (Some(_), None) => false,
    }
}

fn prefix(asked: Option<Prefix>, known: Option<Prefix>) -> bool {
    match (asked, known) {
        (None, _) => true,
        (Some(asked), Some(known)) => asked.contains(known.octets()),
        (Some(_), None) => false,
    }
}

/// How good a rule is: the largest wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Merit {
    /// The highest priority among the services that its left side names; None: it names none.
    pub priority: Option<i32>,
    /// How many conditions it has, named services among them.
    pub conditions: u32,
    /// How many bits of address prefixes, IPv4 as ::ffff:a.b.c.d.
    pub bits: u32,
    /// How many components of paths.
    pub depth: u32,
    /// Its number.
    pub number: Reverse<u32>,
}

impl Merit {
    /// Of a rule, where `priority` tells each service's.
    pub fn new(rule: &Rule, number: u32, priority: impl Fn(&Service) -> i32) -> Self {
        let conditions = &rule.conditions;
        let named = rule.from.iter().flatten();
        let paths = [&conditions.path, &conditions.unix, &conditions.cgroup];
        Self {
            priority: named.clone().map(priority).max(),
            conditions: named.count() as u32 + conditions.properties().count_ones(),
            bits: [conditions.local, conditions.peer]
                .into_iter()
                .flatten()
                .map(|prefix| u32::from(prefix.len()))
                .sum(),
            depth: paths.into_iter().flatten().map(Pattern::depth).sum(),
            number: Reverse(number),
        }
    }

    /// Why a rule of this merit loses to one of `better`.
    pub fn loses(&self, better: &Self) -> String {
        let named = |priority: Option<i32>| match priority {
            Some(priority) => format!("names a service of priority {priority}"),
            None => "names no service on its left side".to_owned(),
        };
        let fewer =
            |what: &str, own: u32, other: u32| format!("has {own} {what}, the other {other}");
        match self.cmp(better) {
            Ordering::Greater | Ordering::Equal => {
                "does not lose by the order this vsctl knows".to_owned()
            }
            Ordering::Less if self.priority != better.priority => {
                format!(
                    "{}, the other {}",
                    named(self.priority),
                    named(better.priority)
                )
            }
            Ordering::Less if self.conditions != better.conditions => {
                fewer("conditions", self.conditions, better.conditions)
            }
            Ordering::Less if self.bits != better.bits => {
                fewer("bits of address prefix", self.bits, better.bits)
            }
            Ordering::Less if self.depth != better.depth => {
                fewer("components of path", self.depth, better.depth)
            }
            Ordering::Less => "is as specific, and younger".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        Rule::parse(text).unwrap()
    }

    fn merit(text: &str, number: u32) -> Merit {
        Merit::new(&rule(text), number, |service| {
            if service.name() == Some("vip") {
                10
            } else {
                0
            }
        })
    }

    #[test]
    fn who_matches() {
        let call =
            Call::parse("accept task=pg peer=10.1.2.3 lport=5432 uid=7 unix=/run/pg/s cgroup=/a/b")
                .unwrap();
        for text in [
            "accept => task=conn",
            "accept task=pg => task=conn",
            "accept conn=root => task=conn",
            "accept peer=10.0.0.0/8 uid=7 => task=conn",
            "accept unix=/run/* cgroup=/a/* => task=conn",
        ] {
            assert!(matches(&rule(text), &call), "{text}");
        }
        for text in [
            "recv => task=msg",
            "accept task=a => task=conn",
            "accept conn=a => task=conn",
            "accept peer=10.2.0.0/16 => task=conn",
            "accept gid=7 => task=conn",
            "accept lport=1 => task=conn",
            "accept cgroup=/a => task=conn",
        ] {
            assert!(!matches(&rule(text), &call), "{text}");
        }
    }

    #[test]
    fn who_wins_and_why() {
        // each beats all that follow
        let order = [
            ("accept task=vip => task=conn", 9, ""),
            (
                "accept task=a uid=1 => task=conn",
                8,
                "of priority 0, the other names a service of priority 10",
            ),
            (
                "accept task=a => task=conn",
                7,
                "has 1 conditions, the other 2",
            ),
            (
                "accept uid=1 gid=1 proto=tcp lport=1 => task=conn",
                6,
                "names no service",
            ),
            ("accept peer=10.1.0.0/16 => task=conn", 5, "conditions"),
            (
                "accept peer=10.0.0.0/8 => task=conn",
                4,
                "has 104 bits of address prefix, the other 112",
            ),
            (
                "accept unix=/run/a/b => task=conn",
                2,
                "bits of address prefix",
            ),
            ("accept unix=/run/* => task=conn", 1, "components of path"),
            ("accept unix=/var/* => task=conn", 3, "younger"),
        ];
        for pair in order.windows(2) {
            let (better, worse) = (merit(pair[0].0, pair[0].1), merit(pair[1].0, pair[1].1));
            assert!(better > worse, "{} / {}", pair[0].0, pair[1].0);
            assert!(
                worse.loses(&better).contains(pair[1].2),
                "{}: {}",
                pair[1].0,
                worse.loses(&better)
            );
        }
    }
}
