// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration file.
//!
//! ```toml
//! rules = [
//!     "accept task=pg => task=conn",
//! ]
//!
//! [services.pg]
//! priority = 10
//!
//! [services.a]
//! cpu_weight = 300
//! cpu_cap = "150%"
//!
//! [services.batch]
//! parent = "a"
//! ```
//!
//! A service has the keys `parent` (root if left out), `priority` (0), `id` (the kernel's choice)
//! and those of `Attribute`; an attribute that is left out is shared with the parent. Every problem
//! of a file is reported, not only the first.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};
use toml::Spanned;
use vs_logic::rule::REF;

use crate::attribute::{self, Attribute};
use crate::gate::Gate;
use crate::name::{self, Service as Named, ROOT};
use crate::number::number;
use crate::problem::{nearest, Located, Problem};
use crate::rule::{Conditions, Rule, ENTITIES};

/// Values of the attributes that are a service's own; None: shared with the parent.
pub type Attributes = [Option<u32>; Attribute::ALL.len()];

/// A service of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The id it is to have; None: its present id, or one of the kernel's choice. In the present
    /// configuration it is None, because ids make no difference between two configurations.
    pub id: Option<u32>,
    /// The service above it; None: root.
    pub parent: Option<String>,
    /// Between rules, the one that names the service of the highest priority wins.
    pub priority: i32,
    /// Its own values, by number of the attribute.
    pub attributes: Attributes,
}

/// Services and rules, as a file asks for them, or the present ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The services without root, each behind its parent.
    pub services: Vec<Service>,
    /// The rules, oldest first.
    pub rules: Vec<Rule>,
}

/// A configuration that was read, with its text, so that a later refusal can be shown where it
/// belongs.
#[derive(Clone, Debug)]
pub struct Document {
    /// The configuration.
    pub config: Config,
    name: String,
    text: String,
    services: Vec<Range<usize>>,
    rules: Vec<Range<usize>>,
}

impl Document {
    /// Reads a configuration; `name` is the name of the file. Returns all problems, in the order of
    /// their places.
    pub fn parse(name: &str, text: &str) -> Result<Self, Vec<Located>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut reader = Reader {
            text,
            problems: Vec::new(),
        };
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            reader.problem(
                span,
                format!("this is no TOML: {}", error.message()),
                "see https://toml.io for the form",
            );
        }
        let mut read = (Vec::new(), Vec::new());
        if reader.problems.is_empty() {
            read = reader.document(table.get_ref());
        }
        let mut problems = reader.problems;
        if !problems.is_empty() {
            problems.sort_by_key(|problem| problem.span.start);
            return Err(problems
                .iter()
                .map(|problem| Located::new(name, text, problem))
                .collect());
        }
        let (services, rules) = read;
        let (services, service_spans) = services.into_iter().unzip();
        let (rules, rule_spans) = rules.into_iter().unzip();
        Ok(Self {
            config: Config { services, rules },
            name: name.to_owned(),
            text: text.to_owned(),
            services: service_spans,
            rules: rule_spans,
        })
    }

    /// Shows a problem at the n-th service, from 0.
    pub fn at_service(&self, n: usize, message: String, advice: String) -> Located {
        self.at(self.services.get(n), message, advice)
    }

    /// Shows a problem at the n-th rule, from 0.
    pub fn at_rule(&self, n: usize, message: String, advice: String) -> Located {
        self.at(self.rules.get(n), message, advice)
    }

    fn at(&self, span: Option<&Range<usize>>, message: String, advice: String) -> Located {
        Located::new(
            &self.name,
            &self.text,
            &Problem::new(span.cloned().unwrap_or(0..0), message, advice),
        )
    }
}

/// A service with the places of its name and its parent's.
struct Found {
    service: Service,
    at: Range<usize>,
    parent_at: Range<usize>,
}

/// The left side of a rule.
type Left<'a> = (Gate, &'a [Option<Named>; ENTITIES], &'a Conditions);

struct Reader<'a> {
    text: &'a str,
    problems: Vec<Problem>,
}

type Read = (Vec<(Service, Range<usize>)>, Vec<(Rule, Range<usize>)>);

