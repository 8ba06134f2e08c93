// SPDX-License-Identifier: MIT OR Apache-2.0

//! The classifier finds what a look at every rule would find, and takes no longer for many rules.

use crate::logic::classify::{probe, Call, Classifier, Cost, Match, PROBES_MAX, SHAPES_MAX};
use crate::logic::id::VsId;
use crate::logic::rule::{props, Facts, Gate, RuleSet, Spec, Target, ANY, ENTITIES};
use crate::logic::why::{Refusal, Why};
use crate::table::failing_after;
use proptest::prelude::*;
use proptest::sample::select;

const SERVICES: u32 = 5;

fn id(raw: u32) -> VsId {
    VsId::new(raw).unwrap()
}

/// The conditions of a rule, or the properties of a call, from domains so small that they meet.
#[derive(Clone, Debug)]
struct Wish {
    gate: Gate,
    from: [u32; ENTITIES],
    to: [u32; ENTITIES],
    props: u32,
    proto: u8,
    uid: u32,
    gid: u32,
    local: [u8; 16],
    local_len: u8,
    peer: [u8; 16],
    peer_len: u8,
    ports: (u16, u16),
    iface: [u8; 16],
    path: &'static str,
    cgroup: &'static str,
}

impl Wish {
    fn none(gate: Gate) -> Wish {
        Wish {
            gate,
            from: [ANY; ENTITIES],
            to: [ANY; ENTITIES],
            props: 0,
            proto: 0,
            uid: 0,
            gid: 0,
            local: [0; 16],
            local_len: 0,
            peer: [0; 16],
            peer_len: 0,
            ports: (0, 0),
            iface: [0; 16],
            path: "",
            cgroup: "",
        }
    }

    fn facts(&self) -> Facts<'static> {
        Facts {
            props: self.props,
            proto: self.proto,
            uid: self.uid,
            gid: self.gid,
            local: self.local,
            peer: self.peer,
            local_port: self.ports.0,
            peer_port: self.ports.1,
            iface: self.iface,
            path: self.path.as_bytes(),
            cgroup: self.cgroup.as_bytes(),
        }
    }

    fn spec(&self) -> Spec<'static> {
        Spec {
            gate: self.gate as u32,
            from: self.from,
            to: self.to,
            facts: self.facts(),
            local_len: self.local_len,
            peer_len: self.peer_len,
        }
    }

    fn call(&self) -> Call<'static> {
        Call {
            gate: self.gate,
            from: self.from.map(|raw| id(if raw == ANY { 0 } else { raw })),
            work: id(1),
            facts: self.facts(),
        }
    }

    // The naive matcher: the words of Documentation/rules.md, condition by condition.

    fn matches(&self, call: &Wish) -> bool {
        let bits = |address: [u8; 16], len: u8| {
            let bit = |n: u8| (address[usize::from(n / 8)] >> (7 - n % 8)) & 1;
            (0..len).map(bit).collect::<Vec<_>>()
        };
        let is_path = |pattern: &str, path: &str| match pattern.strip_suffix("/*") {
            Some(dir) => path
                .strip_prefix(dir)
                .is_some_and(|rest| rest.starts_with('/') && rest.len() > 1),
            None => pattern == path,
        };
        let holds = |property: u32, condition: bool| {
            self.props & property == 0 || (call.props & property != 0 && condition)
        };
        let same_service = |n: usize| {
            self.from[n] == ANY
                || self.from[n] == if call.from[n] == ANY { 0 } else { call.from[n] }
        };
        self.gate == call.gate
            && (0..ENTITIES).all(same_service)
            && holds(props::PATH | props::UNIX, is_path(self.path, call.path))
            && holds(props::CGROUP, is_path(self.cgroup, call.cgroup))
            && holds(props::UID, self.uid == call.uid)
            && holds(props::GID, self.gid == call.gid)
            && holds(props::PROTO, self.proto == call.proto)
            && holds(
                props::LOCAL,
                bits(self.local, self.local_len) == bits(call.local, self.local_len),
            )
            && holds(
                props::PEER,
                bits(self.peer, self.peer_len) == bits(call.peer, self.peer_len),
            )
            && holds(props::LPORT, self.ports.0 == call.ports.0)
            && holds(props::PPORT, self.ports.1 == call.ports.1)
            && holds(props::IFACE, self.iface == call.iface)
    }

    /// The merit of a rule: of two rules that match the one with the larger merit wins, else the
    /// older one.
    fn merit(&self, priorities: &[i32]) -> (bool, i32, u32, u32, usize) {
        let named: Vec<_> = self.from.iter().filter(|raw| **raw != ANY).collect();
        let highest = named.iter().map(|raw| priorities[**raw as usize]).max();
        let has = |property: u32| self.props & property != 0;
        let depth =
            |pattern: &str| pattern.matches('/').count() + usize::from(!pattern.ends_with("/*"));
        let mut bits = 0;
        let mut components = 0;
        if has(props::LOCAL) {
            bits += u32::from(self.local_len);
        }
        if has(props::PEER) {
            bits += u32::from(self.peer_len);
        }
        if has(props::PATH | props::UNIX) {
            components += depth(self.path);
        }
        if has(props::CGROUP) {
            components += depth(self.cgroup);
        }
        let conditions = named.len() as u32 + self.props.count_ones();
        (
            highest.is_some(),
            highest.unwrap_or(0),
            conditions,
            bits,
            components,
        )
    }
}

