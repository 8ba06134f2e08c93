// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! The compiled rules: they find the rule that a call falls under.
//!
//! Tuple space search. The rules of a gate are grouped by [`Shape`]; rules that differ only in the
//! length of an address's prefix are one group, and [`Prefixes`] tells in which of their prefixes
//! the address of a call lies. A look-up reduces the call to each group in turn (it leaves out
//! facts that the group does not ask for, and cuts addresses and paths to its prefix lengths) and
//! looks the result up in one hash table, once for each prefix. So it takes as many look-ups as the
//! gate has groups, and more only where prefixes nest: at most [`SHAPES_MAX`], each of at most
//! [`PROBES_MAX`] probes, however many rules, networks and services there are. Groups are visited
//! best rule first, so that the search ends as soon as no rule that is left could win.
//!
//! A compiled set never changes: each change of the rules, or of a priority, compiles a new set.

use super::id::VsId;
use super::prefixes::{Prefixes, Wanted};
use super::rule::{
    directory, masked, props, Facts, Gate, Rule, RuleSet, Shape, Side, Target, ANYONE, ENTITIES,
};
use super::sort::sort;
use super::why::{Refusal, Why};
use crate::table::Table;
use core::cmp::Reverse;

/// How many look-ups a call takes at most in the rules of one gate: `VS_SHAPES_MAX`.
pub const SHAPES_MAX: usize = 64;
/// How many probes one look-up takes at most. A table in which a rule would lie further from its
/// place is made anew, with another salt or larger.
pub const PROBES_MAX: usize = 32;

/// A call that a gate sees.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub gate: Gate,
    /// The VS of each entity, the caller's first. For a task it is the home, so that a rule on a
    /// service holds whatever its tasks work on. Entities that the gate does not have are root's.
    pub from: [VsId; ENTITIES],
    /// The VS that the caller works for, its home if it has no work in hand.
    pub work: VsId,
    /// The known facts; a rule that asks for more does not match.
    pub facts: Facts<'a>,
}

/// The rule that a call falls under.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Match {
    /// Its number.
    pub rule: u32,
    pub to: [Target; ENTITIES],
}

/// The cost of a look-up.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Cost {
    /// Look-ups in the hash table.
    pub lookups: u32,
    /// Slots of the hash table read.
    pub probes: u32,
}

/// A set of rules that could not be compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rejected {
    pub refusal: Refusal,
    /// The place of the rule that made it fail, if it was one rule.
    pub at: Option<usize>,
}

impl<T: Into<Refusal>> From<T> for Rejected {
    fn from(cause: T) -> Self {
        Rejected {
            refusal: cause.into(),
            at: None,
        }
    }
}

/// What a rule asks for of the address that its group leaves open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Network {
    /// Nothing.
    Any,
    /// The whole address of this side.
    Whole(Side),
    /// The prefix of this number and length.
    Prefix(u32, u8),
}

impl Network {
    /// How many bits of the address it looks at.
    fn len(self) -> u8 {
        match self {
            Network::Any => 0,
            Network::Whole(_) => 128,
            Network::Prefix(_, len) => len,
        }
    }
}

/// The prefixes of a gate's rules of one address.
fn space(gate: Gate, side: Side) -> usize {
    gate as usize * 2 + side as usize
}

/// The left side of a rule, or the facts of a call. A fact that the shape does not ask for does not
/// count, and is not looked at.
struct Left<'a> {
    from: [u16; ENTITIES],
    facts: &'a Facts<'a>,
    network: Network,
    /// The facts of a call that the shape looks at.
    path: &'a [u8],
    cgroup: &'a [u8],
}

impl<'a> Left<'a> {
    /// The left side of a rule, of which `facts` are the facts.
    fn of_rule(rule: &Rule, facts: &'a Facts<'a>, network: Network) -> Self {
        Left {
            from: *rule.left(),
            facts,
            network,
            path: facts.path,
            cgroup: facts.cgroup,
        }
    }

