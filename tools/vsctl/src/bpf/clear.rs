// SPDX-License-Identifier: GPL-2.0
//! Taking tags off sockets. A tag outlives the gates in a socket's mark, and would be believed when they are back; so it
//! is taken off before the first gate is attached, and before what counts sockets is detached.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{anyhow, Context, Result};
use libbpf_rs::{Iter, Link, Object};
use nix::sched::{setns, CloneFlags};

use super::object::{Purpose, OBJECTS};
use super::up::{attach, load};

/// The iterators that take tags off, loaded.
pub struct Sweeper {
    objects: Vec<Object>,
}

impl Sweeper {
    /// Loads them. They share maps with what is attached, which are pinned at `root`.
    pub fn new(root: &Path) -> Result<Self> {
        let mut objects = Vec::new();
        for object in OBJECTS {
            objects.extend(load(
                object,
                root,
                &|name, kind| Purpose::of(name, kind) == Purpose::Sweep,
                false,
            )?);
        }
        Ok(Self { objects })
    }

    /// Takes the tags off all sockets of all network namespaces.
    pub fn sweep(&self) -> Result<()> {
        let mut links = Vec::new();
        for object in &self.objects {
            for program in object.progs_mut().filter(|program| program.autoload()) {
                links.push(attach(&program)?);
            }
        }
        for namespace in namespaces()? {
            // a thread of its own: it cannot come back from where it goes
            thread::scope(|scope| scope.spawn(|| enter_and_read(&namespace, &links)).join())
                .map_err(|_| anyhow!("a thread has panicked"))?
                .context("taking tags off sockets")?;
        }
        Ok(())
    }
}

fn enter_and_read(namespace: &File, links: &[Link]) -> Result<()> {
    setns(namespace, CloneFlags::CLONE_NEWNET)?;
    for link in links {
        Iter::new(link)?.read_to_end(&mut Vec::new())?;
    }
    Ok(())
}

/// One descriptor for each network namespace that a process lives in or that is bound below /run/netns.
fn namespaces() -> Result<Vec<File>> {
    let processes = fs::read_dir("/proc")
        .context("/proc")?
        .flatten()
        .map(|entry| entry.path().join("ns/net"));
    let bound = fs::read_dir("/run/netns")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let mut found = HashMap::new();
    for path in processes.chain(bound) {
        if let Some(file) = open(&path)? {
            let metadata = file.metadata()?;
            found.insert((metadata.dev(), metadata.ino()), file);
        }
    }
    Ok(found.into_values().collect())
}

/// Opens a namespace; none if it has gone, or if this is no process.
fn open(path: &PathBuf) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        // a kernel thread that ends shows as EACCES or ESRCH
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied
            ) =>
        {
            Ok(None)
        }
        Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => Ok(None),
        Err(error) => Err(error),
    }
}