impl Reader<'_> {
    fn problem(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.problems.push(Problem::new(span, message, advice));
    }

    fn document(&mut self, table: &DeTable<'_>) -> Read {
        let mut services = Vec::new();
        let mut rules = Vec::new();
        for (key, value) in table {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("services", DeValue::Table(table)) => services = self.services(table),
                ("rules", DeValue::Array(array)) => rules = self.rules(array.iter()),
                ("services", _) => {
                    self.problem(
                        value.span(),
                        "`services` is no table",
                        "write a table for each: [services.NAME]",
                    );
                }
                ("rules", _) => {
                    self.problem(
                        value.span(),
                        "`rules` is no list",
                        "write rules = [\"accept task=pg => task=conn\"]",
                    );
                }
                (other, _) => self.unknown(key.span(), other, &["services", "rules"]),
            }
        }
        self.check_rules(&rules, &services);
        (self.ordered(services), rules)
    }

    fn unknown(&mut self, span: Range<usize>, key: &str, known: &[&str]) {
        let advice = match nearest(key, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        self.problem(span, format!("there is no key `{key}`"), advice);
    }

    fn services(&mut self, table: &DeTable<'_>) -> Vec<Found> {
        let mut found: Vec<Found> = Vec::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if let Err(message) = name::check(name) {
                self.problem(key.span(), message, "choose another name");
                continue;
            }
            let DeValue::Table(keys) = value.get_ref() else {
                self.problem(
                    value.span(),
                    format!("`{name}` is no table"),
                    format!("write [services.{name}]"),
                );
                continue;
            };
            let service = self.service(name, key.span(), keys);
            found.push(service);
        }
        // the table is sorted by name, but ids are given in the order of the file
        found.sort_by_key(|found| found.at.start);
        found
    }

    fn service(&mut self, name: &str, at: Range<usize>, keys: &DeTable<'_>) -> Found {
        let mut service = Service {
            name: name.to_owned(),
            id: None,
            parent: None,
            priority: 0,
            attributes: Attributes::default(),
        };
        let mut parent_at = at.clone();
        for (key, value) in keys {
            let span = value.span();
            match key.get_ref().as_ref() {
                "parent" => match value.get_ref().as_str() {
                    Some(ROOT) => {}
                    Some(parent) => {
                        service.parent = Some(parent.to_owned());
                        parent_at = span;
                    }
                    None => self.problem(
                        span,
                        "a parent is a service's name",
                        "write parent = \"NAME\"",
                    ),
                },
                "id" => match integer(value.get_ref()).and_then(|text| number(&text)) {
                    Some(id) if (1..REF).contains(&id) => service.id = Some(id),
                    _ => self.problem(
                        span,
                        "an id is a whole number from 1",
                        "leave `id` out to be given a free one",
                    ),
                },
                "priority" => match integer(value.get_ref()).and_then(|text| text.parse().ok()) {
                    Some(priority) => service.priority = priority,
                    None => self.problem(
                        span,
                        "a priority is a whole number of 32 bits",
                        "write priority = 10; higher wins, 0 is usual",
                    ),
                },
                other => match attribute::named(other) {
                    Ok(attribute) => {
                        service.attributes[attribute as usize] =
                            self.attribute(attribute, span, value.get_ref());
                    }
                    Err(_) => {
                        let known: Vec<&str> = ["parent", "priority", "id"]
                            .into_iter()
                            .chain(Attribute::ALL.map(Attribute::name))
                            .collect();
                        self.unknown(key.span(), other, &known);
                    }
                },
            }
        }
        Found {
            service,
            at,
            parent_at,
        }
    }

    fn attribute(
        &mut self,
        attribute: Attribute,
        span: Range<usize>,
        value: &DeValue<'_>,
    ) -> Option<u32> {
        let text = value
            .as_str()
            .map(Cow::Borrowed)
            .or_else(|| integer(value).map(Cow::Owned));
        let result = match text {
            Some(text) => attribute::parse(attribute, &text),
            None => Err(format!("this is no value of {}", attribute.name())),
        };
        match result {
            Ok(value) => Some(value),
            Err(message) => {
                self.problem(
                    span,
                    message,
                    format!("{} is {}", attribute.name(), attribute::form(attribute)),
                );
                None
            }
        }
    }

    fn rules<'v, 'i: 'v>(
        &mut self,
        values: impl Iterator<Item = &'v Spanned<DeValue<'i>>>,
    ) -> Vec<(Rule, Range<usize>)> {
        let mut rules = Vec::new();
        for value in values {
            let span = value.span();
            let Some(text) = value.get_ref().as_str() else {
                self.problem(
                    span,
                    "this is no rule",
                    "a rule is a string: \"accept task=pg => task=conn\"",
                );
                continue;
            };
            match Rule::parse(text) {
                Ok(rule) => rules.push((rule, span)),
                Err(problem) => {
                    let problem = match self.inside(&span, text) {
                        Some(offset) => problem.moved(offset),
                        // escapes shift the positions, so the whole string is marked
                        None => Problem { span, ..problem },
                    };
                    self.problems.push(problem);
                }
            }
        }
        rules
    }

    /// The place where the content of the string at `span` begins, if it has no escapes.
    fn inside(&self, span: &Range<usize>, content: &str) -> Option<usize> {
        let raw = self.text.get(span.clone())?;
        let quotes = if raw.starts_with("'''") || raw.starts_with("\"\"\"") {
            3
        } else {
            1
        };
        let start = span.start + quotes;
        (self.text.get(start..start + content.len()) == Some(content)).then_some(start)
    }

    fn check_rules(&mut self, rules: &[(Rule, Range<usize>)], services: &[Found]) {
        let known =
            |name: &str| name == ROOT || services.iter().any(|found| found.service.name == name);
        let mut firsts: HashMap<Left<'_>, &Range<usize>> = HashMap::new();
        for (rule, span) in rules {
            for service in rule.services() {
                match service.name() {
                    Some(name) if known(name) => {}
                    Some(name) => {
                        let names = services.iter().map(|found| found.service.name.as_str());
                        let advice = match nearest(name, names) {
                            Some(meant) => format!("did you mean `{meant}`?"),
                            None => format!("add it: [services.{name}]"),
                        };
                        self.problem(
                            span.clone(),
                            format!("this file has no service `{name}`"),
                            advice,
                        );
                    }
                    None => self.problem(
                        span.clone(),
                        format!("`{service}` is an id, and ids can change"),
                        "name the service in a configuration",
                    ),
                }
            }
            if let Some(first) = firsts.get(&(rule.gate, &rule.from, &rule.conditions)) {
                let line =
                    Located::new("", self.text, &Problem::new((*first).clone(), "", "")).line;
                self.problem(
                    span.clone(),
                    format!(
                        "this rule can never win: that of line {line} asks for the same and is \
                        older"
                    ),
                    "remove one of them",
                );
            } else {
                firsts.insert((rule.gate, &rule.from, &rule.conditions), span);
            }
        }
    }

    /// Puts each service behind its parent, and otherwise keeps the order of the file.
    fn ordered(&mut self, services: Vec<Found>) -> Vec<(Service, Range<usize>)> {
        let parents = self.parents(&services);
        for start in 0..services.len() {
            // a cycle is reported at the first of its services in the file
            let mut circle = up(&parents, start)
                .take(services.len())
                .take_while(|n| *n >= start);
            if circle.any(|n| n == start) {
                let message = format!("`{}` is its own ancestor", services[start].service.name);
                self.problem(
                    services[start].parent_at.clone(),
                    message,
                    "give one of them another parent",
                );
            }
        }
        if !self.problems.is_empty() {
            return Vec::new();
        }
        let mut services: Vec<Option<Found>> = services.into_iter().map(Some).collect();
        let mut ordered = Vec::new();
        for start in 0..services.len() {
            let chain: Vec<usize> = std::iter::once(start)
                .chain(up(&parents, start))
                .take_while(|n| services[*n].is_some())
                .collect();
            ordered.extend(chain.into_iter().rev().filter_map(|n| services[n].take()));
        }
        ordered
            .into_iter()
            .map(|found| (found.service, found.at))
            .collect()
    }

    /// The place of each one's parent; None for root.
    fn parents(&mut self, services: &[Found]) -> Vec<Option<usize>> {
        let places: HashMap<&str, usize> = services
            .iter()
            .enumerate()
            .map(|(n, found)| (found.service.name.as_str(), n))
            .collect();
        let place = |found: &Found| {
            let parent = found.service.parent.as_deref()?;
            let place = places.get(parent).copied();
            if place.is_none() {
                let advice = match nearest(parent, places.keys().copied()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("add it: [services.{parent}]"),
                };
                self.problem(
                    found.parent_at.clone(),
                    format!("this file has no service `{parent}`"),
                    advice,
                );
            }
            place
        };
        services.iter().map(place).collect()
    }
}

/// The services above a service, from its parent upwards; endless in a cycle.
fn up(parents: &[Option<usize>], start: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(parents[start], |n| parents[*n])
}

/// A whole number as plain decimal text, in whatever base and with whatever underscores it was
/// written.
fn integer(value: &DeValue<'_>) -> Option<String> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix())
        .ok()
        .map(|n| n.to_string())
}
