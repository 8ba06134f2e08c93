// SPDX-License-Identifier: MIT OR Apache-2.0

//! Work in hand: after every order of events a task works for its home, or for the service that its
//! last receipt brought.

use crate::logic::id::VsId;
use crate::logic::work::{Reply, Way, Work};
use proptest::prelude::*;

const HOME: u32 = 1;

fn id(raw: u32) -> VsId {
    VsId::new(raw).unwrap()
}

fn at_home() -> Work {
    Work::at(id(HOME))
}

fn server(object: u64) -> Way {
    Way {
        object,
        serves: true,
        asked: false,
    }
}

/// A way by which the work in hand has asked another server.
fn client(object: u64) -> Way {
    Way {
        object,
        serves: false,
        asked: true,
    }
}

/// A way by which another work has, or none.
fn unasked(object: u64) -> Way {
    Way {
        asked: false,
        ..client(object)
    }
}

/// A reply by a connection of `owner`.
fn reply(way: Way, owner: u32) -> Reply {
    Reply {
        way,
        owner: id(owner),
        streams: true,
    }
}

fn datagram(object: u64) -> Reply {
    Reply {
        streams: false,
        ..reply(server(object), HOME)
    }
}

/// A task at home in 1 that works for 2; the work came by 7.
fn at_work() -> Work {
    at_home().received(server(7), Some(id(2)))
}

/// The events of a task. Ways of an even number serve; the work in hand has asked by the others if
/// the event says so.
#[derive(Clone, Copy, Debug)]
enum Event {
    Received(u64, bool, Option<u32>),
    Serves(u64, Option<u32>),
    Sends(u64, u32, Option<u32>),
    Sent(u64, u32),
    Waits(Option<u64>, bool),
    Sleeps,
    Closed(u64),
    Placed(u32),
}

fn way(object: u64, asked: bool) -> Way {
    let serves = object % 2 == 0;
    Way {
        object,
        serves,
        asked: asked && !serves,
    }
}

/// Ways of numbers that 4 divides are datagram sockets.
fn reply_by(object: u64, owner: u32) -> Reply {
    Reply {
        streams: object % 4 != 0,
        ..reply(way(object, false), owner)
    }
}

