// SPDX-License-Identifier: GPL-2.0

//! Which socket a packet is for, asked before the stack asks.
//!
//! The stack looks it up after routing only. Here the answer is needed at the first hook, so that
//! a packet of an established connection is its connection's from then on. The price is a second
//! look-up of the same hash chain, which the stack then finds in the cache.
//!
//! C header: `include/net/inet_hashtables.h`, `include/net/udp.h`

use super::parse::{Packet, TCP, UDP};
use super::skb::{Family, HookState, Sock};
use crate::logic::id::VsId;
use crate::shim::bindings as c;
use core::ptr::NonNull;

/// A socket that a packet is for.
///
/// # Invariants
///
/// `raw` is a socket of any kind, and this holds a reference to it.
struct Receiver {
    raw: NonNull<c::sock>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { c::sock_gen_put(self.raw.as_ptr()) };
    }
}

/// The VS of the socket that `packet` is for.
///
/// Of TCP that of the connection, be it asked for, established, or in TIME_WAIT; of UDP that of
/// the socket which will receive it. `None`: it is for no socket, or it is a fragment that does
/// not say. For PRE_ROUTING; softirq, or process context with BH off.
pub(super) fn owner(call: &HookState<'_>, packet: &Packet) -> Option<VsId> {
    let receiver = look_up(call, packet)?;
    // SAFETY: By the invariant of `receiver`, which outlives the wrapper.
    Some(unsafe { Sock::from_raw(receiver.raw) }.tag())
}

fn look_up(call: &HookState<'_>, packet: &Packet) -> Option<Receiver> {
    let (source, destination) = packet.ports?;
    let net = call.net()?.as_ptr();
    let index = call.device_in()?.index();
    let (source, hostport, destport) = (source.to_be(), destination, destination.to_be());
    let v4 = |address: &[u8; 16]| {
        u32::from_ne_bytes([address[12], address[13], address[14], address[15]])
    };
    let v6 = |address: &[u8; 16]| c::in6_addr {
        in6_u: c::in6_addr__bindgen_ty_1 { u6_addr8: *address },
    };
    let (from, to) = (&packet.source, &packet.destination);
    // SAFETY: The namespace is alive for the call, the addresses for the look-ups; BH is off.
    let sk = unsafe {
        match (packet.protocol, call.family()) {
            (TCP, Family::V4) => {
                c::__inet_lookup_established(net, v4(from), source, v4(to), hostport, index, 0)
            }
            (TCP, Family::V6) => {
                c::__inet6_lookup_established(net, &v6(from), source, &v6(to), hostport, index, 0)
            }
            (UDP, Family::V4) => c::udp4_lib_lookup(net, v4(from), source, v4(to), destport, index),
            (UDP, Family::V6) => {
                c::udp6_lib_lookup(net, &v6(from), source, &v6(to), destport, index)
            }
            _ => return None,
        }
    };
    // INVARIANT: The look-ups take a reference for their caller.
    NonNull::new(sk).map(|raw| Receiver { raw })
}
