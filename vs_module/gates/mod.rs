// SPDX-License-Identifier: GPL-2.0

//! The gates: what each sees of a call, and what its rules make of it.
//!
//! One function per gate, called by its BPF program (`gates/*.bpf.c`) through a kfunc of
//! `kfuncs.h`. All go the same way: count the call, leave at once if the gate has no rules, gather
//! what its rules ask for and nothing else, let them decide, tag the sockets, answer for the task.
//!
//! Context: task context unless stated, interrupts and bottom halves as the hook has them. Nothing
//! here sleeps, allocates or waits for a lock of another tenant. What is gathered lies on the stack,
//! so that preemption needs no care.

use crate::gates::sock::{NameBuffer, Peer};
use crate::gates::tag::{refusal, Answer, Who};
use crate::logic::classify::Call;
use crate::logic::id::VsId;
use crate::logic::tag::Tag;
use crate::logic::rule::{props, Facts, Gate, ENTITIES};
use crate::netfilter;
use crate::shim::bindings as c;
use crate::shim::skb::Skb;
use crate::shim::sock::Sock;
use crate::state::sockets::{self, Name, Pledge};
use crate::state::{self, State, Verdict};
use core::ptr::NonNull;
use kernel::error::Error;
use kernel::ffi::{c_int, c_void};

mod path;
pub(crate) mod sock;
pub(crate) mod tag;

/// Where the properties of a call come from.
#[derive(Clone, Copy, Default)]
struct Source<'a> {
    sock: Option<Sock<'a>>,
    peer: Option<Peer<'a>>,
    /// Credentials that are about to be the task's, if not its present ones.
    cred: Option<&'a c::cred>,
    exec: Option<&'a c::linux_binprm>,
}

/// Calls `f` under RCU, as `kfuncs.c` has all gates called.
fn with<R>(f: impl FnOnce(&State) -> R) -> R {
    // SAFETY: See above.
    unsafe { state::under_rcu(f) }
}

/// Counts the call; what the gate's rules ask for, `None` if it has none for this caller.
fn count(s: &State, gate: Gate, who: Who) -> Option<u16> {
    let service = s.service(who.cur);
    service.hit(gate);
    s.classifier().wants(gate, service.id())
}

/// Counts the call, and asks the rules if the gate has any.
fn ask(s: &State, gate: Gate, who: Who, from: [VsId; ENTITIES], source: Source<'_>) -> Verdict {
    match count(s, gate, who) {
        None => Verdict::UNCHANGED,
        Some(wants) => classify(s, gate, who, from, source, wants),
    }
}

/// Gathers what is asked for, and classifies. Not inlined: who has no rules does not pay.
#[inline(never)]
fn classify(
    s: &State,
    gate: Gate,
    who: Who,
    from: [VsId; ENTITIES],
    source: Source<'_>,
    wants: u16,
) -> Verdict {
    let mut call = Call {
        gate,
        from,
        home: who.home,
        facts: Facts::NONE,
    };
    let facts = &mut call.facts;
    if wants & (props::UID | props::GID) != 0 {
        // SAFETY: The running task's credentials stay while it is here.
        let cred = source
            .cred
            .map_or_else(|| unsafe { c::vs_current_cred() }, |cred| cred);
        // SAFETY: Either kind is valid.
        (facts.uid, facts.gid) = unsafe { (c::vs_cred_euid(cred), c::vs_cred_egid(cred)) };
        facts.props |= props::UID | props::GID;
    }
    if let Some(sock) = source.sock {
        sock.facts(wants, source.peer, facts);
    }
    if wants & props::NAMES != 0 {
        return classify_by_name(s, call, source, wants);
    }
    s.verdict(&mut call)
}

/// The same with paths and names. Apart, for the sake of its buffers, which cost more than a look-up.
#[inline(never)]
fn classify_by_name(s: &State, call: Call<'_>, source: Source<'_>, wants: u16) -> Verdict {
    let mut program = path::EMPTY;
    let mut cgroup = path::EMPTY;
    let mut name: NameBuffer = [0; _];
    let mut call = call;
    let facts = &mut call.facts;

    if wants & props::CGROUP != 0 {
        if let Some(path) = path::cgroup(&mut cgroup) {
            facts.cgroup = path;
            facts.props |= props::CGROUP;
        }
    }
    if let (Some(exec), true) = (source.exec, wants & props::PATH != 0) {
        // SAFETY: It is the exec that this gate is called for.
        if let Some(path) = unsafe { path::program(exec, &mut program) } {
            facts.path = path;
            facts.props |= props::PATH;
        }
    }
    if let (Some(sock), true) = (source.sock, wants & props::UNIX != 0) {
        if let Some(name) = sock.name(source.peer, &mut name) {
            facts.path = name;
            facts.props |= props::UNIX;
        }
    }
    s.verdict(&mut call)
}

