// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every printed rule reads back as the same rule; every mistake is reported at its place.

use proptest::prelude::*;
use vs_text::address::Prefix;
use vs_text::gate::{Gate, Property, Proto};
use vs_text::name::{self, Service};
use vs_text::pattern::Pattern;
use vs_text::rule::{Call, Conditions, Rule, Target};

fn service() -> impl Strategy<Value = Service> {
    prop_oneof![
        4 => "[a-z0-9._-]{1,63}"
            .prop_filter("a word with a meaning", |name| !name::is_reserved(name))
            .prop_map(Service::Name),
        1 => (0u32..16384).prop_map(Service::Id),
    ]
}

fn pattern(first: char) -> impl Strategy<Value = Pattern> {
    // any bytes that a path can have: blanks, quotes, control characters, invalid UTF-8
    prop::collection::vec(
        prop_oneof![1u8..=255, Just(b' '), Just(b'"'), Just(b'\\'), Just(b'=')],
        1..60,
    )
    .prop_map(move |mut bytes| {
        bytes
            .iter_mut()
            .filter(|b| **b == b'/')
            .for_each(|b| *b = b'_');
        if bytes.starts_with(b".") {
            bytes[0] = b'_';
        }
        bytes.insert(0, first as u8);
        Pattern::unix(&bytes).unwrap()
    })
}

fn prefix() -> impl Strategy<Value = Prefix> {
    (any::<[u8; 16]>(), any::<bool>(), 0u8..=128).prop_map(|(mut octets, v4, len)| {
        if v4 {
            octets[..12].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
        }
        Prefix::new(octets, len).unwrap()
    })
}

fn conditions(gate: Gate) -> impl Strategy<Value = Conditions> {
    let paths = (
        pattern('/'),
        prop_oneof![pattern('/'), pattern('@')],
        pattern('/'),
    );
    let ids = (any::<u32>(), any::<u32>(), 1usize..6);
    let ends = (
        prefix(),
        any::<u16>(),
        prefix(),
        any::<u16>(),
        "[a-z][a-z0-9.\"=]{0,14}",
    );
    (any::<u32>(), paths, ids, ends).prop_map(
        move |(bits, (path, unix, cgroup), (uid, gid, proto), ends)| {
            let has =
                |property: Property| (bits & gate.props() & property.bit() != 0).then_some(());
            let (local, lport, peer, pport, iface) = ends;
            Conditions {
                path: has(Property::Path).map(|()| path),
                unix: has(Property::Unix).map(|()| unix),
                cgroup: has(Property::Cgroup).map(|()| cgroup),
                uid: has(Property::Uid).map(|()| uid),
                gid: has(Property::Gid).map(|()| gid),
                proto: has(Property::Proto).map(|()| Proto::ALL[proto]),
                local: has(Property::Local).map(|()| local),
                lport: has(Property::Lport).map(|()| lport),
                peer: has(Property::Peer).map(|()| peer),
                pport: has(Property::Pport).map(|()| pport),
                iface: has(Property::Iface).map(|()| iface.into_bytes()),
            }
        },
    )
}

fn rule() -> impl Strategy<Value = Rule> {
    let takers: Vec<Gate> = Gate::ALL
        .into_iter()
        .filter(|gate| gate.takes_rules())
        .collect();
    prop::sample::select(takers).prop_flat_map(|gate| {
        let entities = gate.entities().len();
        let target = prop_oneof![
            Just(Target::Unchanged),
            service().prop_map(Target::Service),
            (0..entities as u8).prop_map(Target::Entity),
            Just(Target::Home),
        ];
        let from = prop::collection::vec(prop::option::of(service()), entities);
        let to = prop::collection::vec(target, entities);
        (from, conditions(gate), to).prop_map(move |(mut from, conditions, mut to)| {
            from.resize(3, None);
            to.resize(3, Target::Unchanged);
            for (place, target) in to.iter_mut().enumerate() {
                if !gate.binds_by(place, conditions.proto) {
                    *target = Target::Unchanged;
                }
            }
            Rule {
                gate,
                from: from.try_into().unwrap(),
                conditions,
                to: to.try_into().unwrap(),
            }
        })
    })
}

proptest! {
    #[test]
    fn round_trip(rule in rule()) {
        let text = rule.to_string();
        let read = Rule::parse(&text)
            .map_err(|problem| TestCaseError::fail(format!("{text}: {problem:?}")))?;
        prop_assert_eq!(&read, &rule, "{}", text);
        prop_assert_eq!(read.to_string(), text);
    }

    #[test]
    fn any_text_is_survived(text in ".*") {
        if let Err(problem) = Rule::parse(&text) {
            prop_assert!(problem.span.start <= problem.span.end && problem.span.end <= text.len());
            prop_assert!(!problem.advice.is_empty());
        }
    }

    #[test]
    fn damaged_rules_are_survived(
        rule in rule(),
        at: prop::sample::Index,
        with in "[ =>\"\\\\a#*/]{0,2}",
    ) {
        let mut text: Vec<char> = rule.to_string().chars().collect();
        let at = at.index(text.len());
        text.splice(at..=at, with.chars());
        let text: String = text.into_iter().collect();
        match Rule::parse(&text) {
            Ok(read) => prop_assert_eq!(Rule::parse(&read.to_string()), Ok(read)),
            Err(problem) => prop_assert!(problem.span.end <= text.len()),
        }
    }
}

