// SPDX-License-Identifier: GPL-2.0

//! Virtual Services: vs.ko decides on whose behalf work is done.
//!
//! A virtual service is the party that work is done for. Gates (BPF programs, `gates/`) see system
//! calls, hooks see packets, `scx_vs` hands out CPU time; all of them ask this module, and none of
//! them decides. Who may change what is decided stands in `chardev`: the administrator, by the
//! ioctls of `uapi/vs.h`.
//!
//! | module | what it is |
//! | --- | --- |
//! | `logic` | rules, the classifier, the tree, ids: pure, compiled into host tests as well |
//! | `state` | what all planes share: read under RCU, written by its `writer` |
//! | `service`, `limit`, `stat` | one service: attributes, what it holds, what it counted |
//! | `gate`, `tag`, `sock`, `path` | what gates see, and what their rules make of it |
//! | `place` | giving tasks and sockets to a service |
//! | `cpu` | what accounting and scheduler ask for |
//! | `config`, `rules`, `apply` | changes, one at a time |
//! | `chardev`, `commands`, `abi` | `/dev/vsctl` |
//! | `table`, `rcu`, `percpu` | memory |
//! | `netfilter` | packets |
//! | `vs_bindings` | C interfaces that the kernel crate does not bind |

use core::borrow::Borrow;
use kernel::error::to_result;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};

#[path = "../vs_netfilter/bindings.rs"]
mod vs_bindings;

#[path = "../vs_netfilter/mod.rs"]
mod netfilter;

mod abi;
mod apply;
mod chardev;
mod commands;
mod config;
mod cpu;
mod gate;
mod limit;
mod logic;
mod path;
mod percpu;
mod place;
mod rcu;
mod rules;
mod service;
mod sock;
mod stat;
mod state;
mod table;
mod tag;

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
    rcu::read_once(&MARK_SHIFT)
}

/// The module, while it is loaded.
#[pin_data]
struct Vs {
    // Dropped in this order: first nobody comes any more, then all is freed.
    #[pin]
    _device: chardev::Device,
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
        config::init()?;
        let loaded = Loaded;
        // SAFETY: Called once. From here on BPF programs can be loaded that call into `state`,
        // which is there; each holds a reference to the module.
        to_result(unsafe { vs_bindings::vs_register_kfuncs() })?;
        pr_info!("loaded, ids in bits {} and up of marks\n", mark_shift());
        Ok(loaded)
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // SAFETY: At unload; no program that calls a kfunc is left, each would hold a reference to the module.
        unsafe { vs_bindings::vs_end_kfuncs() };
        config::exit();
        pr_info!("unloaded\n");
    }
}

impl kernel::InPlaceModule for Vs {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _loaded: Loaded::new()?,
            // SAFETY: Called once, before the device exists by which it is turned on.
            _packets: unsafe { netfilter::register() },
            _device <- chardev::Device::register(module),
        }? Error)
    }
}