fn naive(rules: &[(u32, Wish)], priorities: &[i32], call: &Wish) -> Option<u32> {
    let mut best: Option<&(u32, Wish)> = None;
    for rule in rules.iter().filter(|(_, rule)| rule.matches(call)) {
        if best.is_none_or(|(_, best)| rule.1.merit(priorities) > best.merit(priorities)) {
            best = Some(rule);
        }
    }
    best.map(|(number, _)| *number)
}

fn address() -> impl Strategy<Value = [u8; 16]> {
    (
        select(vec![0_u8, 0xff, 0x80]),
        select(vec![0_u8, 1, 0x80]),
        0_u8..3,
    )
        .prop_map(|(a, b, c)| {
            let mut address = [0; 16];
            (address[0], address[7], address[15]) = (a, b, c);
            address
        })
}

const GATES: [Gate; 6] = [
    Gate::Fork,
    Gate::Exec,
    Gate::Socketpair,
    Gate::Connect,
    Gate::Recv,
    Gate::Packet,
];
const PATHS: [&str; 6] = ["/a", "/a/b", "/a/b/c", "/b/a", "/a/bc", "/a/b/*"];
const PATTERNS: [&str; 8] = [
    "/a", "/a/b", "/a/b/c", "/*", "/a/*", "/a/b/*", "/b/*", "/a/b/c/*",
];

fn wish(paths: &'static [&'static str]) -> impl Strategy<Value = Wish> {
    let service = prop_oneof![2 => Just(ANY), 3 => 0..SERVICES];
    let len = || prop_oneof![3 => select(vec![0_u8, 1, 8, 60, 64, 127, 128]), 1 => 0_u8..=128];
    (
        select(GATES.to_vec()),
        [service.clone(), service.clone(), service],
        (any::<u32>(), any::<u32>(), 0_u8..3, 0_u32..3, 0_u32..3),
        (address(), len(), address(), len()),
        (0_u16..3, 0_u16..3),
        1_u8..3,
        select(paths),
        select(paths),
        any::<bool>(),
    )
        .prop_map(
            |(gate, from, (some, more, proto, uid, gid), ends, ports, iface, path, cgroup, all)| {
                let mut wish = Wish::none(gate);
                for (n, from) in from.into_iter().enumerate().take(gate.entities().len()) {
                    wish.from[n] = from;
                }
                // Rules with few conditions match more often.
                wish.props = gate.props() & if all { some | more } else { some & more };
                (wish.proto, wish.uid, wish.gid, wish.ports) = (proto, uid, gid, ports);
                (wish.local, wish.local_len, wish.peer, wish.peer_len) = ends;
                wish.iface[0] = iface;
                (wish.path, wish.cgroup) = (path, cgroup);
                wish
            },
        )
}

fn call() -> impl Strategy<Value = Wish> {
    (wish(&PATHS), prop_oneof![1 => Just(false), 3 => Just(true)]).prop_map(|(mut call, all)| {
        if all {
            call.props = call.gate.props();
        }
        call
    })
}

