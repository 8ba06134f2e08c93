// SPDX-License-Identifier: MIT OR Apache-2.0

//! The limits of vs.ko in many orders of events.
//!
//! `vs_module/state/counter.rs` is compiled here as it stands. The parts of the kernel and of the
//! module that it uses are replaced: atomics by those of shuttle, which tries orders of the
//! threads; RCU and the service by [`rcu`] and [`service`]. Shuttle's atomics are sequentially
//! consistent, so the tests cover every order of events, but not reorderings that weaker atomics
//! allow; limits only need each count to be changed by atomic additions. The crate consists of its
//! tests alone.

// The module uses all of it, the tests only a part.
#![allow(dead_code)]

// This crate stands in for the module's `kernel` crate.
extern crate self as kernel;

use vs_logic as logic;

mod rcu;
mod state;

#[cfg(test)]
mod counter_test;

mod prelude {
    /// An errno.
    #[derive(Debug, PartialEq, Eq)]
    pub(crate) struct Error(pub(crate) i32);

    impl Error {
        pub(crate) fn from_errno(errno: i32) -> Self {
            Error(errno)
        }
    }

    pub(crate) type Result<T = (), E = Error> = core::result::Result<T, E>;
}

mod sync {
    pub(crate) mod atomic {
        use shuttle::sync::atomic::{AtomicI64, Ordering};

        pub(crate) struct Relaxed;

        /// The kernel's `Atomic`, for the one type that the counters use.
        pub(crate) struct Atomic<T>(AtomicI64, core::marker::PhantomData<T>);

        impl Atomic<i64> {
            pub(crate) const fn new(value: i64) -> Self {
                Atomic(AtomicI64::new(value), core::marker::PhantomData)
            }

            pub(crate) fn load(&self, _: Relaxed) -> i64 {
                self.0.load(Ordering::SeqCst)
            }

            pub(crate) fn fetch_add(&self, value: i64, _: Relaxed) -> i64 {
                self.0.fetch_add(value, Ordering::SeqCst)
            }
        }
    }
}
