// SPDX-License-Identifier: GPL-2.0

//! The gates: each reads the facts of a call, and applies its rules to them.
//!
//! One function per gate, called by its BPF program (`gates/*.bpf.c`) through a kfunc of
//! `kfuncs.h`. All take the same steps: count the call, leave at once if the gate has no rules,
//! gather the facts that its rules ask for and no others, let the rules decide, tag the sockets,
//! answer for the task.
//!
//! Context: task context unless stated, interrupts and bottom halves as the hook has them. Nothing
//! here sleeps, allocates or waits for a lock of another tenant. Facts are gathered on the stack,
//! so preemption needs no care.

use crate::gates::sock::{NameBuffer, Peer};
use crate::gates::tag::{refusal, with_cur, Answer, OwnTag, Who};
use crate::logic::ask::{Asked, Asker};
use crate::logic::classify::Call;
use crate::logic::id::VsId;
use crate::logic::rule::{props, Facts, Gate, ENTITIES};
use crate::logic::tag::Tag;
use crate::logic::work::{End, Reply, Way, Work};
use crate::netfilter;
use crate::shim::bindings as c;
use crate::shim::skb::Skb;
use crate::shim::sock::Sock;
use crate::state::sockets::{self, Name, Pledge};
use crate::state::{self, State, Verdict};
use core::ptr::NonNull;
use kernel::error::Error;
use kernel::ffi::{c_int, c_void};

mod cred;
pub(crate) mod hint;
mod order;
mod path;
pub(crate) mod probes;
mod read;
pub(crate) mod sock;
mod socket;
pub(crate) mod tag;
mod task;
mod wait;

/// The kernel's objects from which the properties of a call are read.
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
    // SAFETY: The kfuncs that call the gates have `KF_RCU_PROTECTED`.
    unsafe { state::under_rcu(f) }
}

/// Counts the call. Returns the properties that the gate's rules ask for, `None` if the gate has no
/// rules for this caller.
fn count(s: &State, gate: Gate, who: Who) -> Option<u32> {
    s.service(who.cur).hit(gate);
    s.classifier().wants(gate, s.resolve(who.home))
}

/// Counts the call, and asks the rules if the gate has any.
fn ask(s: &State, gate: Gate, who: Who, from: [VsId; ENTITIES], source: Source<'_>) -> Verdict {
    match count(s, gate, who) {
        None => Verdict::UNCHANGED,
        Some(wants) => classify(s, gate, who, from, source, wants),
    }
}

/// Gathers the properties asked for, and classifies. Not inlined, so that a gate without rules does
/// not pay for it.
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
        work: who.cur,
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

/// Classifies a call whose rules ask for paths or names. A function of its own, because its buffers
/// cost more than a look-up.
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

/// The new owner of a socket if the rules give it none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Untold {
    /// Its owner stays.
    Keep,
    /// The caller's home VS: a socket outlives the work during which it was made, and may serve
    /// others then.
    Homes,
    /// The caller's home VS if the socket has no owner, else its owner stays: the caller's work in
    /// hand says nothing about a connection that others have opened.
    HomesIfNobodys,
}

impl Untold {
    fn of(self, s: &State, who: Who, owner: VsId) -> Option<VsId> {
        match self {
            Untold::Keep => None,
            Untold::HomesIfNobodys if !owner.is_root() => None,
            Untold::Homes | Untold::HomesIfNobodys => Some(s.resolve(who.home)),
        }
    }
}

/// A call of a gate at which the task itself changes, and with it its home.
fn transformed(gate: Gate, who: u32, source: Source<'_>) -> u64 {
    let who = Who::new(who);
    with(|s| {
        let from = [who.home, VsId::ROOT, VsId::ROOT];
        let verdict = ask(s, gate, who, from, source);
        answered(gate, who, verdict.rule, Answer::belongs_to(verdict.to[0]))
    })
}

/// A call of a gate with a socket.
#[derive(Clone, Copy)]
struct Use<'a> {
    gate: Gate,
    /// `None`: the socket has just gone.
    sock: Option<Sock<'a>>,
    /// The peer that the call names.
    peer: Option<Peer<'a>>,
    /// The VS of the message that is received, if it is not the socket's.
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

/// Inlined, so that the parts of `Use` which a gate does not need are not made.
#[inline(always)]
fn used(who: u32, call: Use<'_>) -> u64 {
    let who = Who::new(who);
    let Some(sock) = call.sock.filter(|sock| sock.is_tagged_kind()) else {
        return Answer::UNCHANGED.pack();
    };
    with(|s| match count(s, call.gate, who) {
        None if call.untold == Untold::Keep => Answer::UNCHANGED.pack(),
        wants => match labelled(s, handing(who, in_hand(s, who).0), sock, call, wants) {
            Err(refusal) => refusal,
            Ok(verdict) => {
                let answer = Answer::works_for(verdict.to[0]);
                answered(call.gate, who, verdict.rule, answer)
            }
        },
    })
}

