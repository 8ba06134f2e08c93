// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one textual form of a rule: `GATE name=value… => name=value…`.
//!
//! It is the same in a configuration, on the command line and in `vsctl rule ls`. What is printed
//! reads back as the same rule. Printing is canonical: entities in their order, then properties in
//! the order of `Property`.

use std::fmt;
use std::ops::Range;

use crate::address::Prefix;
use crate::gate::{Gate, Property, Proto};
use crate::name::{is_reserved, Service, HOME};
use crate::pattern::{Pattern, BELOW};
use crate::problem::{nearest, Problem};
use crate::quote::{quoted, words, Word};

pub use vs_logic::rule::ENTITIES;

/// Longest interface name in bytes: `VS_IFACE_LEN` without the final NUL.
const IFACE_MAX: usize = 15;
const ARROW: &str = "=>";
const ANY: &str = "*";

/// The service that a rule gives an entity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Target {
    /// It keeps its service.
    #[default]
    Unchanged,
    /// It gets this service.
    Service(Service),
    /// It gets the service that the entity of this place had before the call.
    Entity(u8),
    /// It gets the caller's home.
    Home,
}

/// The properties that a rule asks for, or those known of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Conditions {
    /// The program.
    pub path: Option<Pattern>,
    /// The unix socket.
    pub unix: Option<Pattern>,
    /// The task's cgroup.
    pub cgroup: Option<Pattern>,
    /// Effective user id.
    pub uid: Option<u32>,
    /// Effective group id.
    pub gid: Option<u32>,
    /// Transport.
    pub proto: Option<Proto>,
    /// Own address.
    pub local: Option<Prefix>,
    /// Own port.
    pub lport: Option<u16>,
    /// The other end's address.
    pub peer: Option<Prefix>,
    /// The other end's port.
    pub pport: Option<u16>,
    /// The interface, as bytes.
    pub iface: Option<Vec<u8>>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// The gate of the rule.
    pub gate: Gate,
    /// The service each entity must be of; None: any.
    pub from: [Option<Service>; ENTITIES],
    /// The properties that the call must have.
    pub conditions: Conditions,
    /// The service that each entity gets.
    pub to: [Target; ENTITIES],
}

/// A call to test rules against: the left side of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The gate of the call.
    pub gate: Gate,
    /// The service of each entity; None: root's.
    pub from: [Option<Service>; ENTITIES],
    /// The known properties of the call.
    pub conditions: Conditions,
}

impl Rule {
    /// Reads a rule.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let words = split(text)?;
        let (gate, rest) = gate(text, &words)?;
        let Some(arrow) = rest
            .iter()
            .position(|word| word.value.is_none() && word.name == ARROW)
        else {
            return Err(Problem::new(
                text.len()..text.len(),
                "the rule has no `=>`",
                "write what it is for, `=>`, then what it does: `accept task=pg => task=conn` (in \
                 a shell, in quotes)",
            ));
        };
        let (from, conditions) = left(gate, &rest[..arrow])?;
        let to = right(
            text,
            gate,
            &rest[arrow],
            &rest[arrow + 1..],
            conditions.proto,
        )?;
        Ok(Self {
            gate,
            from,
            conditions,
            to,
        })
    }

    /// The services that the rule names, on both sides.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        let right = self.to.iter().filter_map(|target| match target {
            Target::Service(service) => Some(service),
            _ => None,
        });
        self.from.iter().flatten().chain(right)
    }
}

impl Call {
    /// Reads a call.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let words = split(text)?;
        let (gate, rest) = gate(text, &words)?;
        let (from, conditions) = left(gate, rest)?;
        for word in rest {
            let Some((value, span)) = &word.value else {
                continue;
            };
            let kind = if entity(gate, &word.name).is_some() && value == ANY.as_bytes() {
                "service"
            } else if matches!(
                Property::named(&word.name),
                Some(Property::Path | Property::Unix | Property::Cgroup)
            ) && value.ends_with(BELOW)
            {
                "path"
            } else {
                continue;
            };
            let message = format!("in a call, `{}` is one {kind}", word.name);
            return Err(Problem::new(
                span.clone(),
                message,
                format!("write a {kind}, or leave `{}` out", word.name),
            ));
        }
        for (name, prefix) in [("local", conditions.local), ("peer", conditions.peer)] {
            if let Some(prefix) = prefix.filter(|prefix| prefix.len() != 128) {
                return Err(Problem::new(
                    0..text.len(),
                    format!("a call has one {name} address, not the prefix {prefix}"),
                    format!("write `{name}=` with a full address"),
                ));
            }
        }
        Ok(Self {
            gate,
            from,
            conditions,
        })
    }
}

