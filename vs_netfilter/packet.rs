// SPDX-License-Identifier: GPL-2.0

//! The three tracepoints at which this module sees a packet, and their probes.
//!
//! An outgoing packet belongs to the service that a rule of `send` gave this datagram to, else to
//! its socket's service; the socket may be a request for a connection or a remainder in TIME_WAIT.
//! An answer of the stack itself belongs to the service of its connection; if there is none, the
//! rules of the gate `packet` are asked about the packet that it answers. An incoming packet
//! belongs to its sender's service, which the tag tells. Without a tag, a packet of a TCP
//! connection belongs to the connection's service. A packet that asks for a connection, and a
//! datagram, belong to the service that the rules say, which are given the sender's service. A
//! datagram of which nothing is known is counted for the socket that receives it. All other packets
//! are root's.
//!
//! Packets and bytes are counted as devices get them and give them, so the sums equal those of the
//! interfaces. No bit of the mark is read or written.

use super::demux;
use super::parse::{self, Packet};
use crate::gates::tag::message_of;
use crate::logic::classify::Call;
use crate::logic::id::VsId;
use crate::logic::rule::{props, Facts, Gate};
use crate::logic::tag::Tag;
use crate::shim::bindings as c;
use crate::shim::probe::Hook;
use crate::shim::skb::{Device, Skb};
use crate::shim::sock::Kind;
use crate::state::{self, sockets, State};
use core::ptr::NonNull;
use kernel::c_str;
use kernel::ffi::c_void;
use kernel::str::CStr;

/// A probe of packets, at one tracepoint.
///
/// # Safety
///
/// The tracepoint's first argument is a packet that no other code uses meanwhile. The kernel is
/// under RCU there.
pub(super) unsafe trait PacketHook {
    const TRACEPOINT: &'static CStr;

    /// Softirq, or process context with bottom halves off. Under RCU.
    fn see(state: &State, skb: &mut Skb<'_>);
}

// SAFETY: `enter` takes the packet, which is the tracepoint's first argument.
unsafe impl<H: PacketHook> Hook for H {
    const TRACEPOINT: &'static CStr = H::TRACEPOINT;

    fn enter() -> *mut c_void {
        enter::<H> as *mut c_void
    }
}

/// The function that the kernel calls.
///
/// # Safety
///
/// `skb` is the packet of the tracepoint.
unsafe extern "C" fn enter<H: PacketHook>(_data: *mut c_void, skb: *mut c::sk_buff) {
    let Some(skb) = NonNull::new(skb) else { return };
    // SAFETY: By the requirement of this function, and of `PacketHook`.
    let mut skb = unsafe { Skb::from_raw(skb) };
    // SAFETY: The kernel is under RCU at all tracepoints that a `PacketHook` names.
    unsafe { state::under_rcu(|state| H::see(state, &mut skb)) };
}

/// A packet is about to be queued for a device: it gets its socket's tag.
///
/// It has passed all hooks at which others can write to it: netfilter's, and those of tc at egress.
/// It still has its socket. A forwarded packet has no socket: in the initial network namespace it
/// keeps the tag that it came with; elsewhere it has none.
pub(super) struct Departs;

// SAFETY: TP_PROTO(struct sk_buff *skb); `__dev_queue_xmit` has the packet for itself, under
// rcu_read_lock_bh().
unsafe impl PacketHook for Departs {
    const TRACEPOINT: &'static CStr = c_str!("net_dev_queue");

