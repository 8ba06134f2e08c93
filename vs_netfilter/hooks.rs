// SPDX-License-Identifier: GPL-2.0

//! The netfilter hooks: what arrives is classified and counted, what leaves is stamped and counted.
//!
//! ```text
//!   interface -> PRE_ROUTING -+-> LOCAL_IN -> socket -> LOCAL_OUT -+-> POST_ROUTING -> interface
//!                 `Arrival`   |                                    |   `Departure`
//!                             +-> FORWARD -------------------------+
//! ```
//!
//! Whose is a packet? Coming in: its connection's, if there is one and it does not
//! ask for a new one; else what the rules of the gate
//! `packet` say, given the tag that is believed; a datagram of which nothing is known is counted to
//! the socket that receives it. Going out: what a rule of `send` gave this
//! datagram to, else its socket's, be that a request for a connection or a
//! remainder in TIME_WAIT; without a socket, what the rules say of the other direction. What nobody
//! says is root's.
//!
//! What arrives is seen before everything else and before defragmentation, what leaves after
//! everything else, so that the counts are those of the interfaces. Bits of the mark that are not
//! ours are never written.
//!
//! Context: softirq, or process context under RCU, at arrival with BH off; nothing here sleeps,
//! allocates or locks.

use super::demux;
use super::parse::{self, Packet};
use super::skb::{Cut, Device, Family, HookState, Skb};
use crate::logic::classify::Call;
use crate::logic::id::VsId;
use crate::logic::rule::{props, Facts, Gate};
use crate::shim::bindings as c;
use crate::state::{self, State};
use core::ptr::NonNull;
use kernel::ffi;

/// What is done with a packet at one place. Nothing is ever held back: all hooks accept.
trait Hook {
    const POINT: ffi::c_uint;
    const PRIORITY: i32;

    fn see(state: &State, skb: &mut Skb<'_>, call: &HookState<'_>);
}

/// Believes or strips the tag, gives the packet that of its connection or by the rules, and counts
/// what came from the interface.
struct Arrival;

impl Hook for Arrival {
    const POINT: ffi::c_uint = c::NF_INET_PRE_ROUTING;
    const PRIORITY: i32 = i32::MIN;

    fn see(state: &State, skb: &mut Skb<'_>, call: &HookState<'_>) {
        let claimed = skb.tag();
        let believed = if skb.is_own() && call.believes_marks() {
            claimed
        } else {
            VsId::ROOT
        };
        let packet = Packet::parse(skb);
        let connection = packet
            .filter(|packet| packet.protocol == parse::TCP && !packet.opens)
            .and_then(|packet| demux::owner(call, &packet));
        let tag = match (connection, &packet) {
            (Some(tag), _) => tag,
            (None, Some(packet)) => classify(state, packet, Way::In, believed, call.device_in()),
            (None, None) => believed,
        };
        if tag != claimed {
            skb.set_tag(tag);
        }
        if skb.is_copy_in() {
            return;
        }
        // That nothing is known of a datagram stays in its mark: whoever receives it should see
        // that, rather than be taken for its sender.
        let counted = match packet {
            Some(packet) if tag.is_root() && packet.protocol == parse::UDP => {
                demux::owner(call, &packet).unwrap_or(tag)
            }
            _ => tag,
        };
        state.service(counted).packet_in(skb.len() as u64);
    }
}

/// Gives the packet its socket's tag, and counts what goes to the interface.
struct Departure;

impl Hook for Departure {
    const POINT: ffi::c_uint = c::NF_INET_POST_ROUTING;
    const PRIORITY: i32 = i32::MAX;

    fn see(state: &State, skb: &mut Skb<'_>, call: &HookState<'_>) {
        let sender = call.sock();
        if skb.is_copy_out(sender.as_ref()) {
            if let Some(sender) = sender {
                skb.set_tag(sender.tag());
            }
            return;
        }
        stamp(state, skb, call);
        let (packets, bytes) = sent(skb, skb.cut(sender.as_ref(), call.family()), call.family());
        state.service(skb.tag()).packets_out(packets, bytes);
    }
}

/// Which end of a packet is the connection's local one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

