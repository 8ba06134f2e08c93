// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pins below /sys/fs/bpf/vs, in a BPF file system of their own.
//!
//! A pin puts its program in force, and vsctl may be killed at any instant. So pins are never added
//! to those in force one by one: a [`Draft`] has the whole new set, in a file system that is
//! mounted nowhere and ends with vsctl; one system call mounts it. If it replaces another set, the
//! old one is unmounted, which ends at once all that only the old set had.

use std::ffi::{CStr, CString, OsString};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use libbpf_rs::libbpf_sys::{bpf_obj_get, bpf_obj_pin};
use nix::errno::Errno;
use nix::mount::{mount, umount2, MntFlags, MsFlags};
use nix::sys::statfs::{statfs, BPF_FS_MAGIC};

use super::mount;
use crate::failure::Failure;

/// The usual mount point of bpffs.
const BPFFS: &str = "/sys/fs/bpf";
/// The folder of vsctl's pins; maps are right in it.
pub const ROOT: &str = "/sys/fs/bpf/vs";
const TARGET: &CStr = c"/sys/fs/bpf/vs";
/// Links: each attaches a program.
pub const LINKS: &str = "/sys/fs/bpf/vs/links";
/// Programs that are run on demand.
pub const PROGS: &str = "/sys/fs/bpf/vs/progs";

/// The names pinned in a folder; none if it does not exist.
pub fn names(folder: &str) -> Result<Vec<String>> {
    list(Path::new(folder))
}

fn list(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Err(Failure::Permission(format!(
                "{}: no permission\n  do: run it as root",
                folder.display()
            ))
            .into());
        }
        Err(error) => return Err(error).context(folder.display().to_string()),
    };
    let names: io::Result<Vec<OsString>> = entries
        .filter(|entry| {
            !entry
                .as_ref()
                .is_ok_and(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        })
        .map(|entry| Ok(entry?.file_name()))
        .collect();
    let mut names: Vec<String> = names
        .with_context(|| folder.display().to_string())?
        .iter()
        .map(|n| n.to_string_lossy().into())
        .collect();
    names.sort();
    Ok(names)
}

/// Removes one pin; does nothing if it is gone already.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| path.display().to_string())
        }
        _ => Ok(()),
    }
}

/// A set of pins that is not in force yet. It begins as a copy of the set in force. If it is
/// dropped, nothing has changed.
pub struct Draft {
    file_system: OwnedFd,
    root: PathBuf,
}

impl Draft {
    /// A copy of the set in force.
    pub fn new() -> Result<Self> {
        finish()?;
        let kind = statfs(BPFFS)
            .with_context(|| format!("{BPFFS}: the kernel has no BPF file system"))?
            .filesystem_type();
        if kind != BPF_FS_MAGIC {
            mount(
                Some("bpf"),
                BPFFS,
                Some("bpf"),
                MsFlags::empty(),
                Some("mode=700"),
            )
            .map_err(refused)?;
        }
        let file_system = mount::detached().map_err(refused)?;
        let draft = Self {
            root: through(&file_system),
            file_system,
        };
        for folder in [ROOT, LINKS, PROGS] {
            let own = draft.path(folder, "");
            match fs::create_dir(&own) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(error).context(folder)
                }
                _ => {}
            }
            for name in names(folder)? {
                copy(&Path::new(folder).join(&name), &draft.path(folder, &name))?;
            }
        }
        Ok(draft)
    }

    /// The folder of its maps.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The path in this set of the pin `name` of a folder, such as [`LINKS`].
    pub fn path(&self, folder: &str, name: &str) -> PathBuf {
        // a folder is ROOT or below it
        let below = Path::new(folder)
            .strip_prefix(ROOT)
            .unwrap_or(Path::new(""));
        self.root.join(below).join(name)
    }

    /// The names in a folder of this set.
    pub fn names(&self, folder: &str) -> Result<Vec<String>> {
        list(&self.path(folder, ""))
    }

    /// Removes a pin from the set; does nothing if it is not there.
    pub fn remove(&self, folder: &str, name: &str) -> Result<()> {
        remove(&self.path(folder, name))
    }

    /// Puts the set in force, in the place of the old one.
    pub fn publish(self) -> Result<()> {
        match fs::create_dir(ROOT) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(error).context(ROOT)
            }
            _ => {}
        }
        let replaces = mount::layers(TARGET).context("mounts")? > 0;
        mount::attach(&self.file_system, TARGET, replaces).map_err(refused)?;
        if replaces {
            unmount()
        } else {
            Ok(())
        }
    }
}

fn refused(errno: Errno) -> anyhow::Error {
    match errno {
        Errno::EPERM | Errno::EACCES => Failure::Permission(format!(
            "cannot mount at {ROOT}: {errno}\n  do: run it as root"
        ))
        .into(),
        errno => Err::<(), _>(errno)
            .context(format!("cannot mount at {ROOT}"))
            .unwrap_err(),
    }
}

/// A path to the object of a descriptor, which works wherever that is mounted.
fn through(file: &impl AsRawFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Pins at `to` the object that is pinned at `from`.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let string = |path: &Path| CString::new(path.as_os_str().as_bytes());
    let (source, target) = (string(from)?, string(to)?);
    // SAFETY: both calls read a string with its NUL; the first one returns a new descriptor without
    // another owner.
    let result = unsafe {
        Errno::result(bpf_obj_get(source.as_ptr())).and_then(|fd| {
            let object = OwnedFd::from_raw_fd(fd);
            Errno::result(bpf_obj_pin(object.as_raw_fd(), target.as_ptr()))
        })
    };
    result.map(drop).with_context(|| from.display().to_string())
}

/// Unmounts the topmost file system. Mount namespaces made meanwhile may hold copies of it: these
/// become empty.
fn unmount() -> Result<()> {
    let old = File::open(ROOT).context(ROOT)?;
    umount2(ROOT, MntFlags::MNT_DETACH).map_err(refused)?;
    let root = through(&old);
    let mut first = Ok(());
    // links before maps: while a program runs, its maps can still be found
    for folder in [root.join("links"), root.join("progs"), root] {
        for name in list(&folder)? {
            first = first.and(remove(&folder.join(name)));
        }
    }
    first
}

/// Completes the work of a vsctl that was killed while it published: the new set lies beneath the
/// old one.
fn finish() -> Result<()> {
    while mount::layers(TARGET).context("mounts")? > 1 {
        unmount()?;
    }
    Ok(())
}

/// Removes every pin, at once, and the folder.
pub fn remove_all() -> Result<()> {
    finish()?;
    if mount::layers(TARGET).context("mounts")? > 0 {
        unmount()?;
    }
    match fs::remove_dir(ROOT) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context(ROOT),
        _ => Ok(()),
    }
}
