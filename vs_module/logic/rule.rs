// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! Rules: `(gate, S1..Sm, P1..Pn) => (S1'..Sm')`.
//!
//! A [`Spec`] is a rule as a request asks for it, a [`Rule`] has passed all checks, a [`RuleSet`]
//! holds the rules in force, oldest first. `classify` decides which of several rules wins.

use super::gate::Proto;
pub use super::gate::{props, Gate};
use super::id::VsId;
use super::why::{Refusal, Why};
use crate::table::Table;

/// How many entities a call can have: `VS_ENTITIES`.
pub const ENTITIES: usize = 3;
/// How many rules there can be: `VS_RULES_MAX`.
pub const RULES_MAX: usize = 262_144;
/// Left: any VS. Right: unchanged. `VS_ANY`.
pub const ANY: u32 = 0xffff_ffff;
/// Right: the caller's home VS. `VS_HOME`.
pub const HOME: u32 = 0xffff_fff8;
/// Right: the VS that entity n had. `VS_REF(n)`.
pub const REF: u32 = 0xffff_fff0;

/// Any VS, on the left side of a stored rule: no id has this value.
pub(super) const ANYONE: u16 = u16::MAX;

/// The new VS of an entity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    Unchanged,
    Service(VsId),
    /// The VS that this entity had before the call.
    Entity(u8),
    /// The caller's home VS.
    Home,
}

impl Target {
    /// Reads the ABI's form for a gate of `entities` entities; `service` translates an id.
    pub fn new(
        raw: u32,
        entities: usize,
        service: impl Fn(u32) -> Result<VsId, Why>,
    ) -> Result<Target, Why> {
        match raw {
            ANY => Ok(Target::Unchanged),
            HOME => Ok(Target::Home),
            REF..HOME if ((raw - REF) as usize) < entities => Ok(Target::Entity((raw - REF) as u8)),
            REF..HOME => Err(Why::Entity),
            HOME.. => Err(Why::NoService),
            id => service(id).map(Target::Service),
        }
    }

    /// The ABI's form.
    pub fn raw(self) -> u32 {
        match self {
            Target::Unchanged => ANY,
            Target::Home => HOME,
            Target::Entity(n) => REF + u32::from(n),
            Target::Service(id) => id.get().into(),
        }
    }
}

/// The facts of a call: for a rule those it asks for, for a call those that are known.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The set of the facts below that count: `VS_P_*`.
    pub props: u32,
    /// `VS_PROTO_*`
    pub proto: u8,
    pub uid: u32,
    pub gid: u32,
    /// Network byte order; IPv4 as `::ffff:a.b.c.d`.
    pub local: [u8; 16],
    pub peer: [u8; 16],
    /// Host byte order.
    pub local_port: u16,
    pub peer_port: u16,
    /// Filled up with zeros.
    pub iface: [u8; 16],
    /// Program, or unix socket; without a NUL.
    pub path: &'a [u8],
    /// Without a NUL.
    pub cgroup: &'a [u8],
}

impl Facts<'static> {
    /// No fact is known, or asked for.
    pub const NONE: Facts<'static> = Facts {
        props: 0,
        proto: 0,
        uid: 0,
        gid: 0,
        local: [0; 16],
        peer: [0; 16],
        local_port: 0,
        peer_port: 0,
        iface: [0; 16],
        path: &[],
        cgroup: &[],
    };
}

/// A rule as a request asks for it, unchecked.
pub struct Spec<'a> {
    pub gate: u32,
    pub from: [u32; ENTITIES],
    pub to: [u32; ENTITIES],
    /// `path` and `cgroup` may end in `/*`.
    pub facts: Facts<'a>,
    pub local_len: u8,
    pub peer_len: u8,
}

/// A piece of [`RuleSet::text`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Text {
    at: u32,
    len: u16,
}

/// The paths that a rule asks for: one, or all below a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pattern {
    /// The path; of a directory with the slash at its end.
    text: Text,
    /// How many slashes the directory has; 0: the text is a whole path.
    below: u8,
}

impl Pattern {
    const NONE: Pattern = Pattern {
        text: Text { at: 0, len: 0 },
        below: 0,
    };
}

/// The first part of `path`, up to and with its `slashes`-th slash, if something follows it.
pub fn directory(path: &[u8], slashes: u8) -> Option<&[u8]> {
    let mut left = slashes;
    for (at, byte) in path.iter().enumerate() {
        if *byte == b'/' {
            left -= 1;
            if left == 0 {
                return (at + 1 < path.len()).then(|| &path[..=at]);
            }
        }
    }
    None
}