#[test]
fn the_examples_of_the_documentation_are_canonical() {
    for text in [
        "accept task=pg => task=conn",
        "exec path=/usr/bin/pgbench uid=1001 => task=a",
        "packet lport=5432 peer=10.1.0.0/16 => conn=a",
        "recv task=dns proto=udp => task=msg",
        "send task=dns proto=udp => msg=task",
        "send task=dns => msg=task",
        "recv proto=tcp => task=*",
        "exec cgroup=/system.slice/shop.service/* => task=shop",
        "accept task=pg peer=127.0.0.1 => task=*",
        "fork => child=home",
        "connect unix=@bus => socket=root",
    ] {
        assert_eq!(Rule::parse(text).unwrap().to_string(), text);
    }
    // order and blanks do not matter to a reader
    let wild = Rule::parse(
        "  packet peer=10.1.0.0/16\tlport=5432   conn=* =>conn=a"
            .replace("=>", "=> ")
            .as_str(),
    );
    assert_eq!(
        wild.unwrap().to_string(),
        "packet lport=5432 peer=10.1.0.0/16 => conn=a"
    );
}

#[test]
fn what_is_wrong_is_marked() {
    for (text, marked, message) in [
        ("", "", "empty"),
        ("acept task=pg => task=conn", "acept", "no gate"),
        ("close => task=home", "close", "takes no rules"),
        ("task=pg => task=conn", "task=pg", "gate is missing"),
        ("accept task=pg", "", "no `=>`"),
        ("accept task=pg =>", "=>", "nothing stands behind"),
        ("accept task=pg => => task=conn", "=>", "once more"),
        (
            "accept task=pg task=x => task=conn",
            "task=x",
            "twice on the left",
        ),
        (
            "accept task=pg => task=conn task=home",
            "task=home",
            "twice on the right",
        ),
        ("accept task=Pg => task=conn", "Pg", "a name is made of"),
        ("accept task=conn => task=conn", "conn", "names no service"),
        ("accept task => task=conn", "task", "no value"),
        (
            "accept path=/x => task=conn",
            "path=/x",
            "does not have the property",
        ),
        (
            "accept perr=10.0.0.1 => task=conn",
            "perr=10.0.0.1",
            "no property",
        ),
        (
            "accept peer=10.0.0.1/8 => task=conn",
            "10.0.0.1/8",
            "behind the prefix",
        ),
        ("accept peer=localhost => task=conn", "localhost", "neither"),
        ("accept lport=65536 => task=conn", "65536", "too large"),
        ("accept uid=root => task=conn", "root", "no number"),
        ("accept proto=sctp => task=conn", "sctp", "no proto"),
        ("exec path=bin/x => task=a", "bin/x", "does not begin with"),
        ("exec path=/a//b => task=a", "/a//b", "empty part"),
        (
            "exec path=\"/a => task=a",
            "\"/a => task=a",
            "closing quote",
        ),
        ("exec path=/a => path=/b", "path=/b", "cannot change"),
        ("exec => child=a", "child=a", "no entity"),
        ("exec => task=child", "child", "names no service"),
        ("exec => task=#4294967280", "#4294967280", "no id"),
        ("recv => task=msg msg=a", "msg=a", "its sender's service"),
        (
            "recv task=dns proto=udp => msg=task",
            "msg=task",
            "its sender's service",
        ),
        (
            "send proto=unix-seqpacket => socket=task msg=home",
            "msg=home",
            "sent by unix-seqpacket",
        ),
        ("hint => socket=a", "socket=a", "a hint names"),
        ("packet iface=a/b => conn=a", "a/b", "interface"),
        (
            "packet iface=abcdefghijklmnop => conn=a",
            "abcdefghijklmnop",
            "interface",
        ),
    ] {
        let problem = Rule::parse(text).expect_err(text);
        assert!(problem.message.contains(message), "{text}: {problem:?}");
        assert!(
            text[problem.span.clone()].contains(marked),
            "{text}: {problem:?}"
        );
        if !marked.is_empty() {
            assert!(
                text[problem.span.clone()].starts_with(marked),
                "{text}: {problem:?}"
            );
        }
    }
}

#[test]
fn a_call_is_a_left_side() {
    let call = Call::parse("accept task=pg conn=a peer=10.1.2.3 lport=5432").unwrap();
    assert_eq!(
        call.to_string(),
        "accept task=pg conn=a lport=5432 peer=10.1.2.3"
    );
    assert!(Call::parse("accept peer=10.0.0.0/8")
        .unwrap_err()
        .message
        .contains("not the prefix"));
    assert!(Call::parse("accept task=*")
        .unwrap_err()
        .message
        .contains("`task` is one service"));
    assert!(Call::parse("exec path=/usr/*")
        .unwrap_err()
        .message
        .contains("`path` is one path"));
    assert!(Call::parse("accept => task=conn")
        .unwrap_err()
        .message
        .contains("once more"));
}
