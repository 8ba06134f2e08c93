// SPDX-License-Identifier: GPL-2.0

//! `struct sock`, as seen during a call.
//!
//! C header: `include/net/sock.h`, `include/net/request_sock.h`, `include/net/inet_timewait_sock.h`

use crate::shim::bindings as c;
use core::marker::PhantomData;
use core::ptr::NonNull;
use kernel::ffi::c_void;

/// A socket of any kind: a full one, a request for a connection, or a remainder in TIME_WAIT.
///
/// # Invariants
///
/// The pointer is valid for `'a`; the state, in the part that all kinds share, tells the kind.
/// Fields are read without the socket's lock: each is one word, and may be out of date when the
/// caller uses it.
#[derive(Clone, Copy)]
pub(crate) struct Sock<'a>(NonNull<c::sock>, PhantomData<&'a c::sock>);

/// An end of a connection: address in network byte order, IPv4 as `::ffff:a.b.c.d`, and port in
/// host byte order.
pub(crate) type End = ([u8; 16], u16);

/// The kinds of sockets that a [`Sock`] can be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Full,
    Request,
    TimeWait,
}

impl<'a> Sock<'a> {
    /// `None` if `sk` is null.
    ///
    /// # Safety
    ///
    /// `sk` is null, or a socket of any kind that lives for `'a`.
    pub(crate) unsafe fn new(sk: *const c::sock) -> Option<Self> {
        // INVARIANT: By the requirement of this function.
        NonNull::new(sk.cast_mut()).map(|sk| Sock(sk, PhantomData))
    }

    /// The `sk` of a `struct socket`; `None` if it has none any more.
    ///
    /// # Safety
    ///
    /// `socket` is valid and its `sk`, if any, lives for `'a`, as for a descriptor that a system
    /// call uses.
    pub(crate) unsafe fn of(socket: *const c::socket) -> Option<Self> {
        // SAFETY: `socket` is valid, says the requirement of this function.
        let sk = unsafe { (&raw const (*socket).sk).read_volatile() };
        // SAFETY: It lives for `'a`, says the requirement of this function.
        unsafe { Sock::new(sk) }
    }

    pub(crate) fn as_ptr(self) -> *mut c::sock {
        self.0.as_ptr()
    }

    /// Its address, to compare with the address of another.
    pub(crate) fn address(self) -> u64 {
        self.0.as_ptr().cast::<c_void>() as u64
    }

    pub(crate) fn kind(self) -> Kind {
        // SAFETY: All kinds share this part; the state is one byte.
        let state =
            unsafe { (&raw const (*self.0.as_ptr()).__sk_common.skc_state).read_volatile() };
        match u32::from(state) {
            c::TCP_TIME_WAIT => Kind::TimeWait,
            c::TCP_NEW_SYN_RECV => Kind::Request,
            _ => Kind::Full,
        }
    }

    /// Its cookie, the number that the kernel gives to one socket only; 0: the kernel has not been
    /// asked for it. A remainder in TIME_WAIT has the cookie of its socket.
    pub(crate) fn cookie(self) -> u64 {
        // SAFETY: All kinds share this part; the kernel writes the number in one piece.
        let counter = unsafe {
            (&raw const (*self.0.as_ptr()).__sk_common.skc_cookie.counter).read_volatile()
        };
        counter as u64
    }

    /// The cookie of a full socket, which gets one here if it has none. Any context but NMI.
    pub(crate) fn made_cookie(self) -> u64 {
        match self.kind() {
            // SAFETY: A full socket, alive.
            Kind::Full => unsafe { c::vs_sk_cookie(self.0.as_ptr()) },
            _ => self.cookie(),
        }
    }

    /// The two fields that an LSM has in a request; zeros for another kind of socket.
    pub(crate) fn secids(self) -> (u32, u32) {
        if self.kind() != Kind::Request {
            return (0, 0);
        }
        let request = self.0.as_ptr().cast_const().cast::<c::request_sock>();
        // SAFETY: It is a request; the fields are written before others can find it.
        unsafe { ((*request).secid, (*request).peer_secid) }
    }

    pub(crate) fn family(self) -> u32 {
        // SAFETY: All kinds share this part; it never changes.
        unsafe { (*self.0.as_ptr()).__sk_common.skc_family.into() }
    }

    /// Is a full socket a stream, whose messages name no receiver?
    pub(crate) fn is_stream(self) -> bool {
        // SAFETY: Callers have full sockets, whose type never changes.
        unsafe { u32::from((*self.0.as_ptr()).sk_type) == c::SOCK_STREAM }
    }