fn after(work: Work, event: Event) -> Work {
    match event {
        Event::Received(object, asked, bound) => work.received(way(object, asked), bound.map(id)),
        Event::Serves(object, bound) => work.serves(way(object, false), bound.map(id)),
        Event::Sends(object, owner, bound) => work.sends(reply_by(object, owner), bound.map(id)),
        Event::Sent(object, owner) => work.sent(reply_by(object, owner)),
        Event::Waits(object, asked) => work.waits(object.map(|object| way(object, asked))),
        Event::Sleeps => work.sleeps(),
        Event::Closed(object) => work.closed(object),
        Event::Placed(home) => work.placed(id(home)),
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let object = 1_u64..7;
    let event = prop_oneof![
        4 => (object.clone(), any::<bool>(), prop::option::of(0_u32..4))
            .prop_map(|(o, asked, b)| Event::Received(o, asked, b)),
        1 => (object.clone(), prop::option::of(0_u32..4)).prop_map(|(o, b)| Event::Serves(o, b)),
        2 => (object.clone(), 0_u32..4, prop::option::of(0_u32..4))
            .prop_map(|(o, owner, b)| Event::Sends(o, owner, b)),
        3 => (object.clone(), 0_u32..4).prop_map(|(o, owner)| Event::Sent(o, owner)),
        1 => (prop::option::of(object.clone()), any::<bool>())
            .prop_map(|(o, asked)| Event::Waits(o, asked)),
        2 => Just(Event::Sleeps),
        1 => object.prop_map(Event::Closed),
        1 => (0_u32..4).prop_map(Event::Placed),
    ];
    prop::collection::vec(event, 0..60)
}

#[test]
fn work_begins_by_a_rule_and_is_replaced_by_the_next() {
    let work = at_work();
    assert_eq!((work.cur(), work.object()), (id(2), 7));
    let next = work.received(server(8), Some(id(3)));
    assert_eq!((next.cur(), next.object()), (id(3), 8));
}

#[test]
fn a_receipt_that_no_rule_binds_ends_the_work() {
    assert_eq!(at_work().received(server(8), None), at_home());
    assert_eq!(at_work().received(server(7), None), at_home());
}

#[test]
fn an_answer_of_another_server_belongs_to_the_work() {
    for bound in [None, Some(id(2)), Some(id(HOME))] {
        assert_eq!(at_work().received(client(9), bound), at_work());
    }
    assert_eq!(at_work().waits(Some(client(9))), at_work());
}

#[test]
fn what_the_work_has_not_asked_for_is_no_answer() {
    for work in [at_work(), at_work().sent(reply(server(7), 2))] {
        assert_eq!(work.received(unasked(9), None), at_home());
        let next = work.received(unasked(9), Some(id(3)));
        assert_eq!((next.cur(), next.object()), (id(3), 9));
        assert_eq!(work.waits(Some(unasked(9))), at_home());
    }
    // where the server itself says for whom it works, it says when it works for another
    let told = at_home().serves(server(7), Some(id(2)));
    assert!(told.is_told());
    assert_eq!(told.received(unasked(9), None), told);
    assert_eq!(told.waits(Some(unasked(9))), told);
    assert_eq!(told.received(server(7), Some(id(2))), at_work());
    assert_eq!(told.serves(server(8), None), at_home());
}

#[test]
fn questions_are_the_works_until_its_reply() {
    assert!(at_work().asks() && !at_home().asks());
    assert!(!at_work().sent(reply(server(7), 2)).asks());
    assert!(at_work().is_question(unasked(9)));
    assert!(!at_work().is_question(server(9)));
    assert!(!at_home()
        .received(client(9), Some(id(2)))
        .is_question(unasked(9)));
}

#[test]
fn what_is_another_tenants_is_no_answer() {
    assert_eq!(at_work().received(client(9), Some(id(3))), at_home());
    let next = at_work()
        .sent(reply(server(7), 2))
        .received(client(9), Some(id(3)));
    assert_eq!((next.cur(), next.object()), (id(3), 9));
}

#[test]
fn a_way_without_a_number_is_not_that_of_the_work() {
    let work = at_home().born(None, Some(id(2)));
    assert_eq!((work.cur(), work.object()), (id(2), 0));
    assert_eq!(work.sent(reply(client(0), HOME)).sleeps(), work);
}

#[test]
fn a_worker_that_fetches_jobs_as_a_client_has_them_as_work() {
    let work = at_home().received(client(9), Some(id(2)));
    assert_eq!((work.cur(), work.object()), (id(2), 9));
    assert_eq!(work.received(client(9), Some(id(3))).cur(), id(3));
    assert_eq!(work.waits(Some(client(9))), at_home());
}

#[test]
fn a_sleep_ends_work_only_after_the_reply() {
    let work = at_work();
    let replied = work.sent(reply(server(7), 2));
    assert_eq!(work.sleeps(), work);
    let asked = work.sent(reply(client(9), HOME));
    assert_eq!(asked.sleeps(), work, "another server");
    assert_eq!(replied.sleeps(), at_home());
    let sending = replied.sends(reply(server(7), 2), None);
    assert_eq!(sending.sleeps(), sending, "the receiver is slow");
    assert_eq!(sending.sent(reply(server(7), 2)).sleeps(), at_home());
}

#[test]
fn after_a_reply_the_work_goes_on_with_the_next_part() {
    let (work, part) = (at_work(), reply(server(7), 2));
    assert!(work.goes_on(part, None), "the first part");
    let replied = work.sent(part);
    assert!(replied.has_replied());
    assert!(replied.goes_on(part, None));
    assert!(replied.goes_on(part, Some(id(2))), "a rule says the same");
    assert_eq!(replied.sends(part, None), work);
    // the same tenant's other connection
    assert!(replied.goes_on(reply(server(8), 2), None));
    // not a part of the reply
    for other in [reply(server(8), 3), reply(server(8), HOME)] {
        assert!(!replied.goes_on(other, None));
        assert_eq!(replied.sends(other, None), at_home());
        assert_eq!(work.sends(other, None), at_home(), "nor before the reply");
    }
    assert_eq!(
        replied.sends(reply(client(9), HOME), None),
        replied,
        "a question"
    );
}

#[test]
fn what_is_asked_next_is_no_part_of_a_reply() {
    // an answer that was the next work came by a connection that is used for several tenants
    let work = at_home().received(client(9), Some(id(2)));
    let job = reply(client(9), HOME);
    assert!(
        work.goes_on(job, None),
        "a worker that replies to the queue"
    );
    for replied in [work.sent(job), work.sent(reply(server(7), 2))] {
        assert!(!replied.goes_on(job, None));
        assert_eq!(replied.sends(job, None), at_home());
        assert!(replied.goes_on(reply(server(7), 2), None));
    }
}

#[test]
fn another_datagram_is_no_part_of_a_reply() {
    let work = at_home().received(server(8), Some(id(2)));
    assert_eq!(work.sends(datagram(8), None), work);
    let replied = work.sent(datagram(8));
    assert!(replied.has_replied());
    assert_eq!(replied.sends(datagram(8), None), at_home());
    let next = replied.sends(datagram(8), Some(id(2)));
    assert_eq!(next.cur(), id(2), "a rule names it");
    assert!(!replied.goes_on(datagram(8), Some(id(2))));
}

#[test]
fn a_rule_binds_a_reply_to_its_receiver() {
    let work = at_work();
    let other = work.sends(reply(server(8), 3), Some(id(3)));
    assert_eq!((other.cur(), other.object()), (id(3), 8));
    assert_eq!(at_home().sends(reply(server(8), 3), Some(id(3))), other);
    // no more than that
    assert!(other.is_sending());
    assert_eq!(other.sent(reply(server(8), 3)), at_home());
    assert_eq!(other.sleeps(), other, "the receiver is slow");
    let next = other.received(server(7), Some(id(2)));
    assert_eq!(next, work, "it could not be sent");
    // by its own connection to another server a task asks for the work
    for owner in [HOME, 2] {
        let question = reply(client(9), owner);
        assert_eq!(work.sends(question, Some(id(owner))), work);
    }
    assert_eq!(work.sends(reply(client(9), 3), Some(id(3))), at_home());
}

#[test]
fn work_ends_with_its_age() {
    let work = at_work();
    assert_eq!(work.ages(9, 10), work);
    assert_eq!(work.ages(10, 10), at_home());
    assert_eq!(work.ages(u64::MAX, 0), work, "without end");
    assert_eq!(at_home().ages(10, 10), at_home());
}

#[test]
fn closing_ends_only_what_came_that_way() {
    assert_eq!(at_work().closed(8), at_work());
    assert_eq!(at_work().closed(7), at_home());
}

#[test]
fn a_child_has_its_parents_home_and_only_by_a_rule_its_work() {
    let work = at_work().sent(reply(server(7), 2));
    assert_eq!(work.born(None, None), at_home());
    assert_eq!(work.born(Some(id(5)), None), Work::at(id(5)));
    assert_eq!(work.born(None, Some(id(2))), at_work(), "handed on");
    let other = work.born(None, Some(id(3)));
    assert_eq!((other.cur(), other.object()), (id(3), 0));
    assert_eq!(work.born(None, Some(id(HOME))), at_home());
}

proptest! {
    /// The tenant that a task works for is the tenant of its last receipt: no order of events
    /// leaves it with an earlier one.
    #[test]
    fn a_task_works_for_its_home_or_for_what_it_received_last(events in events()) {
        let mut work = at_home();
        // the service of the last receipt on a server's way, or on any way while there was no work,
        // or of the last receipt that cannot be an answer
        let mut brought = None;
        for event in events {
            let before = work;
            work = after(work, event);
            let is_third = |to: u32| ![before.cur(), before.home()].contains(&id(to));
            match event {
                Event::Received(object, asked, bound)
                    if way(object, false).serves
                        || !before.is_any()
                        || object == before.object()
                        || !asked && !before.is_told()
                        || before.has_replied() && bound.is_some_and(is_third) =>
                {
                    brought = bound.map(id);
                }
                Event::Serves(_, bound) => brought = bound.map(id),
                // work that goes on then can only be the same tenant's
                Event::Received(_, _, Some(to)) if work.is_any() => {
                    prop_assert!(work.cur() == id(to) || work.home() == id(to));
                }
                // a rule of `send` names the receiver's service
                Event::Sends(_, _, Some(to)) if work.cur() == id(to) => brought = Some(id(to)),
                // more of a reply, or a question
                Event::Sends(..) if work.is_any() => prop_assert_eq!(work.cur(), before.cur()),
                Event::Placed(_) => brought = None,
                _ => (),
            }
            prop_assert!(
                work.cur() == work.home() || Some(work.cur()) == brought,
                "{event:?} left {work:?}"
            );
            // the type's invariant
            if !work.is_any() {
                prop_assert_eq!(work, Work::at(work.home()));
            }
        }
    }

    /// Only a receipt begins work, a hint, or a rule of `send`.
    #[test]
    fn only_a_rule_begins_work(events in events(), last in events()) {
        let work = events.into_iter().fold(at_home(), after);
        for event in last {
            let next = after(work, event);
            if next.cur() != work.cur() && next.is_any() {
                prop_assert!(
                    matches!(
                        event,
                        Event::Received(_, _, Some(_))
                            | Event::Serves(_, Some(_))
                            | Event::Sends(_, _, Some(_))
                    ),
                    "{event:?} began {next:?}"
                );
            }
        }
    }

    /// A task that has waited for events, or has slept after its reply, works for its home,
    /// whatever happened before.
    #[test]
    fn a_task_that_waits_is_at_home(events in events()) {
        let work = events.into_iter().fold(at_home(), after);
        prop_assert!(!work.waits(None).is_any());
        for owner in [work.cur(), id(HOME)] {
            let reply = Reply { owner, ..reply(server(2), HOME) };
            prop_assert!(!work.sends(reply, None).sent(reply).sleeps().is_any());
        }
        prop_assert!(!work.closed(work.object()).is_any());
        prop_assert!(!work.received(server(2), None).is_any());
        prop_assert!(!work.born(None, None).is_any());
    }

    /// While it is open for which service a task works, only more of the reply settles it in favour
    /// of the work.
    #[test]
    fn what_is_open_is_the_works_only_by_more_of_the_reply(
        events in events(),
        object in 1_u64..7,
        owner in 0_u32..4,
        bound in prop::option::of(0_u32..4),
    ) {
        let work = events.into_iter().fold(at_home(), after);
        let (reply, bound) = (reply_by(object, owner), bound.map(id));
        prop_assert!(work.is_any() || !work.has_replied());
        if work.has_replied() && work.goes_on(reply, bound) {
            let next = work.sends(reply, bound);
            prop_assert_eq!((next.cur(), next.object()), (work.cur(), work.object()));
            prop_assert!(reply.streams);
            prop_assert!(object == work.object() || reply.owner == work.cur());
        }
    }

    /// Reading and writing the tag between any two events changes nothing.
    #[test]
    fn a_tag_keeps_the_work(events in events()) {
        let work = events.into_iter().fold(at_home(), after);
        let read = Work::new(work.home(), work.cur(), work.object()).said(
            work.has_replied(),
            work.is_sending(),
            work.is_told(),
        );
        prop_assert_eq!(read, work);
    }
}
