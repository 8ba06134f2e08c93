// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! The tree of services: names, parents, priorities, attributes.
//!
//! An attribute is shared with the parent until it is detached. Every method that can fail checks
//! and allocates first, so that one that fails has changed nothing.

use super::id::VsId;
use super::why::{Refusal, Why};
use crate::table::Table;

/// Levels below root: `VS_DEPTH_MAX`.
pub(crate) const DEPTH_MAX: usize = 16;
/// No limit, no cap: `VS_UNLIMITED`.
pub(crate) const UNLIMITED: u32 = u32::MAX;
/// Longest name, with the NUL at its end: `VS_NAME_LEN`.
pub(crate) const NAME_LEN: usize = 32;
/// Largest errno that an attribute can be.
const ERRNO_MAX: u32 = 133;

/// Attributes: `enum vs_attr`, in its order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Attr {
    CpuWeight,
    CpuCap,
    TasksMax,
    SocketsMax,
    TasksErrno,
    SocketsErrno,
}

impl Attr {
    pub(crate) const COUNT: usize = 6;

    pub(crate) const ALL: [Attr; Attr::COUNT] = [
        Attr::CpuWeight,
        Attr::CpuCap,
        Attr::TasksMax,
        Attr::SocketsMax,
        Attr::TasksErrno,
        Attr::SocketsErrno,
    ];

    /// All of them, as bits.
    pub(crate) const MASK: u32 = (1 << Attr::COUNT) - 1;

    pub(crate) fn new(raw: u16) -> Option<Attr> {
        Self::ALL.get(usize::from(raw)).copied()
    }

    pub(crate) const fn bit(self) -> u32 {
        1 << self as u8
    }

    /// What root has unless it is told otherwise: EAGAIN and ENOBUFS are what these calls fail with
    /// at the kernel's own limits.
    const fn default(self) -> u32 {
        match self {
            Attr::CpuWeight => 100,
            Attr::CpuCap | Attr::TasksMax | Attr::SocketsMax => UNLIMITED,
            Attr::TasksErrno => 11,
            Attr::SocketsErrno => 105,
        }
    }

    /// Checks a value that it is to take.
    pub(crate) fn check(self, value: u32) -> Result<(), Why> {
        let fits = match self {
            Attr::CpuWeight => (1..=10_000).contains(&value),
            Attr::CpuCap => value >= 10,
            Attr::TasksMax | Attr::SocketsMax => true,
            Attr::TasksErrno | Attr::SocketsErrno => (1..=ERRNO_MAX).contains(&value),
        };
        fits.then_some(()).ok_or(Why::Range)
    }
}

/// A service's name, filled up with zeros.
///
/// # Invariants
///
/// 1 to `NAME_LEN - 1` characters of `[a-z0-9._-]`, then zeros only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Name([u8; NAME_LEN]);

impl Name {
    const ROOT: Name = {
        let mut bytes = [0; NAME_LEN];
        bytes[0] = b'r';
        bytes[1] = b'o';
        bytes[2] = b'o';
        bytes[3] = b't';
        // INVARIANT: Four characters.
        Name(bytes)
    };

    /// Reads a name up to its NUL; what follows that is ignored.
    pub(crate) fn new(raw: &[u8; NAME_LEN]) -> Result<Name, Why> {
        let len = raw.iter().position(|byte| *byte == 0).ok_or(Why::NameBad)?;
        let fits = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        if len == 0 || !raw[..len].iter().all(fits) {
            return Err(Why::NameBad);
        }
        let mut bytes = [0; NAME_LEN];
        bytes[..len].copy_from_slice(&raw[..len]);
        // INVARIANT: Just checked.
        Ok(Name(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8; NAME_LEN] {
        &self.0
    }
}

/// A service in the tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) id: VsId,
    pub(crate) name: Name,
    pub(crate) parent: VsId,
    pub(crate) priority: i32,
    pub(crate) depth: u8,
    pub(crate) children: u32,
    /// Bit n: attribute n is its own.
    pub(crate) detached: u32,
    /// Its own values, where detached.
    own: [u32; Attr::COUNT],
}

/// What hot paths ask of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Effective {
    pub(crate) attrs: [u32; Attr::COUNT],
    pub(crate) detached: u32,
    /// The nearest service upwards, itself included, with a weight or a cap of its own.
    pub(crate) node: VsId,
}

