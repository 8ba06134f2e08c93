// SPDX-License-Identifier: MIT OR Apache-2.0
//! The arithmetic of the scheduler (`vs_sched/arith.h`), for host tests.
//!
//! It is not written a second time: these are the lines that run in the kernel.

/// All of the machine, as a share.
pub const ONE: u64 = 1 << 28;
/// No cap.
pub const NO_CAP: u32 = u32::MAX;
/// 100 ms: a bucket holds what a cap gives in this time.
pub const CAP_PERIOD: u64 = 100_000_000;
/// The key of a node that does not wait.
pub const NEVER: u64 = u64::MAX;
/// The result of `queue_first()` in C when no node waits.
const NOBODY: u32 = 0xffff;

/// A cap's bucket of CPU time.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    /// CPU ns left.
    pub level: i64,
    /// The time at which `level` was computed.
    pub at: u64,
}

#[repr(C)]
struct RawQueue([u8; 0]);

unsafe extern "C" {
    safe fn arith_compound(share: u64, weight: u64, sum: u64) -> u64;
    safe fn arith_virtual_time(ns: u64, share: u64) -> u64;
    safe fn arith_task_time(ns: u64, weight: u64) -> u64;
    safe fn arith_lag_max(slice: u64, share: u64, nodes: u64, cpus: u64) -> u64;
    safe fn arith_lead_max(slice: u64, share: u64, cpus: u64) -> u64;
    safe fn arith_resume(vtime: u64, now: u64, lag: u64, lead: u64) -> u64;
    safe fn arith_go_back(vtime: u64, now: u64, lag: u64, back: u64) -> u64;
    safe fn arith_bucket_fill(bucket: &mut Bucket, cap: u32, now: u64);
    safe fn arith_bucket_take(bucket: &mut Bucket, cap: u32, ns: u64);
    safe fn arith_bucket_give(bucket: &mut Bucket, cap: u32, ns: u64);
    safe fn arith_queue_new() -> *mut RawQueue;
    fn arith_queue_free(queue: *mut RawQueue);
    fn arith_queue_first(queue: *const RawQueue) -> u32;
    fn arith_queue_key(queue: *const RawQueue, id: u32) -> u64;
    fn arith_queue_set(queue: *mut RawQueue, id: u32, key: u64);
}

/// The part of a share that goes to one of `weight` among `sum`.
pub fn compound(share: u64, weight: u64, sum: u64) -> u64 {
    arith_compound(share, weight, sum)
}

/// Returns by how much CPU time advances the virtual time of a node of this share.
pub fn virtual_time(ns: u64, share: u64) -> u64 {
    arith_virtual_time(ns, share)
}

/// Returns by how much CPU time advances a task within its node.
pub fn task_time(ns: u64, weight: u64) -> u64 {
    arith_task_time(ns, weight)
}

/// Returns how far behind a fairly served node may be.
pub fn lag_max(slice: u64, share: u64, nodes: u64, cpus: u64) -> u64 {
    arith_lag_max(slice, share, nodes, cpus)
}

/// Returns how far ahead a fairly served node may be.
pub fn lead_max(slice: u64, share: u64, cpus: u64) -> u64 {
    arith_lead_max(slice, share, cpus)
}

/// Returns the virtual time at which a node begins to wait again.
pub fn resume(vtime: u64, now: u64, lag: u64, lead: u64) -> u64 {
    arith_resume(vtime, now, lag, lead)
}

/// Where a node goes back to that has not used what moved it by `back`.
pub fn go_back(vtime: u64, now: u64, lag: u64, back: u64) -> u64 {
    arith_go_back(vtime, now, lag, back)
}

impl Bucket {
    /// Fills the bucket up to `now`.
    pub fn fill(&mut self, cap: u32, now: u64) {
        arith_bucket_fill(self, cap, now);
    }

    /// Takes used CPU time out of the bucket.
    pub fn take(&mut self, cap: u32, ns: u64) {
        arith_bucket_take(self, cap, ns);
    }

    /// Gives back what was not used after all.
    pub fn give(&mut self, cap: u32, ns: u64) {
        arith_bucket_give(self, cap, ns);
    }
}

/// The order of nodes.
///
/// # Invariants
///
/// The pointer is that of a queue which belongs to this object alone.
pub struct Queue(*mut RawQueue);

impl Default for Queue {
    fn default() -> Self {
        // INVARIANT: It was just made, and has no other owner.
        Self(arith_queue_new())
    }
}

impl Queue {
    /// The node with the least key.
    pub fn first(&self) -> Option<u32> {
        // SAFETY: By the type invariant.
        let id = unsafe { arith_queue_first(self.0) };
        (id != NOBODY).then_some(id)
    }

    /// A node's key, [`NEVER`] if it does not wait.
    pub fn key(&self, id: u32) -> u64 {
        // SAFETY: By the type invariant; ids that are too large are cut to valid ones.
        unsafe { arith_queue_key(self.0, id) }
    }

    /// Puts, moves or, with [`NEVER`], removes a node.
    pub fn set(&mut self, id: u32, key: u64) {
        // SAFETY: By the type invariant; `&mut self` shows that there are no readers.
        unsafe { arith_queue_set(self.0, id, key) }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, and this is its last use.
        unsafe { arith_queue_free(self.0) }
    }
}
