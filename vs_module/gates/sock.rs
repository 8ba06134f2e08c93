// SPDX-License-Identifier: GPL-2.0

//! Sockets, as the gates see them: whose they are, and what identifies them.
//!
//! A socket's tag is our bits of its mark. Only this file writes them, by compare-and-swap, so that
//! the other bits stay what they are.

use crate::logic::id::VsId;
use crate::logic::rule::{props, Facts};
use crate::netfilter;
use crate::shim::bindings as c;
use crate::shim::rcu::read_once;
use crate::state::{self, State};
use core::marker::PhantomData;
use core::mem::offset_of;
use core::ptr::NonNull;
use kernel::ffi::{c_int, c_void};
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Full};

/// A full socket (no request, not in time-wait), alive for `'a`.
///
/// # Invariants
///
/// The pointer is valid for `'a`. Fields are read without the socket's lock: each is one word, and
/// may be out of date when it is looked at.
#[derive(Clone, Copy)]
pub(crate) struct Sock<'a>(NonNull<c::sock>, PhantomData<&'a c::sock>);

/// An end of a connection: address in network byte order, IPv4 as `::ffff:a.b.c.d`, and port in
/// host byte order.
pub(crate) type End = ([u8; 16], u16);

/// Room for the name of a unix socket, and the `@` of an abstract one.
pub(crate) type NameBuffer = [u8; UNIX_NAME_MAX];

const UNIX_NAME_MAX: usize = size_of::<c::sockaddr_un>() - offset_of!(c::sockaddr_un, sun_path);

impl<'a> Sock<'a> {
    /// # Safety
    ///
    /// `sk` is not null, and a full socket that lives for `'a`.
    pub(crate) unsafe fn new(sk: *const c::sock) -> Self {
        // INVARIANT: By the requirement of this function.
        // SAFETY: See above.
        Sock(
            unsafe { NonNull::new_unchecked(sk.cast_mut()) },
            PhantomData,
        )
    }

    /// The socket of a `struct socket`; `None` if it has none any more.
    ///
    /// # Safety
    ///
    /// `socket` is valid and its `sk`, if any, lives for `'a`: an fd under way in a system call.
    pub(crate) unsafe fn of(socket: *const c::socket) -> Option<Self> {
        // SAFETY: By the requirement of this function.
        let sk = unsafe { (&raw const (*socket).sk).read_volatile() };
        // SAFETY: Not null, for the rest by the requirement of this function.
        (!sk.is_null()).then(|| unsafe { Sock::new(sk) })
    }

    fn family(self) -> u32 {
        // SAFETY: By the type invariant.
        unsafe { (*self.0.as_ptr()).__sk_common.skc_family.into() }
    }

    /// Is it a stream, of which messages name no receiver?
    pub(crate) fn is_stream(self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { u32::from((*self.0.as_ptr()).sk_type) == c::SOCK_STREAM }
    }

    /// `VS_PROTO_*`
    pub(crate) fn proto(self) -> u32 {
        // SAFETY: By the type invariant.
        let (kind, protocol) = unsafe {
            let sk = self.0.as_ptr();
            (u32::from((*sk).sk_type), u32::from((*sk).sk_protocol))
        };
        match self.family() {
            c::AF_INET | c::AF_INET6 => match (kind, protocol) {
                (c::SOCK_STREAM, c::IPPROTO_TCP) => c::VS_PROTO_TCP,
                (c::SOCK_DGRAM, c::IPPROTO_UDP) => c::VS_PROTO_UDP,
                _ => c::VS_PROTO_OTHER,
            },
            c::AF_UNIX => match kind {
                c::SOCK_STREAM => c::VS_PROTO_UNIX_STREAM,
                c::SOCK_DGRAM => c::VS_PROTO_UNIX_DGRAM,
                c::SOCK_SEQPACKET => c::VS_PROTO_UNIX_SEQPACKET,
                _ => c::VS_PROTO_OTHER,
            },
            _ => c::VS_PROTO_OTHER,
        }
    }

    /// Whether sockets of its family are tagged: those that send packets, and unix sockets.
    pub(crate) fn is_tagged_kind(self) -> bool {
        matches!(
            self.family(),
            c::AF_INET | c::AF_INET6 | c::AF_PACKET | c::AF_UNIX
        )
    }