    /// `None`: the call lacks something that the shape asks for.
    fn of_call(shape: &Shape, call: &'a Call<'a>, network: Network) -> Option<Self> {
        let facts = &call.facts;
        if shape.props & !facts.props != 0 {
            return None;
        }
        let cut = |path: &'a [u8], slashes: u8| match slashes {
            0 => Some(path),
            _ => directory(path, slashes),
        };
        Some(Left {
            from: call.from.map(VsId::get),
            facts,
            network,
            path: cut(facts.path, shape.path)?,
            cgroup: cut(facts.cgroup, shape.cgroup)?,
        })
    }

    fn hash(&self, seed: u64, shape: &Shape) -> u64 {
        let has = |property: u32| shape.props & property != 0;
        let one = |property: u32, value: u64| if has(property) { value } else { 0 };
        let facts = self.facts;
        let mut hash = Hash(seed);
        if shape.from != 0 {
            let entity = |n: usize| u64::from(self.from[n]) * u64::from((shape.from >> n) & 1);
            hash.word(entity(0) | (entity(1) << 16) | (entity(2) << 32));
        }
        if has(props::UID | props::GID) {
            hash.word(
                one(props::UID, facts.uid.into()) | (one(props::GID, facts.gid.into()) << 32),
            );
        }
        if has(props::PROTO | props::LPORT | props::PPORT) {
            hash.word(
                one(props::PROTO, facts.proto.into())
                    | (one(props::LPORT, facts.local_port.into()) << 16)
                    | (one(props::PPORT, facts.peer_port.into()) << 32),
            );
        }
        if has(props::LOCAL) && has(props::PEER) {
            hash.bytes(&masked(&facts.local, shape.local_len));
        }
        match self.network {
            Network::Any => {}
            Network::Whole(side) => hash.bytes(side.of(facts)),
            Network::Prefix(number, _) => hash.word(number.into()),
        }
        if has(props::IFACE) {
            hash.bytes(&facts.iface);
        }
        if has(props::PATH | props::UNIX) {
            hash.bytes(self.path);
        }
        if has(props::CGROUP) {
            hash.bytes(self.cgroup);
        }
        hash.0
    }

    /// Whether it is the left side of `rule`. `self` is cut to the shape of the rule's group.
    fn meets(&self, set: &RuleSet, rule: &Rule) -> bool {
        // The rules of a group without an address have none.
        (self.network == Network::Any || rule.shape().open_len() == self.network.len())
            && set.is_met(rule, &self.from, self.facts, self.path, self.cgroup)
    }
}

/// The slot in which to look for a hash the `n`th time, among `room` slots, a power of two. The
/// hash can be any number, even one that a caller chose, so the sum wraps.
pub fn probe(hash: u64, n: usize, room: usize) -> usize {
    (hash as usize).wrapping_add(n) & (room - 1)
}

/// A multiply-and-fold hash. It need not withstand an adversary: the administrator's rules alone
/// are in the table, and the number of probes is bounded when the table is made.
struct Hash(u64);

impl Hash {
    fn word(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15_u128;
        self.0 = (product as u64) ^ ((product >> 64) as u64) ^ word.rotate_left(32);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
        self.word(bytes.len() as u64);
    }
}

/// The rank of a rule: the rule of the largest merit wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Merit {
    /// The highest priority among the services that its left side names. `None`: it names no
    /// service, which ranks lowest.
    pub priority: Option<i32>,
    /// How many conditions it has, named services among them.
    pub conditions: u32,
    /// How many bits of address prefixes.
    pub bits: u32,
    /// How many components of paths; a whole path counts one more than its directory.
    pub depth: u32,
    /// Its number: the older rule wins.
    pub number: Reverse<u32>,
}

impl Merit {
    /// The merit of a rule; `priority` gives the priority of a service.
    pub fn of(set: &RuleSet, rule: &Rule, priority: &impl Fn(VsId) -> i32) -> Self {
        let shape = rule.shape();
        let facts = set.facts(rule);
        let depth = |path: &[u8], below: u8| match below {
            0 if path.is_empty() => 0,
            0 => 1 + path.iter().filter(|byte| **byte == b'/').count() as u32,
            slashes => u32::from(slashes),
        };
        Merit {
            priority: rule.named().map(priority).max(),
            conditions: shape.from.count_ones() + shape.props.count_ones(),
            bits: u32::from(shape.local_len) + u32::from(shape.peer_len),
            depth: depth(facts.path, shape.path) + depth(facts.cgroup, shape.cgroup),
            number: Reverse(rule.number()),
        }
    }
}

/// Whether a rule of `set` asks for a call like this.
pub fn matches(set: &RuleSet, rule: &Rule, call: &Call<'_>) -> bool {
    let shape = rule.shape();
    let network = Network::Prefix(0, shape.open_len());
    rule.gate() == call.gate
        && Left::of_call(&shape, call, network).is_some_and(|left| left.meets(set, rule))
}

