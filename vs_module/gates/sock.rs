// SPDX-License-Identifier: GPL-2.0

//! Sockets in a call: the services that they belong to, and the facts by which rules know them.

use crate::logic::id::VsId;
use crate::logic::rule::{props, Facts};
use crate::shim::bindings as c;
use crate::shim::sock::{mapped, End, Kind, Sock};
use crate::state::sockets::{self, Claim, Name, Pledge};
use crate::state::State;
use core::marker::PhantomData;
use core::mem::offset_of;
use kernel::ffi::c_void;
use kernel::prelude::*;

/// Room for the name of a unix socket, and the `@` of an abstract one.
pub(crate) type NameBuffer = [u8; UNIX_NAME_MAX];

const UNIX_NAME_MAX: usize = size_of::<c::sockaddr_un>() - offset_of!(c::sockaddr_un, sun_path);

impl Sock<'_> {
    /// The service that the socket belongs to. Its id may stand for another service by now;
    /// [`State::resolve`] tells which. Under RCU, any context but NMI and hard interrupt.
    pub(crate) fn owner(self, s: &State) -> VsId {
        match self.kind() {
            Kind::Full => sockets::owner(self.named(self.cookie())),
            Kind::TimeWait => sockets::remainder(s, self.cookie()),
            Kind::Request => {
                let (tag, check) = self.secids();
                Pledge { tag, check }.owner(s)
            }
        }
    }

    fn give_by(self, s: &State, to: VsId, claim: Claim) -> Result {
        if to.is_root() && self.cookie() == 0 {
            return Ok(());
        }
        sockets::give(s, self.named(self.made_cookie()), to, claim)
    }

    /// The name of a full socket in the table. Any context but NMI.
    pub(crate) fn made_name(self) -> Name {
        self.named(self.made_cookie())
    }

    fn named(self, cookie: u64) -> Name {
        Name {
            cookie,
            address: self.address(),
        }
    }

    /// Gives a full socket to the service `to`. Context as for [`owner`](Self::owner); does not
    /// sleep.
    ///
    /// Fails with the error of a limit, or with `ENOMEM`; then it belongs where it did.
    pub(crate) fn give(self, s: &State, to: VsId) -> Result {
        self.give_by(s, to, Claim::Limited)
    }

    /// Gives a full socket to the service `to`, limits or not. Fails with `ENOMEM` only.
    pub(crate) fn force(self, s: &State, to: VsId) -> Result {
        self.give_by(s, to, Claim::Forced)
    }

    fn unix(self) -> Option<*const c::unix_sock> {
        (self.family() == c::AF_UNIX).then_some(self.as_ptr().cast_const().cast())
    }

    /// The name of a unix socket: its own, or else the name of the peer to which it is connected
    /// for good.
    fn unix_name(self, buffer: &mut NameBuffer) -> Option<&[u8]> {
        let sk = self.unix()?;
        // SAFETY: A unix socket, alive. Its name, once set, stays as long as the socket. So does
        // its peer, unless it is a datagram socket: it is in use and so is not being released.
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
        // SAFETY: The name stays as long as its socket. The kernel keeps `len` bytes of it, and has
        // written them before the pointer (data dependency).
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

    /// Fills `facts` with the properties of this socket that `wants` asks for, except its name.
    /// `peer`, if given, is the other end of this call, instead of the end that the socket is
    /// connected to.
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
    /// `None`: the call has no address.
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
                // SAFETY: By the type invariant; the length was checked.
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
