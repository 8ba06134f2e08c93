// SPDX-License-Identifier: GPL-2.0

//! Per-CPU counters, as far as statistics need them. The kernel crate has none.

use crate::shim::bindings as c;
use kernel::prelude::*;

/// `N` counters for each possible CPU, all zero at first.
///
/// # Invariants
///
/// `base` is a per-CPU allocation of `N` counters, and this object owns it.
pub(crate) struct PerCpu<const N: usize> {
    base: *mut u64,
}

// SAFETY: Any thread may use the counters; each access is one instruction on the CPU's own counter,
// or a read of a whole word.
unsafe impl<const N: usize> Send for PerCpu<N> {}
// SAFETY: Each access is one instruction on the CPU's own counter, or a read of a whole word.
unsafe impl<const N: usize> Sync for PerCpu<N> {}

impl<const N: usize> PerCpu<N> {
    /// Makes them. May sleep.
    ///
    /// Size and alignment are rounded up to a power of two. Otherwise the kernel's allocator is
    /// left with pieces of its chunks that it cannot use, and looks at them again at each fork,
    /// which allocates per-CPU counters, too. With ten thousand services that would be most of what
    /// a gate costs at fork.
    pub(crate) fn new() -> Result<Self> {
        let size = size_of::<[u64; N]>().next_power_of_two();
        // SAFETY: There is room for the counters, and they are aligned.
        let base = unsafe { c::pcpu_alloc_noprof(size, size, false, kernel::bindings::GFP_KERNEL) };
        if base.is_null() {
            return Err(ENOMEM);
        }
        // INVARIANT: Just allocated, for `N` counters.
        Ok(PerCpu { base: base.cast() })
    }

    /// Adds `value` to counter `n`, on this CPU. Any context, lock-free; wraps.
    pub(crate) fn add(&self, n: usize, value: u64) {
        // SAFETY: By the type invariant, as `counter` stays within.
        unsafe { c::vs_this_cpu_add_u64(self.counter(n), value) };
    }

    /// The sum of counter `n` over all CPUs. Any context; not a snapshot.
    pub(crate) fn sum(&self, n: usize) -> u64 {
        // SAFETY: By the type invariant, as `counter` stays within.
        unsafe { c::vs_per_cpu_sum_u64(self.counter(n)) }
    }

    fn counter(&self, n: usize) -> *mut u64 {
        assert!(n < N);
        // A per-CPU address, not to be read; the offset is within the allocation.
        self.base.wrapping_add(n)
    }
}

impl<const N: usize> Drop for PerCpu<N> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. Does not sleep.
        unsafe { c::free_percpu(self.base.cast()) };
    }
}
