// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vs-demo measure` records a run in the guest, `vs-demo report` makes the results of all runs.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use vs_demo::measure::{measure, Accounts, Plan};
use vs_demo::run::{Setup, Tenant};
use vs_demo::{plot, row, table};

const USAGE: &str = "usage: vs-demo measure FILE KEY=VALUE...
         setup=NAME                     none, cgroup, vs or replicated
         connections=A,B                how many each tenant has
         client=TENANT:PID              a pgbench
         server=PID server=TENANT:PID   a postmaster; with a tenant if it is that one's own
         group=a:DIR group=b:DIR group=home:DIR   control groups that keep accounts
         vsctl=PROGRAM                  keeps accounts
         warm_up=SECONDS window=SECONDS
       vs-demo report RUNS OUT          reads RUNS/*, writes OUT/result.json and OUT/result.svg,
                                        prints a table";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["measure", file, pairs @ ..] => record(Path::new(file), pairs),
        ["report", runs, out] => report(Path::new(runs), Path::new(out)),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("vs-demo: {message}");
            ExitCode::FAILURE
        }
    }
}

fn record(file: &Path, pairs: &[&str]) -> Result<(), String> {
    let run = measure(&plan(pairs)?)?;
    let text = serde_json::to_string(&run).map_err(|e| e.to_string())?;
    fs::write(file, text + "\n").map_err(|e| format!("{}: {e}", file.display()))
}

fn report(runs: &Path, out: &Path) -> Result<(), String> {
    let results = row::Results::read(runs)?;
    let write = |name: &str, text: String| {
        let path = out.join(name);
        fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))
    };
    write(
        "result.json",
        serde_json::to_string_pretty(&results).map_err(|e| e.to_string())? + "\n",
    )?;
    write("result.svg", plot::plot(&results)?)?;
    println!("{}", table::table(&results));
    if let Some(figures) = table::figures(&results) {
        println!("{figures}");
    }
    Ok(())
}

/// Reads the arguments of `measure`.
fn plan(pairs: &[&str]) -> Result<Plan, String> {
    let (mut setup, mut connections) = (None, None);
    let (mut clients, mut servers, mut groups, mut vsctl) =
        (Vec::new(), Vec::new(), [None, None, None], None);
    let (mut warm_up, mut window) = (1.0, 5.0);
    for pair in pairs {
        let wrong = || format!("{pair}: not understood\n{USAGE}");
        let (key, value) = pair.split_once('=').ok_or_else(wrong)?;
        let (whose, what) = value.split_once(':').unwrap_or(("", value));
        let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
        let seconds = |text: &str| {
            text.parse::<f64>()
                .ok()
                .filter(|s| (0.0..1e6).contains(s))
                .ok_or_else(wrong)
        };
        match key {
            "setup" => setup = Some(Setup::parse(value).ok_or_else(wrong)?),
            "connections" => {
                let (a, b) = value.split_once(',').ok_or_else(wrong)?;
                connections = Some([number(a)? as usize, number(b)? as usize]);
            }
            "client" => clients.push((Tenant::parse(whose).ok_or_else(wrong)?, number(what)?)),
            "server" if whose.is_empty() => servers.push((None, number(what)?)),
            "server" => {
                servers.push((Some(Tenant::parse(whose).ok_or_else(wrong)?), number(what)?))
            }
            "group" => {
                let place = ["a", "b", "home"]
                    .iter()
                    .position(|name| *name == whose)
                    .ok_or_else(wrong)?;
                groups[place] = Some(PathBuf::from(what));
            }
            "vsctl" => vsctl = Some(PathBuf::from(value)),
            "warm_up" => warm_up = seconds(value)?,
            "window" => window = seconds(value)?,
            _ => return Err(wrong()),
        }
    }
    Ok(Plan {
        setup: setup.ok_or("no setup=")?,
        connections: connections.ok_or("no connections=")?,
        clients,
        servers,
        accounts: match vsctl {
            Some(program) => Accounts::Vs(program, Some("pg")),
            None if groups.iter().any(Option::is_some) => Accounts::Cgroup(groups),
            None => Accounts::None,
        },
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
            "setup=cgroup",
            "connections=4,32",
            "client=a:10",
            "client=b:11",
            "server=12",
            "server=b:13",
            "group=home:/sys/fs/cgroup/pg",
            "window=0.5",
        ])
        .unwrap();
        assert_eq!((plan.setup, plan.connections), (Setup::Cgroup, [4, 32]));
        assert_eq!(plan.clients, [(Tenant::A, 10), (Tenant::B, 11)]);
        assert_eq!(plan.servers, [(None, 12), (Some(Tenant::B), 13)]);
        assert_eq!(
            plan.accounts,
            Accounts::Cgroup([None, None, Some("/sys/fs/cgroup/pg".into())])
        );
        assert_eq!(
            (plan.warm_up.as_millis(), plan.window.as_millis()),
            (1000, 500)
        );
    }

    #[test]
    fn mistakes_are_named() {
        for wrong in [
            "setup=all",
            "client=c:1",
            "client=1",
            "server=a:x",
            "group=pg:/x",
            "window=-1",
            "warm_up=inf",
            "x",
        ] {
            assert!(
                plan(&["setup=vs", "connections=1,1", wrong])
                    .unwrap_err()
                    .starts_with(wrong),
                "{wrong}"
            );
        }
        assert!(plan(&["connections=1,1"]).unwrap_err().contains("setup"));
    }
}
