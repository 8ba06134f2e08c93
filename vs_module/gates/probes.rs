// SPDX-License-Identifier: GPL-2.0

//! The parts of the gates `send` and `recv` that are probes of the module: after a message was sent
//! or received, by whichever system call. And the switch for these and the gate [`read`].
//!
//! A receipt is where work begins and ends, so it must never be missed: the kernel leaves a BPF
//! program out that is under way already on the CPU, and a probe never. Where a task's tag has to
//! change, the probe calls a BPF program for that ([`vs_bind`](c::vs_bind)), because the tag is in
//! BPF storage and its change settles the CPU accounts.
//!
//! Context: task context, any locks of the receive held; [`vs_taken`] and those of TCP streams are
//! also called in softirq, where no task is told anything. Nothing sleeps.

use super::*;
use crate::gates::queue::Queues;
use crate::gates::read::Reads;
use crate::shim::probe::{self, Hook, Probe};
use crate::shim::rcu::read_once;
use crate::shim::sock::Kind;
use crate::state::streams::{self, Parts};
use kernel::c_str;
use kernel::error::to_result;
use kernel::prelude::*;
use kernel::str::CStr;
use kernel::sync::atomic::{Atomic, Relaxed};

kernel::sync::global_lock! {
    // SAFETY: `register` is called before the device exists, by which callers turn probes on.
    unsafe(uninit) static SWITCH: Mutex<Probes> = Probes {
        sent: None,
        received: None,
        taken: None,
        queues: None,
        reads: None,
        unix: false,
        connecting: None,
        sending: None,
        reading: None,
    };
}

/// The probes that are attached.
struct Probes {
    sent: Option<Probe<Sent>>,
    received: Option<Probe<Received>>,
    taken: Option<Taken>,
    queues: Option<Queues>,
    reads: Option<Reads>,
    /// Messages on unix streams are seen.
    unix: bool,
    /// As are those on TCP connections.
    connecting: Option<Probe<Connecting>>,
    sending: Option<Probe<Sending>>,
    reading: Option<Probe<Reading>>,
}

/// Whether the gate `send` is attached. If it is not, a tag may still tell of what its task sent
/// last.
static SENDS: Atomic<bool> = Atomic::new(false);

/// Whether the gate `send` is attached.
pub(super) fn sends_are_seen() -> bool {
    read_once(&SENDS)
}

/// The service that a rule gave the message which the running task sends by `sock`, if one did.
fn message_by(s: &State, sock: Sock<'_>) -> Option<VsId> {
    OwnTag::new(s)
        .filter(|_| sends_are_seen())?
        .message_by(sock)
}

/// The probes as a part of the module; dropping it takes them off.
pub(crate) struct GateProbes(());

/// Makes [`set`] possible. All is off at first.
///
/// # Safety
///
/// Called once, before all other functions of this module.
pub(crate) unsafe fn register() -> GateProbes {
    // SAFETY: By the requirement of this function.
    unsafe { SWITCH.init() };
    GateProbes(())
}

impl Drop for GateProbes {
    fn drop(&mut self) {
        // Turning off cannot fail.
        let _ = set(Gate::Send, false);
        let _ = set(Gate::Recv, false);
        let _ = set(Gate::Read, false);
        for proto in STREAMS {
            let _ = set_streams(proto, false);
        }
        forget_tags();
    }
}