/// The VS that the rules of the gate `packet` give to a packet that is `before`'s.
fn classify(
    state: &State,
    packet: &Packet,
    way: Way,
    before: VsId,
    device: Option<Device<'_>>,
) -> VsId {
    let Some(wanted) = state
        .classifier()
        .wants(Gate::Packet, state.resolve(before))
    else {
        return before;
    };
    let mut facts = Facts {
        props: props::PROTO | props::LOCAL | props::PEER,
        proto: match packet.protocol {
            parse::TCP => c::VS_PROTO_TCP as u8,
            parse::UDP => c::VS_PROTO_UDP as u8,
            _ => c::VS_PROTO_OTHER as u8,
        },
        local: packet.destination,
        peer: packet.source,
        ..Facts::NONE
    };
    if let Some((source, destination)) = packet.ports {
        facts.props |= props::LPORT | props::PPORT;
        facts.local_port = destination;
        facts.peer_port = source;
    }
    if way == Way::Out {
        core::mem::swap(&mut facts.local, &mut facts.peer);
        core::mem::swap(&mut facts.local_port, &mut facts.peer_port);
    }
    if wanted & props::IFACE != 0 {
        if let Some(device) = device {
            facts.props |= props::IFACE;
            facts.iface = device.name();
        }
    }
    let verdict = state.verdict(&mut Call {
        gate: Gate::Packet,
        from: [before, VsId::ROOT, VsId::ROOT],
        home: VsId::ROOT,
        facts,
    });
    let tag = verdict.to[0].unwrap_or(before);
    state.service(tag).hit(Gate::Packet);
    tag
}

/// Sees to it that a packet that leaves carries the tag it should.
fn stamp(state: &State, skb: &mut Skb<'_>, call: &HookState<'_>) {
    let claimed = skb.tag();
    let tag = match skb.sock() {
        // Whatever the packet claims: a sender can have set its mark by a control message.
        // What is sent by it just now is asked for only where a rule can have said something else.
        Some(sock) if !sock.is_stack() => match state.classifier().has_rules(Gate::Send) {
            true => sock.message().unwrap_or_else(|| sock.tag()),
            false => sock.tag(),
        },
        _ if !claimed.is_root() && call.believes_marks() => claimed,
        _ => match Packet::parse(skb) {
            Some(packet) => classify(state, &packet, Way::Out, claimed, call.device_out()),
            None => claimed,
        },
    };
    if tag != claimed {
        skb.set_tag(tag);
    }
}

/// How many packets and bytes the interface gets of a packet that is cut so.
fn sent(skb: &Skb<'_>, cut: Cut, family: Family) -> (u64, u64) {
    match cut {
        Cut::None => (1, skb.len() as u64),
        Cut::Fragments { limit } => {
            let added = match family {
                Family::V4 => 0,
                Family::V6 => parse::FRAGMENT_HEADER,
            };
            let repeated = Packet::parse(skb).map_or(skb.len(), |packet| packet.repeated);
            parse::fragments(skb.len(), limit, repeated, added)
        }
        Cut::Segments { headers, size } => parse::segments(skb.len(), headers, size),
    }
}

/// What netfilter calls.
///
/// # Safety
///
/// `skb` and `call` are those of a netfilter hook of IPv4 or IPv6, which owns the packet.
unsafe extern "C" fn enter<H: Hook>(
    _private: *mut ffi::c_void,
    skb: *mut c::sk_buff,
    call: *const c::nf_hook_state,
) -> ffi::c_uint {
    if let (Some(skb), Some(call)) = (NonNull::new(skb), NonNull::new(call.cast_mut())) {
        // SAFETY: By the requirement of this function; the data of a packet begins with the IP
        // header at all hooks of IP.
        let mut skb = unsafe { Skb::from_raw(skb) };
        // SAFETY: By the requirement of this function; netfilter calls under RCU.
        let call = unsafe { HookState::from_raw(call) };
        // SAFETY: Likewise.
        unsafe { state::under_rcu(|state| H::see(state, &mut skb, &call)) };
    }
    c::NF_ACCEPT
}

const fn ops<H: Hook>(family: u32) -> c::nf_hook_ops {
    c::nf_hook_ops {
        hook: Some(enter::<H>),
        pf: family as u8,
        hooknum: H::POINT,
        priority: H::PRIORITY,
        ..pin_init::zeroed()
    }
}

const COUNT: usize = 4;

/// All hooks, as they are registered in each network namespace.
pub(super) struct Ops([c::nf_hook_ops; COUNT]);

// SAFETY: Never written, and what they point to are functions.
unsafe impl Sync for Ops {}

impl Ops {
    pub(super) fn as_ptr(&self) -> *const c::nf_hook_ops {
        self.0.as_ptr()
    }

    pub(super) const fn len(&self) -> ffi::c_uint {
        COUNT as ffi::c_uint
    }
}

pub(super) static OPS: Ops = Ops([
    ops::<Arrival>(c::NFPROTO_IPV4),
    ops::<Departure>(c::NFPROTO_IPV4),
    ops::<Arrival>(c::NFPROTO_IPV6),
    ops::<Departure>(c::NFPROTO_IPV6),
]);