fn split(text: &str) -> Result<Vec<Word>, Problem> {
    words(text).map_err(|bad| {
        Problem::new(
            bad.span,
            bad.message,
            "quote a value as in `path=\"/opt/my program\"`, with \\\" \\\\ and \\xNN in it",
        )
    })
}

fn gate<'a>(text: &str, words: &'a [Word]) -> Result<(Gate, &'a [Word]), Problem> {
    let takers = || {
        Gate::ALL
            .into_iter()
            .filter(|gate| gate.takes_rules())
            .map(Gate::name)
    };
    let list = || takers().collect::<Vec<_>>().join(", ");
    let Some((first, rest)) = words.split_first() else {
        return Err(Problem::new(
            0..text.len(),
            "the rule is empty",
            format!("begin with a gate: {}", list()),
        ));
    };
    if first.value.is_some() || first.name == ARROW {
        let advice = format!("begin with a gate: {}", list());
        return Err(Problem::new(
            first.span.clone(),
            "the gate is missing",
            advice,
        ));
    }
    let gate = Gate::named(&first.name).ok_or_else(|| {
        let advice = match nearest(&first.name, takers()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the gates are {}", list()),
        };
        Problem::new(
            first.span.clone(),
            format!("there is no gate `{}`", first.name),
            advice,
        )
    })?;
    if !gate.takes_rules() {
        let message = format!("the gate `{}` counts and takes no rules", gate.name());
        return Err(Problem::new(
            first.span.clone(),
            message,
            format!("those that do are {}", list()),
        ));
    }
    Ok((gate, rest))
}

/// Reads the left side.
fn left(gate: Gate, words: &[Word]) -> Result<([Option<Service>; ENTITIES], Conditions), Problem> {
    let mut from = [const { None }; ENTITIES];
    let mut conditions = Conditions::default();
    let mut seen: Vec<&str> = Vec::new();
    for word in words {
        let (value, span) = value(gate, word)?;
        if seen.contains(&word.name.as_str()) {
            let message = format!("`{}` stands twice on the left", word.name);
            return Err(Problem::new(
                word.span.clone(),
                message,
                "all conditions must hold: write two rules instead",
            ));
        }
        seen.push(&word.name);
        if let Some(place) = entity(gate, &word.name) {
            let text = text_of(value, &span)?;
            if text != ANY {
                from[place] = Some(service(gate, text, span)?);
            }
        } else {
            let property = property(gate, word)?;
            conditions.read(property, value).map_err(|message| {
                Problem::new(
                    span,
                    message,
                    format!("`{}` takes {}", word.name, property.form()),
                )
            })?;
        }
    }
    Ok((from, conditions))
}

/// Reads the right side.
fn right(
    text: &str,
    gate: Gate,
    arrow: &Word,
    words: &[Word],
    proto: Option<Proto>,
) -> Result<[Target; ENTITIES], Problem> {
    let mut to = [const { None }; ENTITIES];
    for word in words {
        let (value, span) = value(gate, word)?;
        let Some(place) = entity(gate, &word.name) else {
            let message = match Property::named(&word.name) {
                Some(_) => format!(
                    "a rule cannot change `{}`: only services of entities",
                    word.name
                ),
                None => format!("the gate `{}` has no entity `{}`", gate.name(), word.name),
            };
            return Err(Problem::new(word.span.clone(), message, entities(gate)));
        };
        if to[place].is_some() {
            let message = format!("`{}` stands twice on the right", word.name);
            return Err(Problem::new(
                word.span.clone(),
                message,
                "leave one of them",
            ));
        }
        let value = text_of(value, &span)?;
        if value != ANY {
            binds(gate, place, proto, word)?;
        }
        to[place] = Some(match (value, entity(gate, value)) {
            (ANY, _) => Target::Unchanged,
            (HOME, _) => Target::Home,
            (_, Some(place)) => Target::Entity(place as u8),
            (name, None) => Target::Service(service(gate, name, span)?),
        });
    }
    if to.iter().all(Option::is_none) {
        return Err(Problem::new(
            arrow.span.start..text.len(),
            "nothing stands behind `=>`",
            format!(
                "say whose each becomes, as in `=> {}=home`; `=*` leaves it as it is",
                gate.entities()[0].name
            ),
        ));
    }
    Ok(to.map(Option::unwrap_or_default))
}

