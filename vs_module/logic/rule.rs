// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! Rules: `(gate, S1..Sm, P1..Pn) => (S1'..Sm')`.
//!
//! A [`Spec`] is what somebody asks for, a [`Rule`] what has passed all checks, a [`RuleSet`] the
//! rules in force, oldest first. Which of several rules wins is decided in `classify`.

use super::id::VsId;
use super::why::{Refusal, Why};
use crate::table::Table;

/// How many entities a call can have: `VS_ENTITIES`.
pub(crate) const ENTITIES: usize = 3;
/// How many rules there can be: `VS_RULES_MAX`.
pub(crate) const RULES_MAX: usize = 262_144;
/// Left: any VS. Right: unchanged. `VS_ANY`.
pub(crate) const ANY: u16 = 0xffff;
/// Right: the caller's home VS. `VS_HOME`.
const HOME: u16 = 0xfff8;
/// Right: the VS that entity n had. `VS_REF(n)`.
const REF: u16 = 0xfff0;

/// Properties: the bits `VS_P_*`.
pub(crate) mod props {
    pub(crate) const PATH: u16 = 1 << 0;
    pub(crate) const UNIX: u16 = 1 << 1;
    pub(crate) const CGROUP: u16 = 1 << 2;
    pub(crate) const UID: u16 = 1 << 3;
    pub(crate) const GID: u16 = 1 << 4;
    pub(crate) const PROTO: u16 = 1 << 5;
    pub(crate) const LOCAL: u16 = 1 << 6;
    pub(crate) const LPORT: u16 = 1 << 7;
    pub(crate) const PEER: u16 = 1 << 8;
    pub(crate) const PPORT: u16 = 1 << 9;
    pub(crate) const IFACE: u16 = 1 << 10;
    /// What a connection is known by.
    pub(crate) const ENDS: u16 = LOCAL | LPORT | PEER | PPORT;
    /// What a task is known by.
    pub(crate) const TASK: u16 = UID | GID | CGROUP;
    /// What takes room to tell.
    pub(crate) const NAMES: u16 = PATH | UNIX | CGROUP;
}

/// How many protocols there are: `VS_PROTO_COUNT`.
pub(crate) const PROTO_COUNT: u8 = 6;
/// The protocol of which a message can be told from its socket on the way: `VS_PROTO_UDP`.
pub(crate) const PROTO_UDP: u8 = 2;

/// Interception points: `enum vs_gate`, in its order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(crate) enum Gate {
    Fork,
    Exec,
    Exit,
    Setuid,
    Setgid,
    Socket,
    Socketpair,
    Connect,
    Accept,
    Send,
    Recv,
    Close,
    Wait,
    Packet,
}

impl Gate {
    pub(crate) const COUNT: usize = 14;

    pub(crate) const ALL: [Gate; Gate::COUNT] = [
        Gate::Fork,
        Gate::Exec,
        Gate::Exit,
        Gate::Setuid,
        Gate::Setgid,
        Gate::Socket,
        Gate::Socketpair,
        Gate::Connect,
        Gate::Accept,
        Gate::Send,
        Gate::Recv,
        Gate::Close,
        Gate::Wait,
        Gate::Packet,
    ];

    pub(crate) fn new(raw: u16) -> Option<Gate> {
        Self::ALL.get(usize::from(raw)).copied()
    }

    /// How many entities a call has; 0: the gate takes no rules.
    pub(crate) const fn entities(self) -> usize {
        match self {
            Gate::Exit | Gate::Close | Gate::Wait => 0,
            Gate::Exec | Gate::Setuid | Gate::Setgid | Gate::Packet => 1,
            Gate::Fork | Gate::Socket | Gate::Connect | Gate::Accept => 2,
            Gate::Socketpair | Gate::Send | Gate::Recv => 3,
        }
    }

    /// Whether a rule can give entity `n` another VS. A message that has come has its sender's.
    pub(crate) const fn binds(self, n: usize) -> bool {
        match self {
            Gate::Recv => n < 2,
            _ => n < self.entities(),
        }
    }

    /// Whether entity `n` is a task: what it is bound to, it works for.
    pub(crate) const fn is_task(self, n: usize) -> bool {
        match self {
            Gate::Packet => false,
            Gate::Fork => n < 2,
            _ => n == 0,
        }
    }

    /// The properties that rules of this gate can ask for.
    pub(crate) const fn props(self) -> u16 {
        match self {
            Gate::Exit | Gate::Close | Gate::Wait => 0,
            Gate::Fork | Gate::Setuid | Gate::Setgid => props::TASK,
            Gate::Exec => props::TASK | props::PATH,
            Gate::Socket | Gate::Socketpair => props::TASK | props::PROTO,
            Gate::Connect | Gate::Accept | Gate::Send | Gate::Recv => {
                props::TASK | props::PROTO | props::UNIX | props::ENDS
            }
            Gate::Packet => props::PROTO | props::ENDS | props::IFACE,
        }
    }
}

