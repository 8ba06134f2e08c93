// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stat`: shows each service's use of the machine.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use vs_text::gate::Gate;

use crate::abi::*;
use crate::bpf::scheduler;
use crate::device::Device;
use crate::failure::Failure;
use crate::output::{bytes, seconds, Output, Table};
use crate::record;
use crate::service::Services;

/// Show statistics
///
/// Times and counts are the service's own, without those of services below it, except where a
/// heading says `total`.
#[derive(Debug, Args)]
pub struct Stat {
    /// Only these services
    names: Vec<String>,
    /// Repeat every SECONDS, with the differences since the last time; with --json one line each
    /// time
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1")]
    watch: Option<f64>,
    /// Show instead how often the scheduler has taken each branch since it was brought up
    #[arg(long, conflicts_with_all = ["names", "watch"])]
    sched: bool,
}

record! {
    /// A counter of the scheduler; vs_sched/scx_vs.h documents them.
    pub struct Counter {
        /// Its name.
        pub name: String,
        /// How often.
        pub count: u64,
    }
}

record! {
    /// Statistics of a service.
    pub struct Row {
        /// Its id.
        pub id: u32,
        /// Its name.
        pub name: String,
        /// CPU time of its own, in nanoseconds.
        pub cpu_ns: u64,
        /// CPU time with that of all services below it, in nanoseconds.
        pub cpu_total_ns: u64,
        /// Tasks at home here now.
        pub tasks: u64,
        /// Sockets that carry its tag now.
        pub sockets: u64,
        /// Times a task began to work for it.
        pub rebinds: u64,
        /// Times a rule asked for the service of an entity that had none, for a caller at home
        /// here.
        pub unattributed: u64,
        /// Calls a limit refused.
        pub refused: u64,
        /// Of these, by a limit on tasks.
        pub refused_tasks: u64,
        /// Of these, by a limit on sockets.
        pub refused_sockets: u64,
        /// Packets received.
        pub packets_in: u64,
        /// Bytes received.
        pub bytes_in: u64,
        /// Packets sent.
        pub packets_out: u64,
        /// Bytes sent.
        pub bytes_out: u64,
        /// Work for it that ended with the receipt of something else.
        pub ends_receipt: u64,
        /// With the close of the socket by which it came.
        pub ends_close: u64,
        /// With a wait for more.
        pub ends_wait: u64,
        /// With a sleep after the reply.
        pub ends_sleep: u64,
        /// With its age limit.
        pub ends_age: u64,
        /// With a reply to others.
        pub ends_reply: u64,
        /// By its own word.
        pub ends_hint: u64,
        /// Calls seen at each gate, the caller being of this service.
        pub hits: Vec<Hits>,
    }
}

record! {
    /// Calls seen at a gate.
    pub struct Hits {
        /// The gate.
        pub gate: &'static str,
        /// How many calls.
        pub calls: u64,
    }
}

/// The statistics of one service; the total is its own until `all` adds those of services below.
pub fn row(services: &Services, stat: &vs_stat) -> Row {
    let hits = Gate::ALL.into_iter().map(|gate| Hits {
        gate: gate.name(),
        calls: stat.hits[gate as usize],
    });
    Row {
        id: stat.id,
        name: services.name(stat.id),
        cpu_ns: stat.cpu_ns,
        cpu_total_ns: stat.cpu_ns,
        tasks: stat.tasks,
        sockets: stat.sockets,
        rebinds: stat.rebinds,
        unattributed: stat.unattributed,
        refused: stat.refused.iter().sum(),
        refused_tasks: stat.refused[VS_RESOURCE_TASKS as usize],
        refused_sockets: stat.refused[VS_RESOURCE_SOCKETS as usize],
        packets_in: stat.packets_in,
        bytes_in: stat.bytes_in,
        packets_out: stat.packets_out,
        bytes_out: stat.bytes_out,
        ends_receipt: stat.ends[VS_END_RECEIPT as usize],
        ends_close: stat.ends[VS_END_CLOSE as usize],
        ends_wait: stat.ends[VS_END_WAIT as usize],
        ends_sleep: stat.ends[VS_END_SLEEP as usize],
        ends_age: stat.ends[VS_END_AGE as usize],
        ends_reply: stat.ends[VS_END_REPLY as usize],
        ends_hint: stat.ends[VS_END_HINT as usize],
        hits: hits.collect(),
    }
}

/// The statistics of all services, in the order of the tree.
pub fn all(device: &Device) -> Result<Vec<Row>> {
    let services = Services::read(device)?;
    let order = services.tree();
    let mut rows = Vec::new();
    for service in &order {
        match device.stat(service.id, "statistics") {
            Ok(stat) => rows.push(row(&services, &stat)),
            // the service was destroyed since it was listed
            Err(error)
                if matches!(
                    error.downcast_ref(),
                    Some(Failure::Refused {
                        reason: VS_WHY_NO_SERVICE,
                        ..
                    })
                ) => {}
            Err(error) => return Err(error),
        }
    }
    let places: HashMap<u32, usize> = rows
        .iter()
        .enumerate()
        .map(|(n, row)| (row.id, n))
        .collect();
    // from the leaves upwards: when a service is added to its parent, all services below it have
    // been added to it
    for service in order.iter().rev().filter(|service| service.id != VS_ROOT) {
        if let (Some(n), Some(up)) = (places.get(&service.id), places.get(&service.parent)) {
            rows[*up].cpu_total_ns += rows[*n].cpu_total_ns;
        }
    }
    Ok(rows)
}