#[derive(Clone, Copy)]
struct Group {
    /// A [`Shape::family`].
    shape: Shape,
    /// [`Shape::open`]
    open: Option<Side>,
    seed: u64,
    /// Some of its rules ask for a whole address.
    whole: bool,
    /// Some ask for a prefix.
    prefixes: bool,
    /// The smallest rank among its rules.
    best: u32,
    /// Bit n: one of its rules asks for a caller whose id is n modulo 64, or for any caller.
    callers: u64,
}

/// The callers that a rule asks for, or that a call has, as bits of [`Group::callers`].
fn caller(id: u16) -> u64 {
    match id {
        ANYONE => u64::MAX,
        id => 1 << (u32::from(id) % u64::BITS),
    }
}

#[derive(Clone, Copy)]
struct Slot {
    /// Upper half of the hash: saves the comparison with most rules that differ.
    tag: u32,
    /// Place of the rule, or `EMPTY`.
    rule: u32,
}

const EMPTY: u32 = u32::MAX;

/// A compiled set of rules.
///
/// # Invariants
///
/// - `groups` is ordered by gate, within a gate by `best`; `gates` says where each gate's begin and
///   end. A call to a gate meets at most [`SHAPES_MAX`] groups and prefixes of theirs.
/// - `prefixes` has the prefix of each rule, for the place of its group within the gate.
/// - Each rule lies less than [`PROBES_MAX`] slots behind the slot that its hash names, with no
///   empty slot between. Of rules with the same left side only the winner is there.
/// - `group_of` has the place of each rule's group in `groups`.
/// - The length of `slots` is a power of two, or 0 where there is no rule.
pub struct Classifier {
    set: RuleSet,
    /// By place of the rule: how many rules have a larger merit.
    ranks: Table<u32>,
    /// By place of the rule: the place of its group.
    group_of: Table<u16>,
    groups: Table<Group>,
    prefixes: Prefixes<{ Gate::COUNT * 2 }>,
    gates: [(u16, u16); Gate::COUNT],
    wants: [u32; Gate::COUNT],
    /// By gate: the places of its groups.
    callers: [u64; Gate::COUNT],
    slots: Table<Slot>,
}

impl Classifier {
    /// No rule at all.
    pub const fn new() -> Self {
        Classifier {
            set: RuleSet::new(),
            ranks: Table::new(),
            group_of: Table::new(),
            groups: Table::new(),
            prefixes: Prefixes::new(),
            gates: [(0, 0); Gate::COUNT],
            wants: [0; Gate::COUNT],
            callers: [0; Gate::COUNT],
            slots: Table::new(),
        }
    }

    /// Compiles `set`; `priority` gives the priority of a service. Takes time in proportion to the
    /// number of rules (and its logarithm).
    pub fn compile(set: RuleSet, priority: impl Fn(VsId) -> i32) -> Result<Classifier, Rejected> {
        let order = ranked(&set, &priority)?;
        let mut ranks = Table::filled(order.len(), 0)?;
        for (rank, rule) in order.iter().enumerate() {
            ranks[*rule as usize] = rank as u32;
        }

        let mut this = Classifier {
            ranks,
            set,
            ..Classifier::new()
        };
        this.group()?;
        this.gather_prefixes()?;
        let mut room = match order.len() {
            0 => return Ok(this),
            rules => (rules * 2).next_power_of_two(),
        };
        loop {
            for salt in 0..8 {
                if this.fill(&order, room, salt)? {
                    return Ok(this);
                }
            }
            room *= 2;
        }
    }

