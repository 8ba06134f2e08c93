// SPDX-License-Identifier: MIT OR Apache-2.0

//! No sequence of changes breaks the tree, and a change that is refused has no effect.

use crate::logic::hierarchy::{Attr, Change, Name, Tree, DEPTH_MAX, NAME_LEN, UNLIMITED};
use crate::logic::id::VsId;
use crate::logic::why::{Refusal, Why};
use crate::table::failing_after;
use proptest::prelude::*;
use std::collections::HashMap;

/// Ids and names are few, so that sequences meet the same ones again. A number above them in a step
/// picks a service that exists.
const IDS: u32 = 24;

fn picked(tree: &Tree, raw: u32) -> u32 {
    match raw.checked_sub(IDS) {
        None => raw,
        Some(n) => tree.nodes()[n as usize % tree.nodes().len()]
            .id
            .get()
            .into(),
    }
}

fn id(raw: u32) -> VsId {
    VsId::new(raw).unwrap()
}

fn raw_name(text: &str) -> [u8; NAME_LEN] {
    let mut raw = [0; NAME_LEN];
    raw[..text.len()].copy_from_slice(text.as_bytes());
    raw
}

fn name(n: u32) -> Name {
    Name::new(&raw_name(&format!("s{n}"))).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Create {
        id: u32,
        name: u32,
        parent: u32,
    },
    Destroy {
        id: u32,
    },
    Change {
        id: u32,
        name: Option<u32>,
        parent: Option<u32>,
        priority: Option<i32>,
    },
    Set {
        id: u32,
        attr: u16,
        value: u32,
    },
    Detach {
        id: u32,
        attr: u16,
    },
    Share {
        id: u32,
        attr: u16,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let attr = 0..Attr::COUNT as u16;
    let pick = || prop_oneof![1 => 0..IDS, 4 => IDS..5 * IDS];
    let value = prop_oneof![
        0_u32..200,
        Just(10_000),
        Just(10_001),
        Just(UNLIMITED),
        any::<u32>()
    ];
    prop_oneof![
        6 => (1..IDS, 0..IDS, pick())
            .prop_map(|(id, name, parent)| Step::Create { id, name, parent }),
        1 => pick().prop_map(|id| Step::Destroy { id }),
        3 => (pick(), prop::option::of(0..IDS), prop::option::of(pick()), prop::option::of(-9..9))
            .prop_map(|(id, name, parent, priority)| Step::Change { id, name, parent, priority }),
        2 => (pick(), attr.clone(), value)
            .prop_map(|(id, attr, value)| Step::Set { id, attr, value }),
        2 => (pick(), attr.clone()).prop_map(|(id, attr)| Step::Detach { id, attr }),
        1 => (pick(), attr).prop_map(|(id, attr)| Step::Share { id, attr }),
    ]
}

fn run(tree: &mut Tree, step: &Step) -> Result<(), Refusal> {
    let attribute = |attr| Attr::new(attr).unwrap();
    let pick = |raw| id(picked(tree, raw));
    match *step {
        Step::Create {
            id: new,
            name: n,
            parent,
        } => {
            let parent = pick(parent);
            tree.create(id(new), name(n), parent, 0)
        }
        Step::Destroy { id } => {
            let id = pick(id);
            Ok(tree.destroy(id)?)
        }
        Step::Change {
            id,
            name,
            parent,
            priority,
        } => {
            let (id, parent) = (pick(id), parent.map(|raw| picked(tree, raw)));
            let name = name.map(|n| raw_name(&format!("s{n}")));
            Ok(tree.change(
                id,
                &Change {
                    name,
                    parent,
                    priority,
                },
            )?)
        }
        Step::Set { id, attr, value } => {
            let id = pick(id);
            Ok(tree.set(id, attribute(attr), value)?)
        }
        Step::Detach { id, attr } => {
            let id = pick(id);
            Ok(tree.detach(id, attribute(attr))?)
        }
        Step::Share { id, attr } => {
            let id = pick(id);
            Ok(tree.share(id, attribute(attr))?)
        }
    }
}

/// All that a caller can see of a tree.
fn seen(tree: &Tree) -> Vec<String> {
    let mut all: Vec<_> = tree
        .nodes()
        .iter()
        .map(|node| format!("{node:?} {:?}", tree.effective(node.id)))
        .collect();
    all.sort();
    all
}

/// Checks every invariant by other means than the tree's own.
fn check(tree: &Tree) {
    let nodes: HashMap<_, _> = tree
        .nodes()
        .iter()
        .map(|node| (node.id.get(), *node))
        .collect();
    assert_eq!(nodes.len(), tree.nodes().len(), "an id stands twice");
    assert_eq!(tree.nodes()[0].id, VsId::ROOT);
    assert_eq!(nodes[&0].detached, Attr::MASK);
    for node in nodes.values() {
        assert_eq!(tree.get(node.id).map(|found| found.id), Some(node.id));
        assert_eq!(
            tree.named(&node.name),
            Some(node.id),
            "the name leads elsewhere"
        );
        let children = nodes
            .values()
            .filter(|child| !child.id.is_root() && child.parent == node.id);
        assert_eq!(children.count() as u32, node.children);

        let (mut at, mut depth) = (node, 0);
        while !at.id.is_root() {
            at = nodes
                .get(&at.parent.get())
                .expect("the parent is not there");
            depth += 1;
            assert!(depth <= DEPTH_MAX, "a circle, or too deep");
        }
        assert_eq!(usize::from(node.depth), depth);

        let effective = tree.effective(node.id);
        for attr in Attr::ALL {
            let value = effective.attrs[attr as usize];
            assert_eq!(attr.check(value), Ok(()), "{attr:?} of {}", node.id.get());
            if node.detached & attr.bit() == 0 {
                assert_eq!(
                    value,
                    tree.attr(node.parent, attr),
                    "a shared {attr:?} is not the parent's"
                );
            }
        }
        let own = node.detached & (Attr::CpuWeight.bit() | Attr::CpuCap.bit()) != 0;
        let above = tree.effective(node.parent).node;
        assert_eq!(effective.node, if own { node.id } else { above });
    }
    for absent in (0..IDS).filter(|raw| !nodes.contains_key(&(*raw as u16))) {
        assert!(tree.get(id(absent)).is_none());
        assert_eq!(tree.find(absent), Err(Why::NoService));
    }
}

proptest! {
    #[test]
    fn no_sequence_breaks_the_tree(steps in prop::collection::vec(step(), 1..120)) {
        let mut tree = Tree::new().unwrap();
        for step in &steps {
            let before = seen(&tree);
            if run(&mut tree, step).is_err() {
                prop_assert_eq!(
                    &seen(&tree), &before, "{:?} was refused and changed something", step
                );
            }
            check(&tree);
        }
    }

    #[test]
    fn without_memory_nothing_changes(
        steps in prop::collection::vec(step(), 1..60),
        last in step(),
        left in 0_usize..3,
    ) {
        let mut tree = Tree::new().unwrap();
        for step in &steps {
            let _ = run(&mut tree, step);
        }
        let before = seen(&tree);
        if failing_after(left, || run(&mut tree, &last)).is_err() {
            prop_assert_eq!(seen(&tree), before);
        }
        check(&tree);
    }

    #[test]
    fn a_copy_is_the_same_and_apart(steps in prop::collection::vec(step(), 1..60), more in step()) {
        let mut tree = Tree::new().unwrap();
        for step in &steps {
            let _ = run(&mut tree, step);
        }
        let before = seen(&tree);
        let mut copy = tree.copy().unwrap();
        prop_assert_eq!(seen(&copy), before.clone());
        let _ = run(&mut copy, &more);
        check(&copy);
        prop_assert_eq!(seen(&tree), before);
    }

    #[test]
    fn detaching_and_sharing_again_is_nothing(steps in prop::collection::vec(step(), 1..60)) {
        let mut tree = Tree::new().unwrap();
        for step in &steps {
            let _ = run(&mut tree, step);
        }
        let before = seen(&tree);
        let nodes = tree.nodes().to_vec();
        for node in nodes {
            for attr in Attr::ALL.into_iter().filter(|attr| node.detached & attr.bit() == 0) {
                tree.detach(node.id, attr).unwrap();
                prop_assert_eq!(tree.attr(node.id, attr), tree.attr(node.parent, attr));
                tree.share(node.id, attr).unwrap();
            }
        }
        prop_assert_eq!(seen(&tree), before);
    }
}

/// A chain below root of ids 1 to `length`.
fn chain(length: u32) -> Tree {
    let mut tree = Tree::new().unwrap();
    for n in 1..=length {
        tree.create(id(n), name(n), id(n - 1), 0).unwrap();
    }
    tree
}

fn below(parent: u32) -> Change {
    Change {
        parent: Some(parent),
        ..Change::default()
    }
}

#[test]
fn there_are_16_levels_below_root() {
    let mut tree = chain(16);
    assert_eq!(
        tree.create(id(17), name(17), id(16), 0),
        Err(Why::Depth.into())
    );
    tree.create(id(17), name(17), VsId::ROOT, 0).unwrap();
    assert_eq!(tree.change(id(1), &below(17)), Err(Why::Depth));
    assert_eq!(tree.change(id(2), &below(17)), Ok(()));
    check(&tree);
}

#[test]
fn nobody_is_below_itself() {
    let mut tree = chain(4);
    for bottom in 2..=4 {
        assert_eq!(tree.change(id(2), &below(bottom)), Err(Why::Cycle));
    }
    assert_eq!(tree.change(id(2), &below(1)), Ok(()));
    check(&tree);
}

#[test]
fn one_bad_part_spoils_a_whole_change() {
    let mut tree = chain(3);
    let before = seen(&tree);
    let change = Change {
        name: Some(raw_name("new")),
        parent: Some(99),
        priority: Some(7),
    };
    assert_eq!(tree.change(id(3), &change), Err(Why::NoService));
    let change = Change {
        name: Some(raw_name("s1")),
        parent: Some(0),
        priority: Some(7),
    };
    assert_eq!(tree.change(id(3), &change), Err(Why::NameTaken));
    assert_eq!(seen(&tree), before);
}

#[test]
fn root_keeps_its_name_and_place_and_attributes() {
    let mut tree = chain(1);
    assert_eq!(tree.destroy(VsId::ROOT), Err(Why::Root));
    assert_eq!(tree.detach(VsId::ROOT, Attr::CpuWeight), Err(Why::Root));
    assert_eq!(tree.share(VsId::ROOT, Attr::CpuWeight), Err(Why::Root));
    assert_eq!(tree.change(VsId::ROOT, &below(1)), Err(Why::Root));
    assert_eq!(tree.set(VsId::ROOT, Attr::TasksMax, 5), Ok(()));
    assert_eq!(tree.attr(id(1), Attr::TasksMax), 5);
}

#[test]
fn a_shared_attribute_cannot_be_set() {
    let mut tree = chain(1);
    assert_eq!(tree.set(id(1), Attr::CpuWeight, 200), Err(Why::Shared));
    tree.detach(id(1), Attr::CpuWeight).unwrap();
    assert_eq!(tree.set(id(1), Attr::CpuWeight, 200), Ok(()));
    assert_eq!(tree.attr(id(1), Attr::CpuWeight), 200);
    assert_eq!(tree.attr(VsId::ROOT, Attr::CpuWeight), 100);
}

#[test]
fn names_are_checked() {
    for good in ["a", "0", "a.b_c-d", "abcdefghijklmnopqrstuvwxyz01234"] {
        assert!(Name::new(&raw_name(good)).is_ok(), "{good}");
    }
    for bad in ["", "A", "a b", "a/b", "a*", "ä"] {
        assert_eq!(Name::new(&raw_name(bad)), Err(Why::NameBad), "{bad}");
    }
    assert_eq!(Name::new(&[b'a'; NAME_LEN]), Err(Why::NameBad), "no NUL");
    let mut dirty = raw_name("a");
    dirty[5] = b'x';
    assert_eq!(
        Name::new(&dirty),
        Name::new(&raw_name("a")),
        "what follows the NUL does not count"
    );
}

#[test]
fn too_deep_is_told_when_the_tree_settles() {
    let mut tree = chain(16);
    tree.create(id(17), name(17), VsId::ROOT, 0).unwrap();
    tree.move_below(id(1), id(17));
    assert_eq!(tree.settle(), Err(id(16)));
}

/// A configuration moves services one by one, and is checked as a whole when all have moved.
#[test]
fn a_chain_of_any_length_is_refused() {
    let mut tree = chain(0);
    for n in 1..=300 {
        tree.create(id(n), name(n), VsId::ROOT, 0).unwrap();
    }
    for n in 2..=300 {
        tree.move_below(id(n), id(n - 1));
    }
    assert_eq!(
        tree.create(id(301), name(301), id(300), 0),
        Err(Why::Depth.into())
    );
}