    fn see(state: &State, skb: &mut Skb<'_>) {
        let claimed = skb.secmark();
        let tag = match skb.sock() {
            Some(sock) if sock.cookie() != 0 || !sock.is_stack() => {
                // The packets of a stream are its connection's.
                let told = state.classifier().has_rules(Gate::Send)
                    && sock.kind() == Kind::Full
                    && sock.is_datagram();
                let message = match told {
                    true => message_of(sock.as_ptr()),
                    false => None,
                };
                let id = message.unwrap_or_else(|| sock.owner(state));
                match id.is_root() {
                    true => Tag::NOBODYS,
                    false => state.tag(state.resolve(id)),
                }
            }
            _ => without_sender(state, skb, claimed),
        };
        if tag.raw() != claimed {
            skb.set_secmark(tag.raw());
        }
    }
}

/// The tag of a packet that no sender's socket tells of: one that is forwarded, or an answer of the
/// stack. Not inlined: most packets have a sender.
#[inline(never)]
fn without_sender(state: &State, skb: &Skb<'_>, claimed: u32) -> Tag {
    let Some(device) = skb.device() else {
        return Tag::NOBODYS;
    };
    let claimed = match device.is_hosts() {
        true => Tag::from_raw(claimed),
        false => Tag::NOBODYS,
    };
    if !claimed.is_nobodys() || !super::is_on() || !skb.is_ip() {
        return claimed;
    }
    let Some(packet) = Packet::parse(&At(skb, skb.network_offset())) else {
        return claimed;
    };
    let answers = packet.protocol == parse::TCP && skb.sock().is_some();
    let connection = answers
        .then(|| demux::owner(state, &device, &packet.reversed()))
        .flatten();
    let id = match connection {
        Some(id) if !id.is_root() => id,
        _ => classify(state, &packet.reversed(), VsId::ROOT, &device),
    };
    state.tag(state.resolve(id))
}

/// A device gets the packet: it is counted. If the device hands it over to another device of this
/// machine, it gets a seal as well, by which it is known to have come this way.
pub(super) struct Leaves;

// SAFETY: TP_PROTO(const struct sk_buff *skb, const struct net_device *dev); the device's queue has
// the packet for itself, and nothing but the device's own scratch space is written. All callers of
// dev_hard_start_xmit() have bottom halves off, which RCU waits for.
unsafe impl PacketHook for Leaves {
    const TRACEPOINT: &'static CStr = c_str!("net_dev_start_xmit");

    fn see(state: &State, skb: &mut Skb<'_>) {
        let raw = skb.secmark();
        if raw != 0 && skb.device().is_some_and(|device| device.is_local()) {
            skb.set_scratch(seal::of(raw));
        }
        if super::is_on() && skb.is_ip() {
            let id = state.believe(Tag::from_raw(raw));
            let bytes = skb.len().saturating_sub(skb.network_offset());
            state.service(id).packet_out(bytes as u64);
        }
    }
}

/// A device gives the packet to the stack: its tag is read, the rules classify it if it has none,
/// and it is counted. `data` is where the IP header is.
pub(super) struct Arrives;

// SAFETY: TP_PROTO(struct sk_buff *skb); `__netif_receive_skb_core` has the packet for itself,
// under rcu_read_lock().
unsafe impl PacketHook for Arrives {
    const TRACEPOINT: &'static CStr = c_str!("netif_receive_skb");

    fn see(state: &State, skb: &mut Skb<'_>) {
        let mut claimed = skb.secmark();
        let Some(device) = skb.device() else { return };
        let hosts = device.is_hosts();
        let written = claimed;
        if !hosts && claimed != 0 && skb.scratch() != seal::of(claimed) {
            // The packet comes from a hook of this namespace, not from a device that got it: tc can
            // send a packet back before it is queued, and a bridge hands it on to itself.
            claimed = 0;
        }
        let raw = match super::is_on() && skb.is_ip() {
            true => counted(state, skb, &device, Tag::from_raw(claimed)).raw(),
            false => claimed,
        };
        // The initial namespace has no use for notes, but another device may take the packet from
        // here into another one unseen (macvlan, ipvlan, bpf_redirect_peer()): it has no tag there,
        // and no note of an earlier packet at its address may be taken for its own.
        //
        // SAFETY: The packet is valid. Softirq, or bottom halves off.
        unsafe { c::vs_note(skb.as_ptr(), if hosts { 0 } else { raw }) };
        if hosts {
            if raw != claimed {
                skb.set_secmark(raw);
            }
            return;
        }
        if written != 0 {
            skb.set_secmark(0);
            skb.set_scratch(0);
        }
    }
}

pub(super) mod seal {
    //! Tells a packet that a device has handed over from one that a hook sends back, by a number
    //! that only this module knows, in a field of the packet that no hook can write. Made anew each
    //! time that packets begin to carry tags.

