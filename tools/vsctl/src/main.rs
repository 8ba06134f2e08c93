// SPDX-License-Identifier: MIT OR Apache-2.0
//! vsctl: the command of Virtual Services.
//!
//! It speaks to vs.ko through /dev/vsctl (uapi/vs.h), loads the gates and the scheduler and leaves
//! them pinned in bpffs, and keeps no state of its own. The crate vs-text reads and prints text.

use std::process::ExitCode;

use clap::Parser;

mod abi;
mod bpf;
mod commands;
mod conflicts;
mod device;
mod failure;
mod output;
mod place;
mod reason;
mod rule;
mod service;

fn main() -> ExitCode {
    let commands::Arguments { command, json } = commands::Arguments::parse();
    match command.run(output::Output { json }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vsctl: {error:#}");
            ExitCode::from(failure::code(&error))
        }
    }
}
