// SPDX-License-Identifier: GPL-2.0

//! Packets, sockets, devices and network namespaces, as long as a hook or a queue looks at them.
//!
//! The kernel crate has none of them. Each wrapper here borrows from the call it was made in and
//! offers what that call allows, so code on top of it needs no `unsafe`. Plain fields are read
//! here, at the offsets that `layout.h` has both compilers agree on; bit fields and static inlines
//! are C's (`helpers.c`).
//!
//! C header: `include/linux/skbuff.h`, `include/net/sock.h`, `include/linux/netfilter.h`

use super::netns::Net;
use super::parse::Bytes;
use crate::logic::id::VsId;
use crate::shim::bindings as c;
use core::marker::PhantomData;
use core::ptr::NonNull;

/// Where the field `name` of `layout.h` lies in the structure that `raw` points to, as a pointer
/// to `type`, whose size is checked.
macro_rules! field {
    ($raw:expr, $name:ident: $type:ty) => {{
        ::kernel::macros::paste! {
            const OFFSET: usize = $crate::shim::bindings::[<VS_OFFSET_ $name>] as usize;
            const WIDTH: usize = $crate::shim::bindings::[<VS_WIDTH_ $name>] as usize;
        }
        const { assert!(WIDTH == size_of::<$type>(), "the field has another size") };
        $raw.cast::<u8>().wrapping_add(OFFSET).cast::<$type>()
    }};
}

/// A packet that the caller owns for `'a`: nobody else changes or frees it meanwhile.
///
/// # Invariants
///
/// `raw` points to a valid `struct sk_buff` of which the caller is the only user for `'a`, and
/// whose data begins with the IP header.
pub(crate) struct Skb<'a> {
    raw: NonNull<c::sk_buff>,
    _packet: PhantomData<&'a mut c::sk_buff>,
}

impl<'a> Skb<'a> {
    /// # Safety
    ///
    /// As the type's invariant says of `raw`.
    pub(crate) unsafe fn from_raw(raw: NonNull<c::sk_buff>) -> Self {
        // INVARIANT: By the requirement of this function.
        Skb {
            raw,
            _packet: PhantomData,
        }
    }

    /// Length from the IP header on, bytes; of a GSO packet that of all its segments' data, with
    /// the headers once.
    pub(crate) fn len(&self) -> usize {
        // SAFETY: By the type invariant.
        unsafe { field!(self.raw.as_ptr(), sk_buff_len: u32).read() as usize }
    }

    /// All of the mark: our bits and others'.
    pub(crate) fn mark(&self) -> u32 {
        // SAFETY: By the type invariant.
        unsafe { field!(self.raw.as_ptr(), sk_buff_mark: u32).read() }
    }

    /// The VS in the mark, believed or not.
    pub(crate) fn tag(&self) -> VsId {
        VsId::from_mark(self.mark(), crate::mark_shift())
    }

    /// Writes the VS into the mark; the bits that are not ours stay.
    pub(crate) fn set_tag(&mut self, tag: VsId) {
        let mark = tag.to_mark(self.mark(), crate::mark_shift());
        // SAFETY: By the type invariant; `self` is borrowed exclusively.
        unsafe { field!(self.raw.as_ptr(), sk_buff_mark: u32).write(mark) };
    }