/// Attaches or takes off the probes of `send`, `recv` or `read`; if it is so already, it stays.
/// `EINVAL`: the gate has none. `ENOENT`: the kernel lacks a tracepoint or function; `ENOMEM`; then
/// it stays off. May sleep.
pub(crate) fn set(gate: Gate, on: bool) -> Result {
    let mut probes = SWITCH.lock();
    match gate {
        Gate::Send => {
            let new = probe::wanted(&probes.sent, on)?;
            probe::put(&mut probes.sent, new, on);
            SENDS.store(on, Relaxed);
        }
        Gate::Recv => {
            let missing = on && probes.taken.is_none();
            let taken = missing.then(Taken::new).transpose()?;
            let queues = missing.then(Queues::new).transpose()?;
            let new = probe::wanted(&probes.received, on)?;
            // Nothing fails from here on.
            probe::put(&mut probes.received, new, on);
            if !on || missing {
                probes.taken = taken;
                probes.queues = queues;
            }
        }
        Gate::Read => match on {
            true if probes.reads.is_some() => {}
            true => probes.reads = Some(Reads::new()?),
            false => probes.reads = None,
        },
        _ => return Err(EINVAL),
    }
    Ok(())
}

/// Whether the gate `read` is attached. May sleep.
pub(crate) fn reads_are_seen() -> bool {
    SWITCH.lock().reads.is_some()
}

/// The protocols of streams on which messages can be given to services.
pub(crate) const STREAMS: [Proto; 2] = [Proto::UnixStream, Proto::Tcp];

/// Has messages on streams of one of [`STREAMS`] carry a service of their own, or no more; if it is
/// so already, it stays. Needed while a rule gives them one. `ENOENT`: the kernel lacks a function
/// or a tracepoint; `ENOMEM`; then it stays off. May sleep.
pub(crate) fn set_streams(proto: Proto, on: bool) -> Result {
    let mut probes = SWITCH.lock();
    if proto == Proto::Tcp {
        let connecting = probe::wanted(&probes.connecting, on)?;
        let reading = probe::wanted(&probes.reading, on)?;
        // From here on messages are noted, all of which have to be seen until they are read.
        let sending = probe::wanted(&probes.sending, on)?;
        probe::put(&mut probes.reading, reading, on);
        probe::put(&mut probes.sending, sending, on);
        probe::put(&mut probes.connecting, connecting, on);
        if !on {
            streams::forget();
        }
    } else if on != probes.unix {
        // SAFETY: One at a time, by the lock of `SWITCH`; process context; only ended if begun.
        match on {
            true => to_result(unsafe { c::vs_streams_watch() })?,
            false => unsafe { c::vs_streams_end() },
        }
        probes.unix = on;
    }
    Ok(())
}

/// Asks the programs that are attached where tags of tasks are. May sleep.
pub(crate) fn learn_tags() {
    let _one = SWITCH.lock();
    // SAFETY: Process context, one at a time by the lock.
    unsafe { c::vs_learn_tags() };
}

/// Lets go of the tags of tasks: no task has one. May sleep.
pub(crate) fn forget_tags() {
    let _one = SWITCH.lock();
    // SAFETY: Process context, one at a time by the lock.
    unsafe { c::vs_forget_tags() };
}

/// Datagrams that are taken off sockets' queues are seen, while this is there.
struct Taken(());

impl Taken {
    /// `ENOENT`: this kernel has not the functions at which they are seen. May sleep.
    fn new() -> Result<Self> {
        // SAFETY: One at a time, by the lock of `SWITCH`; process context.
        to_result(unsafe { c::vs_taken_watch() })?;
        Ok(Taken(()))
    }
}

impl Drop for Taken {
    /// When this returns, [`vs_taken`] does not run any more. May sleep.
    fn drop(&mut self) {
        // SAFETY: It was begun.
        unsafe { c::vs_taken_end() };
    }
}