    fn mark(self) -> &'a Atomic<u32> {
        // SAFETY: By the type invariant; the kernel, too, writes the mark in one piece.
        unsafe { Atomic::from_ptr(&raw mut (*self.0.as_ptr()).sk_mark) }
    }

    /// Whose it is.
    pub(crate) fn tag(self) -> VsId {
        VsId::from_mark(read_once(self.mark()), crate::mark_shift())
    }

    /// Makes it `to`'s, and counts it there. Any context but NMI, lock-free.
    ///
    /// A socket that was nobody's is refused where a limit is reached, with the error that goes
    /// with the limit. One that changes hands is not: it is there already.
    pub(crate) fn give(self, s: &State, to: VsId) -> Result {
        self.replace(
            to,
            |from| {
                if from.is_root() {
                    s.socket_born(to)
                } else {
                    Ok(s.socket_moved(from, to))
                }
            },
            |from, carried| {
                if from.is_root() {
                    s.socket_gone(carried);
                } else {
                    s.socket_moved(carried, from);
                }
            },
        )
    }

    /// The same, limits or not.
    pub(crate) fn force(self, s: &State, to: VsId) {
        let _ = self.replace(
            to,
            |from| Ok(s.socket_moved(from, to)),
            |from, carried| {
                s.socket_moved(carried, from);
            },
        );
    }

    /// Makes it nobody's, without counting.
    fn disown(self) {
        let _ = self.replace(VsId::ROOT, |_| Ok(VsId::ROOT), |_, _| ());
    }

    /// Writes the tag that `count` says, given the one it has; `uncount`, given both, if somebody else
    /// wrote meanwhile.
    fn replace(
        self,
        to: VsId,
        count: impl Fn(VsId) -> Result<VsId>,
        uncount: impl Fn(VsId, VsId),
    ) -> Result {
        let shift = crate::mark_shift();
        let mut mark = read_once(self.mark());
        loop {
            let from = VsId::from_mark(mark, shift);
            if from == to {
                return Ok(());
            }
            let carried = count(from)?;
            match self
                .mark()
                .cmpxchg(mark, carried.to_mark(mark, shift), Full)
            {
                Ok(_) => return Ok(()),
                Err(now) => {
                    uncount(from, carried);
                    mark = now;
                }
            }
        }
    }

    /// Where it is bound, of an internet socket.
    pub(crate) fn local(self) -> Option<End> {
        // SAFETY: By the type invariant; which part of a union counts, the family says.
        unsafe {
            let common = &raw const (*self.0.as_ptr()).__sk_common;
            let pair = (*common).__bindgen_anon_1.__bindgen_anon_1;
            let port = (*common).__bindgen_anon_3.__bindgen_anon_1.skc_num;
            match self.family() {
                c::AF_INET => Some((mapped(pair.skc_rcv_saddr), port)),
                c::AF_INET6 => Some(((*common).skc_v6_rcv_saddr.in6_u.u6_addr8, port)),
                _ => None,
            }
        }
    }

    /// Where it is connected to, of an internet socket; zeros if it is not.
    pub(crate) fn peer(self) -> Option<End> {
        // SAFETY: By the type invariant; which part of a union counts, the family says.
        unsafe {
            let common = &raw const (*self.0.as_ptr()).__sk_common;
            let pair = (*common).__bindgen_anon_1.__bindgen_anon_1;
            let port = u16::from_be((*common).__bindgen_anon_3.__bindgen_anon_1.skc_dport);
            match self.family() {
                c::AF_INET => Some((mapped(pair.skc_daddr), port)),
                c::AF_INET6 => Some(((*common).skc_v6_daddr.in6_u.u6_addr8, port)),
                _ => None,
            }
        }
    }

    fn unix(self) -> Option<*const c::unix_sock> {
        (self.family() == c::AF_UNIX).then_some(self.0.as_ptr().cast_const().cast())
    }

    /// The name of a unix socket: its own, or else that of the peer it is connected to for good.
    fn unix_name(self, buffer: &mut NameBuffer) -> Option<&[u8]> {
        let sk = self.unix()?;
        // SAFETY: A unix socket, alive. Its name, once set, stays as long as it does; so does its
        // peer if it is not a datagram socket, as it is in use and thus not being released.
        let address = unsafe {
            let mut address = (&raw const (*sk).addr).read_volatile();
            if address.is_null() && self.proto() != c::VS_PROTO_UNIX_DGRAM {
                let peer = (&raw const (*sk).peer)
                    .read_volatile()
                    .cast::<c::unix_sock>();
                if !peer.is_null() {
                    address = (&raw const (*peer).addr).read_volatile();
                }
            }
            address
        };
        if address.is_null() {
            return None;
        }
        // SAFETY: As above; the kernel keeps `len` bytes of name, and has written them before the
        // pointer (data dependency).
        unsafe { name((&raw const (*address).name).cast(), (*address).len, buffer) }
    }

    /// The name of a unix socket that this call is about: `peer`'s if given, else its own.
    pub(crate) fn name<'b>(
        self,
        peer: Option<Peer<'_>>,
        buffer: &'b mut NameBuffer,
    ) -> Option<&'b [u8]> {
        if self.family() != c::AF_UNIX {
            return None;
        }
        match peer {
            Some(peer) => peer.name(buffer),
            None => self.unix_name(buffer),
        }
    }

    /// Puts into `facts` what `wants` asks for of this socket, but its name. `peer`, if given, is
    /// whom this call is about, instead of the one it is connected to.
    pub(crate) fn facts(self, wants: u32, peer: Option<Peer<'_>>, facts: &mut Facts<'_>) {
        if wants & props::PROTO != 0 {
            facts.proto = self.proto() as u8;
            facts.props |= props::PROTO;
        }
        if wants & (props::LOCAL | props::LPORT) != 0 {
            if let Some((address, port)) = self.local() {
                (facts.local, facts.local_port) = (address, port);
                facts.props |= props::LOCAL | props::LPORT;
            }
        }
        if wants & (props::PEER | props::PPORT) != 0 {
            if let Some((address, port)) = peer.map_or_else(|| self.peer(), |peer| peer.end()) {
                (facts.peer, facts.peer_port) = (address, port);
                facts.props |= props::PEER | props::PPORT;
            }
        }
    }
}

