// SPDX-License-Identifier: GPL-2.0

//! Gates where a task begins and ends: fork, exit.
//!
//! Safety of what is here: the verifier has seen to it that pointers are valid for the call, and
//! the hooks that sockets are in use by it, so that they stay.

use super::*;

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

#[no_mangle]
extern "C" fn vs_gate_exit_body(who: u32) {
    with(|s| s.service(Who::new(who).cur).hit(Gate::Exit));
}
