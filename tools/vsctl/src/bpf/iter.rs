// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lists of tasks and sockets with their tags: BPF iterators, pinned, that write the records of
//! vs_module/bpf/records.h when they are read.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{ensure, Context, Result};

use super::pin::LINKS;
use crate::abi::{vs_sched_exit, vs_sock_record, vs_task_record};
use crate::failure::Failure;

/// All threads and their tags; none if the gates are not up.
pub fn tasks() -> Result<Vec<vs_task_record>> {
    records(&read("iter__tasks")?)
}

/// All sockets of this network namespace, and their tags.
pub fn sockets() -> Result<Vec<vs_sock_record>> {
    let mut found = Vec::new();
    for name in ["iter__tcp", "iter__udp"] {
        found.extend(records::<vs_sock_record>(&read(name)?)?);
    }
    loop {
        found.extend(records::<vs_sock_record>(&read("iter__unix")?)?);
        if found.last().is_none_or(|last| last.family != 0) {
            return Ok(found);
        }
        found.pop();
    }
}

/// Fails if the iterators are not pinned.
pub fn needed() -> Result<()> {
    if Path::new(LINKS).join("iter__tasks").exists() {
        return Ok(());
    }
    Err(Failure::NotLoaded(
        "the gates are not attached: no task has a tag\n  do: run `vsctl up`".to_owned(),
    )
    .into())
}

/// More room than an iterator's buffer in the kernel has: 8 pages, of 64 KiB at most.
const ROOM: usize = 1 << 20;

/// All that an iterator writes. Each read has at least the room of the kernel's buffer: a read with
/// less room would end the walk early, and a walk over unix sockets does not go on where it ended
/// (see list.bpf.c).
fn read(name: &str) -> Result<Vec<u8>> {
    let path = Path::new(LINKS).join(name);
    let mut bytes = Vec::new();
    match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Err(Failure::Permission(format!(
                "{}: no permission\n  do: run it as root",
                path.display()
            ))
            .into());
        }
        file => {
            file.and_then(|file| pieces(file, &mut bytes))
                .with_context(|| path.display().to_string())?;
        }
    }
    Ok(bytes)
}

/// Not [`Read::read_to_end`], whose first read can be of a few bytes.
fn pieces(mut file: File, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    let mut piece = vec![0; ROOM];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(()),
            length => bytes.extend_from_slice(&piece[..length]),
        }
    }
}

/// A type for which all bit patterns are valid.
///
/// # Safety
/// The type consists of integers, without padding.
pub unsafe trait Plain: Copy {}

// SAFETY: integers and arrays of integers; records.h is laid out without implicit padding.
unsafe impl Plain for vs_task_record {}
// SAFETY: integers and arrays of integers; records.h is laid out without implicit padding.
unsafe impl Plain for vs_sock_record {}
// SAFETY: integers and arrays of integers; scx_vs.h is laid out without implicit padding.
unsafe impl Plain for vs_sched_exit {}

/// Splits bytes into records.
pub fn records<T: Plain>(bytes: &[u8]) -> Result<Vec<T>> {
    ensure!(
        bytes.len() % size_of::<T>() == 0,
        "the iterators write records of another size: run `vsctl down` and `vsctl up` with this \
         vsctl"
    );
    let record = |chunk: &[u8]| {
        // SAFETY: the chunk has the size of `T`, any bytes are a `T`, and it need not be aligned to
        // be read so.
        unsafe { chunk.as_ptr().cast::<T>().read_unaligned() }
    };
    Ok(bytes.chunks_exact(size_of::<T>()).map(record).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let mut bytes = vec![];
        for n in [5u32, 7] {
            bytes.extend(n.to_ne_bytes());
            bytes.extend((n + 1).to_ne_bytes());
            bytes.extend(1u16.to_ne_bytes());
            bytes.extend(2u16.to_ne_bytes());
            bytes.extend(0u32.to_ne_bytes());
            bytes.extend(*b"postgres\0\0\0\0\0\0\0\0");
        }
        let tasks = records::<vs_task_record>(&bytes).unwrap();
        assert_eq!(tasks.len(), 2);
        assert_eq!(
            (tasks[1].pid, tasks[1].tid, tasks[1].home, tasks[1].cur),
            (7, 8, 1, 2)
        );
        assert!(records::<vs_task_record>(&bytes[1..]).is_err());
        assert_eq!(size_of::<vs_sock_record>() % 8, 0);
    }
}