/// Refuses to give a message another service where it cannot be told from its socket.
fn binds(gate: Gate, place: usize, proto: Option<Proto>, word: &Word) -> Result<(), Problem> {
    if gate.binds_by(place, proto) {
        return Ok(());
    }
    let (message, advice) = match proto {
        Some(proto) if gate == Gate::Send => (
            format!(
                "a message sent by {} has its socket's service, and cannot be given another",
                proto.name()
            ),
            "label the socket instead: `=> socket=task`; or write `proto=udp`, `unix-stream` or \
             `unix-dgram`",
        ),
        _ if gate == Gate::Hint => (
            "a socket that a hint names keeps its service, and cannot be given another".to_owned(),
            "bind the task that gives the hint: `=> task=socket`",
        ),
        _ => (
            "a message that is received has its sender's service, and cannot be given another"
                .to_owned(),
            "bind the task that receives it: `=> task=msg`",
        ),
    };
    Err(Problem::new(word.span.clone(), message, advice))
}

/// The value of a word that must have one.
fn value(gate: Gate, word: &Word) -> Result<(&[u8], Range<usize>), Problem> {
    match &word.value {
        Some((value, span)) => Ok((value, span.clone())),
        None if word.name == ARROW => Err(Problem::new(
            word.span.clone(),
            "`=>` stands here once more",
            "a rule has one `=>`",
        )),
        None => Err(Problem::new(
            word.span.clone(),
            format!("`{}` has no value", word.name),
            format!(
                "write name=value without blanks around `=`, as in `{}=home`",
                gate.entities()[0].name
            ),
        )),
    }
}

fn text_of<'a>(value: &'a [u8], span: &Range<usize>) -> Result<&'a str, Problem> {
    std::str::from_utf8(value).map_err(|_| {
        Problem::new(
            span.clone(),
            "this is no text",
            "a service's name is made of a-z 0-9 . _ -",
        )
    })
}

fn entity(gate: Gate, name: &str) -> Option<usize> {
    gate.entities()
        .iter()
        .position(|entity| entity.name == name)
}

fn entities(gate: Gate) -> String {
    format!(
        "the entities of `{}` are {}",
        gate.name(),
        names(gate).join(", ")
    )
}

/// The names of a gate's entities.
fn names(gate: Gate) -> Vec<&'static str> {
    gate.entities().iter().map(|entity| entity.name).collect()
}

fn service(gate: Gate, name: &str, span: Range<usize>) -> Result<Service, Problem> {
    if is_reserved(name) {
        let message = format!(
            "`{name}` names no service, and no entity of the gate `{}`",
            gate.name()
        );
        return Err(Problem::new(span, message, entities(gate)));
    }
    Service::parse(name)
        .map_err(|message| Problem::new(span, message, "write a service's name, or `*`"))
}

fn property(gate: Gate, word: &Word) -> Result<Property, Problem> {
    let names: Vec<&str> = names(gate)
        .into_iter()
        .chain(Property::among(gate.props()).map(Property::name))
        .collect();
    let list = format!("`{}` knows {}", gate.name(), names.join(", "));
    match Property::named(&word.name) {
        Some(property) if gate.props() & property.bit() != 0 => Ok(property),
        Some(_) => {
            let message = format!(
                "the gate `{}` does not have the property `{}`",
                gate.name(),
                word.name
            );
            Err(Problem::new(word.span.clone(), message, list))
        }
        None => {
            let advice = match nearest(&word.name, names.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => list,
            };
            Err(Problem::new(
                word.span.clone(),
                format!("there is no property `{}`", word.name),
                advice,
            ))
        }
    }
}

