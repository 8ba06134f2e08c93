// SPDX-License-Identifier: GPL-2.0

//! Gates where tasks talk to each other: socket, socketpair, connect, accept, send, recv, close;
//! and how a tag gets from a packet to a request, to a connection, and to a datagram.
//!
//! Safety of all functions here: the verifier ensures that pointers are valid for the call, and
//! the hooks that sockets are in use by it, so that they stay.

use super::*;

/// # Safety
///
/// `socket` is valid, and nobody else has it yet.
#[no_mangle]
unsafe extern "C" fn vs_gate_socket_body(socket: *const c::socket, who: u32) -> u64 {
    // SAFETY: By the requirement of this function.
    let sock = unsafe { Sock::of(socket) };
    used(
        who,
        Use {
            message: Some(VsId::ROOT),
            ..Use::of(Gate::Socket, sock, Untold::Homes)
        },
    )
}

/// # Safety
///
/// Both are valid, and nobody else has them yet.
#[no_mangle]
unsafe extern "C" fn vs_gate_socketpair_body(
    socket: *const c::socket,
    peer: *const c::socket,
    who: u32,
) -> u64 {
    let who = Who::new(who);
    // SAFETY: By the requirement of this function.
    let (Some(sock), Some(peer)) = (unsafe { Sock::of(socket) }, unsafe { Sock::of(peer) }) else {
        return Answer::UNCHANGED.pack();
    };
    with(|s| {
        let from = [who.home, sock.owner(s), peer.owner(s)];
        let source = Source {
            sock: Some(sock),
            ..Source::default()
        };
        let hands = handing(who, in_hand(s, who).0);
        let verdict = ask(s, Gate::Socketpair, hands, from, source);
        for (end, n) in [(sock, 1), (peer, 2)] {
            let to = verdict.to[n].or_else(|| Untold::HomesIfNobodys.of(s, who, end.owner(s)));
            if let Some((to, Err(error))) = to.map(|to| (to, end.give(s, to))) {
                return refused(Gate::Socketpair, to, error);
            }
        }
        answered(
            Gate::Socketpair,
            who,
            verdict.rule,
            Answer::works_for(verdict.to[0]),
        )
    })
}

/// # Safety
///
/// `socket` is valid and in use; `address` is valid for `len` bytes of kernel memory.
#[no_mangle]
unsafe extern "C" fn vs_gate_connect_body(
    socket: *const c::socket,
    address: *const c_void,
    len: c_int,
    who: u32,
) -> u64 {
    // SAFETY: By the requirement of this function.
    let (sock, peer) = unsafe { (Sock::of(socket), Peer::new(address, len)) };
    let answer = used(
        who,
        Use {
            peer,
            ..Use::of(Gate::Connect, sock, Untold::Homes)
        },
    );
    let who = Who::new(who);
    // connect() on a socket that is connected fails, or ends the connection, or is there to see
    // whether it is made by now: it asks nothing. A datagram socket asks by sending.
    if let Some(sock) = sock.filter(|sock| who.cur != who.home && sock.is_closed()) {
        // A datagram socket that is bound is a server's, although it has one client only (DTLS).
        if sock.is_stream() || !sock.serves() {
            with(|s| {
                let (work, asker) = in_hand(s, who);
                let by = asker.filter(|_| work.asks());
                sockets::ask(sock.made_name(), |_| Asked::connected(by));
            });
        }
    }
    answer
}

/// `sendto(MSG_FASTOPEN)` on a TCP socket that is not connected is a connect() of which no other
/// hook knows. Any other message passes.
///
/// # Safety
///
/// As for [`vs_gate_send_body`].
#[no_mangle]
unsafe extern "C" fn vs_gate_fastopen_body(
    socket: *const c::socket,
    message: *const c::msghdr,
    who: u32,
) -> u64 {
    // SAFETY: By the requirement of this function.
    let sock = unsafe { Sock::of(socket) };
    match sock {
        // SAFETY: `message` is valid for the call, by the requirement of this function.
        Some(sock) if sock.is_closed() && sock.proto() == c::VS_PROTO_TCP => unsafe {
            let (name, len) = ((*message).msg_name, (*message).msg_namelen);
            vs_gate_connect_body(socket, name, len, who)
        },
        _ => Answer::UNCHANGED.pack(),
    }
}