/// A datagram was taken off a queue, or looked at there: its VS is kept for [`received`], which
/// follows in the same call.
///
/// # Safety
///
/// Both are valid; `sk` is a full socket.
#[no_mangle]
unsafe extern "C" fn vs_taken(sk: *const c::sock, skb: *const c::sk_buff) {
    // SAFETY: By the requirement of this function.
    let Some(sock) = (unsafe { Sock::new(sk) }) else {
        return;
    };
    let Some(skb) = NonNull::new(skb.cast_mut()) else {
        return;
    };
    // SAFETY: Any context.
    if !sock.is_datagram() || !sock.is_tagged_kind() || unsafe { c::vs_serves_kernel() } {
        return;
    }
    // SAFETY: By the requirement of this function; it is only read.
    let skb = unsafe { Skb::from_raw(skb) };
    state::with(|s| {
        let message = s.believe(Tag::from_raw(skb.secmark()));
        if let Some(tag) = OwnTag::new(s) {
            return tag.keep_message(message);
        }
        // A task without a tag has a message of root's already.
        if !message.is_root() {
            // SAFETY: Task context. Without memory the message is root's.
            unsafe { c::vs_bind_current(Answer::UNCHANGED.pack(), 0) };
            if let Some(tag) = OwnTag::new(s) {
                tag.keep_message(message);
            }
        }
    });
}

/// A message is made of a unix stream: it gets the service that a rule of `send` has given it.
///
/// # Safety
///
/// `skb` is valid, and nobody else has it.
#[no_mangle]
unsafe extern "C" fn vs_filled(skb: NonNull<c::sk_buff>) {
    // SAFETY: By the requirement of this function.
    let mut skb = unsafe { Skb::from_raw(skb) };
    let Some(sock) = skb.sock() else { return };
    if sock.kind() != Kind::Full || sock.proto() != c::VS_PROTO_UNIX_STREAM {
        return;
    }
    let message = state::with(|s| {
        let message = message_by(s, sock)?;
        Some(s.tag(s.resolve(message)).raw())
    });
    if let Some(message) = message {
        skb.set_secmark(message);
    }
}

/// A part of a unix stream is about to be read: its service is kept for [`received`], which follows
/// in the same call.
///
/// # Safety
///
/// `skb` is valid.
#[no_mangle]
unsafe extern "C" fn vs_read(skb: NonNull<c::sk_buff>) {
    // SAFETY: By the requirement of this function; it is only read.
    let raw = unsafe { Skb::from_raw(skb) }.secmark();
    state::with(|s| {
        let part = match raw {
            0 => Parts::Sockets,
            raw => Parts::Of(s.believe(Tag::from_raw(raw))),
        };
        read_part(s, part, 0);
    });
}

/// Keeps for [`received`] what a part of a stream is that the running task reads, by the socket of
/// this cookie (0: it is not known).
fn read_part(s: &State, part: Parts, by: u64) {
    if let Some(tag) = OwnTag::new(s) {
        tag.read_part(part, by);
    } else if part != Parts::Sockets {
        // SAFETY: Task context. Without memory it is taken for its socket's.
        unsafe { c::vs_bind_current(Answer::UNCHANGED.pack(), 0) };
        if let Some(tag) = OwnTag::new(s) {
            tag.read_part(part, by);
        }
    }
}

/// A socket changes its state. In softirq, too.
struct Connecting;

// SAFETY: TP_PROTO(const struct sock *sk, const int oldstate, const int newstate).
unsafe impl Hook for Connecting {
    const TRACEPOINT: &'static CStr = c_str!("inet_sock_set_state");

    fn enter() -> *mut c_void {
        connecting as *mut c_void
    }
}

/// # Safety
///
/// `sk` is a full socket, locked.
unsafe extern "C" fn connecting(_: *mut c_void, sk: *const c::sock, old: c_int, new: c_int) {
    const FROM: u32 = c::TCP_SYN_SENT;
    const TO: u32 = c::TCP_ESTABLISHED;
    if new as u32 != FROM && new as u32 != TO {
        return;
    }
    // SAFETY: By the requirement of this function.
    let sock = unsafe { Sock::new(sk) };
    if let Some(sock) = sock.filter(|sock| sock.proto() == c::VS_PROTO_TCP) {
        state::with(|_| match new as u32 == FROM {
            true => streams::connects(sock),
            false => streams::connected(sock, old as u32 == FROM),
        });
    }
}

/// Bytes are about to be put into a TCP stream. Under the socket's lock.
struct Sending;