    /// The socket it belongs to: going out the sender; coming in, none before routing.
    pub(crate) fn sock(&self) -> Option<Sock<'_>> {
        // SAFETY: By the type invariant.
        let sk = unsafe { field!(self.raw.as_ptr(), sk_buff_sk: *mut c::sock).read() };
        // SAFETY: A packet that has a socket keeps it alive.
        NonNull::new(sk).map(|sk| unsafe { Sock::from_raw(sk) })
    }

    /// Has it come from this namespace's own IP output path without leaving the stack? Then its
    /// mark is believed.
    ///
    /// Such a packet still has the route it went out by. One that a packet socket, tc or a program
    /// put onto the loopback device has none, nor has one that came through a veth pair or from a
    /// wire.
    pub(crate) fn is_own(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { c::vs_skb_is_own(self.raw.as_ptr()) }
    }

    /// The interface it has come in by. Also where TCP has taken the device off.
    pub(crate) fn interface(&self) -> i32 {
        // SAFETY: By the type invariant.
        unsafe { field!(self.raw.as_ptr(), sk_buff_iif: i32).read() }
    }

    /// Is it the copy of a multicast or broadcast packet that the stack gives to the machine's own
    /// receivers? No interface counts that. `sender` is the hook's socket. For POST_ROUTING.
    pub(crate) fn is_copy_out(&self, sender: Option<&Sock<'_>>) -> bool {
        // SAFETY: By the type invariant.
        sender.is_some() && unsafe { c::vs_skb_is_copy_out(self.raw.as_ptr()) }
    }

    /// Likewise, as it is received.
    pub(crate) fn is_copy_in(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { c::vs_skb_is_copy_in(self.raw.as_ptr()) }
    }

    /// What is cut off behind POST_ROUTING: packets that the IP layer fragments, and GSO packets
    /// that the device cannot take as they are. `sender` is the hook's socket. For POST_ROUTING.
    pub(crate) fn cut(&self, sender: Option<&Sock<'_>>, family: Family) -> Cut {
        let raw = self.raw.as_ptr();
        let sk = sender.map_or(core::ptr::null_mut(), |sk| sk.raw.as_ptr());
        // SAFETY: By the invariants of both; headers are set at this hook.
        unsafe {
            let limit = c::vs_skb_fragment_limit(raw, sk, family == Family::V6) as usize;
            if self.len() > limit {
                Cut::Fragments { limit }
            } else if c::vs_skb_is_segmented(raw) {
                Cut::Segments {
                    headers: c::vs_skb_segment_headers(raw) as usize,
                    size: c::vs_skb_segment_size(raw) as usize,
                }
            } else {
                Cut::None
            }
        }
    }
}

/// How a packet is cut between POST_ROUTING and the interface.
pub(crate) enum Cut {
    /// Not at all.
    None,
    /// Into fragments of at most `limit` bytes.
    Fragments { limit: usize },
    /// Into segments with `size` bytes of data behind `headers` bytes.
    Segments { headers: usize, size: usize },
}

impl Bytes for Skb<'_> {
    fn read(&self, at: usize, into: &mut [u8]) -> bool {
        let raw = self.raw.as_ptr();
        // SAFETY: By the type invariant.
        let (len, paged, data) = unsafe {
            (
                field!(raw, sk_buff_len: u32).read() as usize,
                field!(raw, sk_buff_data_len: u32).read() as usize,
                field!(raw, sk_buff_data: *const u8).read(),
            )
        };
        match at.checked_add(into.len()) {
            Some(end) if end <= len.saturating_sub(paged) => {
                // SAFETY: `len - data_len` bytes lie in a row from `data` on, and what is read
                // ends within.
                unsafe {
                    data.add(at)
                        .copy_to_nonoverlapping(into.as_mut_ptr(), into.len())
                };
                true
            }
            Some(end) if end <= len && end <= i32::MAX as usize => {
                // SAFETY: By the type invariant; `into` is writable for its length.
                let error = unsafe {
                    c::skb_copy_bits(raw, at as i32, into.as_mut_ptr().cast(), into.len() as i32)
                };
                error == 0
            }
            _ => false,
        }
    }
}

/// A socket of any kind: a full one, a request for a connection, or one in TIME_WAIT.
///
/// # Invariants
///
/// `raw` points to a `struct sock`, `struct inet_request_sock` or `struct inet_timewait_sock` that
/// is alive for `'a`; its state tells which.
pub(crate) struct Sock<'a> {
    raw: NonNull<c::sock>,
    _sock: PhantomData<&'a c::sock>,
}

impl<'a> Sock<'a> {
    /// # Safety
    ///
    /// As the type's invariant says of `raw`.
    pub(crate) unsafe fn from_raw(raw: NonNull<c::sock>) -> Self {
        // INVARIANT: By the requirement of this function.
        Sock {
            raw,
            _sock: PhantomData,
        }
    }

    /// The VS of what is being sent by it just now, if it is not the socket's.
    pub(crate) fn message(&self) -> Option<VsId> {
        crate::gates::tag::message_of(self.raw.as_ptr())
    }

    /// The VS that the socket, request or TIME_WAIT remainder carries.
    pub(crate) fn tag(&self) -> VsId {
        let raw = self.raw.as_ptr();
        // SAFETY: By the type invariant. State and mark are written while others read them, whole.
        let mark = unsafe {
            match u32::from(field!(raw, sock_state: u8).read_volatile()) {
                c::TCP_TIME_WAIT => field!(raw, inet_timewait_sock_mark: u32).read_volatile(),
                c::TCP_NEW_SYN_RECV => field!(raw, inet_request_sock_mark: u32).read_volatile(),
                _ => field!(raw, sock_mark: u32).read_volatile(),
            }
        };
        VsId::from_mark(mark, crate::mark_shift())
    }