/// Asks the rules about a call with a socket, which gets its new owner here; fails with the verdict
/// that refuses the call. Not inlined: most calls need none of it.
#[inline(never)]
fn labelled(
    s: &State,
    who: Who,
    sock: Sock<'_>,
    call: Use<'_>,
    wants: Option<u32>,
) -> Result<Verdict, u64> {
    let Use {
        gate,
        peer,
        message,
        untold,
        ..
    } = call;
    if sock.is_kernel() {
        // The transport of a file system serves all tasks, not only the one that uses it now.
        return Ok(Verdict::UNCHANGED);
    }
    let tag = s.resolve(sock.owner(s));
    let from = [who.home, tag, message.unwrap_or(tag)];
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
            return Err(refused(gate, to, error));
        }
    }
    Ok(verdict)
}

/// Whether a message by `sock` is the kernel's own: by a socket that the transport of a file system
/// or a disk has, or by a kernel thread. It is no reply of the task that happens to run.
fn is_kernels(sock: Sock<'_>) -> bool {
    // SAFETY: Any context.
    sock.is_kernel() || unsafe { c::vs_serves_kernel() }
}

/// Whether rules can bring work to tasks at home in `home` by what comes to them, so that an answer
/// to a question of their own must not be taken for another's.
fn comes_to_work(s: &State, home: VsId) -> bool {
    [Gate::Recv, Gate::Accept]
        .into_iter()
        .any(|gate| s.classifier().wants(gate, home).is_some())
}

/// The running task's work in hand, and as which it asks other servers; `who` is what its tag says.
fn in_hand(s: &State, who: Who) -> (Work, Option<Asker>) {
    // without work there is nothing more to be known
    match (who.cur != who.home).then(|| OwnTag::new(s)).flatten() {
        Some(tag) => (tag.work(), Some(tag.asker())),
        None => (who.work(0), None),
    }
}

/// `who`, as a rule sees it that hands on what the task works for: to a socket, a child, a message.
/// After the reply it is not known whether the task still works for the tenant, so what it makes or
/// asks then is its home's.
fn handing(who: Who, work: Work) -> Who {
    Who {
        cur: if work.has_replied() {
            who.home
        } else {
            who.cur
        },
        ..who
    }
}

/// The socket of this name as the way of a receipt, or of a wait for one, in the course of the work
/// `asker`. `change` is what that changes about the questions by the socket.
fn way_by(name: Name, serves: bool, asker: Option<Asker>, change: impl Fn(Asked) -> Asked) -> Way {
    let was = match serves || !sockets::any_asked() {
        true => Asked::NOTHING,
        false => sockets::ask(name, change),
    };
    Way {
        object: name.cookie,
        serves,
        asked: asker.is_some_and(|by| was.is_by(by)),
    }
}

/// `sock` as the way of a reply to `work`; facts that `work` does not need are not looked up.
fn reply_by(s: &State, sock: Sock<'_>, work: Work) -> Reply {
    let object = sock.cookie();
    let came_by = object != 0 && object == work.object();
    Reply {
        way: Way {
            object,
            serves: match came_by {
                true => !work.has_replied() || sock.serves(),
                // A stream that is not connected yet is about to be, by Fast Open: as a client.
                false => !(sock.is_stream() && sock.is_closed()) && sock.serves(),
            },
            asked: false,
        },
        owner: match came_by {
            true => work.cur(),
            false => s.resolve(sock.owner(s)),
        },
        streams: !sock.is_datagram(),
    }
}

/// The verdict on the running task, which is traced if something changes for it.
fn answered(gate: Gate, who: Who, rule: Option<u32>, answer: Answer) -> u64 {
    if answer.cur.is_some_and(|cur| cur != who.cur) || answer.home.is_some() {
        traced(gate, who, rule, answer);
    }
    answer.pack()
}

/// The verdict by which the task's work becomes `next`, whose way the gate's program knows. Work
/// that was in hand has ended by `end`.
fn worked(s: &State, gate: Gate, end: End, work: Work, rule: Option<u32>, next: Work) -> u64 {
    if work.is_any() && next != work {
        s.service(work.cur()).ended(end);
    }
    let cur = (next != work).then(|| next.cur());
    let answer = answered(gate, Who::of(work), rule, Answer::works_for(cur));
    match next != work && !next.is_any() {
        // to its home at the time that the tag is written: the task can be placed in between
        true => with_cur(answer, c::VS_GOES_HOME),
        false => answer,
    }
}

#[inline(never)]
fn traced(gate: Gate, who: Who, rule: Option<u32>, answer: Answer) {
    let id = |id: VsId| u32::from(id.get());
    let new = |new: Option<VsId>| new.map_or(c::VS_UNCHANGED, id);
    let rule = rule.unwrap_or(c::VS_TRACE_NO_RULE);
    // SAFETY: Tracepoints can fire in any context.
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
    // SAFETY: Tracepoints can fire in any context.
    unsafe { c::vs_trace_refuse(gate as u32, service.get().into(), error.to_errno()) };
    refusal(error)
}
