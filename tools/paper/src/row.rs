// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rows of `result.json`, one for each run.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vs_demo::run::{Run, Setup};

use crate::log::{self, Request, Service};

/// By how much a's load may differ between runs, in parts of it. It is the same requests, unless
/// the accounts took long to be read.
const SAME: f64 = 0.1;

/// Which of the paper's figures a run belongs to.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Figure {
    /// Figure 11: two sites, each with a web server of its own.
    #[serde(rename = "11")]
    Sites,
    /// The same, and the dynamic pages are made by a new process each.
    #[serde(rename = "11-cgi")]
    SitesCgi,
    /// Figure 12: a single-threaded server that both use.
    #[serde(rename = "12")]
    Shared,
}

impl Figure {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Figure; 3] = [Figure::Sites, Figure::SitesCgi, Figure::Shared];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Figure::Sites => "11",
            Figure::SitesCgi => "11-cgi",
            Figure::Shared => "12",
        }
    }

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            Figure::Sites => "Figure 11, a web server for each",
            Figure::SitesCgi => "Figure 11 with CGI",
            Figure::Shared => "Figure 12, one single-threaded server",
        }
    }
}

/// What the guest records of a run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Record {
    /// Which of the paper's figures it belongs to.
    pub figure: Figure,
    /// The accounts at its two ends.
    pub run: Run,
}

/// The figures of a run. The names are the file format.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Row {
    /// Which of the paper's figures it belongs to.
    pub figure: Figure,
    /// How the tenants were kept apart.
    pub setup: Setup,
    /// b's connections.
    pub b_load: u32,
    /// What a asked and got.
    pub a: Service,
    /// What b asked and got.
    pub b: Service,
    /// CPU seconds of servers that were charged to a.
    pub cpu_a_s: f64,
    /// CPU seconds of servers that were charged to b.
    pub cpu_b_s: f64,
    /// CPU seconds of servers that were charged to neither.
    pub cpu_home_s: f64,
    /// What was charged to a or b beyond what servers worked for that tenant.
    pub cpu_wrong_s: f64,
    /// CPU seconds that servers worked for a, by their own or the kernel's account.
    pub worked_a_s: f64,
    /// CPU seconds that servers worked for b.
    pub worked_b_s: f64,
}

/// All rows, by figure, set-up and load.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Rows(pub Vec<Row>);

impl Row {
    /// Computes a row from a record and the tenants' logs.
    ///
    /// # Errors
    /// Accounts that do not fit together, no time between them, or no request of a at all.
    pub fn new(record: &Record, a: &[Request], b: &[Request]) -> Result<Row, String> {
        let run = &record.run;
        if run.from_us >= run.to_us {
            return Err("the measured part ends before it begins".to_owned());
        }
        let charge = run.charge()?;
        let of = |log| log::service(log, run.from_us, run.to_us);
        let row = Row {
            figure: record.figure,
            setup: run.setup,
            b_load: run.b_load,
            a: of(a),
            b: of(b),
            cpu_a_s: charge.a,
            cpu_b_s: charge.b,
            cpu_home_s: charge.home,
            cpu_wrong_s: charge.wrong,
            worked_a_s: charge.a_spent,
            worked_b_s: charge.b_spent,
        };
        if row.a.offered == 0.0 {
            return Err("a has asked nothing".to_owned());
        }
        Ok(row)
    }
}

impl Rows {
    /// Reads every run below `runs`: a folder for each with `run.json`, `a.log` and, where b asked,
    /// `b.log`.
    ///
    /// # Errors
    /// A file that is missing or makes no sense, with its name; no run at all.
    pub fn read(runs: &Path) -> Result<Rows, String> {
        let wrong = |e: std::io::Error| format!("{}: {e}", runs.display());
        let mut rows = Vec::new();
        for entry in fs::read_dir(runs).map_err(wrong)? {
            let folder = entry.map_err(wrong)?.path();
            if folder.is_dir() {
                rows.push(read_row(&folder).map_err(|e| format!("{}: {e}", folder.display()))?);
            }
        }
        if rows.is_empty() {
            return Err(format!("{}: no runs", runs.display()));
        }
        rows.sort_by_key(|row| (row.figure, row.setup, row.b_load));
        Ok(Rows(rows))
    }

    /// The rows of a figure.
    pub fn figure(&self, figure: Figure) -> Rows {
        let of = |row: &&Row| row.figure == figure;
        Rows(self.0.iter().filter(of).copied().collect())
    }

    /// Checks that what was measured is what was meant: a asks as often in every run of a figure,
    /// and b more often with more connections.
    ///
    /// # Errors
    /// The first row where it is not so.
    pub fn check(&self) -> Result<(), String> {
        for figure in Figure::ALL {
            let rows = self.figure(figure);
            let a = rows.0.first().map_or(0.0, |row| row.a.offered);
            let mut before: Option<&Row> = None;
            for row in &rows.0 {
                let fewer = before.filter(|before| before.setup == row.setup);
                let (what, good) = match fewer {
                    Some(fewer) if row.b.offered <= fewer.b.offered => ("b", false),
                    _ => ("a", (row.a.offered / a - 1.0).abs() <= SAME),
                };
                if !good {
                    return Err(format!(
                        "{}, {}, {} connections of b: {what} did not ask as it should: {:.1} and \
                         {:.1} times a second",
                        figure.title(),
                        row.setup,
                        row.b_load,
                        row.a.offered,
                        row.b.offered
                    ));
                }
                before = Some(row);
            }
        }
        Ok(())
    }