/// Under locks of the socket, bottom halves off. It cannot refuse: a connection for which its VS
/// has no room stays nobody's, and ends work as one that no rule binds.
///
/// # Safety
///
/// `conn` is valid and in use.
#[no_mangle]
unsafe extern "C" fn vs_gate_accept_body(conn: *const c::sock, who: u32) -> u64 {
    let who = Who::new(who);
    // SAFETY: By the requirement of this function.
    let Some(conn) = (unsafe { Sock::new(conn) }).filter(|conn| conn.is_tagged_kind()) else {
        return Answer::UNCHANGED.pack();
    };
    with(|s| {
        let wants = count(s, Gate::Accept, who);
        let call = Use::of(Gate::Accept, Some(conn), Untold::HomesIfNobodys);
        let verdict = labelled(s, who, conn, call, wants).unwrap_or(Verdict::UNCHANGED);
        let way = Way {
            object: conn.made_cookie(),
            serves: true,
            asked: false,
        };
        let work = who.work(0);
        worked(
            s,
            Gate::Accept,
            End::Receipt,
            work,
            verdict.rule,
            work.received(way, verdict.to[0]),
        )
    })
}

/// The message itself can be given to a VS where it can be told from its socket on the way: its BPF
/// program keeps that in the task's tag. There [`crate::gates::tag::message_of`] asks for it when a
/// datagram's packet leaves, and the probes of streams as its bytes are put into the stream.
///
/// # Safety
///
/// `socket` and `message` are valid, the former in use; what the latter names lies in kernel
/// memory.
#[no_mangle]
unsafe extern "C" fn vs_gate_send_body(
    socket: *const c::socket,
    message: *const c::msghdr,
    who: u32,
) -> u64 {
    // SAFETY: By the requirement of this function.
    let (sock, peer) = unsafe {
        (
            Sock::of(socket),
            Peer::new((*message).msg_name, (*message).msg_namelen),
        )
    };
    // Of a connection a name in the message is only a claim of the caller's.
    let peer = peer.filter(|_| sock.is_some_and(|sock| !sock.is_stream()));
    let Some(sock) = sock else {
        return Answer::UNCHANGED.pack();
    };
    let who = Who::new(who);
    let call = Use {
        peer,
        ..Use::of(Gate::Send, Some(sock), Untold::Keep)
    };
    with(|s| {
        let wants = match sock.is_tagged_kind() {
            true => count(s, Gate::Send, who),
            false => None,
        };
        let at_home = who.cur == who.home;
        if wants.is_none() && at_home {
            // Most messages end here.
            asks_at_home(s, who, sock);
            return Answer::UNCHANGED.pack();
        }
        let hand = in_hand(s, who);
        let verdict = match wants {
            None => Verdict::UNCHANGED,
            wants => match labelled(s, sending(s, who, hand.0, sock), sock, call, wants) {
                Err(refusal) => return refusal,
                Ok(verdict) => verdict,
            },
        };
        let answer = Answer {
            // Of the other protocols a message cannot be told from its socket on the way.
            message: verdict.to[2]
                .filter(|_| Gate::Send.binds_by(2, Proto::new(sock.proto() as u8))),
            ..Answer::UNCHANGED
        };
        if verdict.to[0].is_none() && at_home {
            asks_at_home(s, who, sock);
            return answer.pack();
        }
        sends(s, hand, sock, &verdict, answer)
    })
}

/// The caller, which has no work in hand, sends by `sock`: if it is a client there, this is a
/// question of its own, whose answer must not be taken for another's.
#[inline]
fn asks_at_home(s: &State, who: Who, sock: Sock<'_>) {
    if comes_to_work(s, s.resolve(who.home)) && !sock.serves() {
        sockets::ask(sock.made_name(), |was| was.asks(None));
    }
}

