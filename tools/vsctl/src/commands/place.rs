// SPDX-License-Identifier: MIT OR Apache-2.0
//! `place`: gives processes a home.

use std::os::fd::AsFd;

use anyhow::Result;
use clap::Args;

use crate::abi::VS_PLACE_THREAD;
use crate::device::Device;
use crate::failure::Failure;
use crate::place;
use crate::service::Services;

/// Give processes a home: place them in a service
///
/// All threads of a process are placed, and processes that they start later are born in the
/// service. The first task that is refused ends the command; those before it are placed.
#[derive(Debug, Args)]
pub struct Place {
    /// The processes' numbers, then the service
    #[arg(required = true, num_args = 2.., value_names = ["PID", "SERVICE"])]
    arguments: Vec<String>,
    /// Place threads with these numbers, not their processes
    #[arg(long)]
    thread: bool,
}

impl Place {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        // clap requires two words at least
        let Some((name, pids)) = self.arguments.split_last() else {
            return Ok(());
        };
        let pids: Result<Vec<u32>, Failure> = pids
            .iter()
            .map(|pid| {
                pid.parse().map_err(|_| {
                    Failure::Usage(format!(
                        "`{pid}` is no process\n  do: write numbers, then the service"
                    ))
                })
            })
            .collect();
        let pids = pids?;
        let device = Device::open()?;
        let id = Services::read(&device)?.find(name)?.id;
        let (open, flags): (fn(u32) -> _, _) = if self.thread {
            (place::thread, VS_PLACE_THREAD)
        } else {
            (place::process, 0)
        };
        for pid in pids {
            let fd = open(pid)?;
            device.place_task(fd.as_fd(), id, flags, &format!("place {pid} in `{name}`"))?;
        }
        Ok(())
    }
}