/// The address that a call names.
///
/// # Invariants
///
/// `address` is valid for `len` bytes, which are at least those of the family, for `'a`.
#[derive(Clone, Copy)]
pub(crate) struct Peer<'a> {
    address: *const c_void,
    len: usize,
    _alive: PhantomData<&'a c_void>,
}

impl Peer<'_> {
    /// `None`: there is none in the call.
    ///
    /// # Safety
    ///
    /// `address` is null or valid for `len` bytes of kernel memory, for the life of the result.
    pub(crate) unsafe fn new(address: *const c_void, len: i32) -> Option<Self> {
        let len = usize::try_from(len).ok()?;
        // INVARIANT: Checked here, and by the requirement of this function.
        (!address.is_null() && len >= size_of::<c::__kernel_sa_family_t>()).then_some(Peer {
            address,
            len,
            _alive: PhantomData,
        })
    }

    fn family(self) -> u32 {
        // SAFETY: By the type invariant.
        unsafe {
            self.address
                .cast::<c::__kernel_sa_family_t>()
                .read_unaligned()
                .into()
        }
    }

    fn end(self) -> Option<End> {
        match self.family() {
            c::AF_INET if self.len >= size_of::<c::sockaddr_in>() => {
                // SAFETY: By the type invariant, and it is long enough.
                let it = unsafe { self.address.cast::<c::sockaddr_in>().read_unaligned() };
                Some((mapped(it.sin_addr.s_addr), u16::from_be(it.sin_port)))
            }
            c::AF_INET6 if self.len >= offset_of!(c::sockaddr_in6, sin6_scope_id) => {
                // SAFETY: By the type invariant; the scope, which may be missing, is not read.
                unsafe {
                    let it = self.address.cast::<c::sockaddr_in6>();
                    let address = (&raw const (*it).sin6_addr).read_unaligned();
                    let port = (&raw const (*it).sin6_port).read_unaligned();
                    Some((address.in6_u.u6_addr8, u16::from_be(port)))
                }
            }
            _ => None,
        }
    }

    fn name(self, buffer: &mut NameBuffer) -> Option<&[u8]> {
        if self.family() != c::AF_UNIX {
            return None;
        }
        // SAFETY: By the type invariant.
        unsafe { name(self.address.cast(), self.len as i32, buffer) }
    }
}

