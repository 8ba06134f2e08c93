// SPDX-License-Identifier: MIT OR Apache-2.0
//! The BPF programs: the embedded objects, the pins, and how they are brought up and taken down.
//!
//! The pinned programs, and no others, are in force: the file system is the record, so vsctl keeps
//! none. It is a file system of its own and is replaced as a whole, so that a vsctl that is killed
//! leaves the old set or the new one.
//!
//! ```text
//! /sys/fs/bpf/vs/MAP             maps the objects share (LIBBPF_PIN_BY_NAME)
//! /sys/fs/bpf/vs/links/PROGRAM   a link: while it is there, the program is attached
//! /sys/fs/bpf/vs/links/sched     the scheduler
//! /sys/fs/bpf/vs/progs/PROGRAM   programs that are run on demand
//! ```

pub mod down;
pub mod iter;
mod mount;
pub mod object;
pub mod pin;
pub mod scheduler;
pub mod up;
