// SPDX-License-Identifier: MIT OR Apache-2.0
//! The results as text.

use std::fmt::Write as _;

use crate::row::Results;
use crate::run::Setup;

/// The name under which a set-up is shown to people.
pub fn title(setup: Setup) -> &'static str {
    match setup {
        Setup::None => "no insulation",
        Setup::Cgroup => "cgroup v2",
        Setup::Vs => "virtual services",
        Setup::Share => "VS, accept by share",
        Setup::Replicated => "replicated (ideal)",
    }
}

/// A table of all rows, a block for each set-up.
pub fn table(results: &Results) -> String {
    let mut text = String::from(
        "                        b's        a         a         b   | \
         CPU s inside PostgreSQL charged to\n\
         set-up               connect.    tps    p99 ms       tps  |      \
         a      b  itself  wrong one\n",
    );
    for setup in Setup::ALL {
        for (n, row) in results.of(setup).enumerate() {
            let name = if n == 0 { title(setup) } else { "" };
            // writing to a String cannot fail
            let _ = writeln!(
                text,
                "{name:<20} {:>8} {:>7.1} {:>9.1} {:>9.1}  | {:>6.2} {:>6.2} {:>7.2} {:>10.3}",
                row.b_load,
                row.a_tps,
                row.a_p99_ms,
                row.b_tps,
                row.cpu_a_s,
                row.cpu_b_s,
                row.cpu_home_s,
                row.cpu_wrong_s,
            );
        }
    }
    text
}

/// The figures that the project promises, at b's largest load; none if one of the two set-ups has
/// no run at that load.
pub fn figures(results: &Results) -> Option<String> {
    let vs = results.of(Setup::Vs).last()?;
    let ideal = results
        .of(Setup::Replicated)
        .find(|row| row.b_load == vs.b_load)?;
    let charged = vs.cpu_a_s + vs.cpu_b_s + vs.cpu_home_s;
    let share = |seconds: f64| 100.0 * seconds / charged;
    Some(format!(
        "With {} connections of b, virtual services beside the ideal:\n  \
         a's throughput {:.3} of it (promised: at least 0.95)\n  \
         a's 99th percentile {:.3} of it (promised: at most 1.25)\n  \
         of {charged:.2} s CPU inside PostgreSQL {:.2} % stayed with PostgreSQL itself \
         (promised: at most 2),\n  \
         {:.2} % went to the wrong tenant (promised: none)\n",
        vs.b_load,
        vs.a_tps / ideal.a_tps,
        vs.a_p99_ms / ideal.a_p99_ms,
        share(vs.cpu_home_s),
        share(vs.cpu_wrong_s),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::row;

    #[test]
    fn every_row_has_a_line() {
        let rows = [(Setup::None, 0), (Setup::None, 8), (Setup::Replicated, 8)]
            .map(|(setup, load)| row(setup, load));
        let text = table(&Results {
            rows: rows.to_vec(),
        });
        assert_eq!(text.lines().count(), 2 + 3);
        assert_eq!(text.matches(title(Setup::None)).count(), 1);
        assert_eq!(text.matches("400.2").count(), 3);
    }

    #[test]
    fn figures_compare_equal_loads() {
        let mut vs = row(Setup::Vs, 8);
        (vs.a_tps, vs.a_p99_ms, vs.cpu_home_s) = (90.0, 5.0, 1.0);
        let mut results = Results {
            rows: vec![
                row(Setup::Vs, 0),
                vs,
                row(Setup::Replicated, 0),
                row(Setup::Replicated, 8),
            ],
        };
        let text = figures(&results).unwrap();
        for part in [
            "8 connections",
            "throughput 0.900",
            "percentile 2.000",
            "4.00 s",
            "25.00 %",
            "0.00 %",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        results.rows.pop();
        assert_eq!(figures(&results), None);
    }
}