impl Conditions {
    fn read(&mut self, property: Property, value: &[u8]) -> Result<(), String> {
        match property {
            Property::Path => self.path = Some(Pattern::path(value)?),
            Property::Unix => self.unix = Some(Pattern::unix(value)?),
            Property::Cgroup => self.cgroup = Some(Pattern::path(value)?),
            Property::Uid => self.uid = Some(number(value)?),
            Property::Gid => self.gid = Some(number(value)?),
            Property::Proto => {
                let proto = std::str::from_utf8(value).ok().and_then(Proto::named);
                self.proto =
                    Some(proto.ok_or_else(|| format!("there is no proto `{}`", quoted(value)))?);
            }
            Property::Local => self.local = Some(prefix(value)?),
            Property::Lport => self.lport = Some(number(value)?),
            Property::Peer => self.peer = Some(prefix(value)?),
            Property::Pport => self.pport = Some(number(value)?),
            Property::Iface => self.iface = Some(iface(value)?),
        }
        Ok(())
    }

    /// The set of the given properties.
    pub fn properties(&self) -> u32 {
        self.shown()
            .into_iter()
            .map(|(property, _)| property.bit())
            .sum()
    }

    /// The properties given, in their order, with their values as text.
    pub fn shown(&self) -> Vec<(Property, String)> {
        let texts = [
            (Property::Path, self.path.as_ref().map(Pattern::to_string)),
            (Property::Unix, self.unix.as_ref().map(Pattern::to_string)),
            (
                Property::Cgroup,
                self.cgroup.as_ref().map(Pattern::to_string),
            ),
            (Property::Uid, self.uid.map(|uid| uid.to_string())),
            (Property::Gid, self.gid.map(|gid| gid.to_string())),
            (
                Property::Proto,
                self.proto.map(|proto| proto.name().to_owned()),
            ),
            (Property::Local, self.local.map(|prefix| prefix.to_string())),
            (Property::Lport, self.lport.map(|port| port.to_string())),
            (Property::Peer, self.peer.map(|prefix| prefix.to_string())),
            (Property::Pport, self.pport.map(|port| port.to_string())),
            (Property::Iface, self.iface.as_deref().map(quoted)),
        ];
        texts
            .into_iter()
            .filter_map(|(property, text)| Some((property, text?)))
            .collect()
    }
}

/// A plain decimal number.
fn number<T: std::str::FromStr>(value: &[u8]) -> Result<T, String> {
    std::str::from_utf8(value)
        .ok()
        .and_then(crate::number::number)
        .ok_or_else(|| format!("`{}` is no number, or too large", quoted(value)))
}

fn prefix(value: &[u8]) -> Result<Prefix, String> {
    std::str::from_utf8(value)
        .map_err(|_| "this is no address".to_owned())
        .and_then(Prefix::parse)
}

fn iface(value: &[u8]) -> Result<Vec<u8>, String> {
    if value.is_empty() || value.len() > IFACE_MAX {
        return Err(format!("an interface's name has 1 to {IFACE_MAX} bytes"));
    }
    if value
        .iter()
        .any(|b| matches!(b, 0 | b'/' | b':') || b.is_ascii_whitespace())
    {
        return Err(format!("`{}` cannot be an interface's name", quoted(value)));
    }
    Ok(value.to_vec())
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_left(f, self.gate, &self.from, &self.conditions)?;
        write!(f, " {ARROW}")?;
        let entities = names(self.gate);
        let mut bare = true;
        for (name, target) in entities.iter().zip(&self.to) {
            bare &= *target == Target::Unchanged;
            match target {
                Target::Unchanged => {}
                Target::Service(service) => write!(f, " {name}={service}")?,
                Target::Home => write!(f, " {name}={HOME}")?,
                Target::Entity(place) => {
                    let of = entities.get(usize::from(*place)).unwrap_or(&"?");
                    write!(f, " {name}={of}")?;
                }
            }
        }
        // a rule that changes nothing is an exception to a wider rule, and must not look cut off
        if bare {
            write!(f, " {}={ANY}", entities.first().unwrap_or(&"?"))
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_left(f, self.gate, &self.from, &self.conditions)
    }
}

fn write_left(
    f: &mut fmt::Formatter<'_>,
    gate: Gate,
    from: &[Option<Service>; ENTITIES],
    conditions: &Conditions,
) -> fmt::Result {
    f.write_str(gate.name())?;
    for (name, service) in names(gate).iter().zip(from) {
        if let Some(service) = service {
            write!(f, " {name}={service}")?;
        }
    }
    for (property, value) in conditions.shown() {
        write!(f, " {}={value}", property.name())?;
    }
    Ok(())
}
