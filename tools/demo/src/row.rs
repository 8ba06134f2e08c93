// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rows of `result.json`, one for each run.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::log::{self, Transaction};
use crate::run::{Run, Setup};

/// The figures of a run. The names are the file format.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Row {
    /// How the tenants were kept apart.
    pub setup: Setup,
    /// b's connections.
    pub b_load: u32,
    /// a's transactions a second.
    pub a_tps: f64,
    /// 99th percentile of a's latency in milliseconds, counted from the instant a request was due.
    pub a_p99_ms: f64,
    /// b's transactions a second.
    pub b_tps: f64,
    /// CPU seconds inside PostgreSQL that were charged to a.
    pub cpu_a_s: f64,
    /// CPU seconds inside PostgreSQL that were charged to b.
    pub cpu_b_s: f64,
    /// CPU seconds inside PostgreSQL that were charged to PostgreSQL itself.
    pub cpu_home_s: f64,
    /// The part of `cpu_a_s` and `cpu_b_s` that was not spent by that tenant's workers.
    pub cpu_wrong_s: f64,
}

/// All rows, by set-up and load.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Results {
    /// The rows.
    pub rows: Vec<Row>,
}

impl Row {
    /// Computes a row from a record and the tenants' logs.
    ///
    /// # Errors
    /// Accounts that do not fit together ([`Run::charge`]), or no transaction of a at all.
    pub fn new(run: &Run, a: &[Transaction], b: &[Transaction]) -> Result<Row, String> {
        if run.from_us >= run.to_us {
            return Err("the measured part ends before it begins".to_owned());
        }
        let charge = run.charge()?;
        let a = log::service(a, run.from_us, run.to_us);
        let b = log::service(b, run.from_us, run.to_us);
        Ok(Row {
            setup: run.setup,
            b_load: run.b_load,
            a_tps: a.tps,
            a_p99_ms: a.p99_ms.ok_or("no transaction of a ended")?,
            b_tps: b.tps,
            cpu_a_s: charge.a,
            cpu_b_s: charge.b,
            cpu_home_s: charge.home,
            cpu_wrong_s: charge.wrong,
        })
    }
}

impl Results {
    /// Reads every run below `runs`: a folder for each with `run.json` and the logs `a.*` and
    /// `b.*`.
    ///
    /// # Errors
    /// A file that is missing or makes no sense, with its name; no run at all.
    pub fn read(runs: &Path) -> Result<Results, String> {
        let entries = fs::read_dir(runs).map_err(|e| format!("{}: {e}", runs.display()))?;
        let mut rows = Vec::new();
        for entry in entries {
            let folder = entry
                .map_err(|e| format!("{}: {e}", runs.display()))?
                .path();
            if folder.is_dir() {
                rows.push(read_row(&folder).map_err(|e| format!("{}: {e}", folder.display()))?);
            }
        }
        if rows.is_empty() {
            return Err(format!("{}: no runs", runs.display()));
        }
        rows.sort_by_key(|row| (row.setup, row.b_load));
        Ok(Results { rows })
    }

    /// The rows of a set-up, by rising load.
    pub fn of(&self, setup: Setup) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.setup == setup)
    }

    /// The set-ups that occur, in the order in which they are shown.
    pub fn setups(&self) -> Vec<Setup> {
        let occurs = |setup: &Setup| self.of(*setup).next().is_some();
        Setup::ALL.into_iter().filter(occurs).collect()
    }
}

fn read_row(folder: &Path) -> Result<Row, String> {
    let text = fs::read_to_string(folder.join("run.json")).map_err(|e| format!("run.json: {e}"))?;
    let run = serde_json::from_str(&text).map_err(|e| format!("run.json: {e}"))?;
    Row::new(&run, &read_logs(folder, "a.")?, &read_logs(folder, "b.")?)
}