/// What an entity's VS becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    Unchanged,
    Service(VsId),
    /// The VS that this entity had before the call.
    Entity(u8),
    /// The caller's home VS.
    Home,
}

impl Target {
    /// Reads the ABI's form for a gate of `entities` entities.
    fn new(raw: u16, entities: usize) -> Result<Target, Why> {
        match raw {
            ANY => Ok(Target::Unchanged),
            HOME => Ok(Target::Home),
            REF..HOME if usize::from(raw - REF) < entities => Ok(Target::Entity((raw - REF) as u8)),
            REF..HOME => Err(Why::Entity),
            _ => VsId::new(u32::from(raw))
                .map(Target::Service)
                .ok_or(Why::NoService),
        }
    }

    /// The ABI's form.
    pub(crate) fn raw(self) -> u16 {
        match self {
            Target::Unchanged => ANY,
            Target::Home => HOME,
            Target::Entity(n) => REF + u16::from(n),
            Target::Service(id) => id.get(),
        }
    }
}

/// What identifies a call: of a rule what it asks for, of a call what is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    /// Which of the following count: `VS_P_*`.
    pub(crate) props: u16,
    /// `VS_PROTO_*`
    pub(crate) proto: u8,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Network byte order; IPv4 as `::ffff:a.b.c.d`.
    pub(crate) local: [u8; 16],
    pub(crate) peer: [u8; 16],
    /// Host byte order.
    pub(crate) local_port: u16,
    pub(crate) peer_port: u16,
    /// Filled up with zeros.
    pub(crate) iface: [u8; 16],
    /// Program, or unix socket; without a NUL.
    pub(crate) path: &'a [u8],
    /// Without a NUL.
    pub(crate) cgroup: &'a [u8],
}

impl Facts<'static> {
    /// Nothing is known, nothing is asked for.
    pub(crate) const NONE: Facts<'static> = Facts {
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

/// A rule as it is asked for; nothing of it is checked.
pub(crate) struct Spec<'a> {
    pub(crate) gate: u16,
    pub(crate) from: [u16; ENTITIES],
    pub(crate) to: [u16; ENTITIES],
    /// `path` and `cgroup` may end in `/*`.
    pub(crate) facts: Facts<'a>,
    pub(crate) local_len: u8,
    pub(crate) peer_len: u8,
}

/// A piece of [`RuleSet::text`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Text {
    at: u32,
    len: u16,
}

/// What a path must be: itself, or below a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pattern {
    /// Of a directory with the slash at its end.
    text: Text,
    /// How many slashes the directory has; 0: the text is the whole path.
    below: u8,
}

impl Pattern {
    const NONE: Pattern = Pattern {
        text: Text { at: 0, len: 0 },
        below: 0,
    };
}

/// The first part of `path`, up to and with its `slashes`-th slash, if something follows it.
pub(crate) fn directory(path: &[u8], slashes: u8) -> Option<&[u8]> {
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

/// `address` without what follows its first `len` bits.
pub(crate) fn masked(address: &[u8; 16], len: u8) -> [u8; 16] {
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
/// - What `props` does not name is zero; addresses are masked to their prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rule {
    number: u32,
    uid: u32,
    gid: u32,
    local: [u8; 16],
    peer: [u8; 16],
    iface: [u8; 16],
    path: Pattern,
    cgroup: Pattern,
    from: [u16; ENTITIES],
    to: [u16; ENTITIES],
    props: u16,
    local_port: u16,
    peer_port: u16,
    gate: Gate,
    proto: u8,
    local_len: u8,
    peer_len: u8,
}

/// Which conditions a rule has, with which prefix lengths: rules of one shape differ in values
/// only, so that one hash look-up finds the one that matches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    pub(crate) gate: Gate,
    /// Bit n: the VS of entity n is a condition.
    pub(crate) from: u8,
    pub(crate) props: u16,
    pub(crate) local_len: u8,
    pub(crate) peer_len: u8,
    /// Slashes of the directory; 0: the whole path.
    pub(crate) path: u8,
    pub(crate) cgroup: u8,
}