    /// Finds the groups.
    fn group(&mut self) -> Result<(), Rejected> {
        let mut count = [0; Gate::COUNT];
        for (place, rule) in self.set.rules().iter().enumerate() {
            let shape = rule.shape();
            let rank = self.ranks[place];
            let callers = caller(rule.left()[0]);
            let whole = shape.open_len() == 128;
            let prefixes = shape.open().is_some() && !whole;
            self.callers[shape.gate as usize] |= callers;
            let family = shape.family();
            match self.groups.iter_mut().find(|group| group.shape == family) {
                Some(group) => {
                    group.best = group.best.min(rank);
                    group.callers |= callers;
                    group.whole |= whole;
                    group.prefixes |= prefixes;
                }
                None => {
                    let count = &mut count[shape.gate as usize];
                    if *count == SHAPES_MAX {
                        return Err(Rejected {
                            refusal: Why::Full.into(),
                            at: Some(place),
                        });
                    }
                    *count += 1;
                    self.groups.push(Group {
                        shape: family,
                        open: family.open(),
                        seed: 0,
                        whole,
                        prefixes,
                        best: rank,
                        callers,
                    })?;
                    self.wants[shape.gate as usize] |= shape.props;
                }
            }
        }
        sort(&mut self.groups, |a, b| {
            (a.shape.gate, a.best) < (b.shape.gate, b.best)
        });
        let mut start = 0;
        for gate in Gate::ALL {
            let end = start + count[gate as usize] as u16;
            self.gates[gate as usize] = (start, end);
            start = end;
        }
        self.group_of = Table::with_capacity(self.set.rules().len())?;
        for rule in self.set.rules() {
            let family = rule.shape().family();
            let start = self.gates[rule.gate() as usize].0;
            let groups = self.groups(rule.gate()).iter();
            let place = groups.take_while(|group| group.shape != family).count();
            self.group_of.push(start + place as u16)?;
        }
        Ok(())
    }

    /// The groups of a gate.
    fn groups(&self, gate: Gate) -> &[Group] {
        let (start, end) = self.gates[gate as usize];
        &self.groups[usize::from(start)..usize::from(end)]
    }

    /// The place of a rule's group within its gate.
    fn group_in_gate(&self, place: usize) -> usize {
        let gate = self.set.rules()[place].gate();
        usize::from(self.group_of[place] - self.gates[gate as usize].0)
    }

    /// Gathers the prefixes, and refuses rules among which a look-up would take too long.
    fn gather_prefixes(&mut self) -> Result<(), Rejected> {
        let mut wanted = Table::new();
        for (place, rule) in self.set.rules().iter().enumerate() {
            let shape = rule.shape();
            let Some(side) = shape.open() else { continue };
            let (len, group) = (shape.open_len(), self.group_in_gate(place));
            if len < 128 {
                wanted.push(Wanted {
                    space: space(shape.gate, side),
                    address: u128::from_be_bytes(*side.of(&self.set.facts(rule))),
                    len,
                    group,
                })?;
            }
        }
        self.prefixes = Prefixes::compile(wanted)?;
        for gate in Gate::ALL {
            let (mut lookups, mut most) = (0, (0, 0));
            for (n, group) in self.groups(gate).iter().enumerate() {
                let own = self.depth(n, group);
                lookups += own;
                most = most.max((own, n));
            }
            if lookups > SHAPES_MAX {
                // the youngest rule of the group that takes most
                let rules = self.set.rules().iter();
                return Err(Rejected {
                    refusal: Why::Full.into(),
                    at: rules.enumerate().rev().find_map(|(place, rule)| {
                        let found = rule.gate() == gate && self.group_in_gate(place) == most.1;
                        found.then_some(place)
                    }),
                });
            }
        }
        Ok(())
    }

    /// How many look-ups a call takes at most in a group, the `n`th of its gate.
    fn depth(&self, n: usize, group: &Group) -> usize {
        match group.shape.open() {
            None => 1,
            Some(side) => {
                let space = space(group.shape.gate, side);
                self.prefixes.depth(space, n) + usize::from(group.whole)
            }
        }
    }

    /// What a rule asks for of the address that its group leaves open.
    fn network(&self, rule: &Rule, facts: &Facts<'_>) -> Network {
        let shape = rule.shape();
        let (len, Some(side)) = (shape.open_len(), shape.open()) else {
            return Network::Any;
        };
        let address = u128::from_be_bytes(*side.of(facts));
        let mut around = self.prefixes.around(space(shape.gate, side), address);
        match around.find(|found| found.len == len) {
            Some(found) => Network::Prefix(found.number, len),
            None => Network::Whole(side),
        }
    }

