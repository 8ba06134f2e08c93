// SPDX-License-Identifier: MIT OR Apache-2.0
//! `top`: shows each service's use of the machine, live.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row as Line_, Table};
use ratatui::{DefaultTerminal, Frame};

use super::stat::{self, Row};
use crate::bpf::scheduler::{self, State};
use crate::device::Device;
use crate::failure::Failure;
use crate::output::bytes;

/// Show each service's use of the machine, live
///
/// Keys: c, t, n sort by CPU, tasks or name; q ends.
#[derive(Debug, Args)]
pub struct Top {
    /// Seconds between two readings
    #[arg(long, short, default_value_t = 1.0)]
    delay: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Cpu,
    Tasks,
    Name,
}

impl Top {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let delay = Duration::try_from_secs_f64(self.delay)
            .ok()
            .filter(|delay| *delay >= Duration::from_millis(100))
            .ok_or_else(|| Failure::Usage("--delay takes seconds, from 0.1".to_owned()))?;
        let device = Device::ask()?;
        if !io::stdout().is_terminal() {
            return Err(Failure::Usage(
                "top draws on a terminal\n  do: `vsctl stat --watch` writes lines".to_owned(),
            )
            .into());
        }
        let mut terminal = ratatui::try_init()?;
        let result = run(&mut terminal, &device, delay);
        ratatui::restore();
        result
    }
}

fn run(terminal: &mut DefaultTerminal, device: &Device, delay: Duration) -> Result<()> {
    let mut order = Order::Cpu;
    let mut old = stat::all(device)?;
    let mut read = Instant::now();
    let mut shown = stat::since(&old, &old);
    let mut span = delay;
    loop {
        sort(&mut shown, order);
        let running = scheduler::state()?;
        terminal.draw(|frame| draw(frame, &shown, span, &running))?;
        if event::poll(delay.saturating_sub(read.elapsed()))? {
            if let Event::Key(key) = event::read()? {
                match key.code {
                    _ if key.kind != KeyEventKind::Press => {}
                    KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                    KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                        return Ok(())
                    }
                    KeyCode::Char('c') => order = Order::Cpu,
                    KeyCode::Char('t') => order = Order::Tasks,
                    KeyCode::Char('n') => order = Order::Name,
                    _ => {}
                }
            }
            continue;
        }
        let new = stat::all(device)?;
        span = read.elapsed();
        read = Instant::now();
        shown = stat::since(&old, &new);
        old = new;
    }
}

fn sort(rows: &mut [Row], order: Order) {
    // the sort is stable: equals stay in the order of the tree
    match order {
        Order::Cpu => rows.sort_by_key(|row| std::cmp::Reverse(row.cpu_ns)),
        Order::Tasks => rows.sort_by_key(|row| std::cmp::Reverse(row.tasks)),
        Order::Name => rows.sort_by(|a, b| a.name.cmp(&b.name)),
    }
}

/// Percent of one CPU, as cpu_cap counts.
fn percent(ns: u64, span: Duration) -> f64 {
    100.0 * ns as f64 / span.as_nanos().max(1) as f64
}

fn draw(frame: &mut Frame<'_>, rows: &[Row], span: Duration, scheduler: &State) {
    let [head, body] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(frame.area());
    let used: u64 = rows.iter().map(|row| row.cpu_ns).sum();
    let scheduler = match scheduler {
        State::Ours => "scx_vs".to_owned(),
        State::Off => "the kernel's".to_owned(),
        State::Ejected(_) => "the kernel's, for scx_vs has stopped (vsctl status)".to_owned(),
        State::Other(name) => name.clone(),
    };
    let title = format!(
        "{} services, {:.0} % of one CPU used, scheduler: {scheduler}",
        rows.len(),
        percent(used, span)
    );
    frame.render_widget(Line::from(title), head);
    let names = [
        "SERVICE",
        "CPU%",
        "TOTAL%",
        "TASKS",
        "SOCKETS",
        "REBINDS/s",
        "REFUSED/s",
        "IN/s",
        "OUT/s",
    ];
    let header = Line_::new(names).style(Style::new().add_modifier(Modifier::REVERSED));
    let rate = |n: u64| (n as f64 / span.as_secs_f64().max(1e-9)) as u64;
    let lines = rows.iter().map(|row| {
        Line_::new(
            [
                row.name.clone(),
                format!("{:.1}", percent(row.cpu_ns, span)),
                format!("{:.1}", percent(row.cpu_total_ns, span)),
                row.tasks.to_string(),
                row.sockets.to_string(),
                rate(row.rebinds).to_string(),
                rate(row.refused).to_string(),
                bytes(rate(row.bytes_in)),
                bytes(rate(row.bytes_out)),
            ]
            .map(Cell::from),
        )
    });
    let widths = [31, 8, 8, 8, 8, 10, 10, 10, 10].map(Constraint::Max);
    frame.render_widget(Table::new(lines, widths).header(header), body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::vs_stat;
    use crate::service::{tests::service, Services};
    use ratatui::{backend::TestBackend, Terminal};

    #[test]
    fn a_screen() {
        let services = Services::new(vec![service(1, 0, "shop"), service(2, 0, "idle")]);
        let stat = |id, cpu_ns| {
            stat::row(
                &services,
                &vs_stat {
                    id,
                    cpu_ns,
                    ..Default::default()
                },
            )
        };
        let mut rows = vec![stat(2, 0), stat(1, 750_000_000)];
        sort(&mut rows, Order::Cpu);
        let mut terminal = Terminal::new(TestBackend::new(110, 4)).unwrap();
        terminal
            .draw(|frame| draw(frame, &rows, Duration::from_millis(500), &State::Ours))
            .unwrap();
        let cells = terminal.backend().buffer().content();
        let screen: Vec<String> = cells
            .chunks(110)
            .map(|line| line.iter().map(|cell| cell.symbol()).collect())
            .collect();
        assert!(
            screen[0].starts_with("2 services, 150 % of one CPU used, scheduler: scx_vs"),
            "{screen:?}"
        );
        assert!(
            screen[2].starts_with("shop ") && screen[2].contains("150.0"),
            "{screen:?}"
        );
        assert!(screen[3].starts_with("idle "), "{screen:?}");
    }
}