/// What a service is to become.
#[derive(Clone, Copy, Default)]
pub(crate) struct Change {
    pub(crate) name: Option<[u8; NAME_LEN]>,
    /// As the request has it.
    pub(crate) parent: Option<u32>,
    pub(crate) priority: Option<i32>,
}

/// No place in `nodes`.
const NOWHERE: u16 = u16::MAX;

/// All services.
///
/// # Invariants
///
/// - `nodes[0]` is root; every other's parent is in the tree, and root is reached from each in
///   `depth` steps, at most [`DEPTH_MAX`].
/// - `places` says for each id where in `nodes` it is, `by_name` lists all ids by name; no two names
///   are equal.
/// - Root has all attributes detached; a detached attribute's own value has passed its check.
pub(crate) struct Tree {
    nodes: Table<Node>,
    places: Table<u16>,
    by_name: Table<VsId>,
}

impl Tree {
    /// Root alone.
    pub(crate) fn new() -> Result<Self, Refusal> {
        let mut tree = Tree {
            nodes: Table::with_capacity(1)?,
            places: Table::filled(VsId::COUNT, NOWHERE)?,
            by_name: Table::with_capacity(1)?,
        };
        tree.nodes.push(Node {
            id: VsId::ROOT,
            name: Name::ROOT,
            parent: VsId::ROOT,
            priority: 0,
            depth: 0,
            children: 0,
            detached: Attr::MASK,
            own: Attr::ALL.map(Attr::default),
        })?;
        tree.places[VsId::ROOT.index()] = 0;
        tree.by_name.push(VsId::ROOT)?;
        Ok(tree)
    }

    pub(crate) fn copy(&self) -> Result<Self, Refusal> {
        let mut copy = Tree {
            nodes: Table::with_capacity(self.nodes.len())?,
            places: Table::with_capacity(self.places.len())?,
            by_name: Table::with_capacity(self.by_name.len())?,
        };
        copy.nodes.extend_from_slice(&self.nodes)?;
        copy.places.extend_from_slice(&self.places)?;
        copy.by_name.extend_from_slice(&self.by_name)?;
        Ok(copy)
    }

