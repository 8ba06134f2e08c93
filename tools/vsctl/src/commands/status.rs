// SPDX-License-Identifier: MIT OR Apache-2.0
//! `status`.

use anyhow::Result;
use clap::Args;
use vs_text::gate::Gate;

use crate::abi::VS_FEATURE_TAGS;
use crate::bpf::{scheduler, up};
use crate::device::{loaded, Device};
use crate::output::Output;
use crate::record;

/// Show the state of module, gates and scheduler
#[derive(Debug, Args)]
pub struct Status {}

record! {
    /// The state of module, gates and scheduler.
    pub struct Report {
        /// Whether the module is loaded; if not, the numbers are 0.
        pub module: bool,
        /// Version of the ABI that the module speaks.
        pub abi: u32,
        /// Ids of services are below this.
        pub ids_max: u32,
        /// How many services there are, root among them.
        pub services: u32,
        /// How many rules.
        pub rules: u32,
        /// Grows with every change to tree, attributes or rules.
        pub generation: u64,
        /// Names of the gates in force.
        pub gates: Vec<&'static str>,
        /// Names of the gates that are not in force.
        pub gates_off: Vec<&'static str>,
        /// Whether sockets and packets carry tags.
        pub tags: bool,
        /// `running`, `off`, `ejected` (scx_vs has stopped by itself) or `other` (another scheduler
        /// runs).
        pub scheduler: &'static str,
        /// The other scheduler's name, or why scx_vs has stopped; null if neither.
        pub scheduler_detail: Option<String>,
        /// enum scx_exit_kind of a scheduler that has stopped; null if none has.
        pub scheduler_exit_kind: Option<i32>,
    }
}

impl Status {
    /// Runs the command.
    pub fn run(self, output: Output) -> Result<()> {
        match Device::ask_if_loaded()? {
            Some(device) => print(&device, output),
            None => output.value(&report(None)?, text),
        }
    }
}

/// Prints the status.
pub fn print(device: &Device, output: Output) -> Result<()> {
    output.value(&report(Some(device))?, text)
}

fn report(device: Option<&Device>) -> Result<Report> {
    let info = device.map(Device::info).transpose()?.unwrap_or_default();
    let on = device.map(up::in_force).transpose()?.unwrap_or_default();
    let name = |wanted: bool| {
        Gate::ALL
            .into_iter()
            .filter(|g| on.contains(g) == wanted)
            .map(Gate::name)
            .collect()
    };
    let (scheduler, scheduler_detail, scheduler_exit_kind) = match scheduler::state()? {
        scheduler::State::Off => ("off", None, None),
        scheduler::State::Ours => ("running", None, None),
        scheduler::State::Ejected(exit) => ("ejected", Some(exit.sentence()), Some(exit.kind)),
        scheduler::State::Other(name) => ("other", Some(name), None),
    };
    Ok(Report {
        module: device.is_some() || loaded(),
        abi: info.abi,
        ids_max: info.ids_max,
        services: info.services,
        rules: info.rules,
        generation: info.generation,
        gates: name(true),
        gates_off: name(false),
        tags: info.features & u64::from(VS_FEATURE_TAGS) != 0,
        scheduler,
        scheduler_detail,
        scheduler_exit_kind,
    })
}

fn text(report: &Report) -> String {
    if !report.module {
        return "module     not loaded (do: `modprobe vs`, or `insmod vs.ko`)".to_owned();
    }
    let none = |names: &[&str]| {
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(" ")
        }
    };
    let detail = report.scheduler_detail.as_deref().unwrap_or_default();
    let scheduler = match report.scheduler {
        "running" => "scx_vs runs".to_owned(),
        "ejected" => {
            format!("scx_vs has stopped, the kernel's own schedules (do: `vsctl up`): {detail}")
        }
        "other" => format!("another one runs: {detail}"),
        _ => "off: the kernel's own schedules".to_owned(),
    };
    let mut text = format!(
        "module     loaded, ABI {}\nservices   {}\nrules      {}\ngates      {}\n",
        report.abi,
        report.services,
        report.rules,
        none(&report.gates)
    );
    if !report.gates_off.is_empty() && !report.gates.is_empty() {
        text += &format!("gates off  {}\n", none(&report.gates_off));
    }
    if report.tags {
        text += "tags       sockets and packets carry them\n";
    }
    text + &format!("scheduler  {scheduler}\n")
}