    /// Is it one of those by which the stack itself answers (resets, ICMP)? They serve everybody,
    /// so they say nothing about whom a packet is for.
    pub(crate) fn is_stack(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { c::vs_sk_is_stack(self.raw.as_ptr()) }
    }
}

/// The address family of a hook.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

/// A network device.
///
/// # Invariants
///
/// `raw` points to a `struct net_device` that is alive for `'a`.
pub(crate) struct Device<'a> {
    raw: NonNull<c::net_device>,
    _device: PhantomData<&'a c::net_device>,
}

impl Device<'_> {
    /// Its number in its namespace.
    pub(crate) fn index(&self) -> i32 {
        // SAFETY: By the type invariant.
        unsafe { field!(self.raw.as_ptr(), net_device_ifindex: i32).read_volatile() }
    }

    /// Its name, filled up with zeros. A name that is being changed may be half the old one.
    pub(crate) fn name(&self) -> [u8; 16] {
        let raw = field!(self.raw.as_ptr(), net_device_name: [u8; 16]).cast::<u8>();
        let mut name = [0; 16];
        for (n, byte) in name.iter_mut().enumerate() {
            // SAFETY: By the type invariant; the name has 16 bytes. It can change while it is read.
            *byte = unsafe { raw.add(n).read_volatile() };
            if *byte == 0 {
                break;
            }
        }
        name
    }
}

/// What netfilter says about the packet it shows to a hook.
///
/// # Invariants
///
/// `raw` points to the `struct nf_hook_state` of a call that is under way for `'a`; its devices,
/// socket and namespace are alive as long, which RCU sees to.
pub(crate) struct HookState<'a> {
    raw: NonNull<c::nf_hook_state>,
    _call: PhantomData<&'a c::nf_hook_state>,
}

impl<'a> HookState<'a> {
    /// # Safety
    ///
    /// As the type's invariant says of `raw`.
    pub(crate) unsafe fn from_raw(raw: NonNull<c::nf_hook_state>) -> Self {
        // INVARIANT: By the requirement of this function.
        HookState {
            raw,
            _call: PhantomData,
        }
    }

    /// The family of the hook.
    pub(crate) fn family(&self) -> Family {
        // SAFETY: By the type invariant.
        match u32::from(unsafe { field!(self.raw.as_ptr(), nf_hook_state_pf: u8).read() }) {
            c::NFPROTO_IPV6 => Family::V6,
            _ => Family::V4,
        }
    }

    /// The network namespace.
    pub(crate) fn net(&self) -> Option<Net<'a>> {
        // SAFETY: By the type invariant.
        let net = unsafe { field!(self.raw.as_ptr(), nf_hook_state_net: *mut c::net).read() };
        // SAFETY: By the type invariant.
        NonNull::new(net).map(|net| unsafe { Net::from_raw(net) })
    }

    /// Can marks be believed here that the gate has not just written? In a network namespace of a
    /// user namespace anybody may write them, by rules of his own.
    pub(crate) fn believes_marks(&self) -> bool {
        // SAFETY: The namespace is alive for the call.
        self.net()
            .is_some_and(|net| unsafe { c::vs_net_is_hosts(net.as_ptr()) })
    }

    /// The device the packet came in by, where the hook has one.
    pub(crate) fn device_in(&self) -> Option<Device<'a>> {
        // SAFETY: By the type invariant.
        unsafe { device(field!(self.raw.as_ptr(), nf_hook_state_in: *mut c::net_device).read()) }
    }

    /// The device the packet leaves by, where the hook has one.
    pub(crate) fn device_out(&self) -> Option<Device<'a>> {
        // SAFETY: By the type invariant.
        unsafe { device(field!(self.raw.as_ptr(), nf_hook_state_out: *mut c::net_device).read()) }
    }

    /// The socket on whose behalf the stack acts; not always the packet's.
    pub(crate) fn sock(&self) -> Option<Sock<'a>> {
        // SAFETY: By the type invariant.
        let sk = unsafe { field!(self.raw.as_ptr(), nf_hook_state_sk: *mut c::sock).read() };
        // SAFETY: By the type invariant.
        NonNull::new(sk).map(|sk| unsafe { Sock::from_raw(sk) })
    }
}

/// # Safety
///
/// `raw` is null or a device that is alive for `'a`.
unsafe fn device<'a>(raw: *mut c::net_device) -> Option<Device<'a>> {
    // INVARIANT: By the requirement of this function.
    NonNull::new(raw).map(|raw| Device {
        raw,
        _device: PhantomData,
    })
}
