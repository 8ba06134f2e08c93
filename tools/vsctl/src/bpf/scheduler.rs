// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scheduler scx_vs: tells whether it runs and why it ended, and tells it of changes.

use std::fs;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use libbpf_rs::libbpf_sys::{bpf_prog_test_run_opts, bpf_test_run_opts};
use libbpf_rs::{MapCore, MapFlags, MapHandle, Program};
use nix::errno::Errno;

use super::iter::records;
use super::pin::{self, Draft, LINKS, PROGS, ROOT};
use crate::abi::*;
use crate::failure::Failure;
use crate::service::text;

/// Name of its link's pin.
pub const LINK: &str = "sched";
/// The program that the module's timers call under PREEMPT_RT, and the name of its link's pin.
pub const TIMERS: &str = "scheduler__fires";
/// The end of the name of the map with its exit record.
pub const EXIT_MAP: &str = ".data.uei";
/// Name of that map's pin.
pub const EXIT_PIN: &str = "sched_exit";
/// The scheduler's own name: sched_ext_ops.name.
const NAME: &str = "vs";
/// The program that takes over a changed tree.
const SYNC: &str = "sync_services";
const SYSFS: &str = "/sys/kernel/sched_ext";
/// Name of the pin of the map of its counters, each a u64 per CPU.
const STATS: &str = "vs_sched_stats";

/// Name of the pin of the map of its timers, which end with it.
const TIMER_MAP: &str = "vs_timers";

macro_rules! counters {
    ($($index:ident)*) => { [$(($index, stringify!($index))),*] };
}
/// All counters of enum vs_sched_stat, with their names.
const COUNTERS: [(vs_sched_stat, &str); VS_SCHED_STATS as usize] = counters! {
    VS_SCHED_DIRECT VS_SCHED_KTHREAD VS_SCHED_QUEUED VS_SCHED_PINNED VS_SCHED_HOMELESS
    VS_SCHED_PICK_NODE VS_SCHED_PICK_PINNED VS_SCHED_PICK_URGENT VS_SCHED_PICK_STOLEN VS_SCHED_KEEP
    VS_SCHED_READER VS_SCHED_IDLE VS_SCHED_EMPTY VS_SCHED_PREEMPT VS_SCHED_REBOUND VS_SCHED_PARKED
    VS_SCHED_UNPARKED VS_SCHED_OVERDUE VS_SCHED_CLAMPED VS_SCHED_NODE_CHANGED
};

/// The state of sched_ext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No BPF scheduler runs, and scx_vs was not started.
    Off,
    /// scx_vs runs.
    Ours,
    /// scx_vs was started and has ended by itself.
    Ejected(Exit),
    /// Another BPF scheduler runs.
    Other(String),
}

/// The scheduler's exit record: struct vs_sched_exit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// enum scx_exit_kind; 0: nothing was recorded.
    pub kind: i32,
    /// The kind, in the kernel's words.
    pub reason: String,
    /// Details.
    pub message: String,
}

impl Exit {
    /// The record in words.
    pub fn sentence(&self) -> String {
        match (self.kind, self.message.as_str()) {
            (0, _) => "it left no reason; see `dmesg`".to_owned(),
            (_, "") => self.reason.clone(),
            (_, message) => format!("{}: {message}", self.reason),
        }
    }
}

/// The pause between two looks at work that the kernel does in the background.
const POLL: Duration = Duration::from_millis(20);

/// Tells which scheduler runs now.
pub fn state() -> Result<State> {
    state_within(50)
}

/// Tells which scheduler runs, after at most so many looks.
fn state_within(patience: u32) -> Result<State> {
    let read = |name: &str| {
        fs::read_to_string(Path::new(SYSFS).join(name)).map(|text| text.trim().to_owned())
    };
    let enabled = read("state").is_ok_and(|state| state != "disabled");
    if enabled {
        return Ok(match read("root/ops") {
            Ok(name) if name == NAME => State::Ours,
            Ok(name) => State::Other(name),
            // a scheduler comes or goes: the kernel removes its name before it says that it is
            // disabled
            Err(_) if patience > 0 => {
                thread::sleep(POLL);
                return state_within(patience - 1);
            }
            Err(_) => State::Other("of unknown name".to_owned()),
        });
    }
    if pin::names(LINKS)?.iter().any(|link| link == LINK) {
        return Ok(State::Ejected(
            exit(&Path::new(ROOT).join(EXIT_PIN)).unwrap_or_default(),
        ));
    }
    Ok(State::Off)
}

