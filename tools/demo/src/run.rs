// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record of one run: one set-up at one load of b.
//!
//! The guest only records, the host computes. So the sources of a figure can be read again in
//! `build/demo/runs`, and all arithmetic is tested where that is cheap.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How the two tenants are kept apart in a run.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Setup {
    /// Not at all: one PostgreSQL, no groups.
    None,
    /// One PostgreSQL; its processes, a's clients and b's clients each in a control group.
    Cgroup,
    /// One PostgreSQL; it, a and b each in a virtual service.
    Vs,
    /// Virtual services; the server accepts first from the service with most of its share left.
    Share,
    /// A PostgreSQL for each tenant, in one control group with the tenant's clients: the ideal.
    Replicated,
}

impl Setup {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Setup; 5] = [
        Setup::None,
        Setup::Cgroup,
        Setup::Vs,
        Setup::Share,
        Setup::Replicated,
    ];

    /// The set-up of that name, as [`Display`](fmt::Display) writes it.
    pub fn parse(name: &str) -> Option<Setup> {
        Self::ALL
            .into_iter()
            .find(|setup| setup.to_string() == name)
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Setup::None => "none",
            Setup::Cgroup => "cgroup",
            Setup::Vs => "vs",
            Setup::Share => "share",
            Setup::Replicated => "replicated",
        })
    }
}

/// One of the two customers.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tenant {
    /// The tenant whose load stays the same.
    A,
    /// The tenant that floods.
    B,
}

impl Tenant {
    /// The tenant of that name, which is also its role in PostgreSQL.
    pub fn parse(name: &str) -> Option<Tenant> {
        match name {
            "a" => Some(Tenant::A),
            "b" => Some(Tenant::B),
            _ => None,
        }
    }
}

/// The role of a process, and its tenant.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A pgbench of the tenant.
    Client(Tenant),
    /// A PostgreSQL worker that serves a connection of the tenant.
    Backend(Tenant),
    /// The postmaster and the background processes of a PostgreSQL that both use.
    Server,
    /// The postmaster and the background processes of a PostgreSQL that is the tenant's own.
    OwnServer(Tenant),
}

/// A process, and the CPU time it has used since it was born.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Process {
    /// Its pid in the guest.
    pub pid: u32,
    /// Its role.
    pub role: Role,
    /// Time on the CPU of all its threads in nanoseconds, from `/proc/PID/task/TID/schedstat`.
    pub cpu_ns: u64,
}

/// The CPU time that the set-up itself charged so far, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Ledger {
    /// To a.
    pub a_ns: u64,
    /// To b.
    pub b_ns: u64,
    /// To the shared service itself.
    pub home_ns: u64,
}

/// The state of all accounts at one instant.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Snapshot {
    /// Everything that belongs to the demonstration: the truth.
    pub processes: Vec<Process>,
    /// The charges, if the set-up keeps accounts at all.
    pub ledger: Option<Ledger>,
}

/// One run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Run {
    /// How the tenants were kept apart.
    pub setup: Setup,
    /// How many connections b had, each of which sent one query after the other.
    pub b_load: u32,
    /// The measured part, in microseconds since the epoch as in pgbench's logs.
    pub from_us: u64,
    /// Its end.
    pub to_us: u64,
    /// The accounts shortly before `from_us`.
    pub before: Snapshot,
    /// The accounts at `to_us`.
    pub after: Snapshot,
}

/// The accounts to which CPU time inside PostgreSQL between two snapshots was charged, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Charge {
    /// Charged to a.
    pub a: f64,
    /// Charged to b.
    pub b: f64,
    /// Charged to the service itself.
    pub home: f64,
    /// The charges to a tenant beyond the time that its own work took.
    pub wrong: f64,
    /// The truth: spent by a's workers.
    pub a_spent: f64,
    /// The truth: spent by b's workers.
    pub b_spent: f64,
}

