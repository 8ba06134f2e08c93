// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ps`: tasks with home and current service.

use anyhow::Result;
use clap::Args;

use crate::abi::{vs_task_record, VS_ROOT};
use crate::bpf::iter;
use crate::device::Device;
use crate::output::{Output, Table};
use crate::record;
use crate::service::{text, Services};

/// List tasks with their home and current service
///
/// Tasks that are at home in root and work for root are left out, unless --all is given.
#[derive(Debug, Args)]
pub struct Ps {
    /// Only tasks at home in this service, or working for it
    name: Option<String>,
    /// Root's own tasks too
    #[arg(short, long)]
    all: bool,
}

record! {
    /// A task.
    pub struct Row {
        /// Process id.
        pub pid: u32,
        /// Thread id; the process's for its first thread.
        pub tid: u32,
        /// The command's name, as in /proc/PID/comm.
        pub comm: String,
        /// The service it was placed or born in.
        pub home: String,
        /// The service it works for now.
        pub current: String,
        /// Whether it is a thread of the kernel.
        pub kernel: bool,
    }
}

impl Ps {
    /// Runs the command.
    pub fn run(self, output: Output) -> Result<()> {
        let services = Services::read(&Device::ask()?)?;
        let only = self
            .name
            .as_deref()
            .map(|name| services.find(name))
            .transpose()?
            .map(|service| service.id);
        iter::needed()?;
        let shown = |task: &vs_task_record| {
            let (home, current) = (u32::from(task.home), u32::from(task.cur));
            match only {
                Some(id) => home == id || current == id,
                None => self.all || home != VS_ROOT || current != VS_ROOT,
            }
        };
        let mut rows: Vec<Row> = iter::tasks()?
            .into_iter()
            .filter(shown)
            .map(|task| row(&services, &task))
            .collect();
        rows.sort_by_key(|row| (row.pid, row.tid));
        output.value(&rows, |rows| {
            let mut table = Table::new(&[">PID", ">TID", "HOME", "CURRENT", "COMMAND"]);
            for row in rows {
                table.row([
                    row.pid.to_string(),
                    row.tid.to_string(),
                    row.home.clone(),
                    row.current.clone(),
                    row.comm.escape_debug().to_string(),
                ]);
            }
            table.text()
        })
    }
}

fn row(services: &Services, task: &vs_task_record) -> Row {
    Row {
        pid: task.pid,
        tid: task.tid,
        comm: text(&task.comm),
        home: services.name(task.home.into()),
        current: services.name(task.cur.into()),
        kernel: task.kthread != 0,
    }
}
