// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vs-paper measure` records a run in the guest, `vs-paper report` makes the results of all runs.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use vs_demo::measure::Accounts;
use vs_demo::run::{Setup, Tenant};
use vs_paper::goals::{costs, goals, Cost, Goal};
use vs_paper::measure::{measure, Plan};
use vs_paper::row::{Figure, Rows};
use vs_paper::{plot, table};

const USAGE: &str = "usage: vs-paper measure FILE KEY=VALUE...
         figure=11|11-cgi|12 setup=NAME load=N   N connections of b
         client=TENANT:PID                 a client, in the tenant's service or group
         server=TENANT:PID                 a server of the tenant's own
         meter=TENANT:DIR                  the control group of the tenant's own server
         shared=PID:FILE                   a server that both use, and its own account
         group=a:DIR group=b:DIR           control groups that keep accounts
         vsctl=PROGRAM                     keeps accounts
         begun=US                          when a began, in microseconds since the epoch
         warm_up=SECONDS window=SECONDS
       vs-paper report OUT [COSTS]         reads OUT/runs/* and the record of tools/bench/gates.py,
                                           writes OUT/result.json and OUT/result.svg, prints
                                           tables; fails if a goal is missed";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["measure", file, pairs @ ..] => record(Path::new(file), pairs).map(|()| true),
        ["report", out] => report(Path::new(out), None),
        ["report", out, costs] => report(Path::new(out), Some(Path::new(costs))),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("vs-paper: {message}");
            ExitCode::FAILURE
        }
    }
}

fn record(file: &Path, pairs: &[&str]) -> Result<(), String> {
    let record = measure(&plan(pairs)?)?;
    let text = serde_json::to_string(&record).map_err(|e| e.to_string())?;
    fs::write(file, text + "\n").map_err(|e| format!("{}: {e}", file.display()))
}

#[derive(Serialize)]
struct Results<'a> {
    goals: &'a [Goal],
    costs: &'a [Cost],
    rows: &'a Rows,
}

/// Returns whether all goals are reached.
fn report(out: &Path, costs_file: Option<&Path>) -> Result<bool, String> {
    let rows = Rows::read(&out.join("runs"))?;
    rows.check()?;
    let costs = match costs_file {
        Some(path) => fs::read_to_string(path)
            .map_err(|e| e.to_string())
            .and_then(|text| costs(&text))
            .map_err(|e| format!("{}: {e}", path.display()))?,
        None => Vec::new(),
    };
    let goals = goals(&rows, &costs);
    let write = |name: &str, text: String| {
        let path = out.join(name);
        fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))
    };
    let results = Results {
        goals: &goals,
        costs: &costs,
        rows: &rows,
    };
    write(
        "result.json",
        serde_json::to_string_pretty(&results).map_err(|e| e.to_string())? + "\n",
    )?;
    write("result.svg", plot::plot(&rows)?)?;
    if !costs.is_empty() {
        println!("What calls cost\n\n{}", table::costs(&costs));
    }
    for figure in Figure::ALL {
        let rows = rows.figure(figure);
        if !rows.0.is_empty() {
            println!("{}\n\n{}", figure.title(), table::figure(&rows));
        }
    }
    print!("{}", table::goals(&goals));
    Ok(goals.iter().all(|goal| goal.reached))
}

/// Reads the arguments of `measure`.
fn plan(pairs: &[&str]) -> Result<Plan, String> {
    let (mut figure, mut setup, mut load, mut shared) = (None, None, None, None);
    let (mut clients, mut own, mut meters) = (Vec::new(), Vec::new(), Vec::new());
    let (mut groups, mut vsctl) = ([None, None, None], None);
    let (mut begun_us, mut warm_up, mut window) = (None, 1.0, 5.0);
    for pair in pairs {
        let wrong = || format!("{pair}: not understood\n{USAGE}");
        let (key, value) = pair.split_once('=').ok_or_else(wrong)?;
        let (whose, what) = value.split_once(':').unwrap_or(("", value));
        let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
        let tenant = || Tenant::parse(whose).ok_or_else(wrong);
        let seconds = |text: &str| {
            text.parse::<f64>()
                .ok()
                .filter(|s| (0.0..1e6).contains(s))
                .ok_or_else(wrong)
        };
        match key {
            "figure" => {
                let found = Figure::ALL
                    .into_iter()
                    .find(|figure| figure.name() == value);
                figure = Some(found.ok_or_else(wrong)?);
            }
            "setup" => setup = Some(Setup::parse(value).ok_or_else(wrong)?),
            "load" => load = Some(number(value)?),
            "client" => clients.push((tenant()?, number(what)?)),
            "server" => own.push((tenant()?, number(what)?)),
            "meter" => meters.push((tenant()?, PathBuf::from(what))),
            "shared" => shared = Some((number(whose)?, PathBuf::from(what))),
            "group" => groups[usize::from(tenant()? == Tenant::B)] = Some(PathBuf::from(what)),
            "vsctl" => vsctl = Some(PathBuf::from(value)),
            "begun" => begun_us = Some(value.parse().map_err(|_| wrong())?),
            "warm_up" => warm_up = seconds(value)?,
            "window" => window = seconds(value)?,
            _ => return Err(wrong()),
        }
    }
    Ok(Plan {
        figure: figure.ok_or("no figure=")?,
        setup: setup.ok_or("no setup=")?,
        b_load: load.ok_or("no load=")?,
        accounts: match vsctl {
            Some(program) => Accounts::Vs(program, shared.as_ref().map(|_| "ads")),
            None if groups.iter().any(Option::is_some) => Accounts::Cgroup(groups),
            None => Accounts::None,
        },
        clients,
        own,
        meters,
        shared,
        begun_us: begun_us.ok_or("no begun=")?,
        warm_up: Duration::from_secs_f64(warm_up),
        window: Duration::from_secs_f64(window),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read() {
        let plan = plan(&[
            "figure=12",
            "setup=share",
            "load=60",
            "client=a:10",
            "server=b:11",
            "meter=b:/sys/fs/cgroup/b",
            "shared=12:/run/account",
            "vsctl=vsctl",
            "begun=1700000000000000",
            "window=0.5",
        ])
        .unwrap();
        assert_eq!(
            (plan.figure, plan.setup, plan.b_load),
            (Figure::Shared, Setup::Share, 60)
        );
        assert_eq!(plan.clients, [(Tenant::A, 10)]);
        assert_eq!(plan.own, [(Tenant::B, 11)]);
        assert_eq!(plan.meters, [(Tenant::B, "/sys/fs/cgroup/b".into())]);
        assert_eq!(plan.shared, Some((12, "/run/account".into())));
        assert_eq!(plan.accounts, Accounts::Vs("vsctl".into(), Some("ads")));
        assert_eq!(
            (plan.begun_us, plan.window.as_millis()),
            (1_700_000_000_000_000, 500)
        );
    }

    #[test]
    fn mistakes_are_named() {
        for wrong in ["setup=all", "client=c:1", "shared=x:/y", "window=-1", "x"] {
            assert!(
                plan(&["figure=11", "setup=vs", "load=1", wrong])
                    .unwrap_err()
                    .starts_with(wrong),
                "{wrong}"
            );
        }
        assert!(plan(&["figure=11", "load=1"])
            .unwrap_err()
            .contains("setup"));
    }
}