// SAFETY: TP_PROTO(const struct sock *sk, const struct msghdr *msg, const struct sk_buff *skb,
// int size_goal).
unsafe impl Hook for Sending {
    const TRACEPOINT: &'static CStr = c_str!("tcp_sendmsg_locked");

    fn enter() -> *mut c_void {
        sending as *mut c_void
    }
}

/// # Safety
///
/// `sk` is a TCP socket, in use by the running task.
unsafe extern "C" fn sending(_: *mut c_void, sk: *const c::sock) {
    // SAFETY: By the requirement of this function.
    let Some(sock) = (unsafe { Sock::new(sk) }) else {
        return;
    };
    // Subflows of MPTCP do not come here.
    if sock.proto() == c::VS_PROTO_TCP {
        state::with(|s| {
            streams::sends(s, sock, message_by(s, sock));
        });
    }
}

/// Bytes were taken from a TCP stream. Under the socket's lock; in softirq where the kernel itself
/// takes them.
struct Reading;

// SAFETY: TP_PROTO(struct sock *sk).
unsafe impl Hook for Reading {
    const TRACEPOINT: &'static CStr = c_str!("tcp_rcv_space_adjust");

    fn enter() -> *mut c_void {
        reading as *mut c_void
    }
}

/// # Safety
///
/// As for [`sending`].
unsafe extern "C" fn reading(_: *mut c_void, sk: *const c::sock) {
    // SAFETY: By the requirement of this function.
    let Some(sock) = (unsafe { Sock::new(sk) }) else {
        return;
    };
    state::with(|s| {
        let part = streams::reads(s, sock);
        // SAFETY: Any context.
        if let Some(part) = part.filter(|_| !unsafe { c::vs_serves_kernel() }) {
            read_part(s, part, sock.made_cookie());
        }
    });
}

/// Something was received.
struct Received;

// SAFETY: TP_PROTO(struct sock *sk, int ret, int flags).
unsafe impl Hook for Received {
    const TRACEPOINT: &'static CStr = c_str!("sock_recv_length");

    fn enter() -> *mut c_void {
        received as *mut c_void
    }
}

/// # Safety
///
/// `sk` is null or the socket that the running task receives by, and in use by it.
unsafe extern "C" fn received(_: *mut c_void, sk: *const c::sock, length: c_int, flags: c_int) {
    // SAFETY: By the requirement of this function.
    let Some(sock) = (unsafe { Sock::new(sk) }) else {
        return;
    };
    // SAFETY: Any context.
    if unsafe { c::vs_serves_kernel() } {
        return;
    }
    state::with(|s| {
        let tag = OwnTag::new(s);
        let work = tag.map_or(Work::at(VsId::ROOT), OwnTag::work);
        if !sock.is_tagged_kind() {
            // No rule can give it to a service; where it is a client's, the kernel answers.
            if work.is_any() && length > 0 && flags & c::MSG_PEEK as c_int == 0 {
                let way = Way {
                    object: sock.made_cookie(),
                    serves: sock.serves(),
                    asked: true,
                };
                worked_on(s, tag, work, way, &Verdict::UNCHANGED);
            }
            return;
        }
        // Also of a datagram that was only looked at, or did not fit: it is not the next one.
        let mut several = false;
        let message = match (sock.is_datagram(), tag) {
            (true, None) => Some(VsId::ROOT),
            (true, Some(tag)) => Some(tag.take_message()),
            (false, None) => None,
            (false, Some(tag)) => match tag.take_parts(sock) {
                Parts::Sockets => None,
                Parts::Of(message) => Some(message),
                Parts::Several => {
                    several = true;
                    None
                }
            },
        };
        let empty = length == 0 && !(sock.is_datagram() && message.is_some());
        if length < 0 || empty || flags & c::MSG_PEEK as c_int != 0 {
            return;
        }
        let wants = count(s, Gate::Recv, Who::of(work));
        // An answer to the home's own question, where the gate `send` notes those.
        let answered =
            || sockets::any_asked() && comes_to_work(s, s.resolve(work.home())) && !sock.serves();
        if wants.is_some() || work.is_any() || answered() {
            receipt(s, sock, tag, work, (message, several), wants);
        }
    });
}

