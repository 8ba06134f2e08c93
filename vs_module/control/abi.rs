// SPDX-License-Identifier: GPL-2.0

//! What `uapi/vs.h` says, in the words of [`crate::logic`], and how an error is told.

use crate::logic::classify::{Classifier, SHAPES_MAX};
use crate::logic::hierarchy::{Attr, Name, Tree, DEPTH_MAX, NAME_LEN, UNLIMITED};
use crate::logic::id::VsId;
use crate::logic::rule::{
    props, Facts, Gate, Rule, Spec, ENTITIES, PROTO_COUNT, PROTO_UDP, RULES_MAX,
};
use crate::logic::why::{Refusal, Why};
use crate::shim::bindings as c;
use crate::table::NoMemory;
use kernel::bindings;
use kernel::prelude::*;

/// Why a command failed: the errno, and the `reason` where there is one.
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
        let errno = match why {
            Why::NameBad | Why::Root | Why::Gate | Why::Property | Why::Entity => bindings::EINVAL,
            Why::Value | Why::Order => bindings::EINVAL,
            Why::NameTaken | Why::IdTaken | Why::Duplicate => bindings::EEXIST,
            Why::NoService | Why::NoRule => bindings::ENOENT,
            Why::Depth => bindings::EMLINK,
            Why::Cycle => bindings::ELOOP,
            Why::Full => bindings::ENOSPC,
            Why::HasChildren | Why::HasTasks | Why::HasSockets | Why::HasRules => bindings::EBUSY,
            Why::Shared => bindings::EPERM,
            Why::Range => bindings::ERANGE,
            Why::NoTask => bindings::ESRCH,
            Why::Fd => bindings::EBADF,
            Why::NoGates => bindings::ENOTCONN,
        };
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

/// The id that stands for none: `VS_ANY`, as commands have it.
pub(crate) const ANY: u32 = c::VS_ANY;

/// A text up to its NUL. Without one it is malformed.
fn text(raw: &[u8]) -> Result<&[u8], Why> {
    let len = raw.iter().position(|byte| *byte == 0).ok_or(Why::Value)?;
    Ok(&raw[..len])
}

/// Fills `raw` up with zeros after `text`, which leaves room for one.
fn put_text<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut raw = [0; N];
    raw[..text.len()].copy_from_slice(text);
    raw
}

/// What a rule of user space says of the call.
pub(crate) fn facts(raw: &c::vs_rule) -> Result<Facts<'_>, Why> {
    let has = |property: u16| raw.props & property != 0;
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
        gate: rule.gate() as u16,
        from: *rule.from(),
        to: *rule.to(),
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
    // A directory is kept without the star that follows it.
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