/// `address` with all but its first `len` bits cleared.
pub fn masked(address: &[u8; 16], len: u8) -> [u8; 16] {
    let mask = if len == 0 {
        0
    } else {
        u128::MAX << (128 - u32::from(len))
    };
    (u128::from_be_bytes(*address) & mask).to_be_bytes()
}

fn slashes(path: &[u8]) -> usize {
    path.iter().filter(|byte| **byte == b'/').count()
}

/// A rule that has passed all checks.
///
/// # Invariants
///
/// - `gate` takes rules and has the properties in `props` and the entities that are named.
/// - Facts that `props` does not name are zero; addresses are masked to their prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    number: u32,
    uid: u32,
    gid: u32,
    local: [u8; 16],
    peer: [u8; 16],
    iface: [u8; 16],
    path: Pattern,
    cgroup: Pattern,
    from: [u16; ENTITIES],
    to: [Target; ENTITIES],
    props: u32,
    local_port: u16,
    peer_port: u16,
    gate: Gate,
    proto: u8,
    local_len: u8,
    peer_len: u8,
}

/// The conditions of a rule, with their prefix lengths. Rules of one shape differ in values only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    pub gate: Gate,
    /// Bit n: the VS of entity n is a condition.
    pub from: u8,
    pub props: u32,
    pub local_len: u8,
    pub peer_len: u8,
    /// Slashes of the directory; 0: the whole path.
    pub path: u8,
    pub cgroup: u8,
}

/// The addresses of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    Local,
    Peer,
}

impl Side {
    /// The property that asks for it.
    pub fn prop(self) -> u32 {
        match self {
            Side::Local => props::LOCAL,
            Side::Peer => props::PEER,
        }
    }

    /// The address of a call.
    pub fn of<'a>(self, facts: &'a Facts<'_>) -> &'a [u8; 16] {
        match self {
            Side::Local => &facts.local,
            Side::Peer => &facts.peer,
        }
    }
}

impl Shape {
    /// The address whose prefixes [`Shape::family`] leaves open.
    pub fn open(&self) -> Option<Side> {
        [Side::Peer, Side::Local]
            .into_iter()
            .find(|side| self.props & side.prop() != 0)
    }

    /// The length of the prefixes of that address.
    pub fn open_len(&self) -> u8 {
        match self.open() {
            Some(Side::Peer) => self.peer_len,
            Some(Side::Local) => self.local_len,
            None => 0,
        }
    }

    /// The shape without the length of the prefixes of one address: of the peer's, if the rule asks
    /// for it.
    pub fn family(mut self) -> Shape {
        match self.open() {
            Some(Side::Peer) => self.peer_len = 0,
            Some(Side::Local) => self.local_len = 0,
            None => {}
        }
        self
    }
}

impl Rule {
    /// Its number: a younger rule has a larger one.
    pub fn number(&self) -> u32 {
        self.number
    }

    pub fn gate(&self) -> Gate {
        self.gate
    }

    /// The new VS of each entity.
    pub fn targets(&self) -> &[Target; ENTITIES] {
        &self.to
    }

    /// The services that its left side names.
    pub fn named(&self) -> impl Iterator<Item = VsId> + '_ {
        self.from
            .iter()
            .filter_map(|raw| VsId::new(u32::from(*raw)))
    }

    /// The services that either side names.
    pub fn services(&self) -> impl Iterator<Item = VsId> + '_ {
        let right = self.to.iter().filter_map(|target| match target {
            Target::Service(id) => Some(*id),
            _ => None,
        });
        self.named().chain(right)
    }

    /// Replaces the service `from` by `to` on both sides.
    fn repoint(&mut self, from: VsId, to: VsId) {
        for raw in &mut self.from {
            if *raw == from.get() {
                *raw = to.get();
            }
        }
        for target in &mut self.to {
            if *target == Target::Service(from) {
                *target = Target::Service(to);
            }
        }
    }

    /// The left side as it is stored: ids, or [`ANYONE`].
    pub(super) fn left(&self) -> &[u16; ENTITIES] {
        &self.from
    }

    /// The left side in the ABI's form.
    pub fn from(&self) -> [u32; ENTITIES] {
        self.from.map(|raw| match raw {
            ANYONE => ANY,
            id => id.into(),
        })
    }

    /// The right side in the ABI's form.
    pub fn to(&self) -> [u32; ENTITIES] {
        self.to.map(Target::raw)
    }

    pub fn local_len(&self) -> u8 {
        self.local_len
    }

    pub fn peer_len(&self) -> u8 {
        self.peer_len
    }

    pub fn shape(&self) -> Shape {
        let mut from = 0;
        for (n, raw) in self.from.iter().enumerate() {
            from |= u8::from(*raw != ANYONE) << n;
        }
        Shape {
            gate: self.gate,
            from,
            props: self.props,
            local_len: self.local_len,
            peer_len: self.peer_len,
            path: self.path.below,
            cgroup: self.cgroup.below,
        }
    }
}

