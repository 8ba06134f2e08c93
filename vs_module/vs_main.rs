// SPDX-License-Identifier: GPL-2.0

//! Virtual Services: vs.ko decides on whose behalf work is done.
//!
//! A virtual service is the party that work is done for. Gates (BPF programs, `gates/`) see system
//! calls, hooks see packets, `scx_vs` hands out CPU time; all of them ask this module, and none of
//! them decides. Who may change what is decided stands in `chardev`: the administrator, by the
//! ioctls of `uapi/vs.h`.
//!
//! | room | its noun |
//! | --- | --- |
//! | `control` | the administrator's way: `/dev/vsctl` and every change |
//! | `gates` | the calls of tasks that gates see, and the answers to them |
//! | `netfilter` | packets |
//! | `cpu` | CPU time: the answers to accounting and scheduler |
//! | `state` | services, counters and compiled rules, read under RCU |
//! | `logic` | rules, classifier, tree, ids: pure, a crate on the host as well |
//! | `shim` | parts that the kernel crate lacks |
//!
//! Arrows run downwards only. The module loads state, kfuncs, packets, device, in that order, and
//! unloads them in the reverse order: see [`Vs`].

use crate::shim::bindings as c;
use core::borrow::Borrow;
use kernel::error::to_result;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};

#[path = "../vs_netfilter/mod.rs"]
mod netfilter;

#[path = "bpf/cpu.rs"]
mod cpu;

mod control;
mod gates;
mod logic;
mod shim;
mod state;

// `logic` names its memory so, on the host as here.
use shim::table;

module! {
    type: Vs,
    name: "vs",
    authors: ["The Virtual Services authors"],
    description: "Virtual Services: work is charged to the party it is done for",
    license: "GPL",
    params: {
        mark_shift: u32 {
            default: 18,
            description: "Lowest bit of the id in sk_mark and skb->mark, 0..18",
        },
    },
}

/// The parameter, which hot paths should not have to look up.
static MARK_SHIFT: Atomic<u32> = Atomic::new(0);

/// Lowest bit of the id in a mark. Fixed before anybody has asked.
pub(crate) fn mark_shift() -> u32 {
    shim::rcu::read_once(&MARK_SHIFT)
}

/// The module, while it is loaded.
#[pin_data]
struct Vs {
    // Dropped in this order: first nobody comes any more, then all is freed.
    #[pin]
    _device: control::chardev::Device,
    _packets: netfilter::PacketGate,
    _loaded: Loaded,
}

/// What all else rests on.
struct Loaded;

impl Loaded {
    fn new() -> Result<Self> {
        // 7.2 gives a reference, 7.3 the value.
        let shift = *Borrow::<u32>::borrow(&module_parameters::mark_shift.value());
        if shift > logic::id::VsId::SHIFT_MAX {
            return Err(EINVAL);
        }
        MARK_SHIFT.store(shift, Relaxed);
        control::registry::init()?;
        let loaded = Loaded;
        // SAFETY: Called once. From here on BPF programs can be loaded that call into `state`,
        // which is there; each holds a reference to the module.
        to_result(unsafe { c::vs_register_kfuncs() })?;
        pr_info!("loaded, ids in bits {} and up of marks\n", mark_shift());
        Ok(loaded)
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // SAFETY: At unload; no program that calls a kfunc is left, each would hold a reference to the module.
        unsafe { c::vs_end_kfuncs() };
        control::registry::exit();
        pr_info!("unloaded\n");
    }
}

impl kernel::InPlaceModule for Vs {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _loaded: Loaded::new()?,
            // SAFETY: Called once, before the device exists by which it is turned on.
            _packets: unsafe { netfilter::register() },
            _device <- control::chardev::Device::register(module),
        }? Error)
    }
}
