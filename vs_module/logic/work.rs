// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! The work that a task has in hand: how it begins, and how it ends.
//!
//! A task is at home in one service, and may work for another one: because it has received
//! something of that service's, and a rule says so. The work ends at the first of
//!
//! - the next receipt, on a way by which others are served or by which this work came;
//! - the close of the way by which it came;
//! - a wait for more, on such a way or on events of any kind;
//! - a reply to others; if a rule gives it to its receiver, the task works for that one until it is
//!   sent;
//! - a sleep after the task has replied;
//! - its age limit, since the last receipt.
//!
//! Then the task works for its home again. If the task asks another server in the course of the
//! work ([`ask`](super::ask)), the wait for the answer belongs to the work and ends nothing; nor
//! does the answer, which brings no work of its own meanwhile. But if a rule gives the message to a
//! third service, it is no answer of this work's: after the reply it is the next work, before the
//! reply it cannot be told, and the task works for its home. A child is born at its parent's home,
//! without work.
//!
//! After a reply it is open whether the task still works for the same service: it may prepare the
//! next part of the reply, or do something of its own. The next event tells. If that is more of the
//! reply, the time since the last part was the work's; if the work ends, it was the home's.
//!
//! Nothing here is a guess: a task works for its home, or for the service that a rule named at its
//! last receipt. For whom it sends something to others tells nothing about what it does then: it
//! can go on with what it has received, of which there may be more to send.

use super::id::VsId;

/// The way by which something comes: a connection, a datagram socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Way {
    /// Its number. 0: the kernel has not been asked for one, so it is not the way of any work.
    pub object: u64,
    /// Whether others are served by it: a connection that was accepted, or a datagram socket that
    /// is bound. Otherwise the task is a client by it.
    pub serves: bool,
    /// Whether the work in hand has asked another server by it, and nobody else has.
    pub asked: bool,
}

impl Way {
    /// A queue, a pipe or the like: it is no socket, and nobody knows for whom a task asks by it.
    pub const QUEUE: Way = Way {
        object: 0,
        serves: false,
        asked: false,
    };
}

/// A way by which the task sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The way.
    pub way: Way,
    /// The service that it belongs to.
    pub owner: VsId,
    /// Whether all that is sent by it goes to the same receiver: a connection, not a datagram
    /// socket.
    pub streams: bool,
}

/// Why work in hand ended: `enum vs_end`, in its order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The task received something else.
    Receipt,
    /// The way by which it came was closed.
    Close,
    /// The task waited for more.
    Wait,
    /// The task slept after its reply.
    Sleep,
    /// Nothing of all that, for longer than work may last.
    Age,
    /// The task replied to others.
    Reply,
    /// The task said so.
    Hint,
}

impl End {
    /// All, in the order of their numbers.
    pub const ALL: [End; 7] = [
        End::Receipt,
        End::Close,
        End::Wait,
        End::Sleep,
        End::Age,
        End::Reply,
        End::Hint,
    ];
}

/// The work of a task.
///
/// # Invariants
///
/// Where `cur` is `home`, there is no work: `object` is 0; `replied`, `sending` and `told` are
/// `false`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Work {
    home: VsId,
    cur: VsId,
    object: u64,
    replied: bool,
    sending: bool,
    told: bool,
}

impl Work {
    /// The work of a task that works for `cur`, which came by `object` (0: not known).
    pub fn new(home: VsId, cur: VsId, object: u64) -> Self {
        Self::at(home).bound(cur, object)
    }

    /// The same work, of which the tag says so.
    pub fn said(self, replied: bool, sending: bool, told: bool) -> Self {
        // INVARIANT: All are `false` where there is no work.
        Work {
            replied: replied && self.is_any(),
            sending: sending && self.is_any(),
            told: told && self.is_any(),
            ..self
        }
    }

    /// A task that is at home in `home` and has no work in hand.
    pub fn at(home: VsId) -> Self {
        // INVARIANT: `cur` is `home`, and the rest says nothing.
        Work {
            home,
            cur: home,
            object: 0,
            replied: false,
            sending: false,
            told: false,
        }
    }

    /// Where the task was placed or born.
    pub fn home(self) -> VsId {
        self.home
    }

    /// The service that it works for.
    pub fn cur(self) -> VsId {
        self.cur
    }

    /// The way by which the work came; 0: there is none, or it is not known.
    pub fn object(self) -> u64 {
        self.object
    }

    /// Whether the task has replied to it, so that it is open whether it still works on it.
    pub fn has_replied(self) -> bool {
        self.replied
    }

    /// Whether it is no more than to send something to a client of the service: it ends with that.
    pub fn is_sending(self) -> bool {
        self.sending
    }

    /// Whether the task itself has said for whom it works.
    pub fn is_told(self) -> bool {
        self.told
    }

    /// Whether there is any.
    pub fn is_any(self) -> bool {
        self.cur != self.home
    }

    fn bound(self, cur: VsId, object: u64) -> Self {
        match cur == self.home {
            true => Self::at(self.home),
            // INVARIANT: `cur` is not `home`.
            false => Work {
                cur,
                object,
                replied: false,
                sending: false,
                told: false,
                ..self
            },
        }
    }

