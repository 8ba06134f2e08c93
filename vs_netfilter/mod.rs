// SPDX-License-Identifier: GPL-2.0

//! The network plane: packets carry their sender's tag, and are counted per service.
//!
//! ```text
//!   socket -> IP -> hooks -> tc egress -> departs -> queue -> leaves -> device
//!                                         writes tag          counts      |
//!   socket <- IP <- hooks <- tc ingress <------------------- arrives <----+
//!                                                            reads tag, counts
//! ```
//!
//! A packet's tag is in `skb->secmark`. It is taken from the socket that the packet still has, and
//! written at a place after which only the machine's administrator can write to it ([`departs`]).
//! It survives veth pairs, bridges, and NAT. A packet from a wire has no tag, and the rules of the
//! gate `packet` classify it ([`arrives`]). In a network namespace other than the initial one,
//! whose administrator may be a tenant, a packet has no tag while hooks of that namespace see it:
//! the tag waits in one of the CPU's notes until the socket layer takes the packet ([`claimed`]).
//!
//! [`departs`]: packet::Departs
//! [`arrives`]: packet::Arrives
//!
//! While this is off, no probe is attached, and a packet costs as much as without this module.

mod demux;
mod packet;
pub(crate) mod parse;

use crate::logic::id::VsId;
use crate::logic::tag::Tag;
use crate::shim::bindings as c;
use crate::shim::probe::{self, Probe};
use crate::shim::rcu::read_once;
use crate::shim::skb::Skb;
use crate::shim::sock::Sock;
use crate::state::sockets::{self, Pledge};
use crate::state::{self, State};
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use packet::{Arrives, Departs, Leaves};

kernel::sync::global_lock! {
    // SAFETY: `register` is called before any caller could turn something on.
    unsafe(uninit) static SWITCH: Mutex<Probes> = Probes::NONE;
}

/// Are packets counted? Written under `SWITCH`.
static COUNTS: Atomic<bool> = Atomic::new(false);
/// Do packets carry tags? Written under `SWITCH`.
static CARRIES: Atomic<bool> = Atomic::new(false);

/// The probes that are attached.
struct Probes {
    departs: Option<Probe<Departs>>,
    leaves: Option<Probe<Leaves>>,
    arrives: Option<Probe<Arrives>>,
}

impl Probes {
    const NONE: Probes = Probes {
        departs: None,
        leaves: None,
        arrives: None,
    };

    /// Attaches the probes that are needed and detaches the others; changes nothing if it fails.
    fn set(&mut self, carries: bool, counts: bool) -> Result {
        let some = carries || counts;
        let departs = probe::wanted(&self.departs, some)?;
        let arrives = probe::wanted(&self.arrives, some)?;
        let leaves = probe::wanted(&self.leaves, some)?;
        // Nothing fails from here on.
        probe::put(&mut self.departs, departs, some);
        probe::put(&mut self.arrives, arrives, some);
        probe::put(&mut self.leaves, leaves, some);
        CARRIES.store(carries, Relaxed);
        COUNTS.store(counts, Relaxed);
        Ok(())
    }
}

/// The network plane as a part of the module; dropping it turns it off.
pub(crate) struct NetworkPlane(());

/// Makes [`set_packets`] and [`set_tags`] possible. All is off at first.
///
/// # Safety
///
/// Called once, before all other functions of this module.
pub(crate) unsafe fn register() -> NetworkPlane {
    // SAFETY: By the requirement of this function.
    unsafe { SWITCH.init() };
    NetworkPlane(())
}

impl Drop for NetworkPlane {
    fn drop(&mut self) {
        // Turning off cannot fail.
        let _ = set_tags(false);
        let _ = set_packets(false);
    }
}

/// Turns the gate `packet` on or off, in all network namespaces.
///
/// When it is off, none of its probes runs any more. `ENOENT`: this kernel lacks a tracepoint that
/// it needs; `ENOMEM`; then it stays off. May sleep.
pub(crate) fn set_packets(on: bool) -> Result {
    SWITCH.lock().set(read_once(&CARRIES), on)
}

/// Lets sockets belong to services, and packets carry their tags; or takes every tag off every
/// socket, after which no tag of a packet or request is believed any more.
///
/// Fails as [`set_packets`] does, and then it stays off. May sleep.
pub(crate) fn set_tags(on: bool) -> Result {
    let mut probes = SWITCH.lock();
    if on == read_once(&CARRIES) {
        return Ok(());
    }
    probes.set(on, read_once(&COUNTS))?;
    if on {
        Pledge::renew();
        packet::seal::renew();
        sockets::track();
    } else {
        sockets::untrack();
        state::renew();
    }
    Ok(())
}

/// Is the gate `packet` on? Any context.
pub(crate) fn is_on() -> bool {
    read_once(&COUNTS)
}

/// Do sockets and packets carry tags? Any context.
pub(crate) fn carries() -> bool {
    read_once(&CARRIES)
}

/// The service that has sent a packet which has reached the socket layer: a packet that asks
/// `receiver` for a connection, or a datagram before it is queued for `receiver`. Root if it is not
/// known. Softirq, or with bottom halves off; under RCU.
pub(crate) fn sender(s: &State, skb: &Skb<'_>, receiver: Sock<'_>) -> VsId {
    let raw = match receiver.is_hosts() {
        true => skb.secmark(),
        // SAFETY: The packet is valid.
        false => unsafe { c::vs_note_of(skb.as_ptr()) },
    };
    s.believe(Tag::from_raw(raw))
}
