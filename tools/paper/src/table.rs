// SPDX-License-Identifier: MIT OR Apache-2.0
//! The results as text.

use std::fmt::Write as _;

use vs_demo::run::Setup;
use vs_demo::table::title;

use crate::goals::{Cost, Goal};
use crate::row::Rows;

/// A table of the rows of one figure, a block for each set-up.
pub fn figure(rows: &Rows) -> String {
    let mut text = String::from(
        "                      b's    a: asked answered         latency, ms           |  b: asked \
         answered           | servers' CPU s charged to | worked for    | wrong\n\
         set-up               conn.     a second     refused  late   50 %   95 %    99 % |     \
         a second   refused  late |      a      b itself  |      a      b |\n",
    );
    let ms = |value: Option<f64>| value.map_or("-".to_owned(), |ms| format!("{ms:.1}"));
    for setup in Setup::ALL {
        for (n, row) in rows.of(setup).enumerate() {
            let name = if n == 0 { title(setup) } else { "" };
            // writing to a String cannot fail
            let _ = writeln!(
                text,
                "{name:<20} {:>5} {:>7.1} {:>7.1} {:>6} {:>5} {:>6} {:>6} {:>7} | {:>6.1} {:>6.1} \
                 {:>6} {:>5} | {:>6.2} {:>6.2} {:>6.2}  | {:>6.2} {:>6.2} | {:>5.3}",
                row.b_load,
                row.a.offered,
                row.a.done,
                row.a.refused,
                row.a.late,
                ms(row.a.p50_ms),
                ms(row.a.p95_ms),
                ms(row.a.p99_ms),
                row.b.offered,
                row.b.done,
                row.b.refused,
                row.b.late,
                row.cpu_a_s,
                row.cpu_b_s,
                row.cpu_home_s,
                row.worked_a_s,
                row.worked_b_s,
                row.cpu_wrong_s,
            );
        }
    }
    text
}

/// A table of the costs of calls.
pub fn costs(costs: &[Cost]) -> String {
    let mut text = format!(
        "{:<38} {:>10}  {:<14} {:>8}\n",
        "instructions of", "without VS", "state", "more"
    );
    for cost in costs {
        let _ = writeln!(
            text,
            "{:<38} {:>10.0}  {:<14} {:>+8.0} {:>+7.2} %",
            cost.calls,
            cost.without,
            cost.state,
            cost.instructions - cost.without,
            cost.percent(),
        );
    }
    text
}

/// The goals in plain words.
pub fn goals(goals: &[Goal]) -> String {
    let mut text = String::new();
    for goal in goals {
        let verdict = if goal.reached {
            "reached".to_owned()
        } else {
            format!("NOT reached, by {:.3}", (goal.value - goal.bound).abs())
        };
        let _ = writeln!(
            text,
            "{}: {:.3} (wanted: {} {}{}): {verdict}",
            goal.what,
            goal.value,
            if goal.at_least { "at least" } else { "at most" },
            goal.bound,
            goal.paper
                .as_ref()
                .map_or(String::new(), |paper| format!("; the paper: {paper}")),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::row;
    use crate::row::Figure;

    #[test]
    fn every_row_has_a_line() {
        let rows = Rows(vec![
            row(Figure::Shared, Setup::None, 0, 77.7),
            row(Figure::Shared, Setup::None, 8, 77.7),
            row(Figure::Shared, Setup::Share, 8, 77.7),
        ]);
        let text = figure(&rows);
        assert_eq!(text.lines().count(), 2 + 3);
        assert_eq!(text.matches("77.7").count(), 3);
        assert_eq!(text.matches(title(Setup::Share)).count(), 1);
    }

    #[test]
    fn a_missed_goal_says_by_how_much() {
        let goal = |value: f64, reached| Goal {
            what: "a".to_owned(),
            value,
            bound: 0.98,
            at_least: true,
            paper: Some("1".to_owned()),
            reached,
        };
        assert_eq!(
            goals(&[goal(0.97, false), goal(0.99, true)]),
            "a: 0.970 (wanted: at least 0.98; the paper: 1): NOT reached, by 0.010\n\
             a: 0.990 (wanted: at least 0.98; the paper: 1): reached\n"
        );
    }
}
