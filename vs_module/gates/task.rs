// SPDX-License-Identifier: GPL-2.0

//! Gates where a task begins and ends: fork, exit.
//!
//! Safety of what is here: the verifier has seen to it that pointers are valid for the call, and
//! the hooks that sockets are in use by it, so that they stay.

use super::*;

/// Runs in the parent; the child is not running yet.
#[no_mangle]
extern "C" fn vs_gate_fork_body(who: u32) -> u64 {
    let who = Who::new(who);
    with(|s| {
        let work = who.work(0);
        let hands = handing(who, in_hand(s, who).0);
        let from = [who.home, s.resolve(who.home), s.resolve(hands.cur)];
        let verdict = ask(s, Gate::Fork, hands, from, Source::default());
        let child = work.born(
            Some(verdict.to[1].unwrap_or_else(|| s.resolve(who.home))),
            verdict.to[2],
        );
        let home = match s.task_born(child.home()) {
            Ok(home) => home,
            Err(error) => return refused(Gate::Fork, child.home(), error),
        };
        let works = child.is_any() && child.cur() != home && s.hold(child.cur());
        let parents = Answer::works_for(verdict.to[0]);
        answered(Gate::Fork, who, verdict.rule, parents);
        Answer {
            home: Some(home),
            message: works.then(|| child.cur()),
            ..parents
        }
        .pack()
    })
}

#[no_mangle]
extern "C" fn vs_gate_exit_body(who: u32) {
    with(|s| s.service(Who::new(who).cur).hit(Gate::Exit));
}