    /// Whether `way` is one by which the next work comes.
    fn is_served_by(self, way: Way) -> bool {
        way.serves || self.object != 0 && way.object == self.object
    }

    /// Whether a message by `way` is a question to another server.
    pub fn is_question(self, way: Way) -> bool {
        !self.is_served_by(way)
    }

    /// Whether what comes by `way` is the answer to a question of this work's.
    fn is_answered_by(self, way: Way) -> bool {
        self.is_any() && self.is_question(way) && (way.asked || self.told)
    }

    /// Something was received by `way`; `bound` is the service that a rule names, if one does.
    pub fn received(self, way: Way, bound: Option<VsId>) -> Self {
        match bound {
            // another tenant's: an answer by a connection that is used for several, or new work
            Some(cur) if self.is_answered_by(way) && cur != self.cur && cur != self.home => {
                match self.replied {
                    true => self.bound(cur, way.object),
                    false => Self::at(self.home),
                }
            }
            // the answer of another server, which belongs to the work
            _ if self.is_answered_by(way) => self,
            Some(cur) => self.bound(cur, way.object),
            None => Self::at(self.home),
        }
    }

    /// Whether a message by `reply` is a reply to this work.
    fn is_replied_by(self, reply: Reply) -> bool {
        let Reply { way, owner, .. } = reply;
        self.is_any()
            && (self.object != 0 && way.object == self.object || way.serves && owner == self.cur)
    }

    /// Whether the next message is a part of the reply to this work, the first or another one;
    /// `bound` as for [`sends`](Self::sends).
    pub fn goes_on(self, reply: Reply, bound: Option<VsId>) -> bool {
        // another datagram can be another one's, and so can what a client asks next by the way by
        // which this work came
        let more = !self.replied || reply.streams && reply.way.serves;
        self.is_replied_by(reply) && more && bound.is_none_or(|cur| cur == self.cur)
    }

    /// Something is about to be sent; `bound` is the service that a rule names as the one that the
    /// task works for, if one does.
    pub fn sends(self, reply: Reply, bound: Option<VsId>) -> Self {
        let way = reply.way;
        match bound {
            // until it is sent, a sleep is a wait for the receiver
            _ if self.goes_on(reply, bound) => Work {
                replied: false,
                ..self
            },
            // a question to another server, which belongs to the work
            Some(cur) if self.is_any() && self.is_question(way) => {
                match cur == self.cur || cur == self.home {
                    true => self,
                    false => Self::at(self.home),
                }
            }
            Some(cur) => Work {
                // INVARIANT: Only where there is work.
                sending: cur != self.home,
                ..self.bound(cur, way.object)
            },
            None if way.serves || self.is_replied_by(reply) => Self::at(self.home),
            None => self,
        }
    }

    /// Whether a question that is sent now is one of this work's. After the reply that is not
    /// known.
    pub fn asks(self) -> bool {
        self.is_any() && !self.replied
    }

    /// Something was sent, or could not be: the client may have gone, or be slow.
    pub fn sent(self, reply: Reply) -> Self {
        match self.is_replied_by(reply) {
            true if self.sending => Self::at(self.home),
            // INVARIANT: Only where there is work.
            true => Work {
                replied: true,
                ..self
            },
            false => self,
        }
    }

    /// The task is about to wait for more by `way`; `None`: for events of any kind, or for the next
    /// connection.
    pub fn waits(self, way: Option<Way>) -> Self {
        match way.is_some_and(|way| self.is_answered_by(way)) {
            true => self,
            false => Self::at(self.home),
        }
    }

    /// The task says that it serves `way`, of the service that a rule names, if one does: what it
    /// receives as a client from here on is an answer.
    pub fn serves(self, way: Way, bound: Option<VsId>) -> Self {
        let next = match bound {
            Some(cur) => self.bound(cur, way.object),
            None => Self::at(self.home),
        };
        // INVARIANT: Only where there is work.
        Work {
            told: next.is_any(),
            ..next
        }
    }

    /// The task sleeps of its own accord.
    pub fn sleeps(self) -> Self {
        match self.replied {
            true => Self::at(self.home),
            false => self,
        }
    }

    /// The last receipt is `age` ago, and work may last for `limit` (0: without end), both in the
    /// same unit.
    pub fn ages(self, age: u64, limit: u64) -> Self {
        match limit != 0 && age >= limit {
            true => Self::at(self.home),
            false => self,
        }
    }

    /// `object` is closed.
    pub fn closed(self, object: u64) -> Self {
        match object != 0 && object == self.object {
            true => Self::at(self.home),
            false => self,
        }
    }

    /// A child is born; a rule may name its `home`, and the service that it works for from the
    /// start. Of its parent's work it has the way, too, where it goes on with it.
    pub fn born(self, home: Option<VsId>, work: Option<VsId>) -> Self {
        let child = Self::at(home.unwrap_or(self.home));
        match work {
            Some(cur) if cur == self.cur => child.bound(cur, self.object),
            Some(cur) => child.bound(cur, 0),
            None => child,
        }
    }

    /// The task is placed in `home`, by an administrator or because it has become another program
    /// or user.
    pub fn placed(self, home: VsId) -> Self {
        Self::at(home)
    }
}
