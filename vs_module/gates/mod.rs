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

use crate::gates::sock::{NameBuffer, Peer, Sock};
use crate::gates::tag::{refusal, Answer, Who};
use crate::logic::classify::Call;
use crate::logic::id::VsId;
use crate::logic::rule::{props, Facts, Gate, ENTITIES};
use crate::netfilter::{self, skb::Skb};
use crate::shim::bindings as c;
use crate::state::{self, State, Verdict};
use core::ptr::NonNull;
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
fn count(s: &State, gate: Gate, who: Who) -> Option<u32> {
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
    wants: u32,
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
fn classify_by_name(s: &State, call: Call<'_>, source: Source<'_>, wants: u32) -> Verdict {
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
}

impl Untold {
    fn of(self, s: &State, who: Who, tag: VsId) -> Option<VsId> {
        let takes = match self {
            Untold::Keep => false,
            Untold::Callers => true,
            Untold::CallersIfNobodys => tag.is_root(),
        };
        takes.then(|| s.resolve(who.cur))
    }
}

/// A call of a gate of the task alone: what it is changes, and so does its home.
fn transformed(gate: Gate, who: u32, source: Source<'_>) -> u64 {
    let who = Who::new(who);
    with(|s| {
        let from = [who.cur, VsId::ROOT, VsId::ROOT];
        Answer::belongs_to(ask(s, gate, who, from, source).to[0]).pack()
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
fn labelled(s: &State, who: Who, sock: Sock<'_>, call: Use<'_>, wants: Option<u32>) -> u64 {
    let Use {
        gate,
        peer,
        message,
        untold,
        ..
    } = call;
    let tag = sock.tag();
    let from = [who.cur, tag, message.unwrap_or(tag)];
    let source = Source {
        sock: Some(sock),
        peer,
        ..Source::default()
    };
    let verdict = wants.map_or(Verdict::UNCHANGED, |wants| {
        classify(s, gate, who, from, source, wants)
    });
    if let Some(to) = verdict.to[1].or_else(|| untold.of(s, who, tag)) {
        if let Err(error) = sock.give(s, to) {
            return refusal(error);
        }
    }
    // Of the other protocols a message cannot be told from its socket on the way.
    let message = verdict.to[2].filter(|_| gate == Gate::Send && sock.proto() == c::VS_PROTO_UDP);
    Answer {
        message,
        ..Answer::works_for(verdict.to[0])
    }
    .pack()
}

/// The work in hand has ended.
fn ended(s: &State, gate: Gate, who: Who) -> u64 {
    s.service(who.cur).hit(gate);
    Answer::works_for(Some(s.resolve(who.home))).pack()
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
            Ok(home) => Answer {
                home: Some(home),
                ..Answer::works_for(verdict.to[0])
            }
            .pack(),
            Err(error) => refusal(error),
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
        let from = [who.cur, sock.tag(), peer.tag()];
        let source = Source {
            sock: Some(sock),
            ..Source::default()
        };
        let verdict = ask(s, Gate::Socketpair, who, from, source);
        for (end, n) in [(sock, 1), (peer, 2)] {
            let to = verdict.to[n].or_else(|| Untold::CallersIfNobodys.of(s, who, end.tag()));
            if let Some(Err(error)) = to.map(|to| end.give(s, to)) {
                return refusal(error);
            }
        }
        Answer::works_for(verdict.to[0]).pack()
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
        Use::of(Gate::Accept, Some(conn), Untold::CallersIfNobodys),
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
            ..Use::of(Gate::Recv, Some(sock), Untold::Keep)
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

/// Softirq. The request's mark, which connection and SYN-ACK inherit, is its packet's in our bits:
/// the listener's VS, which it may have here, is not the client's. A VS that has no room for
/// another socket is refused the connection here, as accept() could not do it any more.
///
/// # Safety
///
/// The packet is that of the request, and nobody else has the request yet.
#[no_mangle]
unsafe extern "C" fn vs_conn_request_body(
    skb: NonNull<c::sk_buff>,
    believed: bool,
    request: *mut c::request_sock,
) -> u64 {
    // SAFETY: By the requirement of this function. Of its data, nothing is read.
    let skb = unsafe { Skb::from_raw(skb) };
    with(|s| {
        let sender = match believed {
            true => s.resolve(netfilter::sent_by(skb.mark(), skb.interface())),
            false => VsId::ROOT,
        };
        let id = match s.socket_born(sender) {
            Ok(id) => id,
            Err(error) => return refusal(error),
        };
        // It is counted when the handshake is done.
        s.socket_gone(id);
        // SAFETY: By the requirement of this function; requests of TCP are inet requests.
        unsafe {
            let mark = &raw mut (*request.cast::<c::inet_request_sock>()).ir_mark;
            *mark = id.to_mark(*mark, crate::mark_shift());
        }
        Answer::UNCHANGED.pack()
    })
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
    let (client, conn) = unsafe { (Sock::new(client), Sock::new(conn)) };
    with(|s| match conn.give(s, s.resolve(client.tag())) {
        Ok(()) => Answer::UNCHANGED.pack(),
        Err(error) => refusal(error),
    })
}