/// The exit record that the scheduler has left in its map, pinned there.
pub fn exit(pin: &Path) -> Option<Exit> {
    let map = MapHandle::from_pinned_path(pin).ok()?;
    let record: vs_sched_exit = *records(&map.lookup(&0u32.to_ne_bytes(), MapFlags::ANY).ok()??)
        .ok()?
        .first()?;
    Some(Exit {
        kind: record.kind,
        reason: text(&record.reason),
        message: text(&record.message),
    })
}

/// Is this kernel built with PREEMPT_RT, where BPF programs have no timers?
pub fn wants_timers() -> bool {
    fs::read_to_string("/proc/sys/kernel/version")
        .is_ok_and(|version| version.split_whitespace().any(|word| word == "PREEMPT_RT"))
}

/// Waits until scx_vs has ended, whose link is gone: the kernel's own scheduler takes over,
/// accounts go on.
pub fn wait_ended() -> Result<()> {
    /// How long to wait: the kernel ends it in the background, after it has gone through all tasks.
    const PATIENCE: Duration = Duration::from_secs(10);
    let deadline = Instant::now() + PATIENCE;
    while state()? == State::Ours {
        ensure!(
            Instant::now() < deadline,
            "the scheduler was told to end and still runs\n  do: see `dmesg`"
        );
        thread::sleep(POLL);
    }
    Ok(())
}

/// Takes the scheduler and all that belongs to it out of a set: publishing the set ends it, if it
/// runs.
pub fn forget(draft: &Draft) -> Result<()> {
    draft.remove(LINKS, LINK)?;
    draft.remove(LINKS, TIMERS)?;
    draft.remove(ROOT, EXIT_PIN)?;
    draft.remove(ROOT, STATS)?;
    draft.remove(ROOT, TIMER_MAP)?;
    draft.remove(PROGS, SYNC)
}

/// How often the scheduler has taken each branch since it was brought up, over all CPUs, by name.
pub fn counters() -> Result<Vec<(String, u64)>> {
    let path = Path::new(ROOT).join(STATS);
    if !path.exists() {
        return Err(Failure::NotLoaded(
            "scx_vs has not been started\n  do: run `vsctl up`".to_owned(),
        )
        .into());
    }
    let map = MapHandle::from_pinned_path(&path).with_context(|| path.display().to_string())?;
    let sum = |index: vs_sched_stat| -> Result<u64> {
        let each = map
            .lookup_percpu(&index.to_ne_bytes(), MapFlags::ANY)?
            .unwrap_or_default();
        each.iter()
            .map(|cpu| Ok(u64::from_ne_bytes(cpu.as_slice().try_into()?)))
            .sum()
    };
    let name = |name: &str| name.trim_start_matches("VS_SCHED_").to_lowercase();
    COUNTERS
        .iter()
        .map(|&(index, long)| Ok((name(long), sum(index)?)))
        .collect()
}

/// Makes the scheduler, if it runs, make queues for new services, which it cannot do while it
/// schedules. If a service has no queue, one is made when its first task waits, and until then its
/// tasks are served as urgent ones.
pub fn sync() -> Result<()> {
    if state()? != State::Ours {
        return Ok(());
    }
    let path = Path::new(PROGS).join(SYNC);
    if !path.exists() {
        return Ok(());
    }
    let program =
        Program::fd_from_pinned_path(&path).with_context(|| path.display().to_string())?;
    let mut options = bpf_test_run_opts {
        sz: size_of::<bpf_test_run_opts>() as _,
        ..Default::default()
    };
    // SAFETY: `program` is an open descriptor, and `options` is valid, of the stated size, and
    // without any buffer: a program of type syscall may run without context.
    let result = unsafe { bpf_prog_test_run_opts(program.as_raw_fd(), &mut options) };
    if result != 0 {
        return Err(Errno::from_raw(-result)).with_context(|| path.display().to_string());
    }
    match options.retval as i32 {
        0 => Ok(()),
        error => Err(Errno::from_raw(-error)).context(
            "the scheduler has no queue for every service; it makes the others when they \
                are needed",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_its_name() {
        assert!(COUNTERS
            .iter()
            .enumerate()
            .all(|(n, &(index, _))| n == index as usize));
    }

    #[test]
    fn exits_in_words() {
        let exit = |kind, message: &str| Exit {
            kind,
            reason: "runtime".to_owned(),
            message: message.to_owned(),
        };
        assert_eq!(exit(64, "stalled task").sentence(), "runtime: stalled task");
        assert_eq!(exit(64, "").sentence(), "runtime");
        assert!(Exit::default().sentence().contains("dmesg"));
    }
}
