// SPDX-License-Identifier: MIT OR Apache-2.0
//! pgbench's log of every transaction (`pgbench --log`), and the figures computed from it.
//!
//! A line is `client number microseconds script seconds microseconds [lag]`: the third field is the
//! latency, the fifth and sixth are the end. Under `--rate` the latency counts from the instant the
//! transaction was due, so it includes the time during which a client cannot even begin.

/// One transaction that ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transaction {
    /// Its end, in microseconds since the epoch.
    pub end_us: u64,
    /// Its duration, in microseconds.
    pub latency_us: u64,
}

/// Reads a log.
///
/// # Errors
/// A line that does not have the form of the log, with its number; also a transaction that pgbench
/// marks as failed or skipped, which the demonstration does not expect.
pub fn parse(text: &str) -> Result<Vec<Transaction>, String> {
    let transaction = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let latency_us = fields.nth(2)?.parse().ok()?;
        let seconds: u64 = fields.nth(1)?.parse().ok()?;
        let microseconds: u64 = fields.next()?.parse().ok()?;
        Some(Transaction {
            end_us: seconds * 1_000_000 + microseconds,
            latency_us,
        })
    };
    text.lines()
        .enumerate()
        .map(|(n, line)| {
            transaction(line).ok_or_else(|| format!("line {}: not a transaction: {line:?}", n + 1))
        })
        .collect()
}

/// The service that a client got in a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Service {
    /// Transactions a second.
    pub tps: f64,
    /// 99th percentile of the latency in milliseconds; none if no transaction ended.
    pub p99_ms: Option<f64>,
}

/// Evaluates the transactions that ended in `from_us..to_us`, `from_us < to_us`.
pub fn service(transactions: &[Transaction], from_us: u64, to_us: u64) -> Service {
    let mut latencies: Vec<u64> = transactions
        .iter()
        .filter(|t| (from_us..to_us).contains(&t.end_us))
        .map(|t| t.latency_us)
        .collect();
    latencies.sort_unstable();
    Service {
        tps: latencies.len() as f64 / ((to_us - from_us) as f64 / 1e6),
        p99_ms: percentile(&latencies, 99).map(|us| us as f64 / 1e3),
    }
}

/// The smallest value that at least `percent` % of the sorted values do not exceed (nearest rank);
/// none if there are no values.
pub fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_with_and_without_lag() {
        let text = "0 1 1500 0 1700000000 000250\n3 17 2500 0 1700000001 999999 400\n";
        assert_eq!(
            parse(text).unwrap(),
            [
                Transaction {
                    end_us: 1_700_000_000_000_250,
                    latency_us: 1500
                },
                Transaction {
                    end_us: 1_700_000_001_999_999,
                    latency_us: 2500
                },
            ]
        );
    }

    #[test]
    fn refuses_what_is_no_transaction() {
        assert!(parse("0 1 failed 0 1700000000 1\n")
            .unwrap_err()
            .starts_with("line 1"));
        assert!(parse("0 1 5 0 1700000000 1\n0 2 7 0\n")
            .unwrap_err()
            .starts_with("line 2"));
    }

    #[test]
    fn percentile_is_the_nearest_rank() {
        let values: Vec<u64> = (1..=200).collect();
        assert_eq!(percentile(&values, 99), Some(198));
        assert_eq!(percentile(&values[..100], 99), Some(99));
        assert_eq!(percentile(&values[..7], 99), Some(7));
        assert_eq!(percentile(&values[..1], 99), Some(1));
        assert_eq!(percentile(&[], 99), None);
    }

    #[test]
    fn counts_only_inside() {
        let at = |end_us, latency_us| Transaction { end_us, latency_us };
        let log = [
            at(999_999, 9000),
            at(1_000_000, 1000),
            at(2_999_999, 2000),
            at(3_000_000, 8000),
        ];
        assert_eq!(
            service(&log, 1_000_000, 3_000_000),
            Service {
                tps: 1.0,
                p99_ms: Some(2.0)
            }
        );
        assert_eq!(
            service(&log, 5_000_000, 6_000_000),
            Service {
                tps: 0.0,
                p99_ms: None
            }
        );
    }
}