// What the logic knows of the ABI, held to it.
const _: () = {
    assert!(c::VS_ID_BITS == VsId::BITS);
    assert!(c::VS_ID_COUNT as usize == VsId::COUNT);
    assert!(c::VS_DEPTH_MAX as usize == DEPTH_MAX);
    assert!(c::VS_RULES_MAX as usize == RULES_MAX);
    assert!(c::VS_SHAPES_MAX as usize == SHAPES_MAX);
    assert!(c::VS_NAME_LEN as usize == NAME_LEN);
    assert!(c::VS_ENTITIES as usize == ENTITIES);
    assert!(c::VS_UNLIMITED == UNLIMITED);
    assert!(c::VS_ANY == crate::logic::rule::ANY as u32);
    assert!(c::VS_GATE_COUNT as usize == Gate::COUNT);
    assert!(c::VS_GATE_FORK == Gate::Fork as u32);
    assert!(c::VS_GATE_EXEC == Gate::Exec as u32);
    assert!(c::VS_GATE_EXIT == Gate::Exit as u32);
    assert!(c::VS_GATE_SETUID == Gate::Setuid as u32);
    assert!(c::VS_GATE_SETGID == Gate::Setgid as u32);
    assert!(c::VS_GATE_SOCKET == Gate::Socket as u32);
    assert!(c::VS_GATE_SOCKETPAIR == Gate::Socketpair as u32);
    assert!(c::VS_GATE_CONNECT == Gate::Connect as u32);
    assert!(c::VS_GATE_ACCEPT == Gate::Accept as u32);
    assert!(c::VS_GATE_SEND == Gate::Send as u32);
    assert!(c::VS_GATE_RECV == Gate::Recv as u32);
    assert!(c::VS_GATE_CLOSE == Gate::Close as u32);
    assert!(c::VS_GATE_WAIT == Gate::Wait as u32);
    assert!(c::VS_GATE_PACKET == Gate::Packet as u32);
    assert!(c::VS_P_PATH == props::PATH as u32);
    assert!(c::VS_P_UNIX == props::UNIX as u32);
    assert!(c::VS_P_CGROUP == props::CGROUP as u32);
    assert!(c::VS_P_UID == props::UID as u32);
    assert!(c::VS_P_GID == props::GID as u32);
    assert!(c::VS_P_PROTO == props::PROTO as u32);
    assert!(c::VS_P_LOCAL == props::LOCAL as u32);
    assert!(c::VS_P_LPORT == props::LPORT as u32);
    assert!(c::VS_P_PEER == props::PEER as u32);
    assert!(c::VS_P_PPORT == props::PPORT as u32);
    assert!(c::VS_P_IFACE == props::IFACE as u32);
    assert!(c::VS_P_ALL == (props::IFACE as u32) * 2 - 1);
    assert!(c::VS_PROTO_COUNT == PROTO_COUNT as u32);
    assert!(c::VS_PROTO_UDP == PROTO_UDP as u32);
    assert!(c::VS_ATTR_COUNT as usize == Attr::COUNT);
    assert!(c::VS_ATTR_CPU_WEIGHT == Attr::CpuWeight as u32);
    assert!(c::VS_ATTR_CPU_CAP == Attr::CpuCap as u32);
    assert!(c::VS_ATTR_TASKS_MAX == Attr::TasksMax as u32);
    assert!(c::VS_ATTR_SOCKETS_MAX == Attr::SocketsMax as u32);
    assert!(c::VS_ATTR_TASKS_ERRNO == Attr::TasksErrno as u32);
    assert!(c::VS_ATTR_SOCKETS_ERRNO == Attr::SocketsErrno as u32);
    assert!(c::VS_WHY_NAME_BAD == Why::NameBad as u32);
    assert!(c::VS_WHY_NAME_TAKEN == Why::NameTaken as u32);
    assert!(c::VS_WHY_ID_TAKEN == Why::IdTaken as u32);
    assert!(c::VS_WHY_NO_SERVICE == Why::NoService as u32);
    assert!(c::VS_WHY_ROOT == Why::Root as u32);
    assert!(c::VS_WHY_DEPTH == Why::Depth as u32);
    assert!(c::VS_WHY_CYCLE == Why::Cycle as u32);
    assert!(c::VS_WHY_FULL == Why::Full as u32);
    assert!(c::VS_WHY_HAS_CHILDREN == Why::HasChildren as u32);
    assert!(c::VS_WHY_HAS_TASKS == Why::HasTasks as u32);
    assert!(c::VS_WHY_HAS_SOCKETS == Why::HasSockets as u32);
    assert!(c::VS_WHY_HAS_RULES == Why::HasRules as u32);
    assert!(c::VS_WHY_SHARED == Why::Shared as u32);
    assert!(c::VS_WHY_RANGE == Why::Range as u32);
    assert!(c::VS_WHY_GATE == Why::Gate as u32);
    assert!(c::VS_WHY_PROPERTY == Why::Property as u32);
    assert!(c::VS_WHY_ENTITY == Why::Entity as u32);
    assert!(c::VS_WHY_VALUE == Why::Value as u32);
    assert!(c::VS_WHY_NO_RULE == Why::NoRule as u32);
    assert!(c::VS_WHY_NO_TASK == Why::NoTask as u32);
    assert!(c::VS_WHY_FD == Why::Fd as u32);
    assert!(c::VS_WHY_NO_GATES == Why::NoGates as u32);
    assert!(c::VS_WHY_DUPLICATE == Why::Duplicate as u32);
    assert!(c::VS_WHY_ORDER == Why::Order as u32);
    assert!(c::VS_WHY_COUNT == Why::Order as u32 + 1);
};
