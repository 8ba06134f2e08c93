// SPDX-License-Identifier: MIT OR Apache-2.0
//! The results as a picture: a's throughput and 99th percentile against b's load.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::row::{Results, Row};
use crate::run::Setup;
use crate::table::title;

const SIZE: (u32, u32) = (1080, 560);
/// The height of the names of the lines.
const KEY: u32 = 50;

/// Colours that the common forms of colour blindness keep apart.
fn colour(setup: Setup) -> RGBColor {
    match setup {
        Setup::None => RGBColor(213, 94, 0),
        Setup::Cgroup => RGBColor(230, 159, 0),
        Setup::Vs => RGBColor(0, 114, 178),
        Setup::Share => RGBColor(86, 180, 233),
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

/// The axis of the values of a diagram.
pub enum Scale {
    /// From zero to this.
    Linear(f64),
    /// Over these powers of ten. The axis is linear in them: then every decade is labelled.
    Decades(Range<f64>),
}

impl Scale {
    /// From zero to a little above the largest.
    pub fn linear(values: impl IntoIterator<Item = f64>) -> Scale {
        Scale::Linear((values.into_iter().fold(0.0, f64::max) * 1.15).max(1.0))
    }

    /// From the decade below the least to the one above the largest.
    pub fn decades(values: impl IntoIterator<Item = f64>) -> Scale {
        let (least, most) = values
            .into_iter()
            .fold((f64::INFINITY, 0.0), |(least, most), value| {
                (value.min(least), value.max(most))
            });
        Scale::Decades(decade(least).floor()..decade(most).ceil())
    }
}

/// One diagram: a value against b's load, with a line for each set-up.
pub struct Panel<'a> {
    /// What the values are.
    pub caption: &'a str,
    /// What the loads are.
    pub loads_are: &'a str,
    /// The axis of the values.
    pub scale: Scale,
    /// The points of each set-up: b's load and the value.
    pub lines: Vec<(Setup, Vec<(u32, f64)>)>,
}

/// Where a panel is drawn.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// How that ended.
pub type Outcome<'a> =
    Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

/// Draws a picture of that size as SVG: rows of panels side by side, and the names of the set-ups
/// below.
///
/// # Errors
/// An error of the plotting library.
pub fn picture(
    size: (u32, u32),
    heading: &str,
    rows: &[Vec<Panel<'_>>],
    setups: &[Setup],
) -> Result<String, String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw(heading, rows, setups, &area).map_err(|e| e.to_string())?;
        area.present().map_err(|e| e.to_string())?;
    }
    Ok(svg)
}

fn draw<'a>(
    heading: &str,
    rows: &[Vec<Panel<'_>>],
    setups: &[Setup],
    area: &Area<'a>,
) -> Outcome<'a> {
    area.fill(&WHITE)?;
    let area = area.titled(heading, ("sans-serif", 22))?;
    let (panels, names) = area.split_vertically(area.dim_in_pixel().1 - KEY);
    for (place, row) in panels.split_evenly((rows.len(), 1)).iter().zip(rows) {
        for (place, panel) in place.split_evenly((1, row.len())).iter().zip(row) {
            draw_panel(panel, place)?;
        }
    }
    key(&names, setups)
}

/// Draws the demonstration as SVG.
///
/// # Errors
/// An error of the plotting library.
pub fn plot(results: &Results) -> Result<String, String> {
    let panel = |caption, value: fn(&Row) -> f64, scale: fn(Vec<f64>) -> Scale| Panel {
        caption,
        loads_are: "connections of b, each always busy",
        scale: scale(results.rows.iter().map(value).collect()),
        lines: Setup::ALL
            .into_iter()
            .map(|setup| {
                let points = results.of(setup).map(|row| (row.b_load, value(row)));
                (setup, points.collect())
            })
            .collect(),
    };
    picture(
        SIZE,
        "Tenant a beside a flood by tenant b, both on one machine",
        &[vec![
            panel("a's transactions a second", |row| row.a_tps, Scale::linear),
            panel(
                "a's 99th percentile in milliseconds",
                |row| row.a_p99_ms,
                Scale::decades,
            ),
        ]],
        &results.setups(),
    )
}

/// The decimal logarithm of a time of at least a microsecond.
fn decade(ms: f64) -> f64 {
    ms.max(1e-3).log10()
}

/// The loads stand at equal distances: they grow by factors, and from zero.
fn draw_panel<'a>(panel: &Panel<'_>, area: &Area<'a>) -> Outcome<'a> {
    let mut loads: Vec<u32> = panel
        .lines
        .iter()
        .flat_map(|(_, points)| points.iter().map(|&(load, _)| load))
        .collect();
    loads.sort_unstable();
    loads.dedup();
    let place = |load: u32| loads.iter().position(|&l| l == load).unwrap_or(0) as f64;
    let (range, logarithmic) = match &panel.scale {
        Scale::Linear(most) => (0.0..*most, false),
        Scale::Decades(range) => (range.clone(), true),
    };
    let last = (loads.len().max(2) - 1) as f64;
    let mut chart = ChartBuilder::on(area)
        .caption(panel.caption, ("sans-serif", 17))
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
        .x_desc(panel.loads_are)
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
    let ideal = |setup: &Setup| *setup == Setup::Replicated;
    let (below, above): (Vec<_>, Vec<_>) = panel.lines.iter().partition(|(setup, _)| ideal(setup));
    for (setup, points) in below.into_iter().chain(above) {
        let points = points.iter().map(|&(load, value)| {
            let value = if logarithmic { decade(value) } else { value };
            (place(load), value)
        });
        let (line, dot) = strokes(*setup);
        chart.draw_series(LineSeries::new(
            points.clone(),
            colour(*setup).stroke_width(line),
        ))?;
        chart.draw_series(points.map(|point| Circle::new(point, dot, colour(*setup).filled())))?;
    }
    Ok(())
}

/// The names of the lines, in a row below all diagrams.
fn key<'a>(area: &Area<'a>, setups: &[Setup]) -> Outcome<'a> {
    let step = area.dim_in_pixel().0 as i32 / setups.len().max(1) as i32;
    for (n, &setup) in setups.iter().enumerate() {
        let x = 24 + n as i32 * step;
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
        assert_eq!(
            svg.matches("<circle").count(),
            Setup::ALL.len() * (4 * 2 + 1)
        );
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
        assert_eq!(svg.matches("<circle").count(), 2 + 1);
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