fn push(set: &mut RuleSet, number: u32, wish: &Wish) -> Result<(), Refusal> {
    let service = |raw| {
        VsId::new(raw)
            .filter(|id| id.get() < 9)
            .ok_or(Why::NoService)
    };
    set.push(number, &wish.spec(), service)
}

fn compiled(rules: &[(u32, Wish)], priorities: &[i32]) -> Classifier {
    let mut set = RuleSet::with_room(rules.len()).unwrap();
    for (number, wish) in rules {
        push(&mut set, *number, wish).unwrap();
    }
    Classifier::compile(set, |id| priorities[id.index()])
        .unwrap_or_else(|rejected| panic!("{rejected:?}"))
}

fn asked(classifier: &Classifier, call: &Wish) -> (Option<Match>, Cost) {
    let mut cost = Cost::default();
    (classifier.classify(&call.call(), &mut cost), cost)
}

fn priorities() -> impl Strategy<Value = Vec<i32>> {
    prop::collection::vec(
        prop_oneof![-2_i32..3, Just(i32::MIN), Just(i32::MAX)],
        SERVICES as usize,
    )
}

fn numbered(rules: Vec<Wish>) -> Vec<(u32, Wish)> {
    (1_u32..).map(|n| n * 3).zip(rules).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn finds_what_a_look_at_every_rule_finds(
        rules in prop::collection::vec(wish(&PATTERNS), 0..60),
        priorities in priorities(),
        calls in prop::collection::vec(call(), 1..40),
    ) {
        let rules = numbered(rules);
        let classifier = compiled(&rules, &priorities);
        for call in &calls {
            let (found, cost) = asked(&classifier, call);
            let wanted = naive(&rules, &priorities, call);
            prop_assert_eq!(found.map(|found| found.rule), wanted, "{:?}", call);
            prop_assert!(cost.lookups as usize <= SHAPES_MAX);
            prop_assert!(cost.probes as usize <= cost.lookups as usize * PROBES_MAX);
            let matching = rules.iter().filter(|(_, rule)| rule.matches(call)).count();
            prop_assert_eq!(classifier.matching(&call.call()), matching);
            if let Some(asked) = classifier.wants(call.gate, call.call().from[0]) {
                prop_assert_eq!(asked & !call.gate.props(), 0);
            } else {
                prop_assert!(found.is_none());
            }
        }
    }

    #[test]
    fn no_sequence_of_changes_breaks_it(
        mut pending in prop::collection::vec(wish(&PATTERNS), 1..25),
        deletes in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ranks in priorities(),
        calls in prop::collection::vec(call(), 1..10),
    ) {
        let mut rules: Vec<(u32, Wish)> = Vec::new();
        let mut classifier = Classifier::new();
        let mut number = 0;
        for delete in deletes {
            for _ in 0..2 {
                let Some(wish) = pending.pop() else { continue };
                number += 1;
                let mut set = classifier.set().copy(1).unwrap();
                push(&mut set, number, &wish).unwrap();
                classifier = Classifier::compile(set, |id| ranks[id.index()]).unwrap();
                rules.push((number, wish));
            }
            if !rules.is_empty() {
                let (gone, _) = rules.remove(delete.index(rules.len()));
                let set = classifier.set().without(gone).unwrap();
                prop_assert!(set.find(gone).is_none());
                classifier = Classifier::compile(set, |id| ranks[id.index()]).unwrap();
            }
            for call in &calls {
                let found = asked(&classifier, call).0.map(|found| found.rule);
                prop_assert_eq!(found, naive(&rules, &ranks, call));
            }
        }
    }

    #[test]
    fn a_heir_is_named_wherever_the_dead_was(
        rules in prop::collection::vec(wish(&PATTERNS), 1..30),
        calls in prop::collection::vec(call(), 1..20),
    ) {
        let priorities = [0; SERVICES as usize];
        let (dead, heir) = (2, 3);
        let mut set = compiled(&numbered(rules.clone()), &priorities).set().copy(0).unwrap();
        set.repoint(id(dead), id(heir));
        prop_assert_eq!(set.naming(id(dead)), 0);
        let classifier = Classifier::compile(set, |_| 0).unwrap();
        let mut renamed = rules;
        for rule in &mut renamed {
            rule.from = rule.from.map(|raw| if raw == dead { heir } else { raw });
        }
        for call in &calls {
            let found = asked(&classifier, call).0.map(|found| found.rule);
            prop_assert_eq!(found, naive(&numbered(renamed.clone()), &priorities, call));
        }
    }

    #[test]
    fn without_memory_there_is_no_half_classifier(
        rules in prop::collection::vec(wish(&PATTERNS), 1..20),
        left in 0_usize..8,
    ) {
        let set = compiled(&numbered(rules), &[0; SERVICES as usize]).set().copy(0).unwrap();
        if let Err(rejected) = failing_after(left, || Classifier::compile(set, |_| 0)).map(|_| ()) {
            prop_assert_eq!(rejected.refusal, Refusal::NoMemory);
        }
    }
}

