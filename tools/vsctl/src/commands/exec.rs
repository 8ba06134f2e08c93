// SPDX-License-Identifier: MIT OR Apache-2.0
//! `exec`: runs a command in a service.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::device::Device;
use crate::failure::Failure;
use crate::place;
use crate::service::Services;

/// Run a command in a service
///
/// vsctl places itself and becomes the command: its process number, standard streams and exit
/// status are the command's.
#[derive(Debug, Args)]
pub struct Exec {
    /// The service
    name: String,
    /// The command and its arguments
    #[arg(required = true, last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Exec {
    /// Runs the command. Returns only if it could not be run.
    pub fn run(self) -> Result<()> {
        // clap requires one word at least
        let Some((program, arguments)) = self.command.split_first() else {
            return Ok(());
        };
        {
            let device = Device::open()?;
            let id = Services::read(&device)?.find(&self.name)?.id;
            let us = place::process(std::process::id())?;
            device.place_task(us.as_fd(), id, 0, &format!("run in `{}`", self.name))?;
        }
        let error = Command::new(program).args(arguments).exec();
        Err(Failure::Exec {
            command: program.to_string_lossy().into_owned(),
            error,
        }
        .into())
    }
}