/// The rules in force, oldest first.
///
/// # Invariants
///
/// - Numbers grow.
/// - The texts of all rules lie inside `text`, each referred to by its rule alone.
pub struct RuleSet {
    rules: Table<Rule>,
    text: Table<u8>,
}

impl RuleSet {
    pub const fn new() -> Self {
        RuleSet {
            rules: Table::new(),
            text: Table::new(),
        }
    }

    /// No rules, with room for `count`.
    pub fn with_room(count: usize) -> Result<Self, Refusal> {
        Ok(RuleSet {
            rules: Table::with_capacity(count)?,
            text: Table::new(),
        })
    }

    /// A copy, with room for `more` rules.
    pub fn copy(&self, more: usize) -> Result<Self, Refusal> {
        let mut copy = RuleSet {
            rules: Table::with_capacity(self.rules.len() + more)?,
            text: Table::with_capacity(self.text.len())?,
        };
        copy.rules.extend_from_slice(&self.rules)?;
        copy.text.extend_from_slice(&self.text)?;
        Ok(copy)
    }

    /// A copy without rule `number`.
    pub fn without(&self, number: u32) -> Result<Self, Refusal> {
        let gone = self.find(number).ok_or(Why::NoRule)?;
        let mut copy = RuleSet {
            rules: Table::with_capacity(self.rules.len() - 1)?,
            text: Table::new(),
        };
        for (n, rule) in self.rules.iter().enumerate() {
            if n != gone {
                let mut rule = *rule;
                rule.path.text = copy.keep(self.text(rule.path.text))?;
                rule.cgroup.text = copy.keep(self.text(rule.cgroup.text))?;
                copy.rules.push(rule)?;
            }
        }
        Ok(copy)
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The place of rule `number`.
    pub fn find(&self, number: u32) -> Option<usize> {
        self.rules
            .binary_search_by_key(&number, |rule| rule.number)
            .ok()
    }

    /// How many rules name `id`.
    pub fn naming(&self, id: VsId) -> usize {
        self.rules
            .iter()
            .filter(|rule| rule.services().any(|named| named == id))
            .count()
    }

    /// Whether a rule gives messages by `proto` to a service.
    pub fn gives_messages(&self, proto: Proto) -> bool {
        self.rules.iter().any(|rule| {
            rule.gate == Gate::Send
                && rule.to[2] != Target::Unchanged
                && (rule.props & props::PROTO == 0 || rule.proto == proto as u8)
        })
    }

    /// Makes all rules that name `from` name `to` instead.
    pub fn repoint(&mut self, from: VsId, to: VsId) {
        for rule in self.rules.iter_mut() {
            rule.repoint(from, to);
        }
    }

    /// The facts that `rule` asks for. The text of a directory has the slash at its end.
    pub fn facts(&self, rule: &Rule) -> Facts<'_> {
        Facts {
            props: rule.props,
            proto: rule.proto,
            uid: rule.uid,
            gid: rule.gid,
            local: rule.local,
            peer: rule.peer,
            local_port: rule.local_port,
            peer_port: rule.peer_port,
            iface: rule.iface,
            path: self.text(rule.path.text),
            cgroup: self.text(rule.cgroup.text),
        }
    }

    /// Whether `rule` matches a call of these services and properties. `path` and `cgroup` are cut
    /// to the rule's shape, and the call has all properties that the rule names.
    pub fn is_met(
        &self,
        rule: &Rule,
        from: &[u16; ENTITIES],
        facts: &Facts<'_>,
        path: &[u8],
        cgroup: &[u8],
    ) -> bool {
        let free = |property: u32| rule.props & property == 0;
        rule.from
            .iter()
            .zip(from)
            .all(|(asked, is)| *asked == ANYONE || asked == is)
            && (free(props::UID) || rule.uid == facts.uid)
            && (free(props::GID) || rule.gid == facts.gid)
            && (free(props::PROTO) || rule.proto == facts.proto)
            && (free(props::LPORT) || rule.local_port == facts.local_port)
            && (free(props::PPORT) || rule.peer_port == facts.peer_port)
            && (free(props::LOCAL) || rule.local == masked(&facts.local, rule.local_len))
            && (free(props::PEER) || rule.peer == masked(&facts.peer, rule.peer_len))
            && (free(props::IFACE) || rule.iface == facts.iface)
            && (free(props::PATH | props::UNIX) || self.text(rule.path.text) == path)
            && (free(props::CGROUP) || self.text(rule.cgroup.text) == cgroup)
    }

