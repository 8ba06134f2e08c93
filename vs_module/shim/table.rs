// SPDX-License-Identifier: GPL-2.0

//! The memory of [`crate::logic`]: a growing array whose allocations can fail.
//!
//! This is the kernel's implementation, over [`KVVec`]; the host crate has one over `Vec`, with the
//! same interface. May sleep where it allocates; freeing may happen in any context but NMI.

use core::ops::{Deref, DerefMut};
use kernel::alloc::allocator::KVmalloc;
use kernel::alloc::kvec::IntoIter;
use kernel::prelude::*;

/// An allocation failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NoMemory;

impl From<NoMemory> for Error {
    fn from(_: NoMemory) -> Self {
        ENOMEM
    }
}

/// A growing array, which is read and written through the slice that it derefs to.
pub(crate) struct Table<T>(KVVec<T>);

impl<T> Table<T> {
    pub(crate) const fn new() -> Self {
        Table(KVVec::new())
    }

    pub(crate) fn with_capacity(room: usize) -> Result<Self, NoMemory> {
        KVVec::with_capacity(room, GFP_KERNEL)
            .map(Table)
            .map_err(|_| NoMemory)
    }

    /// Makes room for `more` items: pushing that many does not fail.
    pub(crate) fn reserve(&mut self, more: usize) -> Result<(), NoMemory> {
        self.0.reserve(more, GFP_KERNEL).map_err(|_| NoMemory)
    }

    pub(crate) fn push(&mut self, item: T) -> Result<(), NoMemory> {
        self.0.push(item, GFP_KERNEL).map_err(|_| NoMemory)
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }
}

impl<T: Clone> Table<T> {
    pub(crate) fn filled(count: usize, item: T) -> Result<Self, NoMemory> {
        KVVec::from_elem(item, count, GFP_KERNEL)
            .map(Table)
            .map_err(|_| NoMemory)
    }

    pub(crate) fn extend_from_slice(&mut self, items: &[T]) -> Result<(), NoMemory> {
        self.0
            .extend_from_slice(items, GFP_KERNEL)
            .map_err(|_| NoMemory)
    }
}

impl<T> Deref for Table<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for Table<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T> IntoIterator for Table<T> {
    type Item = T;
    type IntoIter = IntoIter<T, KVmalloc>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
