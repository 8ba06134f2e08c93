// SPDX-License-Identifier: GPL-2.0

//! Virtual Services: vs.ko decides on whose behalf work is done.
//!
//! A virtual service is the party that work is done for. Gates (BPF programs, `gates/`) see system
//! calls, probes see packets, `scx_vs` hands out CPU time; all of them ask this module, and none of
//! them decides. The administrator configures the decisions, by the ioctls of `uapi/vs.h`
//! (`control/chardev.rs`).
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
//! Arrows run downwards only. The module loads state, kfuncs, packets, devices, in that order, and
//! unloads them in the reverse order: see [`Vs`].

use crate::shim::bindings as c;
use crate::shim::misc::Misc;
use core::borrow::Borrow;
use kernel::error::to_result;
use kernel::prelude::*;

#[path = "../vs_netfilter/mod.rs"]
mod netfilter;

#[path = "bpf/cpu.rs"]
mod cpu;

mod control;
mod gates;
mod logic;
mod shim;
mod state;

// `logic` refers to its memory by this name, here as on the host.
use shim::table;

module! {
    type: Vs,
    name: "vs",
    authors: ["The Virtual Services authors"],
    description: "Virtual Services: work is charged to the party it is done for",
    license: "GPL",
    params: {
        work_age: u32 {
            default: 600,
            description: "Seconds after a receipt at which work in hand ends; 0: never",
        },
    },
}

/// Nanoseconds for which work in hand may last; 0: without end.
fn work_age() -> u64 {
    // the parameter's value is a reference in 7.2, a copy in 7.3
    let seconds: u32 = *module_parameters::work_age.value().borrow();
    u64::from(seconds) * 1_000_000_000
}

/// The module, while it is loaded.
#[pin_data]
struct Vs {
    // Dropped in this order: first no caller can come any more, then everything is freed.
    #[pin]
    _device: Misc,
    #[pin]
    _hint: Misc,
    _probes: gates::probes::GateProbes,
    _network: netfilter::NetworkPlane,
    _loaded: Loaded,
}

/// The state and the kfuncs, on which all other parts rely.
struct Loaded;

impl Loaded {
    fn new() -> Result<Self> {
        state::sockets::init()?;
        if let Err(error) = control::registry::init() {
            state::sockets::exit();
            return Err(error);
        }
        let loaded = Loaded;
        // SAFETY: Called once. From here on BPF programs can be loaded that call into `state`,
        // which is initialised; each program holds a reference to the module.
        to_result(unsafe { c::vs_register_kfuncs() })?;
        pr_info!("loaded\n");
        Ok(loaded)
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // SAFETY: At unload, when no program that calls a kfunc is left: each would hold a
        // reference to the module.
        unsafe { c::vs_end_kfuncs() };
        state::sockets::exit();
        control::registry::exit();
        pr_info!("unloaded\n");
    }
}

impl kernel::InPlaceModule for Vs {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _loaded: Loaded::new()?,
            // SAFETY: Called once, before the device exists through which packets are turned on.
            _network: unsafe { netfilter::register() },
            // SAFETY: Called once, before the device exists through which the probes are turned on.
            _probes: unsafe { gates::probes::register() },
            _device <- control::chardev::register(module),
            _hint <- gates::hint::register(module),
        }? Error)
    }
}