/// The transactions of all logs in the folder whose names begin with the prefix: pgbench writes one
/// per thread.
fn read_logs(folder: &Path, prefix: &str) -> Result<Vec<Transaction>, String> {
    let mut transactions = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| e.to_string())? {
        let path = entry.map_err(|e| e.to_string())?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with(prefix) {
            let text = fs::read_to_string(&path).map_err(|e| format!("{name}: {e}"))?;
            transactions.append(&mut log::parse(&text).map_err(|e| format!("{name}: {e}"))?);
        }
    }
    Ok(transactions)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::run::Snapshot;

    pub(crate) fn row(setup: Setup, b_load: u32) -> Row {
        Row {
            setup,
            b_load,
            a_tps: 100.0,
            a_p99_ms: 2.5,
            b_tps: 400.25,
            cpu_a_s: 1.0,
            cpu_b_s: 2.0,
            cpu_home_s: 0.5,
            cpu_wrong_s: 0.0,
        }
    }

    fn idle(setup: Setup, b_load: u32) -> Run {
        Run {
            setup,
            b_load,
            from_us: 1_000_000,
            to_us: 3_000_000,
            before: Snapshot::default(),
            after: Snapshot::default(),
        }
    }

    #[test]
    fn a_row_is_computed_from_the_logs() {
        let log = [
            Transaction {
                end_us: 1_500_000,
                latency_us: 1250,
            },
            Transaction {
                end_us: 2_500_000,
                latency_us: 750,
            },
        ];
        let row = Row::new(&idle(Setup::Vs, 4), &log, &log[..1]).unwrap();
        assert_eq!((row.a_tps, row.a_p99_ms, row.b_tps), (1.0, 1.25, 0.5));
    }

    #[test]
    fn a_that_got_nothing_is_an_error() {
        assert!(Row::new(&idle(Setup::Vs, 4), &[], &[]).is_err());
        let mut backwards = idle(Setup::Vs, 4);
        backwards.to_us = 0;
        assert!(Row::new(
            &backwards,
            &[Transaction {
                end_us: 0,
                latency_us: 1
            }],
            &[]
        )
        .is_err());
    }

    #[test]
    fn the_format_is_the_one_promised() {
        let text = serde_json::to_string(&Results {
            rows: vec![row(Setup::Cgroup, 8)],
        })
        .unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"rows":[{"setup":"cgroup","b_load":8,"a_tps":100.0,"a_p99_ms":2.5,"#,
                r#""b_tps":400.25,"cpu_a_s":1.0,"cpu_b_s":2.0,"cpu_home_s":0.5,"#,
                r#""cpu_wrong_s":0.0}]}"#
            )
        );
    }

    #[test]
    fn reads_what_the_guest_writes() {
        let runs = std::env::temp_dir().join(format!("vs-demo-{}", std::process::id()));
        for (setup, load) in [(Setup::Vs, 8), (Setup::None, 8), (Setup::None, 0)] {
            let folder = runs.join(format!("{setup}-{load}"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(
                folder.join("run.json"),
                serde_json::to_string(&idle(setup, load)).unwrap(),
            )
            .unwrap();
            fs::write(folder.join("a.100"), "0 0 2000 0 1 500000\n").unwrap();
            fs::write(folder.join("a.100.1"), "0 0 4000 0 1 600000 12\n").unwrap();
        }
        let results = Results::read(&runs).unwrap();
        let order: Vec<_> = results
            .rows
            .iter()
            .map(|row| (row.setup, row.b_load))
            .collect();
        assert_eq!(order, [(Setup::None, 0), (Setup::None, 8), (Setup::Vs, 8)]);
        assert_eq!(
            (
                results.rows[0].a_tps,
                results.rows[0].a_p99_ms,
                results.rows[0].b_tps
            ),
            (1.0, 4.0, 0.0)
        );
        assert_eq!(results.setups(), [Setup::None, Setup::Vs]);
        assert_eq!(results.of(Setup::None).count(), 2);

        fs::write(runs.join("vs-8/a.100"), "nonsense\n").unwrap();
        assert!(Results::read(&runs).unwrap_err().contains("a.100"));
        fs::remove_file(runs.join("none-0/run.json")).unwrap();
        assert!(Results::read(&runs).is_err());
        fs::remove_dir_all(&runs).unwrap();
        assert!(Results::read(&runs).is_err());
    }
}