    /// The rows of a set-up, by rising load.
    pub fn of(&self, setup: Setup) -> impl Iterator<Item = &Row> {
        self.0.iter().filter(move |row| row.setup == setup)
    }
}

fn read_row(folder: &Path) -> Result<Row, String> {
    let read =
        |name: &str| fs::read_to_string(folder.join(name)).map_err(|e| format!("{name}: {e}"));
    let log = |name: &str| log::parse(&read(name)?).map_err(|e| format!("{name}: {e}"));
    let record: Record =
        serde_json::from_str(&read("run.json")?).map_err(|e| format!("run.json: {e}"))?;
    let b = if record.run.b_load == 0 {
        Vec::new()
    } else {
        log("b.log")?
    };
    Row::new(&record, &log("a.log")?, &b)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use vs_demo::run::Snapshot;

    pub(crate) fn row(figure: Figure, setup: Setup, b_load: u32, a_done: f64) -> Row {
        Row {
            figure,
            setup,
            b_load,
            a: Service {
                offered: 100.0,
                done: a_done,
                p95_ms: Some(20.0),
                ..Service::default()
            },
            b: Service::default(),
            cpu_a_s: 1.0,
            cpu_b_s: 2.0,
            cpu_home_s: 0.5,
            cpu_wrong_s: 0.0,
            worked_a_s: 1.0,
            worked_b_s: 2.0,
        }
    }

    #[test]
    fn names_are_those_of_the_files() {
        for figure in Figure::ALL {
            assert_eq!(
                serde_json::to_string(&figure).unwrap(),
                format!("\"{}\"", figure.name())
            );
        }
    }

    #[test]
    fn loads_that_are_not_as_meant_are_errors() {
        let asking = |b_load: u32, a: f64, b: f64| {
            let mut row = row(Figure::Shared, Setup::Vs, b_load, 1.0);
            (row.a.offered, row.b.offered) = (a, b);
            row
        };
        let check = |rows: &[Row]| Rows(rows.to_vec()).check();
        let fine = [
            asking(0, 50.0, 0.0),
            asking(8, 51.0, 9.0),
            asking(16, 49.0, 17.0),
        ];
        check(&fine).unwrap();
        let same = check(&[fine[0], fine[1], asking(16, 49.0, 9.0)]);
        assert!(same.unwrap_err().contains("16 connections of b: b did not"));
        let less = check(&[fine[0], asking(8, 40.0, 9.0)]);
        assert!(less.unwrap_err().contains("8 connections of b: a did not"));
    }

    #[test]
    fn reads_what_the_guest_writes() {
        let runs = std::env::temp_dir().join(format!("vs-paper-{}", std::process::id()));
        for (figure, setup, b_load) in [
            (Figure::Shared, Setup::Vs, 8),
            (Figure::Shared, Setup::Vs, 0),
            (Figure::Sites, Setup::Vs, 8),
        ] {
            let folder = runs.join(format!("{}-{setup}-{b_load}", figure.name()));
            let record = Record {
                figure,
                run: Run {
                    setup,
                    b_load,
                    from_us: 1_000_000,
                    to_us: 3_000_000,
                    before: Snapshot::default(),
                    after: Snapshot::default(),
                },
            };
            fs::create_dir_all(&folder).unwrap();
            fs::write(
                folder.join("run.json"),
                serde_json::to_string(&record).unwrap(),
            )
            .unwrap();
            fs::write(folder.join("a.log"), "1500000 1501000 done\n").unwrap();
            if b_load != 0 {
                fs::write(folder.join("b.log"), "1500000 1501000 late\n").unwrap();
            }
        }
        let rows = Rows::read(&runs).unwrap();
        let order: Vec<_> = rows.0.iter().map(|row| (row.figure, row.b_load)).collect();
        let (sites, shared) = (Figure::Sites, Figure::Shared);
        assert_eq!(order, [(sites, 8), (shared, 0), (shared, 8)]);
        assert_eq!((rows.0[2].a.done, rows.0[2].b.late), (0.5, 1));
        assert_eq!(rows.figure(Figure::Shared).of(Setup::Vs).count(), 2);

        fs::remove_file(runs.join("12-vs-8/b.log")).unwrap();
        assert!(Rows::read(&runs).unwrap_err().contains("b.log"));
        fs::write(runs.join("12-vs-8/b.log"), "").unwrap();
        fs::write(runs.join("11-vs-8/a.log"), "").unwrap();
        assert!(Rows::read(&runs).unwrap_err().contains("asked nothing"));
        fs::remove_dir_all(&runs).unwrap();
        assert!(Rows::read(&runs).is_err());
    }
}