    /// All services, in no order but that root is first.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(crate) fn get(&self, id: VsId) -> Option<&Node> {
        match self.places[id.index()] {
            NOWHERE => None,
            place => Some(&self.nodes[usize::from(place)]),
        }
    }

    fn get_mut(&mut self, id: VsId) -> Option<&mut Node> {
        match self.places[id.index()] {
            NOWHERE => None,
            place => Some(&mut self.nodes[usize::from(place)]),
        }
    }

    /// The service that a request means by `raw`.
    pub(crate) fn find(&self, raw: u32) -> Result<VsId, Why> {
        VsId::new(raw)
            .filter(|id| self.get(*id).is_some())
            .ok_or(Why::NoService)
    }

    /// The service of this name.
    pub(crate) fn named(&self, name: &Name) -> Option<VsId> {
        self.place_of_name(name)
            .ok()
            .map(|place| self.by_name[place])
    }

    fn place_of_name(&self, name: &Name) -> Result<usize, usize> {
        self.by_name.binary_search_by(|id| match self.get(*id) {
            Some(node) => node.name.cmp(name),
            None => core::cmp::Ordering::Less,
        })
    }

    /// The priority of a service; that of one that does not exist is the lowest.
    pub(crate) fn priority(&self, id: VsId) -> i32 {
        self.get(id).map_or(i32::MIN, |node| node.priority)
    }

    /// The service itself and those above it, up to root.
    pub(crate) fn upwards(&self, id: VsId) -> impl Iterator<Item = &Node> {
        let mut at = self.get(id);
        core::iter::from_fn(move || {
            let node = at?;
            at = if node.id.is_root() {
                None
            } else {
                self.get(node.parent)
            };
            Some(node)
        })
    }

    /// Whether `id` is `top` or below it.
    pub(crate) fn is_within(&self, id: VsId, top: VsId) -> bool {
        self.upwards(id).any(|node| node.id == top)
    }

    /// The effective value of an attribute: the nearest own one, upwards.
    pub(crate) fn attr(&self, id: VsId, attr: Attr) -> u32 {
        self.upwards(id)
            .find(|node| node.detached & attr.bit() != 0)
            .map_or(attr.default(), |node| node.own[attr as usize])
    }

    pub(crate) fn effective(&self, id: VsId) -> Effective {
        let scheduled = Attr::CpuWeight.bit() | Attr::CpuCap.bit();
        Effective {
            attrs: Attr::ALL.map(|attr| self.attr(id, attr)),
            detached: self.get(id).map_or(0, |node| node.detached),
            node: self
                .upwards(id)
                .find(|node| node.detached & scheduled != 0)
                .map_or(VsId::ROOT, |node| node.id),
        }
    }

    /// Adds a service, with all attributes shared. `id` is not in the tree.
    pub(crate) fn create(
        &mut self,
        id: VsId,
        name: Name,
        parent: VsId,
        priority: i32,
    ) -> Result<(), Refusal> {
        if self.get(id).is_some() {
            return Err(Why::IdTaken.into());
        }
        let place = match self.place_of_name(&name) {
            Ok(_) => return Err(Why::NameTaken.into()),
            Err(place) => place,
        };
        let depth = self
            .get(parent)
            .ok_or(Why::NoService)?
            .depth
            .saturating_add(1);
        if usize::from(depth) > DEPTH_MAX {
            return Err(Why::Depth.into());
        }
        self.nodes.reserve(1)?;
        self.by_name.push(id)?;
        self.by_name[place..].rotate_right(1);
        // There is room, so this does not fail.
        self.nodes.push(Node {
            id,
            name,
            parent,
            priority,
            depth,
            children: 0,
            detached: 0,
            own: [0; Attr::COUNT],
        })?;
        self.places[id.index()] = (self.nodes.len() - 1) as u16;
        self.adopt(parent, 1);
        Ok(())
    }

    /// Takes a service without children away.
    pub(crate) fn destroy(&mut self, id: VsId) -> Result<(), Why> {
        let node = *self.get(id).ok_or(Why::NoService)?;
        if id.is_root() {
            return Err(Why::Root);
        }
        if node.children != 0 {
            return Err(Why::HasChildren);
        }
        self.forget_name(&node.name);
        self.adopt(node.parent, -1);
        let place = self.places[id.index()];
        self.places[id.index()] = NOWHERE;
        if let Some(last) = self.nodes.pop() {
            if last.id != id {
                self.nodes[usize::from(place)] = last;
                self.places[last.id.index()] = place;
            }
        }
        Ok(())
    }

    /// Renames, moves and ranks a service: all that is asked for, or nothing.
    pub(crate) fn change(&mut self, id: VsId, change: &Change) -> Result<(), Why> {
        let node = *self.get(id).ok_or(Why::NoService)?;
        if id.is_root() && (change.name.is_some() || change.parent.is_some()) {
            return Err(Why::Root);
        }
        let name = change
            .name
            .as_ref()
            .map(Name::new)
            .transpose()?
            .unwrap_or(node.name);
        if name != node.name && self.named(&name).is_some() {
            return Err(Why::NameTaken);
        }
        let parent = change
            .parent
            .map(|raw| self.find(raw))
            .transpose()?
            .unwrap_or(node.parent);
        if parent != node.parent {
            if self.is_within(parent, id) {
                return Err(Why::Cycle);
            }
            let above = self.upwards(parent).count();
            if above + self.height(id) > DEPTH_MAX {
                return Err(Why::Depth);
            }
        }

        // Nothing fails from here on.
        if name != node.name {
            self.forget_name(&node.name);
            self.keep_name(id, name);
        }
        if parent != node.parent {
            self.move_below(id, parent);
            // The height was checked.
            let _ = self.settle();
        }
        if let (Some(priority), Some(node)) = (change.priority, self.get_mut(id)) {
            node.priority = priority;
        }
        Ok(())
    }

    /// How many levels there are below `id`.
    fn height(&self, id: VsId) -> usize {
        let depth = |id| self.upwards(id).count();
        let below = self.nodes.iter().filter(|node| self.is_within(node.id, id));
        below
            .map(|node| depth(node.id) - depth(id))
            .max()
            .unwrap_or(0)
    }

    /// Puts a service below another, which is not below it. Leaves the depths of what is below it
    /// to [`settle`](Self::settle).
    pub(crate) fn move_below(&mut self, id: VsId, parent: VsId) {
        let depth = self.get(parent).map_or(0, |node| node.depth);
        let Some(node) = self.get_mut(id) else { return };
        node.depth = depth.saturating_add(1);
        let old = core::mem::replace(&mut node.parent, parent);
        self.adopt(old, -1);
        self.adopt(parent, 1);
    }

    /// Works all depths out anew.
    ///
    /// `Err`: a service that is too deep. Then the tree is no longer to be used.
    pub(crate) fn settle(&mut self) -> Result<(), VsId> {
        for place in 0..self.nodes.len() {
            let id = self.nodes[place].id;
            let depth = self.upwards(id).count() - 1;
            if depth > DEPTH_MAX {
                return Err(id);
            }
            self.nodes[place].depth = depth as u8;
        }
        Ok(())
    }

    /// Gives a service another priority.
    pub(crate) fn rank(&mut self, id: VsId, priority: i32) {
        if let Some(node) = self.get_mut(id) {
            node.priority = priority;
        }
    }

    /// Sets a detached attribute.
    pub(crate) fn set(&mut self, id: VsId, attr: Attr, value: u32) -> Result<(), Why> {
        attr.check(value)?;
        let node = self.get_mut(id).ok_or(Why::NoService)?;
        if node.detached & attr.bit() == 0 {
            return Err(Why::Shared);
        }
        node.own[attr as usize] = value;
        Ok(())
    }

    /// Makes an attribute the service's own, with the value that it has.
    pub(crate) fn detach(&mut self, id: VsId, attr: Attr) -> Result<(), Why> {
        if id.is_root() {
            return Err(Why::Root);
        }
        let value = self.attr(id, attr);
        let node = self.get_mut(id).ok_or(Why::NoService)?;
        node.own[attr as usize] = value;
        node.detached |= attr.bit();
        Ok(())
    }

    /// Shares an attribute with the parent again.
    pub(crate) fn share(&mut self, id: VsId, attr: Attr) -> Result<(), Why> {
        if id.is_root() {
            return Err(Why::Root);
        }
        let node = self.get_mut(id).ok_or(Why::NoService)?;
        node.detached &= !attr.bit();
        node.own[attr as usize] = 0;
        Ok(())
    }

    fn adopt(&mut self, parent: VsId, children: i32) {
        if let Some(node) = self.get_mut(parent) {
            node.children = node.children.wrapping_add_signed(children);
        }
    }

    fn forget_name(&mut self, name: &Name) {
        if let Ok(place) = self.place_of_name(name) {
            self.by_name[place..].rotate_left(1);
            self.by_name.pop();
        }
    }

    /// Renames a service whose old name is forgotten, so that there is room.
    fn keep_name(&mut self, id: VsId, name: Name) {
        let place = self.place_of_name(&name).unwrap_or_else(|place| place);
        if self.by_name.push(id).is_ok() {
            self.by_name[place..].rotate_right(1);
        }
        if let Some(node) = self.get_mut(id) {
            node.name = name;
        }
    }
}
