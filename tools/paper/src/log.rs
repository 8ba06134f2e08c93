// SPDX-License-Identifier: MIT OR Apache-2.0
//! The client's log of every request, and the figures computed from it. See client.c.

use serde::{Deserialize, Serialize};
use vs_demo::log::percentile;

/// How a request ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It was answered.
    Done,
    /// Its connection was refused or cut, or the server said that it has failed.
    Refused,
    /// It was given up.
    Late,
    /// It was not answered when the run ended.
    Open,
}

/// A request that was due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// The instant at which it was due, in microseconds since the epoch.
    pub due_us: u64,
    /// Its end.
    pub end_us: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// Reads a log.
///
/// # Errors
/// A line that does not have the form of the log, with its number.
pub fn parse(text: &str) -> Result<Vec<Request>, String> {
    let request = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        Some(Request {
            due_us: words.next()?.parse().ok()?,
            end_us: words.next()?.parse().ok()?,
            outcome: match words.next()? {
                "done" => Outcome::Done,
                "refused" => Outcome::Refused,
                "late" => Outcome::Late,
                "open" => Outcome::Open,
                _ => return None,
            },
        })
    };
    text.lines()
        .enumerate()
        .map(|(n, line)| {
            request(line).ok_or_else(|| format!("line {}: not a request: {line:?}", n + 1))
        })
        .collect()
}

/// What a tenant asked and got in a period. Latencies are in milliseconds, from the instant a
/// request was due; none if nothing was answered.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Service {
    /// Requests a second that were due.
    pub offered: f64,
    /// Requests a second that were answered.
    pub done: f64,
    /// How many were refused.
    pub refused: usize,
    /// How many were given up.
    pub late: usize,
    /// Median of the latency.
    pub p50_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
}

/// Evaluates a period, `from_us < to_us`.
pub fn service(requests: &[Request], from_us: u64, to_us: u64) -> Service {
    let within = |us: u64| (from_us..to_us).contains(&us);
    let ended = |outcome: Outcome| {
        requests
            .iter()
            .filter(move |request| request.outcome == outcome && within(request.end_us))
    };
    let mut latencies: Vec<u64> = ended(Outcome::Done)
        .map(|request| request.end_us.saturating_sub(request.due_us))
        .collect();
    latencies.sort_unstable();
    let seconds = (to_us - from_us) as f64 / 1e6;
    let of = |percent| percentile(&latencies, percent).map(|us| us as f64 / 1e3);
    let due = requests.iter().filter(|request| within(request.due_us));
    Service {
        offered: due.count() as f64 / seconds,
        done: latencies.len() as f64 / seconds,
        refused: ended(Outcome::Refused).count(),
        late: ended(Outcome::Late).count(),
        p50_ms: of(50),
        p95_ms: of(95),
        p99_ms: of(99),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_due_and_what_ended_count_by_their_own_instants() {
        let log = parse(
            "500000 1500000 done\n\
             1000000 1002000 done\n\
             1000001 2999999 late\n\
             2000000 2004000 refused\n\
             2500000 3000000 done\n\
             2600000 0 open\n",
        )
        .unwrap();
        let got = service(&log, 1_000_000, 3_000_000);
        assert_eq!((got.offered, got.done), (2.5, 1.0));
        assert_eq!((got.refused, got.late), (1, 1));
        assert_eq!((got.p50_ms, got.p99_ms), (Some(2.0), Some(1000.0)));
        assert_eq!(service(&[], 0, 1), Service::default());
    }

    #[test]
    fn other_lines_are_errors() {
        assert!(parse("1 2 done\n1 2 maybe\n")
            .unwrap_err()
            .starts_with("line 2"));
        assert!(parse("1 done\n").unwrap_err().starts_with("line 1"));
    }
}
