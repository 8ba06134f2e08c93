// SPDX-License-Identifier: GPL-2.0

//! Packets and network devices, as seen by a probe during its call.
//!
//! The kernel crate has neither. Each wrapper borrows from the call in which it was made and offers
//! what that call allows, so its users need no `unsafe`. Plain fields are read here, at offsets on
//! which both compilers agree by `layout.h`; C reads bit fields and calls static inlines
//! (`helpers.c`).
//!
//! C header: `include/linux/skbuff.h`, `include/linux/netdevice.h`

use super::bindings as c;
use super::sock::Sock;
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

/// A packet that the caller owns for `'a`: no other code changes or frees it meanwhile.
///
/// # Invariants
///
/// `raw` points to a valid `struct sk_buff` of which the caller is the only user for `'a`.
pub(crate) struct Skb<'a> {
    raw: NonNull<c::sk_buff>,
    _packet: PhantomData<&'a mut c::sk_buff>,
}

impl<'a> Skb<'a> {
    /// # Safety
    ///
    /// `raw` points to a valid packet that belongs to the caller for `'a`.
    pub(crate) unsafe fn from_raw(raw: NonNull<c::sk_buff>) -> Self {
        // INVARIANT: By the requirement of this function.
        Skb {
            raw,
            _packet: PhantomData,
        }
    }

    pub(crate) fn as_ptr(&self) -> *mut c::sk_buff {
        self.raw.as_ptr()
    }

    /// The length from `data` on, in bytes.
    pub(crate) fn len(&self) -> usize {
        // SAFETY: The packet is valid, by the type invariant.
        unsafe { field!(self.raw.as_ptr(), sk_buff_len: u32).read() as usize }
    }

    /// The field in which LSMs label packets, and in which a tag travels: it survives network
    /// namespaces, and is 0 in a packet from a wire.
    pub(crate) fn secmark(&self) -> u32 {
        // SAFETY: The packet is valid, by the type invariant.
        unsafe { field!(self.raw.as_ptr(), sk_buff_secmark: u32).read() }
    }

    /// Writes that field.
    pub(crate) fn set_secmark(&mut self, secmark: u32) {
        // SAFETY: The packet is valid and only the caller's, by the type invariant; `self` is
        // borrowed exclusively.
        unsafe { field!(self.raw.as_ptr(), sk_buff_secmark: u32).write(secmark) };
    }

    /// The last eight bytes of `cb`, the field of the layer that has the packet.
    pub(crate) fn scratch(&self) -> u64 {
        // SAFETY: The packet is valid, by the type invariant; the field is aligned to 8.
        unsafe { self.last_of_cb().read() }
    }

    /// Writes the last eight bytes of `cb`. Right only while no layer keeps anything there: on the
    /// way from one device of this machine to another.
    pub(crate) fn set_scratch(&mut self, value: u64) {
        // SAFETY: The packet is valid and only the caller's, by the type invariant; the field is
        // aligned to 8; `self` is borrowed exclusively.
        unsafe { self.last_of_cb().write(value) };
    }

    fn last_of_cb(&self) -> *mut u64 {
        let cb = field!(self.raw.as_ptr(), sk_buff_cb: [u8; 48]);
        cb.cast::<u64>().wrapping_add(5)
    }

    /// `ETH_P_*`, host byte order.
    pub(crate) fn protocol(&self) -> u32 {
        // SAFETY: The packet is valid, by the type invariant.
        let protocol = unsafe { field!(self.raw.as_ptr(), sk_buff_protocol: u16).read() };
        u16::from_be(protocol).into()
    }

    /// Is it an IPv4 or IPv6 packet?
    pub(crate) fn is_ip(&self) -> bool {
        matches!(self.protocol(), c::ETH_P_IP | c::ETH_P_IPV6)
    }

    /// The socket it belongs to. Of an outgoing packet this is the sender's. An incoming packet has
    /// the sender's socket if a device of the same machine handed it over and IP has not taken it
    /// yet.
    pub(crate) fn sock(&self) -> Option<Sock<'_>> {
        // SAFETY: The packet is valid, by the type invariant.
        let sk = unsafe { field!(self.raw.as_ptr(), sk_buff_sk: *mut c::sock).read() };
        // SAFETY: A packet that has a socket keeps it alive.
        unsafe { Sock::new(sk) }
    }

    /// The device it comes in or leaves by.
    pub(crate) fn device(&self) -> Option<Device<'_>> {
        // SAFETY: The packet is valid, by the type invariant.
        let raw = unsafe { field!(self.raw.as_ptr(), sk_buff_dev: *mut c::net_device).read() };
        // INVARIANT: A packet's device stays while the packet is in the hands of the stack.
        NonNull::new(raw).map(|raw| Device {
            raw,
            _device: PhantomData,
        })
    }

    /// Is it the copy of a multicast or broadcast packet that the stack gives to receivers on this
    /// machine? No interface counts that copy.
    pub(crate) fn is_copy(&self) -> bool {
        // SAFETY: The packet is valid, by the type invariant.
        unsafe { c::vs_skb_is_copy(self.raw.as_ptr()) }
    }

    /// Where the IP header is, from `data` on.
    pub(crate) fn network_offset(&self) -> usize {
        // SAFETY: The packet is valid, by the type invariant.
        unsafe { c::vs_skb_network_offset(self.raw.as_ptr()) as usize }
    }

    /// Fills `into` with the bytes from offset `at` of `data` on; `false` if some are missing.
    #[inline(always)]
    pub(crate) fn read(&self, at: usize, into: &mut [u8]) -> bool {
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
                // SAFETY: `len - data_len` bytes are contiguous from `data` on, and the read ends
                // within them.
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
    /// Is it in the initial network namespace, in which only the machine's administrator configures
    /// netfilter?
    pub(crate) fn is_hosts(&self) -> bool {
        // SAFETY: The device is alive, and so is its namespace.
        unsafe { c::vs_net_is_hosts(self.net()) }
    }

    /// Does it hand packets over to another device of this machine, or to itself: loopback, veth,
    /// netkit, macvlan?
    pub(crate) fn is_local(&self) -> bool {
        // SAFETY: The device is alive.
        unsafe { c::vs_dev_is_local(self.raw.as_ptr()) }
    }

    /// Its network namespace, alive as long as the device.
    pub(crate) fn net(&self) -> *mut c::net {
        // SAFETY: The device is alive.
        unsafe { c::vs_dev_net(self.raw.as_ptr()) }
    }

    /// Its number in its namespace.
    pub(crate) fn index(&self) -> i32 {
        // SAFETY: By the type invariant.
        unsafe { field!(self.raw.as_ptr(), net_device_ifindex: i32).read_volatile() }
    }

    /// Its name, filled up with zeros. While the name is being changed this may be a mix of both
    /// names.
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