impl Run {
    /// Compares the charges for PostgreSQL's work with the time that its processes used.
    ///
    /// A tenant's account also holds its clients, whose time is known and taken off first. Without
    /// accounts ([`Setup::None`]) the kernel charges the process that runs, so all time is the
    /// service's.
    ///
    /// # Errors
    /// The snapshots are not of the same processes: the time of a process would be missing.
    pub fn charge(&self) -> Result<Charge, String> {
        let same = |(a, b): (&Process, &Process)| a.pid == b.pid && a.role == b.role;
        let (begun, ended) = (&self.before.processes, &self.after.processes);
        if begun.len() != ended.len() || !begun.iter().zip(ended).all(same) {
            return Err("the snapshots are not of the same processes".to_owned());
        }
        let mut used: BTreeMap<Role, u64> = BTreeMap::new();
        for (begun, ended) in begun.iter().zip(ended) {
            *used.entry(ended.role).or_default() += ended.cpu_ns.saturating_sub(begun.cpu_ns);
        }
        let seconds = |ns: u64| ns as f64 / 1e9;
        let used = |role| seconds(used.get(&role).copied().unwrap_or(0));
        let spent = |tenant| used(Role::Backend(tenant)) + used(Role::OwnServer(tenant));
        let (a_spent, b_spent) = (spent(Tenant::A), spent(Tenant::B));

        let (Some(begun), Some(ended)) = (self.before.ledger, self.after.ledger) else {
            let home = a_spent + b_spent + used(Role::Server);
            return Ok(Charge {
                a: 0.0,
                b: 0.0,
                home,
                wrong: 0.0,
                a_spent,
                b_spent,
            });
        };
        let charged = |from: u64, to: u64, tenant| {
            (seconds(to.saturating_sub(from)) - used(Role::Client(tenant))).max(0.0)
        };
        let a = charged(begun.a_ns, ended.a_ns, Tenant::A);
        let b = charged(begun.b_ns, ended.b_ns, Tenant::B);
        Ok(Charge {
            a,
            b,
            home: seconds(ended.home_ns.saturating_sub(begun.home_ns)),
            wrong: (a - a_spent).max(0.0) + (b - b_spent).max(0.0),
            a_spent,
            b_spent,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn process(pid: u32, role: Role, seconds: u64) -> Process {
        Process {
            pid,
            role,
            cpu_ns: seconds * S,
        }
    }

    /// A run in which the clients use 1 and 2 s, the workers 3 and 5 s, the server 1 s.
    fn run(setup: Setup, charged: Option<(u64, u64, u64)>) -> Run {
        let roles = [
            (Role::Client(Tenant::A), 1),
            (Role::Client(Tenant::B), 2),
            (Role::Backend(Tenant::A), 3),
            (Role::Backend(Tenant::B), 5),
            (Role::Server, 1),
        ];
        let at = |begun: bool| Snapshot {
            processes: (10u32..)
                .zip(roles)
                .map(|(pid, (role, seconds))| {
                    process(pid, role, 7 + if begun { 0 } else { seconds })
                })
                .collect(),
            ledger: charged.map(|(a, b, home)| {
                let grown = |seconds: u64| (100 + if begun { 0 } else { seconds }) * S;
                Ledger {
                    a_ns: grown(a),
                    b_ns: grown(b),
                    home_ns: grown(home),
                }
            }),
        };
        Run {
            setup,
            b_load: 1,
            from_us: 0,
            to_us: 12_000_000,
            before: at(true),
            after: at(false),
        }
    }

    #[test]
    fn without_accounts_all_is_the_services() {
        let charge = run(Setup::None, None).charge().unwrap();
        assert_eq!(
            (charge.a, charge.b, charge.home, charge.wrong),
            (0.0, 0.0, 9.0, 0.0)
        );
        assert_eq!((charge.a_spent, charge.b_spent), (3.0, 5.0));
    }

    #[test]
    fn groups_charge_the_server() {
        let charge = run(Setup::Cgroup, Some((1, 2, 9))).charge().unwrap();
        assert_eq!(
            (charge.a, charge.b, charge.home, charge.wrong),
            (0.0, 0.0, 9.0, 0.0)
        );
    }

    #[test]
    fn exact_charges_leave_nothing_wrong() {
        let charge = run(Setup::Vs, Some((4, 7, 1))).charge().unwrap();
        assert_eq!(
            (charge.a, charge.b, charge.home, charge.wrong),
            (3.0, 5.0, 1.0, 0.0)
        );
    }

    #[test]
    fn what_b_should_have_paid_is_wrong_with_a() {
        let charge = run(Setup::Vs, Some((6, 5, 1))).charge().unwrap();
        assert_eq!((charge.a, charge.b, charge.wrong), (5.0, 3.0, 2.0));
    }

    #[test]
    fn what_the_service_keeps_is_not_wrong() {
        let charge = run(Setup::Vs, Some((3, 7, 2))).charge().unwrap();
        assert_eq!((charge.a, charge.home, charge.wrong), (2.0, 2.0, 0.0));
    }

    #[test]
    fn an_own_server_is_its_tenants() {
        let mut run = run(Setup::Replicated, Some((5, 7, 0)));
        for process in run
            .before
            .processes
            .iter_mut()
            .chain(&mut run.after.processes)
        {
            if process.role == Role::Server {
                process.role = Role::OwnServer(Tenant::A);
            }
        }
        let charge = run.charge().unwrap();
        assert_eq!((charge.a, charge.a_spent, charge.wrong), (4.0, 4.0, 0.0));
    }

    #[test]
    fn other_processes_are_an_error() {
        let mut gone = run(Setup::Vs, None);
        gone.after.processes.remove(2);
        assert!(gone.charge().is_err());
        let mut another = run(Setup::Vs, None);
        another.after.processes[2].pid = 99;
        assert!(another.charge().is_err());
        let mut changed = run(Setup::Vs, None);
        changed.after.processes[2].role = Role::Backend(Tenant::B);
        assert!(changed.charge().is_err());
    }

    #[test]
    fn names_read_back() {
        for setup in Setup::ALL {
            assert_eq!(Setup::parse(&setup.to_string()), Some(setup));
            assert_eq!(
                serde_json::to_string(&setup).unwrap(),
                format!("\"{setup}\"")
            );
        }
        assert_eq!(Setup::parse("nil"), None);
    }
}
