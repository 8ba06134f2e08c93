// SPDX-License-Identifier: GPL-2.0
//! The scheduler scx_vs: whether it runs, why it ended, and telling it of changes.

use std::ffi::CStr;
use std::fs;
use std::os::fd::AsRawFd;
use std::path::Path;

use anyhow::{Context, Result};
use libbpf_rs::libbpf_sys::{bpf_prog_test_run_opts, bpf_test_run_opts};
use libbpf_rs::{MapCore, MapFlags, MapHandle, Program};
use nix::errno::Errno;

use super::pin::{self, LINKS, MAPS, PROGS};

/// Name of its link's pin.
pub const LINK: &str = "sched";
/// How the name of the map ends that holds its exit record.
pub const EXIT_MAP: &str = ".data.uei";
/// Name of that map's pin.
pub const EXIT_PIN: &str = "sched_exit";
/// Name it gives itself: sched_ext_ops.name.
const NAME: &str = "vs";
/// The program that takes over a changed tree.
const SYNC: &str = "sync_services";
const SYSFS: &str = "/sys/kernel/sched_ext";

/// What sched_ext does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No BPF scheduler runs, and none of ours was started.
    Off,
    /// Ours runs.
    Ours,
    /// Ours was started and has ended by itself.
    Ejected(Exit),
    /// Another one runs.
    Other(String),
}

/// Why the scheduler ended: struct user_exit_info of sched_ext.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// enum scx_exit_kind; 0: nothing was recorded.
    pub kind: i32,
    /// The code it gave itself.
    pub code: i64,
    /// The kind, in the kernel's words.
    pub reason: String,
    /// Details.
    pub message: String,
}

impl Exit {
    /// Reads the record: { int kind; s64 exit_code; char reason[128]; char msg[1024]; … }, as the user side of sched_ext
    /// defines it for all schedulers.
    fn parse(bytes: &[u8]) -> Option<Self> {
        const REASON: usize = 16;
        const MESSAGE: usize = REASON + 128;
        const END: usize = MESSAGE + 1024;
        let text = |range: std::ops::Range<usize>| {
            let field = bytes.get(range)?;
            Some(CStr::from_bytes_until_nul(field).ok()?.to_string_lossy().trim().to_owned())
        };
        Some(Self {
            kind: i32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?),
            code: i64::from_ne_bytes(bytes.get(8..REASON)?.try_into().ok()?),
            reason: text(REASON..MESSAGE)?,
            message: text(MESSAGE..END)?,
        })
    }

    /// In words.
    pub fn sentence(&self) -> String {
        match (self.kind, self.message.as_str()) {
            (0, _) => "it left no reason; see `dmesg`".to_owned(),
            (_, "") => self.reason.clone(),
            (_, message) => format!("{}: {message}", self.reason),
        }
    }
}

/// What runs now.
pub fn state() -> Result<State> {
    let read = |name: &str| fs::read_to_string(Path::new(SYSFS).join(name)).map(|text| text.trim().to_owned());
    let enabled = read("state").is_ok_and(|state| state != "disabled");
    if enabled {
        let name = read("root/ops").unwrap_or_else(|_| "of unknown name".to_owned());
        return Ok(if name == NAME { State::Ours } else { State::Other(name) });
    }
    if pin::names(LINKS)?.iter().any(|link| link == LINK) {
        return Ok(State::Ejected(exit().unwrap_or_default()));
    }
    Ok(State::Off)
}

/// The exit record that the scheduler has left.
pub fn exit() -> Option<Exit> {
    let map = MapHandle::from_pinned_path(Path::new(MAPS).join(EXIT_PIN)).ok()?;
    Exit::parse(&map.lookup(&0u32.to_ne_bytes(), MapFlags::ANY).ok()??)
}

/// Removes what a scheduler that has ended left pinned.
pub fn forget() -> Result<()> {
    pin::remove(&Path::new(LINKS).join(LINK))?;
    pin::remove(&Path::new(MAPS).join(EXIT_PIN))?;
    pin::remove(&Path::new(PROGS).join(SYNC))
}

/// Has the scheduler take over a tree that changed, if it runs. It would notice by itself at a service's next charge;
/// this is so that a command has taken effect when it returns.
pub fn sync() -> Result<()> {
    if state()? != State::Ours {
        return Ok(());
    }
    let path = Path::new(PROGS).join(SYNC);
    if !path.exists() {
        return Ok(());
    }
    let program = Program::fd_from_pinned_path(&path).with_context(|| path.display().to_string())?;
    let mut options = bpf_test_run_opts { sz: size_of::<bpf_test_run_opts>() as _, ..Default::default() };
    // SAFETY: `program` is an open descriptor, and `options` is valid, of the stated size, and without any buffer, as a
    // program of type syscall without context takes it.
    let result = unsafe { bpf_prog_test_run_opts(program.as_raw_fd(), &mut options) };
    if result != 0 {
        return Err(Errno::from_raw(-result)).context(format!("running {}", path.display()));
    }
    match options.retval as i32 {
        0 => Ok(()),
        retval => Err(Errno::from_raw(-retval)).context("the scheduler did not take over the services"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_records() {
        let mut bytes = vec![0u8; 16 + 128 + 1024];
        bytes[0] = 64;
        bytes[8..16].copy_from_slice(&(-5i64).to_ne_bytes());
        bytes[16..24].copy_from_slice(b"runtime\0");
        bytes[144..156].copy_from_slice(b"stalled task");
        let exit = Exit::parse(&bytes).unwrap();
        assert_eq!((exit.kind, exit.code, exit.sentence().as_str()), (64, -5, "runtime: stalled task"));
        assert_eq!(Exit::parse(&bytes[..100]), None, "cut off");
        assert!(Exit::default().sentence().contains("dmesg"));
    }
}