impl Rule {
    /// Its number: a younger rule has a larger one.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn gate(&self) -> Gate {
        self.gate
    }

    /// What entity `n`'s VS becomes.
    pub(crate) fn target(&self, n: usize) -> Target {
        // A rule's right side was read once, with the gate's entities; see `RuleSet::push`.
        Target::new(self.to[n], ENTITIES).unwrap_or(Target::Unchanged)
    }

    /// The services that its left side names.
    pub(crate) fn named(&self) -> impl Iterator<Item = VsId> + '_ {
        self.from
            .iter()
            .filter_map(|raw| VsId::new(u32::from(*raw)))
    }

    /// The services that either side names.
    pub(crate) fn services(&self) -> impl Iterator<Item = VsId> + '_ {
        self.from
            .iter()
            .chain(&self.to)
            .filter_map(|raw| VsId::new(u32::from(*raw)))
    }

    /// Puts `to` where the rule names `from`.
    fn repoint(&mut self, from: VsId, to: VsId) {
        for raw in self.from.iter_mut().chain(&mut self.to) {
            if *raw == from.get() {
                *raw = to.get();
            }
        }
    }

    pub(crate) fn from(&self) -> &[u16; ENTITIES] {
        &self.from
    }

    pub(crate) fn to(&self) -> &[u16; ENTITIES] {
        &self.to
    }

    pub(crate) fn local_len(&self) -> u8 {
        self.local_len
    }

    pub(crate) fn peer_len(&self) -> u8 {
        self.peer_len
    }

    pub(crate) fn shape(&self) -> Shape {
        let mut from = 0;
        for (n, raw) in self.from.iter().enumerate() {
            from |= u8::from(*raw != ANY) << n;
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
/// - The texts of all rules lie inside `text`, where nobody else refers to them.
pub(crate) struct RuleSet {
    rules: Table<Rule>,
    text: Table<u8>,
}

impl RuleSet {
    pub(crate) const fn new() -> Self {
        RuleSet {
            rules: Table::new(),
            text: Table::new(),
        }
    }

    /// No rules, with room for `count`.
    pub(crate) fn with_room(count: usize) -> Result<Self, Refusal> {
        Ok(RuleSet {
            rules: Table::with_capacity(count)?,
            text: Table::new(),
        })
    }

    /// A copy, with room for `more` rules.
    pub(crate) fn copy(&self, more: usize) -> Result<Self, Refusal> {
        let mut copy = RuleSet {
            rules: Table::with_capacity(self.rules.len() + more)?,
            text: Table::with_capacity(self.text.len())?,
        };
        copy.rules.extend_from_slice(&self.rules)?;
        copy.text.extend_from_slice(&self.text)?;
        Ok(copy)
    }

    /// A copy without rule `number`.
    pub(crate) fn without(&self, number: u32) -> Result<Self, Refusal> {
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

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The place of rule `number`.
    pub(crate) fn find(&self, number: u32) -> Option<usize> {
        self.rules
            .binary_search_by_key(&number, |rule| rule.number)
            .ok()
    }

    /// How many rules name `id`.
    pub(crate) fn naming(&self, id: VsId) -> usize {
        self.rules
            .iter()
            .filter(|rule| rule.services().any(|named| named == id))
            .count()
    }

    /// Lets all rules that name `from` name `to`.
    pub(crate) fn repoint(&mut self, from: VsId, to: VsId) {
        for rule in self.rules.iter_mut() {
            rule.repoint(from, to);
        }
    }

    /// What `rule` asks for; of a directory the text with the slash at its end.
    pub(crate) fn facts(&self, rule: &Rule) -> Facts<'_> {
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

    /// Whether a call of these services and properties is one that `rule` asks for. `path` and
    /// `cgroup` are cut to its shape, and the call has all properties that it names.
    pub(crate) fn is_met(
        &self,
        rule: &Rule,
        from: &[u16; ENTITIES],
        facts: &Facts<'_>,
        path: &[u8],
        cgroup: &[u8],
    ) -> bool {
        let free = |property: u16| rule.props & property == 0;
        rule.from
            .iter()
            .zip(from)
            .all(|(asked, is)| *asked == ANY || asked == is)
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
    /// `number` is larger than those of all rules before. `service` translates an id of the
    /// request, and refuses what does not exist.
    pub(crate) fn push(
        &mut self,
        number: u32,
        spec: &Spec<'_>,
        service: impl Fn(u16) -> Result<VsId, Why>,
    ) -> Result<(), Refusal> {
        if self.rules.len() >= RULES_MAX {
            return Err(Why::Full.into());
        }
        let gate = Gate::new(spec.gate).ok_or(Why::Gate)?;
        let entities = gate.entities();
        if entities == 0 {
            return Err(Why::Gate.into());
        }

        let mut from = [ANY; ENTITIES];
        let mut to = [ANY; ENTITIES];
        for n in 0..ENTITIES {
            if (n >= entities && spec.from[n] != ANY) || (!gate.binds(n) && spec.to[n] != ANY) {
                return Err(Why::Entity.into());
            }
            if spec.from[n] != ANY {
                from[n] = service(spec.from[n])?.get();
            }
            to[n] = match spec.to[n] {
                special @ REF.. => Target::new(special, entities)?.raw(),
                id => service(id)?.get(),
            };
        }

        let asked = spec.facts.props;
        if asked & !gate.props() != 0 {
            return Err(Why::Property.into());
        }
        let has = |property: u16| asked & property != 0;
        let facts = &spec.facts;
        if (has(props::PROTO) && facts.proto >= PROTO_COUNT)
            || (has(props::LOCAL) && spec.local_len > 128)
            || (has(props::PEER) && spec.peer_len > 128)
            || (has(props::IFACE) && facts.iface[0] == 0)
        {
            return Err(Why::Value.into());
        }
        if gate == Gate::Send && to[2] != ANY && has(props::PROTO) && facts.proto != PROTO_UDP {
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

        // INVARIANT: All of it was checked above; what was not asked for is left zero.
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
