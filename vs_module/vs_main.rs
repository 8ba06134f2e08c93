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
//! | `state` | what all planes share, read under RCU |
//! | `service`, `limit`, `stat` | one service: attributes, what it holds, what it counted |
//! | `gate`, `tag`, `sock`, `path` | what gates see, and what their rules make of it |
//! | `place` | giving tasks and sockets to a service |
//! | `cpu` | what accounting and scheduler ask for |
//! | `config` | changes, one at a time |
//! | `chardev`, `abi` | `/dev/vsctl` |
//! | `table`, `rcu`, `percpu` | memory |
//! | `vs_bindings` | C interfaces that the kernel crate does not bind |

use kernel::prelude::*;

#[path = "../vs_netfilter/bindings.rs"]
mod vs_bindings;

#[path = "../vs_netfilter/mod.rs"]
mod netfilter;

mod cpu;
mod gate;
mod limit;
mod logic;
mod path;
mod percpu;
mod place;
mod rcu;
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

/// Lowest bit of the id in a mark. Fixed while the module is loaded.
pub(crate) fn mark_shift() -> u32 {
    *module_parameters::mark_shift.value()
}

struct Vs;

impl kernel::Module for Vs {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        if mark_shift() > logic::id::VsId::SHIFT_MAX {
            return Err(EINVAL);
        }
        Ok(Vs)
    }
}
