// SPDX-License-Identifier: MIT OR Apache-2.0

//! RCU as far as the counters need it: a grace period waits for all present readers.

use shuttle::sync::{Condvar, Mutex};

struct State {
    /// Grows with each grace period that begins.
    period: u64,
    /// The period in which each reader has begun.
    readers: Vec<u64>,
}

pub(crate) struct Rcu {
    state: Mutex<State>,
    left: Condvar,
}

impl Rcu {
    pub(crate) fn new() -> Self {
        Rcu {
            state: Mutex::new(State {
                period: 0,
                readers: Vec::new(),
            }),
            left: Condvar::new(),
        }
    }

    /// Calls `read` as a reader.
    pub(crate) fn read<T>(&self, read: impl FnOnce() -> T) -> T {
        let mine = {
            let mut state = self.state.lock().unwrap();
            let period = state.period;
            state.readers.push(period);
            period
        };
        let result = read();
        let mut state = self.state.lock().unwrap();
        let place = state
            .readers
            .iter()
            .position(|&period| period == mine)
            .unwrap();
        state.readers.swap_remove(place);
        self.left.notify_all();
        result
    }

    /// Waits until all present readers have left.
    pub(crate) fn synchronize(&self) {
        let mut state = self.state.lock().unwrap();
        state.period += 1;
        let begun = state.period;
        while state.readers.iter().any(|&period| period < begun) {
            state = self.left.wait(state).unwrap();
        }
    }
}