/// `who`, as a rule sees it that gives the message away: the task's work is known if this is more
/// of the reply.
fn sending(s: &State, who: Who, work: Work, sock: Sock<'_>) -> Who {
    match !work.has_replied() || work.goes_on(reply_by(s, sock, work), None) {
        true => who,
        false => handing(who, work),
    }
}

/// The rest of [`vs_gate_send_body`], where a rule binds the task, or it has work in hand, of which
/// this is the reply or not.
#[inline(never)]
fn sends(
    s: &State,
    (work, asker): (Work, Option<Asker>),
    sock: Sock<'_>,
    verdict: &Verdict,
    answer: Answer,
) -> u64 {
    if is_kernels(sock) {
        return answer.pack();
    }
    let bound = verdict.to[0];
    let mut reply = reply_by(s, sock, work);
    if bound.is_some() {
        reply.way.object = sock.made_cookie();
    }
    if work.goes_on(reply, bound) {
        return match work.has_replied() {
            true => with_cur(answer.pack(), c::VS_GOES_ON),
            false => answer.pack(),
        };
    }
    let next = work.sends(reply, bound);
    if !reply.way.serves {
        let by = asker.filter(|_| next == work && work.asks());
        sockets::ask(sock.made_name(), |was| was.asks(by));
    }
    let answered = worked(s, Gate::Send, End::Reply, work, verdict.rule, next);
    with_cur(
        answer.pack(),
        u32::from((answered >> c::VS_VERDICT_CUR) as u16),
    )
}

#[no_mangle]
extern "C" fn vs_gate_close_body(who: u32, object: u64, closed: u64) -> u64 {
    let work = Who::new(who).work(object);
    with(|s| {
        s.service(work.cur()).hit(Gate::Close);
        worked(s, Gate::Close, End::Close, work, None, work.closed(closed))
    })
}

#[no_mangle]
extern "C" fn vs_work_received_body(who: u32, by: u64, address: u64, serves: bool) -> u64 {
    with(|s| {
        let (work, asker) = in_hand(s, Who::new(who));
        let name = Name {
            cookie: by,
            address,
        };
        let next = work.received(way_by(name, serves, asker, Asked::answered), None);
        worked(s, Gate::Recv, End::Receipt, work, None, next)
    })
}

/// Softirq. The request carries its packet's service; the listener's, whose mark it may have here,
/// is not the client's. A service that has no room for another socket is refused the connection
/// here, as accept() could not do it any more.
///
/// # Safety
///
/// All are valid. The packet is that of the request, and nobody else has the request yet.
#[no_mangle]
unsafe extern "C" fn vs_conn_request_body(
    listener: *const c::sock,
    skb: NonNull<c::sk_buff>,
    request: *mut c::request_sock,
) -> u64 {
    // SAFETY: By the requirement of this function. Of its data, nothing is read.
    let (listener, skb) = unsafe { (Sock::new(listener), Skb::from_raw(skb)) };
    with(|s| {
        let sender = listener.map_or(VsId::ROOT, |sock| netfilter::sender(s, &skb, sock));
        let id = match s.socket_born(sender) {
            Ok(id) => id,
            Err(error) => return refused(Gate::Accept, sender, error),
        };
        // It is counted when the handshake is done.
        s.socket_gone(id);
        let pledge = Pledge::new(s, id);
        // SAFETY: By the requirement of this function.
        unsafe {
            (*request).secid = pledge.tag;
            (*request).peer_secid = pledge.check;
        }
        Answer::UNCHANGED.pack()
    })
}

/// Softirq. The handshake of `request` is done, and it has become `conn`. Where its service has no
/// room by now the connection stays root's: other handshakes were quicker.
///
/// # Safety
///
/// Both are valid, and nobody else has `conn` yet.
#[no_mangle]
unsafe extern "C" fn vs_conn_born_body(conn: *const c::sock, request: *const c::request_sock) {
    // SAFETY: By the requirement of this function.
    let pair = unsafe { (Sock::new(conn), Sock::new(request.cast())) };
    let (Some(conn), Some(request)) = pair else {
        return;
    };
    with(|s| {
        let id = request.owner(s);
        if !id.is_root() {
            // The refusal is counted; no caller here could be told.
            let _ = conn.give(s, id);
        }
    });
}