/// A rule for one address of a /128 and one port, of which there are many.
fn many(n: u32) -> Wish {
    let mut wish = Wish::none(Gate::Packet);
    wish.props = props::PEER | props::LPORT;
    wish.peer[12..].copy_from_slice(&n.to_be_bytes());
    wish.peer_len = 128;
    wish.ports.0 = 5432;
    wish.to[0] = 1;
    wish
}

/// The number of look-ups, the mean probes over calls that match and calls that do not, and the
/// most probes of one call.
fn measured(rules: u32) -> (u32, f64, f64, u32) {
    let list: Vec<_> = (1..=rules).map(|n| (n, many(n))).collect();
    let classifier = compiled(&list, &[0; SERVICES as usize]);
    let calls = 20_000;
    let (mut hits, mut misses, mut most, mut lookups) = (0, 0, 0, 0);
    for n in 0..calls {
        let present = n * 7_919 % rules + 1;
        let (found, cost) = asked(&classifier, &many(present));
        assert_eq!(found.map(|found| found.rule), Some(present));
        hits += cost.probes;
        most = most.max(cost.probes);
        lookups = lookups.max(cost.lookups);
        let (found, cost) = asked(&classifier, &many((1 << 24) | n));
        assert_eq!(found, None);
        misses += cost.probes;
        most = most.max(cost.probes);
        lookups = lookups.max(cost.lookups);
    }
    (
        lookups,
        f64::from(hits) / f64::from(calls),
        f64::from(misses) / f64::from(calls),
        most,
    )
}

#[test]
fn a_look_up_costs_the_same_with_1_and_with_100000_rules() {
    let one = measured(1);
    for rules in [1_000, 100_000, 262_144] {
        let (lookups, hit, miss, most) = measured(rules);
        println!(
            "{rules} rules: {lookups} look-up, {hit:.2} probes to find, {miss:.2} to miss, \
            {most} at most"
        );
        assert_eq!(lookups, one.0, "look-ups");
        // Linear probing in a table half full: 1.5 and 2.5 on average, whatever its size.
        assert!(hit < 1.6, "{hit} probes to find one of {rules}");
        assert!(miss < 2.7, "{miss} probes to miss all {rules}");
        assert!(most as usize <= PROBES_MAX);
    }
}

#[test]
fn shapes_end_the_search_when_no_better_rule_is_left() {
    let mut named = Wish::none(Gate::Exec);
    named.from[0] = 1;
    let mut path = Wish::none(Gate::Exec);
    (path.props, path.path) = (props::PATH, "/a/*");
    let classifier = compiled(&[(1, path), (2, named)], &[0; SERVICES as usize]);
    let mut call = Wish::none(Gate::Exec);
    (call.from[0], call.props, call.path) = (1, props::PATH, "/a/b");
    assert_eq!(
        asked(&classifier, &call),
        (
            Some(Match {
                rule: 2,
                to: [Target::Unchanged; ENTITIES]
            }),
            Cost {
                lookups: 1,
                probes: 1
            },
        )
    );
    // No rule of that shape names caller 2; 65 has the same bit as 1, which is named, so it may be
    // named.
    for (caller, lookups) in [(2, 1), (65, 2)] {
        call.from[0] = caller;
        let (found, cost) = asked(&classifier, &call);
        assert_eq!(
            (found.map(|found| found.rule), cost.lookups),
            (Some(1), lookups)
        );
    }
}

