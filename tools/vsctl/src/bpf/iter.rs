// SPDX-License-Identifier: GPL-2.0
//! Lists of tagged tasks and sockets: BPF iterators, pinned, that write fixed-size records when they are read.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, Result};

use super::pin::LINKS;
use crate::failure::Failure;

/// A thread and its tag: struct vs_iter_task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Thread id.
    pub pid: u32,
    /// Process id.
    pub tgid: u32,
    /// Where it is at home.
    pub home: u16,
    /// For whom it works.
    pub cur: u16,
    /// Cookie of the socket its work came by, 0: none.
    pub work: u64,
    /// Its name.
    pub comm: [u8; 16],
}

/// A socket and its tag: struct vs_iter_sock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Its inode, 0: it has none any more.
    pub inode: u64,
    /// Its cookie.
    pub cookie: u64,
    /// Its service.
    pub vs: u16,
    /// AF_*.
    pub family: u16,
    /// enum vs_proto.
    pub proto: u8,
    /// TCP_*, for unix sockets as well.
    pub state: u8,
    /// Own port.
    pub lport: u16,
    /// The other end's.
    pub pport: u16,
    /// Own address.
    pub local: [u8; 16],
    /// The other end's.
    pub peer: [u8; 16],
    /// Path of a unix socket, `@name` if abstract.
    pub path: [u8; 108],
}

/// A record of fixed size, in the machine's byte order.
struct Record<'a>(&'a [u8]);

impl Record<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_at(N);
        self.0 = rest;
        // cannot fail: split_at has given N bytes
        field.try_into().unwrap_or([0; N])
    }

    fn u64(&mut self) -> u64 {
        u64::from_ne_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_ne_bytes(self.take())
    }

    fn u16(&mut self) -> u16 {
        u16::from_ne_bytes(self.take())
    }
}

const TASK: usize = 40;
const SOCKET: usize = 176;

fn task(bytes: &[u8]) -> Task {
    let mut record = Record(bytes);
    let (pid, tgid, home, cur) = (record.u32(), record.u32(), record.u16(), record.u16());
    let _flags = record.u32();
    Task { pid, tgid, home, cur, work: record.u64(), comm: record.take() }
}

fn socket(bytes: &[u8]) -> Socket {
    let mut record = Record(bytes);
    let (inode, cookie, vs, family) = (record.u64(), record.u64(), record.u16(), record.u16());
    let [proto, state] = record.take();
    let (lport, pport) = (record.u16(), record.u16());
    let _reserved: [u8; 6] = record.take();
    Socket {
        inode,
        cookie,
        vs,
        family,
        proto,
        state,
        lport,
        pport,
        local: record.take(),
        peer: record.take(),
        path: record.take(),
    }
}

/// All threads and their tags; none if the gates are not up.
pub fn tasks() -> Result<Vec<Task>> {
    Ok(read("iter__tasks")?.unwrap_or_default().chunks_exact(TASK).map(task).collect())
}

/// All sockets and their tags, of the network namespace we are in.
pub fn sockets() -> Result<Vec<Socket>> {
    let mut found = Vec::new();
    for name in ["iter__tcp", "iter__udp", "iter__unix"] {
        found.extend(read(name)?.unwrap_or_default().chunks_exact(SOCKET).map(socket));
    }
    Ok(found)
}

/// Refuses if there is nothing to ask.
pub fn needed() -> Result<()> {
    if Path::new(LINKS).join("iter__tasks").exists() {
        return Ok(());
    }
    Err(Failure::NotLoaded("the gates are not attached: no task has a tag\n  do: run `vsctl up`".to_owned()).into())
}

fn read(name: &str) -> Result<Option<Vec<u8>>> {
    let path = Path::new(LINKS).join(name);
    let mut bytes = Vec::new();
    match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Err(Failure::Permission(format!("{}: no permission\n  do: run it as root", path.display())).into());
        }
        file => file.and_then(|mut file| file.read_to_end(&mut bytes)).with_context(|| path.display().to_string())?,
    };
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let mut bytes = vec![];
        bytes.extend(7u32.to_ne_bytes());
        bytes.extend(5u32.to_ne_bytes());
        bytes.extend(1u16.to_ne_bytes());
        bytes.extend(2u16.to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend(9u64.to_ne_bytes());
        bytes.extend(*b"postgres\0\0\0\0\0\0\0\0");
        assert_eq!(bytes.len(), TASK);
        let task = task(&bytes);
        assert_eq!((task.pid, task.tgid, task.home, task.cur, task.work), (7, 5, 1, 2, 9));
        assert!(task.comm.starts_with(b"postgres\0"));

        let bytes: Vec<u8> = (0..SOCKET as u8).collect();
        let socket = socket(&bytes);
        assert_eq!((socket.proto, socket.state), (20, 21));
        assert_eq!(socket.lport.to_ne_bytes(), [22, 23]);
        assert_eq!((socket.local[0], socket.peer[0], socket.path[0], socket.path[107]), (32, 48, 64, 171));
    }
}
