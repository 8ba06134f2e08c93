// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest's part: records the accounts at the two ends of a period.
//!
//! It runs under a real-time policy on a machine of one CPU, so nothing else runs while it reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use vs_demo::measure::{cgroup_ns, ledger, now_us, processes, Accounts, Watched};
use vs_demo::run::{Process, Role, Run, Setup, Snapshot, Tenant};

use crate::account;
use crate::row::{Figure, Record};

/// The subject of a measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Which of the paper's figures it belongs to.
    pub figure: Figure,
    /// How the tenants are kept apart.
    pub setup: Setup,
    /// b's connections.
    pub b_load: u32,
    /// Clients that belong to a tenant's service or group.
    pub clients: Vec<(Tenant, u32)>,
    /// Servers of one tenant alone.
    pub own: Vec<(Tenant, u32)>,
    /// Control groups that hold all processes of a tenant's own server.
    pub meters: Vec<(Tenant, PathBuf)>,
    /// A server that both use, and its own account of them.
    pub shared: Option<(u32, PathBuf)>,
    /// The source of charges.
    pub accounts: Accounts,
    /// The instant at which a began, in microseconds since the epoch.
    pub begun_us: u64,
    /// How long the load settles from then on, before the accounts are read.
    pub warm_up: Duration,
    /// How long to measure.
    pub window: Duration,
}

/// From the end of the warm-up to the measured part: as long as the accounts may take to be read
/// for the measured part to begin at the same request of a in every run.
const READING: Duration = Duration::from_secs(2);
/// Reading holds everything up: requests that it made late are not measured.
const SETTLING: Duration = Duration::from_millis(300);

/// Lets the load settle, then records.
///
/// # Errors
/// A process that has ended, a file that cannot be read.
pub fn measure(plan: &Plan) -> Result<Record, String> {
    let watched = watch(plan)?;
    sleep_until(plan.begun_us, plan.warm_up)?;
    // At both ends the truth is read outside of the charges, as in the demonstration: time that was
    // charged in between must also have been spent in between.
    let before = Snapshot {
        processes: truth(plan, &watched)?,
        ledger: ledger(&plan.accounts)?,
    };
    sleep(SETTLING);
    sleep_until(plan.begun_us, plan.warm_up + READING)?;
    let from_us = now_us()?;
    sleep(plan.window);
    let to_us = now_us()?;
    let charged = ledger(&plan.accounts)?;
    let after = Snapshot {
        processes: truth(plan, &watched)?,
        ledger: charged,
    };
    Ok(Record {
        figure: plan.figure,
        run: Run {
            setup: plan.setup,
            b_load: plan.b_load,
            from_us,
            to_us,
            before,
            after,
        },
    })
}

/// Sleeps until so long after an instant; not at all if that is over.
fn sleep_until(us: u64, after: Duration) -> Result<(), String> {
    let until = Duration::from_micros(us) + after;
    sleep(until.saturating_sub(Duration::from_micros(now_us()?)));
    Ok(())
}

fn watch(plan: &Plan) -> Result<Vec<Watched>, String> {
    let clients = plan.clients.iter().map(|&(t, pid)| (pid, Role::Client(t)));
    let own = plan.own.iter().map(|&(t, pid)| (pid, Role::OwnServer(t)));
    let shared = plan.shared.iter().map(|&(pid, _)| (pid, Role::Server));
    clients
        .chain(own)
        .chain(shared)
        .map(|(pid, role)| {
            Watched::new(Path::new(&format!("/proc/{pid}/task")), pid, role)
                .map_err(|e| format!("process {pid} ({role:?}): {e}"))
        })
        .collect()
}

/// Who has used which CPU time so far.
fn truth(plan: &Plan, watched: &[Watched]) -> Result<Vec<Process>, String> {
    let mut all = processes(watched)?;
    if let Some((pid, path)) = &plan.shared {
        let bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let place = all.iter().position(|process| process.pid == *pid);
        let server = all.remove(place.ok_or("the server is not watched")?);
        all.extend(account::divide(&bytes, *pid, server.cpu_ns)?);
    }
    for (tenant, group) in &plan.meters {
        all.push(Process {
            pid: 0,
            role: Role::OwnServer(*tenant),
            cpu_ns: cgroup_ns(group)?,
        });
    }
    Ok(all)
}
