// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two figures as a picture: a's throughput and 95th percentile against b's load.

use vs_demo::plot::{picture, Panel, Scale};
use vs_demo::run::Setup;

use crate::row::{Figure, Row, Rows};

const SIZE: (u32, u32) = (1080, 860);

/// Draws the picture as SVG; a figure without rows is left out.
///
/// # Errors
/// An error of the plotting library.
pub fn plot(rows: &Rows) -> Result<String, String> {
    let figures: Vec<_> = [
        (
            Figure::Sites,
            "Figure 11, a web server for each: a's requests a second",
            "Figure 11: a's 95th percentile in milliseconds",
        ),
        (
            Figure::Shared,
            "Figure 12, one single-threaded server: a's requests a second",
            "Figure 12: a's 95th percentile in milliseconds",
        ),
    ]
    .map(|(figure, throughput, latency)| (rows.figure(figure), throughput, latency))
    .into_iter()
    .filter(|(rows, ..)| !rows.0.is_empty())
    .collect();
    let panels: Vec<_> = figures
        .iter()
        .map(|(rows, throughput, latency)| {
            vec![
                panel(rows, throughput, |row| Some(row.a.done), Scale::linear),
                panel(rows, latency, |row| row.a.p95_ms, Scale::decades),
            ]
        })
        .collect();
    let occurs = |setup: &Setup| {
        let mut drawn = figures.iter();
        drawn.any(|(rows, ..)| rows.of(*setup).next().is_some())
    };
    let setups: Vec<_> = Setup::ALL.into_iter().filter(occurs).collect();
    picture(
        SIZE,
        "Tenant a beside tenant b, as in the paper",
        &panels,
        &setups,
    )
}

fn panel<'a>(
    rows: &Rows,
    caption: &'a str,
    value: fn(&Row) -> Option<f64>,
    scale: fn(Vec<f64>) -> Scale,
) -> Panel<'a> {
    let line = |setup| {
        let points = rows.of(setup);
        let points = points.filter_map(|row| Some((row.b_load, value(row)?)));
        (setup, points.collect())
    };
    Panel {
        caption,
        loads_are: "connections of b, each of which asks as often as one of a's",
        scale: scale(rows.0.iter().filter_map(value).collect()),
        lines: Setup::ALL.map(line).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::row;

    #[test]
    fn every_row_is_two_points() {
        let mut starved = row(Figure::Shared, Setup::None, 30, 0.0);
        starved.a.p95_ms = None;
        let rows = Rows(vec![
            row(Figure::Sites, Setup::Vs, 0, 90.0),
            row(Figure::Shared, Setup::None, 0, 90.0),
            starved,
        ]);
        let svg = plot(&rows).unwrap();
        // the key has one more for each set-up; without a latency there is no point
        assert_eq!(svg.matches("<circle").count(), 3 * 2 - 1 + 2);
        assert_eq!(svg.matches("Figure 11").count(), 2);
    }
}
