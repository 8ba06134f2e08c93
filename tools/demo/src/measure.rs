// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest's part: records the accounts at the two ends of a period.
//!
//! It runs under a real-time policy on a machine of one CPU, so nothing else runs while it reads.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::run::{Ledger, Process, Role, Run, Setup, Snapshot, Tenant};

/// The place where a set-up keeps its accounts.
#[derive(Clone, Debug, PartialEq)]
pub enum Accounts {
    /// Nowhere.
    None,
    /// In `cpu.stat` of these control groups: of a, of b, and of the server if it has one.
    Cgroup([Option<PathBuf>; 3]),
    /// In vs.ko: this vsctl is asked for the services a, b, and that of the server, if it has one.
    Vs(PathBuf, Option<&'static str>),
}

/// The subject of a measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// How the tenants are kept apart.
    pub setup: Setup,
    /// The numbers of connections of a and b.
    pub connections: [usize; 2],
    /// The pgbench of each tenant; b has none at no load.
    pub clients: Vec<(Tenant, u32)>,
    /// Each postmaster, and its tenant if it serves one alone.
    pub servers: Vec<(Option<Tenant>, u32)>,
    /// The source of charges.
    pub accounts: Accounts,
    /// How long the load settles once all connections stand, before the measurement.
    pub warm_up: Duration,
    /// How long to measure.
    pub window: Duration,
}

/// How long connections may take to come.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until all connections stand, then records.
///
/// # Errors
/// Connections that do not come, a process that ends, a file that cannot be read.
pub fn measure(plan: &Plan) -> Result<Run, String> {
    let begun = Instant::now();
    while connected(plan)? != plan.connections {
        if begun.elapsed() > PATIENCE {
            return Err(format!(
                "{:?} connections, not {:?}",
                connected(plan)?,
                plan.connections
            ));
        }
        sleep(Duration::from_millis(100));
    }
    let watched = watch(plan)?;
    sleep(plan.warm_up);
    // Asking vsctl may wait for a moment, in which others run. So at both ends the truth is read
    // outside of the charges: time that was charged in between must also have been spent in
    // between.
    let before = Snapshot {
        processes: processes(&watched)?,
        ledger: ledger(&plan.accounts)?,
    };
    // reading held everything up: transactions that it made late are not measured
    sleep(Duration::from_millis(300));
    let from_us = now_us()?;
    sleep(plan.window);
    let to_us = now_us()?;
    let charged = ledger(&plan.accounts)?;
    let after = Snapshot {
        processes: processes(&watched)?,
        ledger: charged,
    };
    let b_load = u32::try_from(plan.connections[1]).map_err(|e| e.to_string())?;
    Ok(Run {
        setup: plan.setup,
        b_load,
        from_us,
        to_us,
        before,
        after,
    })
}

/// Microseconds since the epoch.
///
/// # Errors
/// A clock before the epoch.
pub fn now_us() -> Result<u64, String> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|e| e.to_string())?;
    u64::try_from(since.as_micros()).map_err(|e| e.to_string())
}

/// The numbers of connections of a and of b that are past their set-up.
fn connected(plan: &Plan) -> Result<[usize; 2], String> {
    let mut count = [0; 2];
    for (pid, owner) in workers(plan)? {
        match worker(&command_line(pid), owner) {
            (Role::Backend(Tenant::A), true) => count[0] += 1,
            (Role::Backend(Tenant::B), true) => count[1] += 1,
            _ => {}
        }
    }
    Ok(count)
}

/// A process with its account files open: to find them takes a hundred times as long as to read
/// them.
pub struct Watched {
    /// Its pid.
    pub pid: u32,
    /// Its role.
    pub role: Role,
    /// `schedstat` of each of its threads.
    threads: Vec<File>,
}

impl Watched {
    /// Opens the files of all its threads, which are below `task`.
    ///
    /// # Errors
    /// Those of the files.
    pub fn new(task: &Path, pid: u32, role: Role) -> io::Result<Watched> {
        let threads =
            fs::read_dir(task)?.map(|thread| File::open(thread?.path().join("schedstat")));
        Ok(Watched {
            pid,
            role,
            threads: threads.collect::<Result<_, _>>()?,
        })
    }

