// SPDX-License-Identifier: MIT OR Apache-2.0
//! The goals, and whether each was reached.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vs_demo::run::Setup;

use crate::row::{Figure, Row, Rows};

/// The state without the module in the record of tools/bench/gates.py.
const BASE: &str = "module absent";
/// Half of what is shown of a CPU time, in seconds. Control groups round down to microseconds.
const ROUNDING_S: f64 = 0.0005;

/// The instructions of one system call, or of a pair, in one state of VS.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Cost {
    /// The calls.
    pub calls: String,
    /// The state.
    pub state: String,
    /// Instructions without the module, in the same boot.
    pub without: f64,
    /// Instructions in this state.
    pub instructions: f64,
}

impl Cost {
    /// How much more than without the module, in percent.
    pub fn percent(&self) -> f64 {
        100.0 * (self.instructions / self.without - 1.0)
    }
}

/// The calls that the paper measures or that stand for them, the figures of `calls.c` that they
/// consist of, and the goal: at most so many percent more where VSs change.
const CALLS: [(&str, &[&str], Option<f64>); 5] = [
    ("fork, exit, wait", &["fork"], Some(1.0)),
    (
        "accept, close of a TCP connection",
        &["tcp-accept", "tcp-close"],
        Some(8.0),
    ),
    (
        "accept, close of a unix connection",
        &["unix-accept", "unix-close"],
        None,
    ),
    ("socket, close", &["socket"], None),
    ("open, close of a file: no gate", &["open"], None),
];
/// The states that are shown. In the last one each call changes the service.
const STATES: [&str; 3] = ["no rule", "match same VS", "re-bound"];

/// Reads the record of tools/bench/gates.py.
///
/// # Errors
/// A record without one of the figures.
pub fn costs(json: &str) -> Result<Vec<Cost>, String> {
    #[derive(Deserialize)]
    struct Found {
        figure: String,
        state: String,
        instructions: f64,
    }
    #[derive(Deserialize)]
    struct All {
        rows: Vec<Found>,
    }
    let all: All = serde_json::from_str(json).map_err(|e| e.to_string())?;
    let found: BTreeMap<_, _> = all
        .rows
        .iter()
        .map(|row| ((row.figure.as_str(), row.state.as_str()), row.instructions))
        .collect();
    let sum = |figures: &[&str], state: &str| {
        figures
            .iter()
            .map(|figure| {
                let value = found.get(&(*figure, state)).copied();
                value.ok_or_else(|| format!("no {figure} in the state {state}"))
            })
            .sum::<Result<f64, String>>()
    };
    CALLS
        .iter()
        .flat_map(|&(calls, figures, _)| STATES.map(|state| (calls, figures, state)))
        .map(|(calls, figures, state)| {
            Ok(Cost {
                calls: calls.to_owned(),
                state: state.to_owned(),
                without: sum(figures, BASE)?,
                instructions: sum(figures, state)?,
            })
        })
        .collect()
}

/// A goal, and what was measured.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Goal {
    /// The name of the figure that has a goal.
    pub what: String,
    /// The figure as measured.
    pub value: f64,
    /// The bound.
    pub bound: f64,
    /// Whether the bound is the least (else: the most).
    pub at_least: bool,
    /// What the paper has, if the digest of it says.
    pub paper: Option<String>,
    /// Whether the goal is reached.
    pub reached: bool,
}

impl Goal {
    fn new(what: String, value: f64, bound: f64, at_least: bool, paper: Option<&str>) -> Goal {
        let reached = if at_least {
            value >= bound
        } else {
            value <= bound
        };
        Goal {
            what,
            value,
            bound,
            at_least,
            paper: paper.map(str::to_owned),
            reached,
        }
    }
}