/// What becomes of a socket of which the rules say nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Untold {
    /// It stays whose it is.
    Keep,
    /// It becomes the VS's that the caller works for.
    Callers,
    /// Likewise, if it is nobody's.
    CallersIfNobodys,
    /// It becomes the caller's home VS's, if it is nobody's: that the caller has work in hand says
    /// nothing about a connection that others have opened.
    HomeIfNobodys,
}

impl Untold {
    fn of(self, s: &State, who: Who, owner: VsId) -> Option<VsId> {
        match self {
            Untold::Callers => Some(s.resolve(who.cur)),
            Untold::CallersIfNobodys if owner.is_root() => Some(s.resolve(who.cur)),
            Untold::HomeIfNobodys if owner.is_root() => Some(s.resolve(who.home)),
            _ => None,
        }
    }
}

/// A call of a gate of the task alone: what it is changes, and so does its home.
fn transformed(gate: Gate, who: u32, source: Source<'_>) -> u64 {
    let who = Who::new(who);
    with(|s| {
        let from = [who.cur, VsId::ROOT, VsId::ROOT];
        let verdict = ask(s, gate, who, from, source);
        answered(gate, who, verdict.rule, Answer::belongs_to(verdict.to[0]))
    })
}

/// A call of a gate with a socket.
#[derive(Clone, Copy)]
struct Use<'a> {
    gate: Gate,
    /// `None`: it has just gone.
    sock: Option<Sock<'a>>,
    /// Whom the call names.
    peer: Option<Peer<'a>>,
    /// Whose message is received, if it is not the socket's.
    message: Option<VsId>,
    untold: Untold,
}

impl<'a> Use<'a> {
    fn of(gate: Gate, sock: Option<Sock<'a>>, untold: Untold) -> Self {
        Use {
            gate,
            sock,
            peer: None,
            message: None,
            untold,
        }
    }
}

/// Inlined: then what a gate does not use is not made.
#[inline(always)]
fn used(who: u32, call: Use<'_>) -> u64 {
    let who = Who::new(who);
    let Some(sock) = call.sock.filter(|sock| sock.is_tagged_kind()) else {
        return Answer::UNCHANGED.pack();
    };
    with(|s| match count(s, call.gate, who) {
        None if call.untold == Untold::Keep => Answer::UNCHANGED.pack(),
        wants => labelled(s, who, sock, call, wants),
    })
}

/// The rest of [`used`], where there are rules, or the socket is labelled without. Not inlined: the
/// calls that end above are the most.
#[inline(never)]
fn labelled(s: &State, who: Who, sock: Sock<'_>, call: Use<'_>, wants: Option<u16>) -> u64 {
    let Use {
        gate,
        peer,
        message,
        untold,
        ..
    } = call;
    if sock.is_kernel() {
        // The transport of a file system serves everybody, whoever uses it just now.
        return Answer::UNCHANGED.pack();
    }
    let tag = s.resolve(sock.owner(s));
    let from = [who.cur, tag, message.unwrap_or(tag)];
    let source = Source {
        sock: Some(sock),
        peer,
        ..Source::default()
    };
    let verdict = wants.map_or(Verdict::UNCHANGED, |wants| {
        classify(s, gate, who, from, source, wants)
    });
    let to = verdict.to[1].or_else(|| untold.of(s, who, tag));
    if let Some(to) = to.filter(|to| *to != tag) {
        if let Err(error) = sock.give(s, to) {
            return refused(gate, to, error);
        }
    }
    // Of the other protocols a message cannot be told from its socket on the way.
    let message = verdict.to[2].filter(|_| gate == Gate::Send && sock.proto() == c::VS_PROTO_UDP);
    let answer = Answer {
        message,
        ..Answer::works_for(verdict.to[0])
    };
    answered(gate, who, verdict.rule, answer)
}

/// The verdict on the running task, which is traced if something changes for it.
fn answered(gate: Gate, who: Who, rule: Option<u32>, answer: Answer) -> u64 {
    if answer.cur.is_some_and(|cur| cur != who.cur) || answer.home.is_some() {
        traced(gate, who, rule, answer);
    }
    answer.pack()
}

