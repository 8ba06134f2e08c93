// SPDX-License-Identifier: GPL-2.0

//! The network plane: the gate `packet`, and packets counted per VS.
//!
//! The tag of a packet is in bits of its mark (see [`crate::logic::id::VsId`]), where the stack
//! carries it from socket to packet and, for connections, to request and TIME_WAIT sockets. The
//! hooks see to the rest: they strip what is claimed from outside, classify what has no socket
//! yet, and count.
//!
//! While the gate is off nothing is hooked, and a packet costs what it costs without this module.

mod demux;
mod hooks;
mod netns;
pub(crate) mod parse;
pub(crate) mod skb;

use crate::logic::id::VsId;
use crate::shim::bindings::LOOPBACK_IFINDEX;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};

kernel::sync::global_lock! {
    // SAFETY: `register` is called before there is anybody who could turn the gate on.
    unsafe(uninit) static SWITCH: Mutex<()> = ();
}

static SUBSYSTEM: netns::Subsystem = netns::Subsystem::new();

/// Is it registered? Written under `SWITCH`.
static ON: Atomic<bool> = Atomic::new(false);

/// The gate as a part of the module; dropping it turns it off.
pub(crate) struct PacketGate(());

/// Makes [`set_on`] possible. The gate is off at first.
///
/// # Safety
///
/// Called once, before all other functions of this module.
pub(crate) unsafe fn register() -> PacketGate {
    // SAFETY: By the requirement of this function.
    unsafe { SWITCH.init() };
    PacketGate(())
}

impl Drop for PacketGate {
    fn drop(&mut self) {
        // Turning it off cannot fail.
        let _ = set_on(false);
    }
}

/// Turns the gate on or off, in all network namespaces; what it is already, it stays.
///
/// When it is off, no hook runs any more. Fails with what registering failed with, and then it is
/// off. May sleep.
pub(crate) fn set_on(on: bool) -> Result {
    let _switch = SWITCH.lock();
    if on == is_on() {
        return Ok(());
    }
    if on {
        // SAFETY: It is off, and `SWITCH` is held.
        unsafe { SUBSYSTEM.register() }?;
    } else {
        // SAFETY: It is on, and `SWITCH` is held.
        unsafe { SUBSYSTEM.unregister() };
    }
    ON.store(on, Relaxed);
    Ok(())
}

/// Is the gate on? Any context.
pub(crate) fn is_on() -> bool {
    ON.load(Relaxed)
}

/// The VS of a packet that has come, root if it is not known: what asks for a connection, a datagram.
///
/// What the packet's mark says is believed if the gate has written it. With the gate off it is
/// believed on the loopback device, so that local clients are known without any hook; who has
/// CAP_NET_RAW there, for a packet socket or a mark of a single message, could then claim to be anybody.
///
/// In a network namespace of a user namespace anybody may write marks, so there none is believed:
/// who asks sees to that.
///
/// Any context.
pub(crate) fn sent_by(mark: u32, iif: i32) -> VsId {
    if is_on() || iif == LOOPBACK_IFINDEX as i32 {
        VsId::from_mark(mark, crate::mark_shift())
    } else {
        VsId::ROOT
    }
}