/// The networks of a large provider: of all lengths that registries give out and routers announce,
/// IPv4 and IPv6, each with a part of it that another service has.
#[test]
fn a_list_of_networks_takes_few_look_ups() {
    let network = |number: u32, address: u128, len: u8| {
        let mut wish = Wish::none(Gate::Packet);
        wish.props = props::PEER;
        (wish.peer, wish.peer_len, wish.to[0]) = (address.to_be_bytes(), len, 1);
        (number, wish)
    };
    let (mut list, mut calls) = (Vec::new(), Vec::new());
    for n in 0..20_000_u32 {
        // the upper bits differ, so no network but its own part lies in another
        let (address, len) = match n % 2 {
            0 => (
                0xffff_0000_0000 | (u128::from(n) << 17),
                112 + (n / 2 % 15) as u8,
            ),
            _ => (
                (0x2001 << 112) | (u128::from(n) << 90),
                40 + (n / 2 % 60) as u8,
            ),
        };
        let part = address | (1 << (126 - len));
        list.push(network(2 * n + 1, address, len));
        list.push(network(2 * n + 2, part, len + 2));
        calls.push((2 * n + 1, address));
        calls.push((2 * n + 2, part));
    }
    let classifier = compiled(&list, &[0; SERVICES as usize]);
    for (rule, address) in calls {
        let (_, mut call) = network(0, address, 0);
        call.from[0] = 0;
        let (found, cost) = asked(&classifier, &call);
        assert_eq!(found.map(|found| found.rule), Some(rule));
        // the network, its part, and the whole address, which other rules ask for
        assert!(cost.lookups <= 3);
    }
}

#[test]
fn a_call_takes_64_look_ups_and_the_rule_too_many_is_told() {
    let shape = |n: u8| {
        let mut wish = many(n.into());
        wish.peer_len = n;
        wish
    };
    let mut set = RuleSet::new();
    for n in 0..64 {
        push(&mut set, n.into(), &shape(n)).unwrap();
    }
    push(&mut set, 64, &Wish::none(Gate::Exec)).unwrap();
    let full = Classifier::compile(set.copy(0).unwrap(), |_| 0);
    assert!(full.is_ok(), "another gate's are its own");
    push(&mut set, 65, &shape(64)).unwrap();
    let rejected = Classifier::compile(set, |_| 0).map(|_| ()).unwrap_err();
    assert_eq!(
        (rejected.refusal, rejected.at),
        (Why::Full.into(), Some(65))
    );
}

#[test]
fn without_rules_a_gate_wants_nothing() {
    let classifier = compiled(&[(1, many(1))], &[0; SERVICES as usize]);
    assert_eq!(
        classifier.wants(Gate::Packet, id(0)),
        Some(props::PEER | props::LPORT)
    );
    assert_eq!(classifier.wants(Gate::Exec, id(0)), None);
    assert_eq!(
        asked(&Classifier::new(), &Wish::none(Gate::Exec)),
        (None, Cost::default())
    );
}

#[test]
fn rules_that_name_other_callers_want_nothing() {
    let named = |caller| {
        let mut wish = Wish::none(Gate::Recv);
        wish.from[0] = caller;
        wish
    };
    let services = [0; SERVICES as usize];
    let classifier = compiled(&[(1, named(2)), (2, named(4))], &services);
    let wants: Vec<_> = (0..SERVICES)
        .map(|caller| classifier.wants(Gate::Recv, id(caller)).is_some())
        .collect();
    assert_eq!(wants, [false, false, true, false, true]);
    let classifier = compiled(&[(1, named(2)), (2, named(ANY))], &services);
    assert!((0..SERVICES).all(|caller| classifier.wants(Gate::Recv, id(caller)).is_some()));
}

/// Kernels can be built with overflow checks, and a caller could choose a path that causes an
/// overflow.
#[test]
fn the_largest_hashes_wrap() {
    assert_eq!(
        [0, 1, PROBES_MAX].map(|n| probe(u64::MAX, n, 8)),
        [7, 0, (7 + PROBES_MAX) % 8]
    );
}