#[inline(never)]
fn traced(gate: Gate, who: Who, rule: Option<u32>, answer: Answer) {
    let id = |id: VsId| u32::from(id.get());
    let new = |new: Option<VsId>| new.map_or(c::VS_UNCHANGED, id);
    let rule = rule.unwrap_or(c::VS_TRACE_NO_RULE);
    // SAFETY: May be called in any context.
    unsafe {
        c::vs_trace_bind(
            gate as u32,
            id(who.home),
            id(who.cur),
            new(answer.home),
            new(answer.cur),
            rule,
        );
    }
}

/// The verdict that refuses the call, at a limit of `service` or of one above it.
#[inline(never)]
fn refused(gate: Gate, service: VsId, error: Error) -> u64 {
    // SAFETY: May be called in any context.
    unsafe { c::vs_trace_refuse(gate as u32, service.get().into(), error.to_errno()) };
    refusal(error)
}

/// The work in hand has ended.
fn ended(s: &State, gate: Gate, who: Who) -> u64 {
    s.service(who.cur).hit(gate);
    answered(gate, who, None, Answer::works_for(Some(s.resolve(who.home))))
}

// Safety of what follows: the verifier has seen to it that pointers are valid for the call, and
// the hooks that sockets are in use by it, so that `sk` stays.

/// In the parent; the child is not running yet.
#[no_mangle]
extern "C" fn vs_gate_fork_body(who: u32) -> u64 {
    let who = Who::new(who);
    with(|s| {
        let from = [who.cur, VsId::ROOT, VsId::ROOT];
        let verdict = ask(s, Gate::Fork, who, from, Source::default());
        let home = verdict.to[1].unwrap_or_else(|| s.resolve(who.cur));
        match s.task_born(home) {
            Ok(home) => {
                let works = Answer::works_for(verdict.to[0]);
                let answer = answered(Gate::Fork, who, verdict.rule, works);
                answer & !Answer::HOME | Answer::home(home)
            }
            Err(error) => refused(Gate::Fork, home, error),
        }
    })
}

/// # Safety
///
/// `bprm` is valid: the exec that is under way.
#[no_mangle]
unsafe extern "C" fn vs_gate_exec_body(bprm: *const c::linux_binprm, who: u32) -> u64 {
    // SAFETY: By the requirement of this function.
    let exec = unsafe { bprm.as_ref() };
    transformed(
        Gate::Exec,
        who,
        Source {
            exec,
            ..Source::default()
        },
    )
}

#[no_mangle]
extern "C" fn vs_gate_exit_body(who: u32) {
    with(|s| s.service(Who::new(who).cur).hit(Gate::Exit));
}

/// # Safety
///
/// `cred` is valid: the credentials that the task is about to have.
#[no_mangle]
unsafe extern "C" fn vs_gate_setuid_body(cred: *const c::cred, who: u32) -> u64 {
    // SAFETY: By the requirement of this function.
    let cred = unsafe { cred.as_ref() };
    transformed(
        Gate::Setuid,
        who,
        Source {
            cred,
            ..Source::default()
        },
    )
}

/// # Safety
///
/// As for [`vs_gate_setuid_body`].
#[no_mangle]
unsafe extern "C" fn vs_gate_setgid_body(cred: *const c::cred, who: u32) -> u64 {
    // SAFETY: By the requirement of this function.
    let cred = unsafe { cred.as_ref() };
    transformed(
        Gate::Setgid,
        who,
        Source {
            cred,
            ..Source::default()
        },
    )
}

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
            ..Use::of(Gate::Socket, sock, Untold::Callers)
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
        let from = [who.cur, sock.owner(s), peer.owner(s)];
        let source = Source {
            sock: Some(sock),
            ..Source::default()
        };
        let verdict = ask(s, Gate::Socketpair, who, from, source);
        for (end, n) in [(sock, 1), (peer, 2)] {
            let to = verdict.to[n].or_else(|| Untold::CallersIfNobodys.of(s, who, end.owner(s)));
            if let Some((to, Err(error))) = to.map(|to| (to, end.give(s, to))) {
                return refused(Gate::Socketpair, to, error);
            }
        }
        answered(Gate::Socketpair, who, verdict.rule, Answer::works_for(verdict.to[0]))
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
    used(
        who,
        Use {
            peer,
            ..Use::of(Gate::Connect, sock, Untold::Callers)
        },
    )
}

/// `sendto(MSG_FASTOPEN)` on a TCP socket that is not connected is a connect() of which no other hook
/// knows. Any other message passes.
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
        // SAFETY: As above.
        Some(sock) if sock.is_closed() && sock.proto() == c::VS_PROTO_TCP => unsafe {
            let (name, len) = ((*message).msg_name, (*message).msg_namelen);
            vs_gate_connect_body(socket, name, len, who)
        },
        _ => Answer::UNCHANGED.pack(),
    }
}