/// The rest of [`received`], where rules may bind the task, or it has work that may end. Not
/// inlined: most receipts need none of it.
#[inline(never)]
fn receipt(
    s: &State,
    sock: Sock<'_>,
    tag: Option<OwnTag<'_>>,
    work: Work,
    (message, several): (Option<VsId>, bool),
    wants: Option<u32>,
) {
    let call = Use {
        message,
        ..Use::of(Gate::Recv, Some(sock), Untold::Keep)
    };
    // A service that has no room for the socket does not get it, and no rule binds the receipt.
    let mut verdict = labelled(s, Who::of(work), sock, call, wants).unwrap_or(Verdict::UNCHANGED);
    // SAFETY: Task context.
    let alone = || !several && unsafe { c::vs_receives_one(sock.is_datagram()) };
    let mut others = false;
    if verdict.to[0].is_some() && !alone() {
        // It came with others: which of them is served first cannot be told.
        others = several || verdict.to[0].is_some_and(|to| to != work.cur() && to != work.home());
        verdict.to[0] = None;
        s.service(work.home()).unattributed();
    }
    let serves = !(work.is_any() || sockets::any_asked()) || sock.serves();
    if verdict.to[0].is_some() || work.is_any() || !serves {
        let asker = tag.map(OwnTag::asker);
        let mut way = way_by(sock.made_name(), serves, asker, Asked::answered);
        // A message that is or may be another's is no answer of this work's.
        way.asked &= !others;
        worked_on(s, tag, work, way, &verdict);
    }
}

/// Gives the task its work after a receipt by `way`, on which the rules have said `verdict`.
pub(super) fn worked_on(
    s: &State,
    tag: Option<OwnTag<'_>>,
    work: Work,
    way: Way,
    verdict: &Verdict,
) {
    let next = work.received(way, verdict.to[0]);
    // The time since a reply was the task's own, even if it has got more of the same tenant's.
    if next.cur() != work.cur() || work.has_replied() && next != work {
        let answer = worked(s, Gate::Recv, End::Receipt, work, verdict.rule, next);
        // SAFETY: Task context.
        unsafe { c::vs_bind_current(answer, next.object()) };
    } else if let Some(tag) = tag.filter(|_| next.is_any()) {
        if next != work {
            s.service(work.cur()).ended(End::Receipt);
            tag.set_way(next.object());
        }
        tag.renew();
    }
}

/// Something was sent.
struct Sent;

// SAFETY: TP_PROTO(struct sock *sk, int ret, int flags).
unsafe impl Hook for Sent {
    const TRACEPOINT: &'static CStr = c_str!("sock_send_length");

    fn enter() -> *mut c_void {
        sent as *mut c_void
    }
}

/// # Safety
///
/// As for [`received`].
unsafe extern "C" fn sent(_: *mut c_void, sk: *const c::sock, _length: c_int, _flags: c_int) {
    state::with(|s| {
        let Some(tag) = OwnTag::new(s) else { return };
        let work = tag.work();
        if !work.is_any() || work.has_replied() {
            return;
        }
        // SAFETY: By the requirement of this function.
        let Some(sock) = (unsafe { Sock::new(sk) }) else {
            return;
        };
        if is_kernels(sock) {
            return;
        }
        let next = work.sent(reply_by(s, sock, work));
        if next != work {
            let answer = match next.is_any() {
                true => with_cur(Answer::UNCHANGED.pack(), c::VS_HAS_REPLIED),
                false => worked(s, Gate::Send, End::Reply, work, None, next),
            };
            // SAFETY: Task context.
            unsafe { c::vs_bind_current(answer, 0) };
        }
    });
}