    /// The CPU time of all its threads so far.
    ///
    /// # Errors
    /// One of them has ended: its time is gone.
    pub fn cpu_ns(&self) -> io::Result<u64> {
        let mut sum = 0;
        for thread in &self.threads {
            let mut text = [0; 64];
            let length = thread.read_at(&mut text, 0)?;
            let text = String::from_utf8_lossy(&text[..length]);
            let first = text
                .split_ascii_whitespace()
                .next()
                .and_then(|ns| ns.parse::<u64>().ok());
            sum += first.ok_or(io::ErrorKind::InvalidData)?;
        }
        Ok(sum)
    }
}

/// All processes of the demonstration. The processes of PostgreSQL stay until their clients go.
fn watch(plan: &Plan) -> Result<Vec<Watched>, String> {
    let clients = plan
        .clients
        .iter()
        .map(|&(tenant, pid)| (pid, Role::Client(tenant)));
    let servers = plan
        .servers
        .iter()
        .map(|&(owner, pid)| (pid, owner.map_or(Role::Server, Role::OwnServer)));
    let workers = workers(plan)?;
    let workers = workers
        .iter()
        .map(|&(pid, owner)| (pid, worker(&command_line(pid), owner).0));
    let all = clients.chain(servers).chain(workers).map(|(pid, role)| {
        let task = PathBuf::from(format!("/proc/{pid}/task"));
        Watched::new(&task, pid, role).map_err(|e| format!("process {pid} ({role:?}): {e}"))
    });
    all.collect()
}

/// The truth at this instant.
///
/// # Errors
/// One of the processes has ended.
pub fn processes(watched: &[Watched]) -> Result<Vec<Process>, String> {
    let read = |w: &Watched| match w.cpu_ns() {
        Ok(cpu_ns) => Ok(Process {
            pid: w.pid,
            role: w.role,
            cpu_ns,
        }),
        Err(e) => Err(format!("process {} ({:?}): {e}", w.pid, w.role)),
    };
    watched.iter().map(read).collect()
}

/// The children of all postmasters, each with the owner of its postmaster.
fn workers(plan: &Plan) -> Result<Vec<(u32, Option<Tenant>)>, String> {
    let mut workers = Vec::new();
    for &(owner, pid) in &plan.servers {
        let path = format!("/proc/{pid}/task/{pid}/children");
        let children = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        workers.extend(
            children
                .split_ascii_whitespace()
                .filter_map(|pid| Some((pid.parse().ok()?, owner))),
        );
    }
    Ok(workers)
}

fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .trim_end_matches('\0')
        .to_owned()
}

/// Tells the role of a postmaster's child by the title PostgreSQL gives it (`postgres: ROLE
/// DATABASE PEER STATE`), and whether its connection is set up.
fn worker(title: &str, owner: Option<Tenant>) -> (Role, bool) {
    let mut words = title
        .strip_prefix("postgres: ")
        .unwrap_or_default()
        .split_ascii_whitespace();
    let tenant = words.next().and_then(Tenant::parse);
    match (tenant, words.next(), words.nth(1)) {
        (Some(tenant), Some("bench"), state) => (
            Role::Backend(tenant),
            !matches!(
                state,
                None | Some("startup" | "authentication" | "initializing")
            ),
        ),
        _ => (owner.map_or(Role::Server, Role::OwnServer), false),
    }
}

/// The charges at this instant.
///
/// # Errors
/// An account that cannot be read.
pub fn ledger(accounts: &Accounts) -> Result<Option<Ledger>, String> {
    match accounts {
        Accounts::None => Ok(None),
        Accounts::Cgroup(groups) => {
            let usage = |group: &Option<PathBuf>| group.as_deref().map_or(Ok(0), cgroup_ns);
            Ok(Some(Ledger {
                a_ns: usage(&groups[0])?,
                b_ns: usage(&groups[1])?,
                home_ns: usage(&groups[2])?,
            }))
        }
        Accounts::Vs(vsctl, home) => {
            let output = Command::new(vsctl)
                .args(["--json", "stat"])
                .output()
                .map_err(|e| format!("vsctl: {e}"))?;
            if !output.status.success() {
                return Err(format!(
                    "vsctl stat: {}",
                    String::from_utf8_lossy(&output.stderr)
                ));
            }
            vs_ledger(&output.stdout, *home).map(Some)
        }
    }
}

/// The CPU time of a control group so far.
///
/// # Errors
/// Its `cpu.stat` cannot be read.
pub fn cgroup_ns(group: &Path) -> Result<u64, String> {
    let path = group.join("cpu.stat");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let usage = text
        .lines()
        .find_map(|line| line.strip_prefix("usage_usec ")?.parse::<u64>().ok());
    usage
        .map(|us| us * 1000)
        .ok_or_else(|| format!("{}: no usage_usec", path.display()))
}

