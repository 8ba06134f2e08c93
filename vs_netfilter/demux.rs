// SPDX-License-Identifier: GPL-2.0

//! Finds the socket that a packet is for, before the stack looks it up.
//!
//! The stack looks the socket up only after routing. Here the answer is needed when the packet
//! arrives, so that a packet of an established connection belongs to its connection from then on.
//! The price is a second look-up of the same hash chain, which the stack then finds in the CPU's
//! cache.
//!
//! C header: `include/net/inet_hashtables.h`, `include/net/udp.h`

use super::parse::{Packet, TCP, UDP};
use crate::logic::id::VsId;
use crate::shim::bindings as c;
use crate::shim::skb::Device;
use crate::shim::sock::Sock;
use crate::state::State;
use core::ptr::NonNull;

/// A socket that a packet is for.
///
/// # Invariants
///
/// `raw` is a socket of any kind, and this object holds a reference to it.
struct Receiver {
    raw: NonNull<c::sock>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // SAFETY: This object holds a reference, which it alone gives back.
        unsafe { c::sock_gen_put(self.raw.as_ptr()) };
    }
}

/// The service of the socket that `packet`, which arrives by `device`, is for.
///
/// For TCP the service of the connection, established or in TIME_WAIT, or of the request for it;
/// for UDP the service of the socket that will receive the packet. `None`: it is for no socket, or
/// is a fragment without ports. Softirq, or process context with bottom halves off.
pub(super) fn owner(state: &State, device: &Device<'_>, packet: &Packet) -> Option<VsId> {
    let receiver = look_up(device, packet)?;
    // SAFETY: `receiver` holds a reference, and outlives the wrapper.
    unsafe { Sock::new(receiver.raw.as_ptr()) }.map(|sock| sock.owner(state))
}

fn look_up(device: &Device<'_>, packet: &Packet) -> Option<Receiver> {
    let (source, destination) = packet.ports?;
    let net = device.net();
    let index = device.index();
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
        match (packet.protocol, packet.is_v4) {
            (TCP, true) => {
                c::__inet_lookup_established(net, v4(from), source, v4(to), hostport, index, 0)
            }
            (TCP, false) => {
                c::__inet6_lookup_established(net, &v6(from), source, &v6(to), hostport, index, 0)
            }
            (UDP, true) => c::udp4_lib_lookup(net, v4(from), source, v4(to), destport, index),
            (UDP, false) => c::udp6_lib_lookup(net, &v6(from), source, &v6(to), destport, index),
            _ => return None,
        }
    };
    // INVARIANT: The look-ups take a reference for their caller.
    NonNull::new(sk).map(|raw| Receiver { raw })
}
