// SPDX-License-Identifier: MIT OR Apache-2.0
//! `up` and `down`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use vs_text::gate::Gate;

use super::apply;
use super::status;
use crate::bpf::{down, scheduler, up};
use crate::conflicts;
use crate::device::Device;
use crate::output::{print, Output};

/// Attach the gates and start the scheduler: all or nothing
///
/// Run again, it mends what is missing and leaves alone what runs. The module must be loaded. The
/// gates stay in force when vsctl has ended, until `vsctl down`.
#[derive(Debug, Args)]
pub struct Up {
    /// Only these gates, separated by commas; others that are attached are detached [default: all]
    #[arg(long, value_delimiter = ',', value_name = "LIST", value_parser = gate)]
    gates: Option<Vec<Gate>>,
    /// Account only: leave scheduling to the kernel's own scheduler; if scx_vs runs, it is stopped
    #[arg(long)]
    no_sched: bool,
    /// Apply this configuration once the gates are attached; if it is refused, what was not
    /// attached before is detached
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The gate of that name.
pub fn gate(text: &str) -> Result<Gate, String> {
    let names = Gate::ALL.map(Gate::name).join(", ");
    Gate::named(text).ok_or_else(|| format!("there is no gate `{text}`: there are {names}"))
}

impl Up {
    /// Runs the command.
    pub fn run(self, output: Output) -> Result<()> {
        // the file is read before all else: one with mistakes must not leave anything half done
        let config = self.config.as_deref().map(apply::read).transpose()?;
        let device = Device::open()?;
        let _lock = device.lock()?;
        conflicts::refuse()?;
        let ran_before = !up::in_force(&device)?.is_empty();
        let wanted = up::Wanted {
            gates: self.gates,
            scheduler: !self.no_sched,
        };
        if let Some(document) = &config {
            apply::check(&device, document, false)?;
        }
        let done = up::up(&device, &wanted)?;
        if let Some(document) = &config {
            if let Err(error) = apply::apply(&device, document, false) {
                // gates that were not attached before must not stay with another configuration than
                // the one asked for
                if !ran_before {
                    down::down(Some(&device))?;
                }
                return Err(error);
            }
        }
        scheduler::sync()?;
        for warning in conflicts::warnings() {
            eprintln!("vsctl: {warning}");
        }
        if let Some(reason) = done.ejected {
            eprintln!("vsctl: the scheduler had stopped: {reason}");
        }
        for gate in done.detached {
            eprintln!("vsctl: detached the gate {}", gate.name());
        }
        if done.stopped {
            eprintln!("vsctl: stopped scx_vs: the kernel's own scheduler runs");
        }
        if done.attached == 0 {
            eprintln!("vsctl: nothing was missing");
        }
        status::print(&device, output)
    }
}

/// Detach all that `up` has attached
///
/// Tags of tasks go with it; services, rules and their counts stay until the module is unloaded.
#[derive(Debug, Args)]
pub struct Down {}

impl Down {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let device = Device::open_if_loaded()?;
        let _lock = device.as_ref().map(Device::lock).transpose()?;
        let removed = down::down(device.as_ref())?;
        if removed == 0 {
            print("nothing was attached\n")?;
        }
        // this is no error, but rmmod would fail without naming the process that has the device
        // open
        for holder in down::holders()
            .iter()
            .filter(|holder| holder.pid != std::process::id())
        {
            eprintln!(
                "vsctl: the module stays in use: {} ({}) has /dev/vsctl open",
                holder.pid, holder.name
            );
        }
        Ok(())
    }
}