/// In the client's connect(), under the locks of both sockets, which are the client's and the
/// listener's. `conn` is new.
///
/// # Safety
///
/// Both are valid.
#[no_mangle]
unsafe extern "C" fn vs_conn_unix_body(client: *const c::sock, conn: *const c::sock) -> u64 {
    // SAFETY: By the requirement of this function.
    let pair = unsafe { (Sock::new(client), Sock::new(conn)) };
    let (Some(client), Some(conn)) = pair else {
        return Answer::UNCHANGED.pack();
    };
    with(|s| {
        let owner = s.resolve(client.owner(s));
        match conn.give(s, owner) {
            Ok(()) => Answer::UNCHANGED.pack(),
            Err(error) => refused(Gate::Accept, owner, error),
        }
    })
}

/// A datagram is about to be queued for its receiver: it gets the tag that the receiver will read.
/// Of a unix datagram that is its sender's, as of now, or the one that a rule of `send` gave it. Of
/// one that came by a device into another network namespace than the initial one, that which it
/// arrived with: nobody but the socket layer can write to it from here on. In the sender's context,
/// or softirq.
///
/// # Safety
///
/// Both are valid; `receiver` is a full socket.
#[no_mangle]
unsafe extern "C" fn vs_datagram_body(receiver: *const c::sock, skb: NonNull<c::sk_buff>) {
    // SAFETY: By the requirement of this function.
    let receiver = unsafe { Sock::new(receiver) };
    // SAFETY: It is valid for the call; a packet on its way into a queue belongs to its sender.
    let mut skb = unsafe { Skb::from_raw(skb) };
    let Some(receiver) = receiver else { return };
    if receiver.family() != c::AF_UNIX && receiver.is_hosts() {
        return; // the packet has it already
    }
    with(|s| {
        let owner = match receiver.family() {
            c::AF_UNIX => skb.sock().map_or(VsId::ROOT, |sender| {
                let message = OwnTag::new(s).and_then(|tag| tag.message_by(sender));
                message.unwrap_or_else(|| sender.owner(s))
            }),
            _ => netfilter::sender(s, &skb, receiver),
        };
        skb.set_secmark(s.tag(s.resolve(owner)).raw());
    });
}

// The kfuncs from here on are about sockets alone: `kfuncs.h` says what each is for. Any context
// but NMI and hard interrupt.

/// # Safety
///
/// Both are full sockets, alive.
#[no_mangle]
unsafe extern "C" fn vs_sk_follow_body(sk: *const c::sock, other: *const c::sock) {
    // SAFETY: By the requirement of this function.
    if let (Some(sk), Some(other)) = unsafe { (Sock::new(sk), Sock::new(other)) } {
        with(|s| {
            // Without memory it stays nobody's.
            let _ = sk.force(s, s.resolve(other.owner(s)));
        });
    }
}

#[no_mangle]
extern "C" fn vs_sk_gone_body(cookie: u64, address: u64) {
    with(|s| sockets::ended(s, Name { cookie, address }));
}

/// # Safety
///
/// `sk` is null or alive, a socket of any kind.
#[no_mangle]
unsafe extern "C" fn vs_sk_vs_body(sk: *const c::sock_common) -> u32 {
    // SAFETY: By the requirement of this function.
    let sock = unsafe { Sock::new(sk.cast()) };
    with(|s| sock.map_or(VsId::ROOT, |sock| s.resolve(sock.owner(s))))
        .get()
        .into()
}

#[no_mangle]
extern "C" fn vs_named_vs_body(cookie: u64, address: u64) -> u32 {
    with(|s| s.resolve(sockets::owner(Name { cookie, address })))
        .get()
        .into()
}