    /// Has a full socket neither a peer nor a listener's queue yet?
    pub(crate) fn is_closed(self) -> bool {
        // SAFETY: As for `kind`.
        let state =
            unsafe { (&raw const (*self.0.as_ptr()).__sk_common.skc_state).read_volatile() };
        u32::from(state) == c::TCP_CLOSE
    }

    /// The `VS_PROTO_*` of a full socket.
    pub(crate) fn proto(self) -> u32 {
        // SAFETY: Callers have full sockets; type and protocol never change.
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

    /// Whether sockets of its family can belong to services: the families that send packets, and
    /// unix sockets.
    pub(crate) fn is_tagged_kind(self) -> bool {
        matches!(
            self.family(),
            c::AF_INET | c::AF_INET6 | c::AF_PACKET | c::AF_UNIX
        )
    }

    /// Does a full socket keep messages apart, and can each be another sender's?
    pub(crate) fn is_datagram(self) -> bool {
        // SAFETY: Callers have full sockets, whose type never changes.
        unsafe { u32::from((*self.0.as_ptr()).sk_type) == c::SOCK_DGRAM }
    }

    /// Is a full socket a server's: a connection that was accepted, or a datagram socket that is
    /// bound? Otherwise the task is a client by it. In doubt the socket is a server's: to take a
    /// request for an answer would charge the wrong tenant. Must agree with `serves()` of
    /// `bpf/work.bpf.h`.
    pub(crate) fn serves(self) -> bool {
        match self.family() {
            c::AF_UNIX => {
                let sk = self.0.as_ptr().cast_const().cast::<c::unix_sock>();
                // SAFETY: A unix socket, alive; both fields are one word.
                let (address, peer) = unsafe {
                    (
                        (&raw const (*sk).addr).read_volatile(),
                        (&raw const (*sk).peer).read_volatile(),
                    )
                };
                !address.is_null() && (!self.is_datagram() || peer.is_null())
            }
            c::AF_INET | c::AF_INET6 => {
                // SAFETY: A full socket, alive.
                let locks = unsafe { c::vs_sk_userlocks(self.0.as_ptr()) };
                if self.is_stream() && self.proto() == c::VS_PROTO_TCP {
                    // connect() leaves one of the two set; in an accepted connection the first was
                    // never set, and the second was cleared when it was cloned from the listener
                    return locks & (c::SOCK_CONNECT_BIND | c::SOCK_BINDPORT_LOCK) == 0;
                }
                // servers have a connected socket for each client, too (DTLS, QUIC)
                let bound = locks & (c::SOCK_BINDADDR_LOCK | c::SOCK_BINDPORT_LOCK) != 0;
                bound || !self.is_datagram()
            }
            // there the kernel answers
            c::AF_NETLINK | c::AF_ALG => false,
            _ => true,
        }
    }

    /// Is it one of the sockets by which the stack itself answers (resets, ICMP)? They serve all
    /// connections, so they do not tell for which service a packet is.
    pub(crate) fn is_stack(self) -> bool {
        // SAFETY: A socket of any kind, alive.
        unsafe { c::vs_sk_is_stack(self.0.as_ptr()) }
    }

    /// Is it in the initial network namespace, in which only the machine's administrator writes
    /// what netfilter does to packets?
    pub(crate) fn is_hosts(self) -> bool {
        // SAFETY: A socket of any kind, alive, keeps its namespace.
        unsafe { c::vs_sk_is_hosts(self.0.as_ptr()) }
    }

    /// Is it the kernel's own, such as the transport of a network file system?
    pub(crate) fn is_kernel(self) -> bool {
        // SAFETY: A socket of any kind, alive.
        unsafe { c::vs_sk_is_kernel(self.0.as_ptr()) }
    }

    /// The local end of an internet socket.
    pub(crate) fn local(self) -> Option<End> {
        // SAFETY: All kinds share this part; the family tells which member of a union is in use.
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

    /// The end to which an internet socket is connected; zeros if it is not connected.
    pub(crate) fn peer(self) -> Option<End> {
        // SAFETY: All kinds share this part; the family tells which member of a union is in use.
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
}

/// An IPv4 address, in network byte order, as an IPv6 one.
pub(crate) fn mapped(address: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[10..12].fill(0xff);
    bytes[12..].copy_from_slice(&address.to_ne_bytes());
    bytes
}