/// Under locks of the socket, bottom halves off. It cannot refuse: a connection for which its VS
/// has no room stays nobody's.
///
/// # Safety
///
/// `conn` is valid and in use.
#[no_mangle]
unsafe extern "C" fn vs_gate_accept_body(conn: *const c::sock, who: u32) -> u64 {
    // SAFETY: By the requirement of this function.
    let conn = unsafe { Sock::new(conn) };
    used(
        who,
        Use::of(Gate::Accept, conn, Untold::HomeIfNobodys),
    )
}

/// The message itself can be given to a VS if it is a UDP datagram: its BPF program keeps that in
/// the task's tag, where [`crate::gates::tag::message_of`] asks for it when the packet leaves.
///
/// # Safety
///
/// `socket` and `message` are valid, the former in use; what the latter names lies in kernel memory.
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
    // With a connection, a name is the caller's word for what it will not be asked about.
    let peer = peer.filter(|_| sock.is_some_and(|sock| !sock.is_stream()));
    used(
        who,
        Use {
            peer,
            ..Use::of(Gate::Send, sock, Untold::Keep)
        },
    )
}

/// # Safety
///
/// `sk` is valid and in use.
#[no_mangle]
unsafe extern "C" fn vs_gate_recv_body(sk: *const c::sock, message: u32, who: u32) -> u64 {
    // SAFETY: By the requirement of this function.
    let sock = unsafe { Sock::new(sk) };
    used(
        who,
        Use {
            message: VsId::new(message),
            ..Use::of(Gate::Recv, sock, Untold::Keep)
        },
    )
}

#[no_mangle]
extern "C" fn vs_gate_close_body(who: u32, work_ended: bool) -> u64 {
    let who = Who::new(who);
    with(|s| {
        if work_ended {
            return ended(s, Gate::Close, who);
        }
        s.service(who.cur).hit(Gate::Close);
        Answer::UNCHANGED.pack()
    })
}

#[no_mangle]
extern "C" fn vs_gate_wait_body(who: u32) -> u64 {
    with(|s| ended(s, Gate::Wait, Who::new(who)))
}

/// Softirq. The request carries its packet's service; the listener's, whose mark it may have here, is
/// not the client's. A service that has no room for another socket is refused the connection here,
/// as accept() could not do it any more.
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

/// Softirq. The handshake of `request` is done, `conn` is what it has become. Where its service has
/// no room by now the connection stays nobody's: other handshakes were quicker.
///
/// # Safety
///
/// Both are valid, and nobody else has `conn` yet.
#[no_mangle]
unsafe extern "C" fn vs_conn_born_body(conn: *const c::sock, request: *const c::request_sock) {
    // SAFETY: By the requirement of this function.
    let pair = unsafe { (Sock::new(conn), Sock::new(request.cast())) };
    let (Some(conn), Some(request)) = pair else { return };
    with(|s| {
        let id = request.owner(s);
        if !id.is_root() {
            // The refusal is counted; there is nobody here who could be told.
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
/// Of a unix datagram that is its sender's, as of now. Of one that came by a device into another
/// network namespace than the initial one, that which it arrived with: nobody but the socket layer
/// can write to it from here on. In the sender's context, or softirq.
///
/// # Safety
///
/// Both are valid; `receiver` is a full socket.
#[no_mangle]
unsafe extern "C" fn vs_datagram_body(receiver: *const c::sock, skb: NonNull<c::sk_buff>) {
    // SAFETY: By the requirement of this function.
    let receiver = unsafe { Sock::new(receiver) };
    // SAFETY: As above; a packet on its way into a queue belongs to its sender.
    let mut skb = unsafe { Skb::from_raw(skb) };
    let Some(receiver) = receiver else { return };
    if receiver.family() != c::AF_UNIX && receiver.is_hosts() {
        return; // the packet has it already
    }
    with(|s| {
        let owner = match receiver.family() {
            c::AF_UNIX => skb.sock().map_or(VsId::ROOT, |sender| sender.owner(s)),
            _ => netfilter::sender(s, &skb, receiver),
        };
        skb.set_secmark(s.tag(s.resolve(owner)).raw());
    });
}

// What follows is about sockets alone: `kfuncs.h` says what each is for. Any context but NMI and
// hard interrupt.

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

#[no_mangle]
extern "C" fn vs_message_vs_body(secmark: u32) -> u32 {
    with(|s| s.believe(Tag::from_raw(secmark))).get().into()
}
