// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! The tree of services: names, parents, priorities, attributes.
//!
//! An attribute is shared with the parent until it is detached. Every method that can fail checks
//! and allocates first, so a call that fails has changed nothing.

pub use super::attr::{Attr, UNLIMITED};
use super::id::VsId;
use super::why::{Refusal, Why};
use crate::table::Table;

/// Levels below root: `VS_DEPTH_MAX`.
pub const DEPTH_MAX: usize = 16;
/// Longest name, with the NUL at its end: `VS_NAME_LEN`.
pub const NAME_LEN: usize = 64;

/// A service's name, filled up with zeros.
///
/// # Invariants
///
/// 1 to `NAME_LEN - 1` characters of `[a-z0-9._-]`, then zeros only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Name([u8; NAME_LEN]);

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

    /// Reads a name up to its NUL, and ignores the bytes after that.
    pub fn new(raw: &[u8; NAME_LEN]) -> Result<Name, Why> {
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

    pub fn bytes(&self) -> &[u8; NAME_LEN] {
        &self.0
    }
}

/// A service in the tree.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    pub id: VsId,
    pub name: Name,
    pub parent: VsId,
    pub priority: i32,
    pub depth: u8,
    pub children: u32,
    /// Bit n: attribute n is its own.
    pub detached: u32,
    /// The values of its detached attributes.
    own: [u32; Attr::COUNT],
}

/// The values of a service that hot paths ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Effective {
    pub attrs: [u32; Attr::COUNT],
    pub detached: u32,
    /// The nearest service upwards, itself included, with a weight or a cap of its own.
    pub node: VsId,
}

/// A change to a service.
#[derive(Clone, Copy, Default)]
pub struct Change {
    pub name: Option<[u8; NAME_LEN]>,
    /// The parent, as the request names it.
    pub parent: Option<u32>,
    pub priority: Option<i32>,
}

/// The value of `places` for an id without a service.
const NOWHERE: u16 = u16::MAX;

/// All services.
///
/// # Invariants
///
/// - `nodes[0]` is root; the parent of every other node is in the tree, and root is reached from
///   each node in `depth` steps, at most [`DEPTH_MAX`].
/// - `places` has for each id its place in `nodes`, `by_name` lists all ids by name; no two names
///   are equal.
/// - Root has all attributes detached; a detached attribute's own value has passed its check.
pub struct Tree {
    nodes: Table<Node>,
    places: Table<u16>,
    by_name: Table<VsId>,
}

impl Tree {
    /// Root alone.
    pub fn new() -> Result<Self, Refusal> {
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

    pub fn copy(&self) -> Result<Self, Refusal> {
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

    /// All services: root first, the others in any order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub fn get(&self, id: VsId) -> Option<&Node> {
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
    pub fn find(&self, raw: u32) -> Result<VsId, Why> {
        VsId::new(raw)
            .filter(|id| self.get(*id).is_some())
            .ok_or(Why::NoService)
    }

    /// The service of this name.
    pub fn named(&self, name: &Name) -> Option<VsId> {
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

    /// The priority of a service; the lowest if the service does not exist.
    pub fn priority(&self, id: VsId) -> i32 {
        self.get(id).map_or(i32::MIN, |node| node.priority)
    }

    /// The service itself and those above it, up to root.
    pub fn upwards(&self, id: VsId) -> impl Iterator<Item = &Node> {
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
    pub fn is_within(&self, id: VsId, top: VsId) -> bool {
        self.upwards(id).any(|node| node.id == top)
    }

    /// The effective value of an attribute: the nearest own one, upwards.
    pub fn attr(&self, id: VsId, attr: Attr) -> u32 {
        self.upwards(id)
            .find(|node| node.detached & attr.bit() != 0)
            .map_or(attr.default(), |node| node.own[attr as usize])
    }

    pub fn effective(&self, id: VsId) -> Effective {
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
    pub fn create(
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

    /// Removes a service that has no children.
    pub fn destroy(&mut self, id: VsId) -> Result<(), Why> {
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

    /// Renames and moves a service and sets its priority: all that is asked for, or nothing.
    pub fn change(&mut self, id: VsId, change: &Change) -> Result<(), Why> {
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

    /// Puts a service below another, which is not below it. Leaves the depths of services below it
    /// to [`settle`](Self::settle).
    pub fn move_below(&mut self, id: VsId, parent: VsId) {
        let depth = self.get(parent).map_or(0, |node| node.depth);
        let Some(node) = self.get_mut(id) else { return };
        node.depth = depth.saturating_add(1);
        let old = core::mem::replace(&mut node.parent, parent);
        self.adopt(old, -1);
        self.adopt(parent, 1);
    }

    /// Computes all depths anew.
    ///
    /// `Err`: a service that is too deep. The tree must then no longer be used.
    pub fn settle(&mut self) -> Result<(), VsId> {
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
    pub fn rank(&mut self, id: VsId, priority: i32) {
        if let Some(node) = self.get_mut(id) {
            node.priority = priority;
        }
    }

    /// Sets a detached attribute.
    pub fn set(&mut self, id: VsId, attr: Attr, value: u32) -> Result<(), Why> {
        attr.check(value)?;
        let node = self.get_mut(id).ok_or(Why::NoService)?;
        if node.detached & attr.bit() == 0 {
            return Err(Why::Shared);
        }
        node.own[attr as usize] = value;
        Ok(())
    }

    /// Makes an attribute the service's own, with the value that it has.
    pub fn detach(&mut self, id: VsId, attr: Attr) -> Result<(), Why> {
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
    pub fn share(&mut self, id: VsId, attr: Attr) -> Result<(), Why> {
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
