// SPDX-License-Identifier: MIT OR Apache-2.0
//! The difference between two configurations, which `apply` would carry out.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::attribute::{self, Attribute};
use crate::config::{Config, Service};
use crate::name::ROOT;
use crate::rule::Rule;

/// A value that a service has of its own, or shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name of the changed value: `parent`, `priority` or an attribute's.
    pub key: &'static str,
    /// The present value; `shared` for an attribute that is not its own.
    pub from: String,
    /// The new value.
    pub to: String,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A service is created.
    Create(Service),
    /// A service is changed.
    Alter {
        /// Its name.
        name: String,
        /// Its changed values.
        fields: Vec<Field>,
    },
    /// A service is destroyed: it is not named, and pruning was asked for.
    Destroy(String),
    /// A service that is not named stays.
    Stays(String),
    /// A rule is added.
    Add(Rule),
    /// A rule is removed.
    Remove(Rule),
    /// The rules that stay have another order of age, which decides between equals.
    Reorder,
}

/// The changes that turn `present` into `wanted`. `prune`: services that are not named are
/// destroyed.
pub fn diff(present: &Config, wanted: &Config, prune: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    let now: HashMap<&str, &Service> = present
        .services
        .iter()
        .map(|s| (s.name.as_str(), s))
        .collect();
    for service in &wanted.services {
        match now.get(service.name.as_str()) {
            None => changes.push(Change::Create(service.clone())),
            Some(old) => {
                let fields = fields(old, service);
                if !fields.is_empty() {
                    changes.push(Change::Alter {
                        name: service.name.clone(),
                        fields,
                    });
                }
            }
        }
    }
    let named: HashSet<&str> = wanted.services.iter().map(|s| s.name.as_str()).collect();
    // children before their parents, because they must be destroyed first
    for service in present
        .services
        .iter()
        .rev()
        .filter(|s| !named.contains(s.name.as_str()))
    {
        let name = service.name.clone();
        changes.push(if prune {
            Change::Destroy(name)
        } else {
            Change::Stays(name)
        });
    }
    rules(&present.rules, &wanted.rules, &mut changes);
    changes
}

fn fields(old: &Service, new: &Service) -> Vec<Field> {
    let parent = |s: &Service| s.parent.clone().unwrap_or_else(|| ROOT.to_owned());
    let shown = |attribute: Attribute, s: &Service| {
        s.attributes[attribute as usize].map_or_else(
            || "shared".to_owned(),
            |value| attribute::show(attribute, value),
        )
    };
    let mut fields = vec![
        Field {
            key: "parent",
            from: parent(old),
            to: parent(new),
        },
        Field {
            key: "priority",
            from: old.priority.to_string(),
            to: new.priority.to_string(),
        },
    ];
    fields.extend(Attribute::ALL.map(|attribute| Field {
        key: attribute.name(),
        from: shown(attribute, old),
        to: shown(attribute, new),
    }));
    fields.retain(|field| field.from != field.to);
    fields
}

fn rules(old: &[Rule], new: &[Rule], changes: &mut Vec<Change>) {
    let kept = |from: &[Rule], others: &[Rule]| -> (Vec<Rule>, Vec<Rule>) {
        let mut left: HashMap<&Rule, usize> = HashMap::new();
        for rule in others {
            *left.entry(rule).or_default() += 1;
        }
        from.iter()
            .cloned()
            .partition(|rule| match left.get_mut(rule) {
                Some(n) if *n > 0 => {
                    *n -= 1;
                    true
                }
                _ => false,
            })
    };
    let (old_kept, removed) = kept(old, new);
    let (new_kept, added) = kept(new, old);
    changes.extend(removed.into_iter().map(Change::Remove));
    changes.extend(added.into_iter().map(Change::Add));
    if old_kept != new_kept {
        changes.push(Change::Reorder);
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(service) => {
                write!(
                    f,
                    "+ service {}: parent {}",
                    service.name,
                    service.parent.as_deref().unwrap_or(ROOT)
                )?;
                if service.priority != 0 {
                    write!(f, ", priority {}", service.priority)?;
                }
                for (attribute, value) in Attribute::ALL.into_iter().zip(service.attributes) {
                    if let Some(value) = value {
                        write!(
                            f,
                            ", {} {}",
                            attribute.name(),
                            attribute::show(attribute, value)
                        )?;
                    }
                }
                Ok(())
            }
            Self::Alter { name, fields } => {
                write!(f, "~ service {name}:")?;
                for (n, field) in fields.iter().enumerate() {
                    write!(
                        f,
                        "{} {} {} -> {}",
                        if n == 0 { "" } else { "," },
                        field.key,
                        field.from,
                        field.to
                    )?;
                }
                Ok(())
            }
            Self::Destroy(name) => write!(f, "- service {name}"),
            Self::Stays(name) => {
                write!(
                    f,
                    "  service {name} stays: the file does not name it (--prune would destroy it)"
                )
            }
            Self::Add(rule) => write!(f, "+ rule {rule}"),
            Self::Remove(rule) => write!(f, "- rule {rule}"),
            Self::Reorder => write!(f, "~ rules: another order of age"),
        }
    }
}
