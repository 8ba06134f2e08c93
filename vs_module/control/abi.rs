// SPDX-License-Identifier: GPL-2.0

//! Translates `uapi/vs.h` into the words of [`crate::logic`], and errors into its reasons.

use crate::logic::attr::{ORDERS, ORDER_SHARE};
use crate::logic::classify::{Classifier, SHAPES_MAX};
use crate::logic::gate::Proto;
use crate::logic::hierarchy::{Attr, Name, Tree, DEPTH_MAX, NAME_LEN, UNLIMITED};
use crate::logic::id::VsId;
use crate::logic::rule::{self, props, Facts, Gate, Rule, Spec, ENTITIES, RULES_MAX};
use crate::logic::why::{Refusal, Why};
use crate::logic::work::End;
use crate::shim::bindings as c;
use crate::state::counter::Resource;
use crate::table::NoMemory;
use kernel::bindings;
use kernel::prelude::*;

/// The failure of a command: the errno, and the `reason` if there is one.
#[derive(Clone, Copy)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) reason: u32,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure {
            error,
            reason: c::VS_WHY_NONE,
        }
    }
}

impl From<NoMemory> for Failure {
    fn from(error: NoMemory) -> Self {
        Error::from(error).into()
    }
}

impl From<kernel::alloc::AllocError> for Failure {
    fn from(error: kernel::alloc::AllocError) -> Self {
        Error::from(error).into()
    }
}

impl From<Why> for Failure {
    fn from(why: Why) -> Self {
        macro_rules! errno {
            ($($why:ident $abi:ident $errno:ident $what:literal $advice:literal;)*) => {
                match why {
                    $(Why::$why => bindings::$errno,)*
                }
            };
        }
        let errno = crate::each_reason!(errno);
        Failure {
            error: Error::from_errno(-(errno as i32)),
            reason: why as u32,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Why(why) => why.into(),
            Refusal::NoMemory => NoMemory.into(),
        }
    }
}

/// The value of commands that stands for no id: `VS_ANY`.
pub(crate) const ANY: u32 = c::VS_ANY;

/// The text up to its NUL. A text without a NUL is malformed.
fn text(raw: &[u8]) -> Result<&[u8], Why> {
    let len = raw.iter().position(|byte| *byte == 0).ok_or(Why::Value)?;
    Ok(&raw[..len])
}

/// Copies `text` into `raw` and fills the rest with zeros, of which there is one at least.
fn put_text<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut raw = [0; N];
    raw[..text.len()].copy_from_slice(text);
    raw
}

/// The facts of a call, from a rule of user space.
pub(crate) fn facts(raw: &c::vs_rule) -> Result<Facts<'_>, Why> {
    let has = |property: u32| raw.props & property != 0;
    let mut iface = [0; 16];
    if has(props::IFACE) {
        let name = text(&raw.iface)?;
        iface[..name.len()].copy_from_slice(name);
    }
    Ok(Facts {
        props: raw.props,
        proto: raw.proto,
        uid: raw.uid,
        gid: raw.gid,
        local: raw.local,
        peer: raw.peer,
        local_port: raw.local_port,
        peer_port: raw.peer_port,
        iface,
        path: if has(props::PATH | props::UNIX) {
            text(&raw.path)?
        } else {
            &[]
        },
        cgroup: if has(props::CGROUP) {
            text(&raw.cgroup)?
        } else {
            &[]
        },
    })
}

/// A rule as user space asks for it.
pub(crate) fn spec(raw: &c::vs_rule) -> Result<Spec<'_>, Why> {
    Ok(Spec {
        gate: raw.gate,
        from: raw.from,
        to: raw.to,
        facts: facts(raw)?,
        local_len: raw.local_len,
        peer_len: raw.peer_len,
    })
}

/// A rule as user space sees it.
pub(crate) fn show_rule(rules: &Classifier, rule: &Rule, hits: u64) -> c::vs_rule {
    let facts = rules.set().facts(rule);
    let shape = rule.shape();
    let mut raw = c::vs_rule {
        id: rule.number(),
        gate: rule.gate() as u32,
        from: rule.from(),
        to: rule.to(),
        props: facts.props,
        uid: facts.uid,
        gid: facts.gid,
        proto: facts.proto,
        local_len: rule.local_len(),
        peer_len: rule.peer_len(),
        local_port: facts.local_port,
        peer_port: facts.peer_port,
        local: facts.local,
        peer: facts.peer,
        iface: facts.iface,
        path: put_text(facts.path),
        cgroup: put_text(facts.cgroup),
        hits,
        ..Default::default()
    };
    // The path of a directory is kept without the star that follows it.
    if shape.path != 0 {
        raw.path[facts.path.len()] = b'*';
    }
    if shape.cgroup != 0 {
        raw.cgroup[facts.cgroup.len()] = b'*';
    }
    raw
}