    /// Checks a rule and makes it the youngest.
    ///
    /// `number` is larger than the numbers of all rules before. `service` translates an id of the
    /// request, and refuses one that does not exist.
    pub fn push(
        &mut self,
        number: u32,
        spec: &Spec<'_>,
        service: impl Fn(u32) -> Result<VsId, Why>,
    ) -> Result<(), Refusal> {
        if self.rules.len() >= RULES_MAX {
            return Err(Why::Full.into());
        }
        let gate = Gate::new(spec.gate).ok_or(Why::Gate)?;
        let entities = gate.entities().len();
        if !gate.takes_rules() {
            return Err(Why::Gate.into());
        }

        let mut from = [ANYONE; ENTITIES];
        let mut to = [Target::Unchanged; ENTITIES];
        for n in 0..ENTITIES {
            if (n >= entities && spec.from[n] != ANY) || (!gate.binds(n) && spec.to[n] != ANY) {
                return Err(Why::Entity.into());
            }
            if spec.from[n] != ANY {
                if spec.from[n] >= REF {
                    return Err(Why::NoService.into());
                }
                from[n] = service(spec.from[n])?.get();
            }
            to[n] = Target::new(spec.to[n], entities, &service)?;
        }

        let asked = spec.facts.props;
        if asked & !gate.props() != 0 {
            return Err(Why::Property.into());
        }
        let has = |property: u32| asked & property != 0;
        let facts = &spec.facts;
        let proto = if has(props::PROTO) {
            Some(Proto::new(facts.proto).ok_or(Why::Value)?)
        } else {
            None
        };
        if (has(props::LOCAL) && spec.local_len > 128)
            || (has(props::PEER) && spec.peer_len > 128)
            || (has(props::IFACE) && facts.iface[0] == 0)
        {
            return Err(Why::Value.into());
        }
        if (0..entities).any(|n| to[n] != Target::Unchanged && !gate.binds_by(n, proto)) {
            return Err(Why::Entity.into());
        }
        let local_len = if has(props::LOCAL) { spec.local_len } else { 0 };
        let peer_len = if has(props::PEER) { spec.peer_len } else { 0 };
        let path = if has(props::PATH | props::UNIX) {
            self.pattern(facts.path, has(props::UNIX))?
        } else {
            Pattern::NONE
        };
        let cgroup = if has(props::CGROUP) {
            self.pattern(facts.cgroup, false)?
        } else {
            Pattern::NONE
        };

        // INVARIANT: All facts were checked in this function; those that were not asked for are
        // zero.
        self.rules.push(Rule {
            number,
            uid: if has(props::UID) { facts.uid } else { 0 },
            gid: if has(props::GID) { facts.gid } else { 0 },
            local: masked(&facts.local, local_len),
            peer: masked(&facts.peer, peer_len),
            iface: if has(props::IFACE) {
                facts.iface
            } else {
                [0; 16]
            },
            path,
            cgroup,
            from,
            to,
            props: asked,
            local_port: if has(props::LPORT) {
                facts.local_port
            } else {
                0
            },
            peer_port: if has(props::PPORT) {
                facts.peer_port
            } else {
                0
            },
            gate,
            proto: if has(props::PROTO) { facts.proto } else { 0 },
            local_len,
            peer_len,
        })?;
        Ok(())
    }

    /// Reads a path that may end in `/*`.
    fn pattern(&mut self, path: &[u8], unix: bool) -> Result<Pattern, Refusal> {
        match path.first() {
            Some(b'/') => (),
            Some(b'@') if unix => (),
            _ => return Err(Why::Value.into()),
        }
        let (text, below) = match path.strip_suffix(b"*") {
            Some(dir) if dir.ends_with(b"/") => (dir, slashes(dir)),
            _ => (path, 0),
        };
        Ok(Pattern {
            text: self.keep(text)?,
            below: below as u8,
        })
    }

    fn keep(&mut self, text: &[u8]) -> Result<Text, Refusal> {
        let at = self.text.len();
        self.text.extend_from_slice(text)?;
        Ok(Text {
            at: at as u32,
            len: text.len() as u16,
        })
    }

    fn text(&self, text: Text) -> &[u8] {
        &self.text[text.at as usize..][..usize::from(text.len)]
    }
}
