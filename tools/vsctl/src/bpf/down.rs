// SPDX-License-Identifier: MIT OR Apache-2.0
//! Detaches everything again.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::Result;
use libbpf_rs::query::ProgInfoIter;

use super::object::{gates, OBJECTS};
use super::pin::{self, Draft, LINKS, ROOT};
use super::up::PROBED;
use super::{iter, scheduler, up};
use crate::abi::{VS_PLACE_THREAD, VS_ROOT, VS_WHY_NO_GATES};
use crate::device::{self, Device};
use crate::failure::Failure;
use crate::place;

/// How long to wait: the kernel frees programs after a grace period, in the background. That takes
/// milliseconds, or seconds with a thousand tasks that want to run.
const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(20);

/// Detaches the scheduler, the gates, and all else; returns the number of pins that were removed.
///
/// Tags go with the gates: while the programs that count them are still attached, tagged tasks are
/// placed in root and tags are taken off sockets. Otherwise no program would count the end of tasks
/// and sockets, and the services' counts would stay as they are for ever.
pub fn down(device: Option<&Device>) -> Result<usize> {
    let links = pin::names(LINKS)?;
    if !links.is_empty() {
        // scheduler and gates end at the same instant
        let draft = Draft::new()?;
        scheduler::forget(&draft)?;
        for link in links
            .iter()
            .filter(|link| !gates([link.as_str()]).is_empty())
        {
            draft.remove(LINKS, link)?;
        }
        draft.publish()?;
    }
    if let Some(device) = device {
        for gate in PROBED {
            device.gate(gate, false)?;
        }
        if !links.is_empty() {
            untag(device)?;
        }
        device.tags(false)?;
    }
    pin::remove_all()?;
    let names = programs()?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = still_loaded(&names);
        // programs leave the list first, and release the module one grace period later
        if left.is_empty() && !module_is_held(device) {
            return Ok(links.len());
        }
        if Instant::now() > deadline {
            let what = match left.as_slice() {
                [] => "something still holds the module".to_owned(),
                left => format!("these BPF programs are still loaded: {}", left.join(", ")),
            };
            return Err(Failure::Held(format!(
                "all is detached, but {what}\n  do: see what holds it: `bpftool prog show`, \
                 `bpftool link show`, `lsmod`"
            ))
            .into());
        }
        thread::sleep(STEP);
    }
}

/// Tells whether the module is held by more than the descriptors of its device.
fn module_is_held(device: Option<&Device>) -> bool {
    let count = fs::read_to_string("/sys/module/vs/refcnt")
        .ok()
        .and_then(|text| text.trim().parse::<usize>().ok());
    let (Some(_), Some(count)) = (device, count) else {
        return false;
    };
    let descriptors: usize = holders().iter().map(|holder| holder.descriptors).sum();
    count > descriptors
}

/// Puts every tagged task into root.
fn untag(device: &Device) -> Result<()> {
    for task in iter::tasks()?
        .into_iter()
        .filter(|task| u32::from(task.home) != VS_ROOT || u32::from(task.cur) != VS_ROOT)
    {
        let what = || format!("take the tag off task {}", task.tid);
        let result = place::thread(task.tid)
            .and_then(|fd| device.place_task(fd.as_fd(), VS_ROOT, VS_PLACE_THREAD, &what()));
        match result {
            Ok(()) => {}
            // a task that has ended since need not be placed
            Err(error) if place::has_exited(&error) => {}
            // part of it was down already: no program is left that could count
            Err(error)
                if matches!(
                    error.downcast_ref(),
                    Some(Failure::Refused {
                        reason: VS_WHY_NO_GATES,
                        ..
                    })
                ) =>
            {
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The names of all programs of vsctl, as the kernel keeps them.
fn programs() -> Result<Vec<String>> {
    /// BPF_OBJ_NAME_LEN without the NUL.
    const LEN: usize = 15;
    let mut names = Vec::new();
    for object in OBJECTS {
        for program in up::open(object, Path::new(ROOT))?.progs() {
            let name = program.name().to_string_lossy().into_owned();
            names.push(name.chars().take(LEN).collect());
        }
    }
    Ok(names)
}

/// Returns those of these programs that the kernel still holds.
fn still_loaded(names: &[String]) -> Vec<String> {
    let mut left: Vec<String> = ProgInfoIter::default()
        .map(|program| program.name.to_string_lossy().into_owned())
        .filter(|name| names.contains(name))
        .collect();
    left.sort();
    left.dedup();
    left
}

/// A process that has the device open.
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its command's name.
    pub name: String,
    /// How many descriptors it has.
    descriptors: usize,
}

/// The processes that have the device open, this one included. While there is one, the module
/// cannot be unloaded.
pub fn holders() -> Vec<Holder> {
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(pid) = process.file_name().to_string_lossy().parse() else {
            continue;
        };
        let descriptors = fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten();
        let ours = descriptors
            .filter(|fd| fs::read_link(fd.path()).is_ok_and(|to| to == Path::new(device::PATH)));
        let descriptors = ours.count();
        if descriptors > 0 {
            let name = fs::read_to_string(process.path().join("comm"))
                .unwrap_or_default()
                .trim()
                .to_owned();
            found.push(Holder {
                pid,
                name,
                descriptors,
            });
        }
    }
    found
}
