// SPDX-License-Identifier: MIT OR Apache-2.0

//! The memory of the logic on the host: over `Vec`, with allocations that fail when a test wants.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

/// An allocation failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoMemory;

thread_local! {
    /// How many more allocations succeed; `None`: all do.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Lets all allocations of this thread in `f` fail but the first `left`.
pub fn failing_after<R>(left: usize, f: impl FnOnce() -> R) -> R {
    LEFT.set(Some(left));
    let result = f();
    LEFT.set(None);
    result
}

fn allocate() -> Result<(), NoMemory> {
    match LEFT.get() {
        None => Ok(()),
        Some(0) => Err(NoMemory),
        Some(left) => {
            LEFT.set(Some(left - 1));
            Ok(())
        }
    }
}

/// A growing array, as in the module.
pub struct Table<T>(Vec<T>);

impl<T> Table<T> {
    pub const fn new() -> Self {
        Table(Vec::new())
    }

    pub fn with_capacity(room: usize) -> Result<Self, NoMemory> {
        let mut table = Table::new();
        table.reserve(room)?;
        Ok(table)
    }

    pub fn reserve(&mut self, more: usize) -> Result<(), NoMemory> {
        if self.0.capacity() - self.0.len() < more {
            allocate()?;
            self.0.reserve(more);
        }
        Ok(())
    }

    pub fn push(&mut self, item: T) -> Result<(), NoMemory> {
        self.reserve(1)?;
        self.0.push(item);
        Ok(())
    }

    pub fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }
}

impl<T: Clone> Table<T> {
    pub fn filled(count: usize, item: T) -> Result<Self, NoMemory> {
        allocate()?;
        Ok(Table(vec![item; count]))
    }

    pub fn extend_from_slice(&mut self, items: &[T]) -> Result<(), NoMemory> {
        self.reserve(items.len())?;
        self.0.extend_from_slice(items);
        Ok(())
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