    use crate::shim::rcu::read_once;
    use kernel::sync::atomic::{Atomic, Relaxed};

    static SECRET: Atomic<u64> = Atomic::new(0);

    /// The seal of a packet with this secmark.
    pub(super) fn of(secmark: u32) -> u64 {
        read_once(&SECRET) ^ u64::from(secmark)
    }

    /// Makes the seals of all packets under way invalid.
    pub(in super::super) fn renew() {
        // SAFETY: Can be called in any context.
        SECRET.store(unsafe { kernel::bindings::get_random_u64() }, Relaxed);
    }
}

/// Classifies and counts a packet that comes in with the tag `claimed`. Returns its tag.
fn counted(state: &State, skb: &Skb<'_>, device: &Device<'_>, claimed: Tag) -> Tag {
    let before = state.believe(claimed);
    let ruled = state.classifier().wants(Gate::Packet, before).is_some();
    if !ruled && (!before.is_root() || !sockets::any()) {
        // The service is known, or no socket belongs to one.
        if !skb.is_copy() {
            state.service(before).packet_in(skb.len() as u64);
        }
        return claimed;
    }
    looked_up(state, skb, device, claimed, before)
}

/// The rest of [`counted`], for packets whose headers and sockets have to be looked at.
#[inline(never)]
fn looked_up(state: &State, skb: &Skb<'_>, device: &Device<'_>, claimed: Tag, before: VsId) -> Tag {
    let packet = Packet::parse(&At(skb, 0));
    let (id, tag) = match &packet {
        // A packet of a connection is not classified; the service of a tagged packet is known.
        Some(packet) if packet.protocol == parse::TCP && !packet.opens => match before.is_root() {
            true => match demux::owner(state, device, packet) {
                Some(id) => (state.resolve(id), claimed),
                None => classified(state, packet, before, device),
            },
            false => (before, claimed),
        },
        Some(packet) => classified(state, packet, before, device),
        None => (before, claimed),
    };
    if !skb.is_copy() {
        // If nothing is known of a datagram its tag keeps saying so, lest its receiver's service be
        // taken for its sender's.
        let id = match &packet {
            Some(packet) if id.is_root() && packet.protocol == parse::UDP => {
                demux::owner(state, device, packet).map_or(id, |owner| state.resolve(owner))
            }
            _ => id,
        };
        state.service(id).packet_in(skb.len() as u64);
    }
    tag
}

/// The service that the rules say, and its tag.
fn classified(state: &State, packet: &Packet, before: VsId, device: &Device<'_>) -> (VsId, Tag) {
    let id = state.resolve(classify(state, packet, before, device));
    (id, state.tag(id))
}

/// A packet's bytes from an offset on.
struct At<'a>(&'a Skb<'a>, usize);

impl parse::Bytes for At<'_> {
    fn read(&self, at: usize, into: &mut [u8]) -> bool {
        self.0.read(at.saturating_add(self.1), into)
    }
}

/// The service that the rules of the gate `packet` give to a packet of `before` whose destination
/// is on this machine.
fn classify(state: &State, packet: &Packet, before: VsId, device: &Device<'_>) -> VsId {
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
    if wanted & props::IFACE != 0 {
        facts.props |= props::IFACE;
        facts.iface = device.name();
    }
    let verdict = state.verdict(&mut Call {
        gate: Gate::Packet,
        from: [before, VsId::ROOT, VsId::ROOT],
        work: VsId::ROOT,
        facts,
    });
    let id = verdict.to[0].unwrap_or(before);
    state.service(id).hit(Gate::Packet);
    id
}