    /// Puts all rules into a table of `room` slots. `false`: some rule lies too far away.
    fn fill(&mut self, order: &[u32], room: usize, salt: u64) -> Result<bool, Rejected> {
        for (n, group) in self.groups.iter_mut().enumerate() {
            let mut seed = Hash(salt);
            seed.word(n as u64 + 1);
            group.seed = seed.0;
        }
        self.slots = Table::new();
        self.slots = Table::filled(
            room,
            Slot {
                tag: 0,
                rule: EMPTY,
            },
        )?;

        // Best first, so that of rules with the same left side the winner is met first.
        'rules: for place in order {
            let rule = &self.set.rules()[*place as usize];
            let number = self.group_of[*place as usize];
            let group = self.groups[usize::from(number)];
            let facts = self.set.facts(rule);
            let left = Left::of_rule(rule, &facts, self.network(rule, &facts));
            let hash = left.hash(group.seed, &group.shape);
            for n in 0..PROBES_MAX {
                let at = probe(hash, n, room);
                let slot = self.slots[at];
                if slot.rule == EMPTY {
                    self.slots[at] = Slot {
                        tag: (hash >> 32) as u32,
                        rule: *place,
                    };
                    continue 'rules;
                }
                let other = &self.set.rules()[slot.rule as usize];
                if self.group_of[slot.rule as usize] == number && left.meets(&self.set, other) {
                    continue 'rules;
                }
            }
            return Ok(false);
        }
        Ok(true)
    }

    /// The properties that rules of `gate` ask for. `None`: no rule can match a call whose first
    /// entity is of `id`, so the gate can leave at once.
    pub fn wants(&self, gate: Gate, id: VsId) -> Option<u32> {
        let named = self.callers[gate as usize] & caller(id.get()) != 0;
        named.then_some(self.wants[gate as usize])
    }

    /// Whether `gate` has any rule.
    pub fn has_rules(&self, gate: Gate) -> bool {
        self.callers[gate as usize] != 0
    }

    /// The rule that `call` falls under; adds the look-ups and probes it took to `cost`. Allocates
    /// nothing, bounded.
    pub fn classify(&self, call: &Call<'_>, cost: &mut Cost) -> Option<Match> {
        let mut best = EMPTY;
        let mut winner = None;
        let start = self.gates[call.gate as usize].0;
        for (n, group) in self.groups(call.gate).iter().enumerate() {
            if group.best >= best {
                break;
            }
            if group.callers & caller(call.from[0].get()) == 0 {
                continue;
            }
            let number = start + n as u16;
            let mut look_up = |network| {
                cost.lookups += 1;
                let Some(place) = self.look_up(number, group, call, network, cost) else {
                    return;
                };
                let rank = self.ranks[place];
                if rank < best {
                    best = rank;
                    winner = Some(place);
                }
            };
            let Some(side) = group.open else {
                look_up(Network::Any);
                continue;
            };
            if call.facts.props & side.prop() == 0 {
                continue;
            }
            if group.whole {
                look_up(Network::Whole(side));
            }
            if group.prefixes {
                let address = u128::from_be_bytes(*side.of(&call.facts));
                for found in self.prefixes.around(space(call.gate, side), address) {
                    if found.is_of(n) {
                        look_up(Network::Prefix(found.number, found.len));
                    }
                }
            }
        }
        let rule = &self.set.rules()[winner?];
        Some(Match {
            rule: rule.number(),
            to: *rule.targets(),
        })
    }

    fn look_up(
        &self,
        number: u16,
        group: &Group,
        call: &Call<'_>,
        network: Network,
        cost: &mut Cost,
    ) -> Option<usize> {
        let left = Left::of_call(&group.shape, call, network)?;
        let hash = left.hash(group.seed, &group.shape);
        for n in 0..PROBES_MAX {
            cost.probes += 1;
            let slot = self.slots[probe(hash, n, self.slots.len())];
            if slot.rule == EMPTY {
                return None;
            }
            if slot.tag == (hash >> 32) as u32 {
                let rule = &self.set.rules()[slot.rule as usize];
                if self.group_of[slot.rule as usize] == number && left.meets(&self.set, rule) {
                    return Some(slot.rule as usize);
                }
            }
        }
        None
    }

    /// How many rules match `call`. Looks at every rule, so it is for the administrator only.
    pub fn matching(&self, call: &Call<'_>) -> usize {
        let rules = self.set.rules().iter();
        rules.filter(|rule| matches(&self.set, rule, call)).count()
    }

    /// The rules.
    pub fn set(&self) -> &RuleSet {
        &self.set
    }
}

/// The places of the rules, best first.
fn ranked(set: &RuleSet, priority: &impl Fn(VsId) -> i32) -> Result<Table<u32>, Rejected> {
    let rules = set.rules();
    let mut merits = Table::with_capacity(rules.len())?;
    for (place, rule) in rules.iter().enumerate() {
        merits.push((Merit::of(set, rule, priority), place as u32))?;
    }
    sort(&mut merits, |a, b| a.0 > b.0);
    let mut order = Table::with_capacity(rules.len())?;
    for (_, place) in merits.iter() {
        order.push(*place)?;
    }
    Ok(order)
}
