// SPDX-License-Identifier: GPL-2.0
//! The pins below /sys/fs/bpf/vs.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use crate::failure::Failure;

/// Where bpffs belongs.
const BPFFS: &str = "/sys/fs/bpf";
/// All that is ours.
pub const ROOT: &str = "/sys/fs/bpf/vs";
/// Links: what is attached.
pub const LINKS: &str = "/sys/fs/bpf/vs/links";
/// Programs run on demand.
pub const PROGS: &str = "/sys/fs/bpf/vs/progs";

/// Mounts bpffs if it is not there, and makes our folders.
pub fn prepare() -> Result<()> {
    let kind = statfs(BPFFS).with_context(|| format!("{BPFFS}: the kernel has no BPF file system"))?.filesystem_type();
    if kind != BPF_FS_MAGIC {
        mount(Some("bpf"), BPFFS, Some("bpf"), MsFlags::empty(), Some("mode=700")).map_err(|errno| {
            Failure::Permission(format!("cannot mount bpffs at {BPFFS}: {errno}\n  do: run it as root"))
        })?;
    }
    for folder in [ROOT, LINKS, PROGS] {
        match fs::create_dir(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error).context(folder),
            _ => {}
        }
    }
    Ok(())
}

/// The names pinned in a folder; none if it does not exist.
pub fn names(folder: &str) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Err(Failure::Permission(format!("{folder}: no permission\n  do: run it as root")).into());
        }
        Err(error) => return Err(error).context(folder.to_owned()),
    };
    let names: io::Result<Vec<OsString>> = entries.map(|entry| Ok(entry?.file_name())).collect();
    let mut names: Vec<String> = names.context(folder.to_owned())?.iter().map(|n| n.to_string_lossy().into()).collect();
    names.sort();
    Ok(names)
}

/// Removes one pin; that it is gone already is well.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(|| path.display().to_string()),
        _ => Ok(()),
    }
}

/// Removes every pin and our folders. What cannot be removed is reported after all else is gone.
pub fn remove_all() -> Result<()> {
    let mut first = Ok(());
    // links before maps: while a program runs, the maps it works on stay to be found
    for folder in [LINKS, PROGS, ROOT] {
        for name in names(folder)? {
            let path = Path::new(folder).join(name);
            if !path.is_dir() {
                first = first.and(remove(&path));
            }
        }
        match fs::remove_dir(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => first = first.and(Err(error).context(folder)),
            _ => {}
        }
    }
    first
}

/// Pins made in the course of `up`. Unless they are kept, dropping this removes them, the last first.
#[derive(Default)]
pub struct Undo {
    made: Vec<PathBuf>,
}

impl Undo {
    /// Notes a pin that was made.
    pub fn made(&mut self, path: PathBuf) {
        self.made.push(path);
    }

    /// Everything has gone well.
    pub fn keep(mut self) -> usize {
        std::mem::take(&mut self.made).len()
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        for path in self.made.iter().rev() {
            if let Err(error) = remove(path) {
                eprintln!("vsctl: while undoing: {error:#}");
            }
        }
        if !self.made.is_empty() {
            for folder in [LINKS, PROGS, ROOT] {
                // fails where something was pinned before, which is to stay
                let _ = fs::remove_dir(folder);
            }
        }
    }
}