/// Reads `vsctl --json stat`: the services named a, b, and that of the server.
fn vs_ledger(json: &[u8], home: Option<&str>) -> Result<Ledger, String> {
    let value: serde_json::Value =
        serde_json::from_slice(json).map_err(|e| format!("vsctl stat: {e}"))?;
    let of = |name: &str| {
        let services = value.as_array()?;
        services.iter().find(|service| service["name"] == name)?["cpu_ns"].as_u64()
    };
    let cpu = |name: &str| of(name).ok_or_else(|| format!("vsctl stat: no cpu_ns of {name}"));
    Ok(Ledger {
        a_ns: cpu("a")?,
        b_ns: cpu("b")?,
        home_ns: home.map_or(Ok(0), cpu)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_told_by_their_title() {
        let of = |title| worker(title, None);
        assert_eq!(
            of("postgres: a bench 127.0.0.1(4096) idle"),
            (Role::Backend(Tenant::A), true)
        );
        assert_eq!(
            of("postgres: b bench 127.0.0.1(4096) SELECT"),
            (Role::Backend(Tenant::B), true)
        );
        assert_eq!(
            of("postgres: b bench 127.0.0.1(4096) authentication"),
            (Role::Backend(Tenant::B), false)
        );
        assert_eq!(
            of("postgres: b bench 127.0.0.1(4096) startup"),
            (Role::Backend(Tenant::B), false)
        );
        assert_eq!(of("postgres: checkpointer "), (Role::Server, false));
        assert_eq!(
            of("postgres: a other 127.0.0.1(4096) idle"),
            (Role::Server, false)
        );
        assert_eq!(
            of("/usr/lib/postgresql/17/bin/postgres"),
            (Role::Server, false)
        );
        assert_eq!(
            worker("postgres: walwriter ", Some(Tenant::B)),
            (Role::OwnServer(Tenant::B), false)
        );
    }

    #[test]
    fn the_time_of_all_threads_counts() {
        let task = std::env::temp_dir().join(format!("vs-demo-task-{}", std::process::id()));
        for (thread, text) in [("70", "1500 20 3\n"), ("71", "2600 0 1\n")] {
            fs::create_dir_all(task.join(thread)).unwrap();
            fs::write(task.join(thread).join("schedstat"), text).unwrap();
        }
        let watched = Watched::new(&task, 70, Role::Server).unwrap();
        assert_eq!(watched.cpu_ns().unwrap(), 4100);
        // it is read anew each time
        fs::write(task.join("70/schedstat"), "1600 30 4\n").unwrap();
        assert_eq!(watched.cpu_ns().unwrap(), 4200);
        fs::write(task.join("71/schedstat"), "").unwrap();
        assert!(watched.cpu_ns().is_err());
        fs::remove_dir_all(&task).unwrap();
        assert!(Watched::new(&task, 70, Role::Server).is_err());
    }

    #[test]
    fn group_usage_is_microseconds() {
        let group = std::env::temp_dir().join(format!("vs-demo-group-{}", std::process::id()));
        fs::create_dir_all(&group).unwrap();
        fs::write(
            group.join("cpu.stat"),
            "nice_usec 1\nusage_usec 42\nuser_usec 40\n",
        )
        .unwrap();
        assert_eq!(cgroup_ns(&group), Ok(42_000));
        fs::write(group.join("cpu.stat"), "user_usec 40\n").unwrap();
        assert!(cgroup_ns(&group).is_err());
        fs::remove_dir_all(&group).unwrap();
    }

    #[test]
    fn services_are_found_by_name() {
        let json = br#"[{"name":"root","cpu_ns":1},{"name":"b","cpu_ns":2},
                 {"name":"a","cpu_ns":3},{"name":"pg","cpu_ns":4}]"#;
        assert_eq!(
            vs_ledger(json, Some("pg")),
            Ok(Ledger {
                a_ns: 3,
                b_ns: 2,
                home_ns: 4
            })
        );
        assert_eq!(vs_ledger(json, None).unwrap().home_ns, 0);
        assert!(vs_ledger(br#"[{"name":"a","cpu_ns":3}]"#, Some("pg"))
            .unwrap_err()
            .contains("of b"));
        assert!(vs_ledger(b"{", None).is_err());
    }
}