/// An IPv4 address as an IPv6 one.
fn mapped(address: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[10..12].fill(0xff);
    // It is kept in network byte order.
    bytes[12..].copy_from_slice(&address.to_ne_bytes());
    bytes
}

/// The name in an address: a path, or `@` and what follows the NUL of an abstract one. `None`: it
/// has no name.
///
/// # Safety
///
/// `address` is valid for `len` bytes, which may be less than a `sockaddr_un`.
unsafe fn name(address: *const c::sockaddr_un, len: i32, buffer: &mut NameBuffer) -> Option<&[u8]> {
    let len = usize::try_from(len).ok()?;
    let len = len
        .checked_sub(offset_of!(c::sockaddr_un, sun_path))?
        .min(UNIX_NAME_MAX);
    // SAFETY: By the requirement of this function.
    let path =
        unsafe { core::slice::from_raw_parts((&raw const (*address).sun_path).cast::<u8>(), len) };
    buffer[..len].copy_from_slice(path);
    match buffer.first() {
        None => None,
        Some(0) if len > 1 => {
            buffer[0] = b'@';
            Some(&buffer[..len])
        }
        Some(0) => None,
        Some(_) => {
            let end = buffer[..len]
                .iter()
                .position(|&byte| byte == 0)
                .unwrap_or(len);
            Some(&buffer[..end])
        }
    }
}

// The kfuncs that are about sockets alone: `kfuncs.h` says what they are for. Any context but NMI.

/// # Safety
///
/// `sk` is a full socket that nobody else has yet.
#[no_mangle]
unsafe extern "C" fn vs_sk_born_body(sk: *const c::sock) {
    // SAFETY: By the requirement of this function.
    let sk = unsafe { Sock::new(sk) };
    // No limit: it was asked for when the connection was.
    // SAFETY: `kfuncs.c` has it called under RCU.
    let carried = unsafe { state::under_rcu(|s| s.socket_moved(VsId::ROOT, sk.tag())) };
    if carried != sk.tag() {
        sk.disown();
    }
}

/// # Safety
///
/// As for [`vs_sk_born_body`].
#[no_mangle]
unsafe extern "C" fn vs_sk_copied_body(sk: *const c::sock) {
    // SAFETY: By the requirement of this function.
    unsafe { Sock::new(sk) }.disown();
}

/// # Safety
///
/// Both are full sockets, alive.
#[no_mangle]
unsafe extern "C" fn vs_sk_follow_body(sk: *const c::sock, other: *const c::sock) {
    // SAFETY: By the requirement of this function.
    let (sk, other) = unsafe { (Sock::new(sk), Sock::new(other)) };
    // SAFETY: `kfuncs.c` has it called under RCU.
    unsafe { state::under_rcu(|s| sk.force(s, other.tag())) };
}

#[no_mangle]
extern "C" fn vs_sk_gone_body(mark: u32) {
    let id = VsId::from_mark(mark, crate::mark_shift());
    // SAFETY: `kfuncs.c` has it called under RCU.
    unsafe { state::under_rcu(|s| s.socket_gone(id)) };
}

#[no_mangle]
extern "C" fn vs_mark_vs_body(mark: u32) -> u32 {
    VsId::from_mark(mark, crate::mark_shift()).get().into()
}

#[no_mangle]
extern "C" fn vs_message_vs_body(mark: u32, iif: c_int) -> u32 {
    netfilter::sent_by(mark, iif).get().into()
}

#[no_mangle]
extern "C" fn vs_mark_keep_body(mark: u32, old: u32) -> u32 {
    let shift = crate::mark_shift();
    VsId::from_mark(old, shift).to_mark(mark, shift)
}

/// # Safety
///
/// `sk` is null or alive, a socket of any kind.
#[no_mangle]
unsafe extern "C" fn vs_sk_clear_body(sk: *mut c::sock_common) {
    let sk: *mut c::sock = sk.cast();
    // SAFETY: By the requirement of this function.
    if sk.is_null() || !unsafe { c::vs_sk_fullsock(sk) } {
        return;
    }
    // SAFETY: By the requirement of this function, and it is a full one.
    let sk = unsafe { Sock::new(sk) };
    // SAFETY: `kfuncs.c` has it called under RCU.
    unsafe { state::under_rcu(|s| sk.force(s, VsId::ROOT)) };
}