/// The goals that can be judged by these figures.
pub fn goals(rows: &Rows, costs: &[Cost]) -> Vec<Goal> {
    let mut goals = Vec::new();
    for (calls, _, bound) in CALLS {
        let (Some(bound), Some(worst)) = (
            bound,
            costs
                .iter()
                .filter(|cost| cost.calls == calls && cost.state != "no rule")
                .map(Cost::percent)
                .reduce(f64::max),
        ) else {
            continue;
        };
        let paper = if calls.starts_with("fork") {
            "+1.3 %"
        } else {
            "+30 % (open, close)"
        };
        goals.push(Goal::new(
            format!("{calls}, classified: instructions more, %"),
            worst,
            bound,
            false,
            Some(paper),
        ));
    }

    let two_sites = rows.figure(Figure::Sites);
    let vs: Vec<&Row> = two_sites.of(Setup::Vs).collect();
    if let [alone, .., most] = vs.as_slice() {
        if alone.b_load == 0 {
            goals.push(Goal::new(
                format!(
                    "Figure 11: a's throughput beside {} connections of b, of that alone",
                    most.b_load
                ),
                most.a.done / alone.a.done,
                0.98,
                true,
                None,
            ));
        }
    }

    let shared = rows.figure(Figure::Shared);
    for setup in [Setup::Vs, Setup::Share] {
        // the order of arrival is judged only where there is no other
        if setup == Setup::Vs && shared.of(Setup::Share).next().is_some() {
            continue;
        }
        let ideal = |most: &Row| {
            let mut ideal = shared.of(Setup::Replicated);
            ideal.find(|row| row.b_load == most.b_load).copied()
        };
        if let Some((most, ideal)) = shared
            .of(setup)
            .last()
            .and_then(|most| Some((most, ideal(most)?)))
        {
            goals.push(Goal::new(
                format!(
                    "Figure 12, {}: a's throughput beside {} connections of b, of the replicated",
                    if setup == Setup::Share {
                        "accepted by share"
                    } else {
                        "accepted in order of arrival"
                    },
                    most.b_load
                ),
                most.a.done / ideal.a.done,
                0.97,
                true,
                Some("nearly like the replicated"),
            ));
        }
    }

    let wrong = |row: &Row| matches!(row.setup, Setup::Vs | Setup::Share);
    for figure in Figure::ALL {
        let rows = rows.figure(figure);
        if let Some(worst) = rows
            .0
            .iter()
            .filter(|row| wrong(row))
            .map(|row| row.cpu_wrong_s)
            .reduce(f64::max)
        {
            goals.push(Goal::new(
                format!(
                    "{}: CPU s charged to the wrong tenant in any run",
                    figure.title()
                ),
                worst,
                ROUNDING_S,
                false,
                None,
            ));
        }
    }
    goals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::row;

    fn record(rebound: f64) -> String {
        let figures = [
            "fork",
            "tcp-accept",
            "tcp-close",
            "unix-accept",
            "unix-close",
            "socket",
            "open",
        ];
        let rows = figures.iter().flat_map(|figure| {
            [
                ("module absent", 1000.0),
                ("no rule", 1500.0),
                ("match same VS", 1000.0),
                ("re-bound", rebound),
            ]
            .map(|(state, instructions)| {
                format!(
                    r#"{{"figure":"{figure}","state":"{state}","instructions":{instructions}}}"#
                )
            })
        });
        format!(r#"{{"rows":[{}]}}"#, rows.collect::<Vec<_>>().join(","))
    }

    #[test]
    fn pairs_are_summed_and_judged_where_they_are_classified() {
        let costs = costs(&record(1050.0)).unwrap();
        let pair = costs
            .iter()
            .find(|cost| cost.calls.contains("TCP") && cost.state == "re-bound");
        assert_eq!(pair.unwrap().without, 2000.0);
        let goals = goals(&Rows::default(), &costs);
        let verdicts: Vec<_> = goals.iter().map(|goal| goal.reached).collect();
        assert_eq!(verdicts, [false, true], "{goals:?}");
        assert!((goals[0].value - 5.0).abs() < 1e-9);
        assert!(super::costs(&record(1.0).replace("tcp-close", "x")).is_err());
    }

    #[test]
    fn each_figure_is_judged_at_the_largest_load() {
        let mut wrong = row(Figure::Shared, Setup::Vs, 60, 45.0);
        wrong.cpu_wrong_s = 0.01;
        let mut rows = Rows(vec![
            row(Figure::Sites, Setup::Vs, 0, 100.0),
            row(Figure::Sites, Setup::Vs, 60, 97.0),
            row(Figure::Shared, Setup::Vs, 0, 50.0),
            wrong,
            row(Figure::Shared, Setup::Replicated, 60, 50.0),
        ]);
        let values = |rows: &Rows| -> Vec<_> {
            goals(rows, &[])
                .iter()
                .map(|goal| (goal.value, goal.reached))
                .collect()
        };
        assert_eq!(
            values(&rows),
            [(0.97, false), (0.9, false), (0.0, true), (0.01, false)]
        );
        rows.0
            .insert(4, row(Figure::Shared, Setup::Share, 60, 49.0));
        assert_eq!(values(&rows)[1], (0.98, true));
        assert_eq!(values(&Rows(rows.0[1..2].to_vec())), [(0.0, true)]);
    }
}