/// The differences between two readings; tasks and sockets are the present ones.
pub fn since(old: &[Row], new: &[Row]) -> Vec<Row> {
    let before: HashMap<u32, &Row> = old.iter().map(|row| (row.id, row)).collect();
    let mut rows = new.to_vec();
    for row in &mut rows {
        let Some(old) = before.get(&row.id) else {
            continue;
        };
        for (now, then) in [
            (&mut row.cpu_ns, old.cpu_ns),
            (&mut row.cpu_total_ns, old.cpu_total_ns),
            (&mut row.rebinds, old.rebinds),
            (&mut row.unattributed, old.unattributed),
            (&mut row.refused, old.refused),
            (&mut row.refused_tasks, old.refused_tasks),
            (&mut row.refused_sockets, old.refused_sockets),
            (&mut row.packets_in, old.packets_in),
            (&mut row.bytes_in, old.bytes_in),
            (&mut row.packets_out, old.packets_out),
            (&mut row.bytes_out, old.bytes_out),
            (&mut row.ends_receipt, old.ends_receipt),
            (&mut row.ends_close, old.ends_close),
            (&mut row.ends_wait, old.ends_wait),
            (&mut row.ends_sleep, old.ends_sleep),
            (&mut row.ends_age, old.ends_age),
            (&mut row.ends_reply, old.ends_reply),
            (&mut row.ends_hint, old.ends_hint),
        ] {
            *now = now.saturating_sub(then);
        }
        for (now, then) in row.hits.iter_mut().zip(&old.hits) {
            now.calls = now.calls.saturating_sub(then.calls);
        }
    }
    rows
}

impl Stat {
    /// Runs the command.
    pub fn run(self, output: Output) -> Result<()> {
        let device = Device::ask()?;
        if self.sched {
            let counters = scheduler::counters()?
                .into_iter()
                .map(|(name, count)| Counter { name, count });
            let counters: Vec<Counter> = counters.collect();
            return output.value(&counters, |_| counted(&counters));
        }
        let services = Services::read(&device)?;
        let ids: Result<Vec<u32>> = self
            .names
            .iter()
            .map(|name| Ok(services.find(name)?.id))
            .collect();
        let ids = ids?;
        let chosen = |rows: Vec<Row>| -> Vec<Row> {
            rows.into_iter()
                .filter(|row| ids.is_empty() || ids.contains(&row.id))
                .collect()
        };
        let Some(pause) = self.watch else {
            return output.value(&chosen(all(&device)?), |rows| table(rows));
        };
        let pause = Duration::try_from_secs_f64(pause)
            .ok()
            .filter(|pause| *pause >= Duration::from_millis(10))
            .ok_or_else(|| Failure::Usage("--watch takes seconds, from 0.01".to_owned()))?;
        let mut old = all(&device)?;
        loop {
            thread::sleep(pause);
            let new = all(&device)?;
            output.line(&chosen(since(&old, &new)), |rows| table(rows))?;
            old = new;
        }
    }
}

fn counted(counters: &[Counter]) -> String {
    let mut table = Table::new(&["NAME", ">COUNT"]);
    for counter in counters {
        table.row([counter.name.clone(), counter.count.to_string()]);
    }
    table.text()
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new(&[
        "NAME", ">CPU_S", ">TOTAL_S", ">TASKS", ">SOCKETS", ">REBINDS", ">UNATTR", ">REFUSED",
        ">IN", ">OUT",
    ]);
    for row in rows {
        table.row([
            row.name.clone(),
            seconds(row.cpu_ns),
            seconds(row.cpu_total_ns),
            row.tasks.to_string(),
            row.sockets.to_string(),
            row.rebinds.to_string(),
            row.unattributed.to_string(),
            row.refused.to_string(),
            bytes(row.bytes_in),
            bytes(row.bytes_out),
        ]);
    }
    table.text()
}

/// All of one service's statistics, a line each.
pub fn details(row: &Row) -> String {
    let mut out = format!(
        "cpu            {} s\ntasks          {}\nsockets        {}\nrebinds        {}\n\
         work ended     by receipt {}, close {}, wait {}, sleep {}, age {}, reply {}, hint {}\n\
         unattributed   {}\nrefused        {}\n\
         received       {} packets, {} bytes\nsent           {} packets, {} bytes\n",
        seconds(row.cpu_ns),
        row.tasks,
        row.sockets,
        row.rebinds,
        row.ends_receipt,
        row.ends_close,
        row.ends_wait,
        row.ends_sleep,
        row.ends_age,
        row.ends_reply,
        row.ends_hint,
        row.unattributed,
        row.refused,
        row.packets_in,
        row.bytes_in,
        row.packets_out,
        row.bytes_out,
    );
    let hits: Vec<String> = row
        .hits
        .iter()
        .filter(|hits| hits.calls > 0)
        .map(|hits| format!("{} {}", hits.gate, hits.calls))
        .collect();
    if !hits.is_empty() {
        out += &format!("gates          {}\n", hits.join(", "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::service;

    #[test]
    fn differences_are_of_what_grows() {
        let services = Services::new(vec![service(1, 0, "a")]);
        let mut stat = vs_stat {
            id: 1,
            cpu_ns: 5,
            tasks: 3,
            ..Default::default()
        };
        stat.hits[VS_GATE_RECV as usize] = 10;
        let old = row(&services, &stat);
        (stat.cpu_ns, stat.tasks) = (12, 2);
        stat.hits[VS_GATE_RECV as usize] = 11;
        let delta = &since(&[old], &[row(&services, &stat)])[0];
        assert_eq!((delta.cpu_ns, delta.tasks), (7, 2));
        assert_eq!((delta.hits[10].gate, delta.hits[10].calls), ("recv", 1));
        assert!(details(delta).contains("gates          recv 1\n"));
    }
}