/// A service as user space sees it; `None`: it does not exist.
pub(crate) fn show_service(tree: &Tree, id: VsId) -> Option<c::vs_service> {
    let node = tree.get(id)?;
    let mut raw = c::vs_service {
        id: u32::from(id.get()),
        parent: u32::from(node.parent.get()),
        name: *node.name.bytes(),
        priority: node.priority,
        depth: u32::from(node.depth),
        children: node.children,
        detached: node.detached,
        ..Default::default()
    };
    for attr in Attr::ALL {
        raw.attr[attr as usize] = tree.attr(id, attr);
    }
    Some(raw)
}

/// The service that a query by name means.
pub(crate) fn named(tree: &Tree, raw: &[u8; NAME_LEN]) -> Result<VsId, Why> {
    tree.named(&Name::new(raw)?).ok_or(Why::NoService)
}

// Asserts that the constants of the logic equal those of the ABI.
const _: () = {
    assert!(c::VS_DEPTH_MAX as usize == DEPTH_MAX);
    assert!(c::VS_RULES_MAX as usize == RULES_MAX);
    assert!(c::VS_SHAPES_MAX as usize == SHAPES_MAX);
    assert!(c::VS_NAME_LEN as usize == NAME_LEN);
    assert!(c::VS_ENTITIES as usize == ENTITIES);
    assert!(c::VS_UNLIMITED == UNLIMITED);
    assert!(c::VS_ANY == rule::ANY);
    assert!(c::VS_HOME == rule::HOME);
    assert!(c::VS_REF == rule::REF);
    assert!(VsId::COUNT <= rule::REF as usize);
    assert!(c::VS_P_ALL == props::ALL);
    assert!(c::VS_PROTO_COUNT as usize == Proto::COUNT);
    assert!(c::VS_ATTR_COUNT as usize == Attr::COUNT);
    assert!(Attr::COUNT <= c::VS_ATTR_MAX as usize);
    assert!(c::VS_ORDER_COUNT as usize == ORDERS.len());
    assert!(c::VS_ORDER_SHARE == ORDER_SHARE);
    assert!(c::VS_GATE_COUNT as usize == Gate::COUNT);
    assert!(Gate::COUNT <= c::VS_GATE_MAX as usize);
    assert!(c::VS_WHY_COUNT as usize == Why::ALL.len() + 1);
    assert!(c::VS_RESOURCE_COUNT as usize == Resource::COUNT);
    assert!(Resource::COUNT <= c::VS_RESOURCE_MAX as usize);
    assert!(c::VS_END_COUNT as usize == End::ALL.len());
    assert!(End::ALL.len() <= c::VS_END_MAX as usize);
    assert!(c::VS_END_RECEIPT == End::Receipt as u32);
    assert!(c::VS_END_CLOSE == End::Close as u32);
    assert!(c::VS_END_WAIT == End::Wait as u32);
    assert!(c::VS_END_SLEEP == End::Sleep as u32);
    assert!(c::VS_END_AGE == End::Age as u32);
    assert!(c::VS_END_REPLY == End::Reply as u32);
    assert!(c::VS_END_HINT == End::Hint as u32);
    assert!(c::VS_RESOURCE_TASKS == Resource::Tasks as u32);
    assert!(c::VS_RESOURCE_SOCKETS == Resource::Sockets as u32);
};

// Asserts for each row of a table that it equals the ABI's constant of that name.
macro_rules! hold_gates {
    ($(#[doc = $about:literal] $gate:ident $abi:ident $name:literal [$($entity:tt)*]
        [$($props:ident)*] $trigger:ident $untold:literal;)*) => {
        const _: () = { $(assert!(c::$abi == Gate::$gate as u32);)* };
    };
}
crate::each_gate!(hold_gates);

macro_rules! hold_properties {
    ($(#[doc = $about:literal] $property:ident $abi:ident $bit:ident $name:literal
        $form:literal;)*) => {
        const _: () = { $(assert!(c::$abi == props::$bit);)* };
    };
}
crate::each_property!(hold_properties);

macro_rules! hold_protos {
    ($(#[doc = $about:literal] $proto:ident $abi:ident $name:literal;)*) => {
        const _: () = { $(assert!(c::$abi == Proto::$proto as u32);)* };
    };
}
crate::each_proto!(hold_protos);

macro_rules! hold_attrs {
    ($($(#[doc = $about:literal])* $attr:ident $abi:ident $name:literal $kind:ident
        $default:expr;)*) => {
        const _: () = { $(assert!(c::$abi == Attr::$attr as u32);)* };
    };
}
crate::each_attr!(hold_attrs);

macro_rules! hold_reasons {
    ($($why:ident $abi:ident $errno:ident $what:literal $advice:literal;)*) => {
        const _: () = { $(assert!(c::$abi == Why::$why as u32);)* };
    };
}
crate::each_reason!(hold_reasons);
