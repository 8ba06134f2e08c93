// SPDX-License-Identifier: MIT OR Apache-2.0
//! The results as a picture: a's throughput and 99th percentile against b's load.

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::row::{Results, Row};
use crate::run::Setup;
use crate::table::title;

const SIZE: (u32, u32) = (1080, 560);

/// Colours that the common forms of colour blindness keep apart.
fn colour(setup: Setup) -> RGBColor {
    match setup {
        Setup::None => RGBColor(213, 94, 0),
        Setup::Cgroup => RGBColor(230, 159, 0),
        Setup::Vs => RGBColor(0, 114, 178),
        Setup::Replicated => RGBColor(0, 158, 115),
    }
}

/// Width of the line and size of the points. The ideal is drawn broad and below all, so that a line
/// that reaches it does not hide it.
fn strokes(setup: Setup) -> (u32, i32) {
    if setup == Setup::Replicated {
        (9, 7)
    } else {
        (3, 4)
    }
}

/// Draws the picture as SVG.
///
/// # Errors
/// An error of the plotting library.
pub fn plot(results: &Results) -> Result<String, String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(results, &area).map_err(|e| e.to_string())?;
        area.present().map_err(|e| e.to_string())?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Outcome<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw<'a>(results: &Results, area: &Area<'a>) -> Outcome<'a> {
    area.fill(&WHITE)?;
    let area = area.titled(
        "Tenant a beside a flood by tenant b, both on one machine",
        ("sans-serif", 22),
    )?;
    let (panels, legend) = area.split_vertically(SIZE.1 - 80);
    let panels = panels.split_evenly((1, 2));

    let most = results.rows.iter().map(|row| row.a_tps).fold(0.0, f64::max);
    panel(
        results,
        &panels[0],
        "a's transactions a second",
        0.0..(most * 1.15).max(1.0),
        |row| row.a_tps,
    )?;

    let least = results
        .rows
        .iter()
        .map(|row| row.a_p99_ms)
        .fold(f64::INFINITY, f64::min);
    let most = results
        .rows
        .iter()
        .map(|row| row.a_p99_ms)
        .fold(0.0, f64::max);
    let decades = decade(least).floor()..decade(most).ceil();
    panel(
        results,
        &panels[1],
        "a's 99th percentile in milliseconds",
        decades,
        |row| decade(row.a_p99_ms),
    )?;
    key(&legend)
}

/// The decimal logarithm of a time of at least a microsecond. The axis is linear in it: then every
/// decade is labelled.
fn decade(ms: f64) -> f64 {
    ms.max(1e-3).log10()
}

/// One diagram. The loads stand at equal distances: they grow by factors, and from zero.
fn panel<'a>(
    results: &Results,
    area: &Area<'a>,
    caption: &str,
    range: std::ops::Range<f64>,
    value: impl Fn(&Row) -> f64,
) -> Outcome<'a> {
    let loads = results.loads();
    let place = |load: u32| loads.iter().position(|&l| l == load).unwrap_or(0) as f64;
    let logarithmic = range.start != 0.0 || range.end < 10.0;
    let last = (loads.len().max(2) - 1) as f64;
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(46)
        .y_label_area_size(64)
        .build_cartesian_2d(-0.2..last + 0.2, range.clone())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .axis_style(RGBColor(120, 120, 120))
        .label_style(("sans-serif", 15))
        .x_desc("connections of b, each always busy")
        .x_labels(2 * loads.len() + 1)
        .x_label_formatter(&|x| {
            let load = (x.fract().abs() < 1e-6 && *x >= 0.0)
                .then(|| loads.get(*x as usize))
                .flatten();
            load.map_or(String::new(), u32::to_string)
        })
        .y_labels(if logarithmic {
            (range.end - range.start) as usize + 1
        } else {
            6
        })
        .y_label_formatter(&|y| {
            if logarithmic {
                format!("{}", 10f64.powf(*y))
            } else {
                format!("{y:.0}")
            }
        })
        .draw()?;
    for setup in [Setup::Replicated, Setup::None, Setup::Cgroup, Setup::Vs] {
        let points: Vec<_> = results
            .of(setup)
            .map(|row| (place(row.b_load), value(row)))
            .collect();
        let (line, dot) = strokes(setup);
        chart.draw_series(LineSeries::new(
            points.clone(),
            colour(setup).stroke_width(line),
        ))?;
        chart.draw_series(
            points
                .into_iter()
                .map(|point| Circle::new(point, dot, colour(setup).filled())),
        )?;
    }
    Ok(())
}

/// The names of the lines, in a row below both diagrams.
fn key<'a>(area: &Area<'a>) -> Outcome<'a> {
    let step = SIZE.0 as i32 / Setup::ALL.len() as i32;
    for (n, setup) in Setup::ALL.into_iter().enumerate() {
        let x = 48 + n as i32 * step;
        let (line, dot) = strokes(setup);
        area.draw(&PathElement::new(
            [(x, 20), (x + 34, 20)],
            colour(setup).stroke_width(line),
        ))?;
        area.draw(&Circle::new((x + 17, 20), dot, colour(setup).filled()))?;
        area.draw(&Text::new(title(setup), (x + 44, 11), ("sans-serif", 17)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::row;

    #[test]
    fn every_row_is_two_points_and_every_setup_two_lines() {
        let rows = Setup::ALL
            .into_iter()
            .flat_map(|setup| [0, 4, 16, 64].map(|load| row(setup, load)));
        let svg = plot(&Results {
            rows: rows.collect(),
        })
        .unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        // the key has one more point and line for every set-up
        assert_eq!(svg.matches("<circle").count(), 4 * 4 * 2 + 4);
        for setup in Setup::ALL {
            assert_eq!(svg.matches(title(setup)).count(), 1);
        }
        for label in [">0<", ">4<", ">16<", ">64<"] {
            assert!(svg.replace(['\n', ' '], "").contains(label), "{label}");
        }
    }

    #[test]
    fn a_single_row_is_drawn_too() {
        let svg = plot(&Results {
            rows: vec![row(Setup::Vs, 32)],
        })
        .unwrap();
        assert_eq!(svg.matches("<circle").count(), 2 + 4);
    }

    #[test]
    fn points_stand_where_their_values_are() {
        let height = |tps: f64| {
            let mut high = row(Setup::Vs, 1);
            high.a_tps = 200.0;
            let mut low = row(Setup::None, 1);
            low.a_tps = tps;
            let svg = plot(&Results {
                rows: vec![low, high],
            })
            .unwrap();
            let first = svg.split("<circle").nth(1).unwrap();
            let y = first
                .split("cy=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap();
            y.parse::<f64>().unwrap()
        };
        let (zero, half, full) = (height(0.0), height(100.0), height(200.0));
        assert!(
            (zero - half - (half - full)).abs() <= 2.0 && zero > full + 100.0,
            "{zero} {half} {full}"
        );
    }
}
