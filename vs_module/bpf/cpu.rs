// SPDX-License-Identifier: GPL-2.0

//! CPU time: the answers to accounting and scheduler, as the bodies of kfuncs in `kfuncs.c`.
//!
//! The scheduler keeps only copies of the tree, which it makes anew when the generation has grown;
//! so it can be loaded, ejected and loaded again at any time.

use crate::logic::hierarchy::{Attr, UNLIMITED};
use crate::logic::id::VsId;
use crate::state::service::Service;
use crate::state::{self, State};
use core::ffi::c_int;
use kernel::error::code::EINVAL;

/// `struct vs_cpu_node` of `kfuncs.h`.
#[repr(C)]
pub(crate) struct CpuNode {
    id: u32,
    parent: u32,
    weight: u32,
    cap: u32,
}

impl CpuNode {
    /// The node that `vs` belongs to, with the values of that node alone: its parent's cap is on
    /// its parent.
    fn of(state: &State, vs: VsId) -> CpuNode {
        let id = state.service(vs).cpu_node();
        let node = state.service(id);
        CpuNode {
            id: id.get().into(),
            parent: node
                .parent()
                .map_or(VsId::ROOT, Service::cpu_node)
                .get()
                .into(),
            weight: node.cpu_weight(),
            cap: match node.is_detached(Attr::CpuCap) || id.is_root() {
                true => node.attr(Attr::CpuCap),
                false => UNLIMITED,
            },
        }
    }
}

/// An id as BPF hands it over; a value that is no id stands for root.
fn id(raw: u32) -> VsId {
    VsId::new(raw).unwrap_or(VsId::ROOT)
}

/// Any context but NMI.
#[no_mangle]
extern "C" fn vs_charge_cpu_body(vs: u32, ns: u64) {
    // SAFETY: `kfuncs.c` has it called under RCU.
    unsafe { state::under_rcu(|state| state.service(id(vs)).charge_cpu(ns)) };
}

/// Any context.
#[no_mangle]
extern "C" fn vs_generation_body() -> u64 {
    state::generation()
}

/// Fills `out` with the node of `vs`. `EINVAL` if `size` is not its size. Any context but NMI.
///
/// # Safety
///
/// `out` is valid for writes of `size` bytes and aligned: the verifier has checked the first, and
/// BPF's stack and maps are aligned to 8.
#[no_mangle]
unsafe extern "C" fn vs_cpu_node_body(vs: u32, out: *mut CpuNode, size: u32) -> c_int {
    if size as usize != size_of::<CpuNode>() {
        return EINVAL.to_errno();
    }
    let node = state::with(|state| CpuNode::of(state, id(vs)));
    // SAFETY: By the requirement of this function.
    unsafe { out.write(node) };
    0
}
