// SPDX-License-Identifier: MIT OR Apache-2.0
//! The output of queries: a table for people, JSON for programs. `record!` declares and describes
//! the fields of the JSON, and `vsctl fields` prints the descriptions. Fields are stable: new ones
//! are added, none is renamed.

use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

/// A record whose fields are described.
pub trait Described {
    /// One sentence about a record.
    const ABOUT: &'static str;
    /// Name and meaning of each field.
    const FIELDS: &'static [(&'static str, &'static str)];
}

/// Declares a record of the JSON output: its doc comments become the descriptions that `vsctl
/// fields` prints.
#[macro_export]
macro_rules! record {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident {
            $($(#[doc = $doc:literal])+ pub $field:ident: $type:ty,)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, serde::Serialize)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        impl $crate::output::Described for $name {
            const ABOUT: &'static str = concat!($($about),+);
            const FIELDS: &'static [(&'static str, &'static str)] =
                &[$((stringify!($field), concat!($($doc),+))),+];
        }
    };
}

/// The form of output that the caller wants.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// JSON instead of text.
    pub json: bool,
}

impl Output {
    /// Prints one value: as JSON, or as `text` makes it.
    pub fn value<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> Result<()> {
        let mut out = if self.json {
            serde_json::to_string_pretty(value)?
        } else {
            text(value)
        };
        if out.is_empty() {
            return Ok(());
        }
        if !out.ends_with('\n') {
            out.push('\n');
        }
        print(&out)
    }

    /// Prints one of a sequence of values: JSON on one line each.
    pub fn line<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> Result<()> {
        print(&format!(
            "{}\n",
            if self.json {
                serde_json::to_string(value)?
            } else {
                text(value)
            }
        ))
    }
}

/// Writes to standard output. If the reader is gone vsctl ends quietly, as any filter does.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}

/// A table: columns as wide as they need, numbers to the right.
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns; a column whose heading begins with `>` is aligned to the right.
    pub fn new(head: &[&'static str]) -> Self {
        Self {
            head: head.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.head.len());
        self.rows.push(cells.into());
    }

    /// The text.
    pub fn text(&self) -> String {
        let heads: Vec<&str> = self
            .head
            .iter()
            .map(|head| head.trim_start_matches('>'))
            .collect();
        let width = |n: usize| {
            let cells = self.rows.iter().map(|row| row[n].chars().count());
            cells.chain([heads[n].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..heads.len()).map(width).collect();
        let mut text = String::new();
        let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
        for row in std::iter::once(&heads).chain(&self.rows) {
            let mut line = String::new();
            for (n, cell) in row.iter().enumerate() {
                let width = widths[n];
                let cell = if self.head[n].starts_with('>') {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:width$}")
                };
                line += &cell;
                line += "  ";
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

/// Nanoseconds as seconds.
pub fn seconds(ns: u64) -> String {
    format!("{}.{:03}", ns / 1_000_000_000, ns / 1_000_000 % 1000)
}

/// A number of bytes with a binary unit.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{n}B")
    } else {
        format!("{value:.1}{}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["NAME", ">TASKS", "X"]);
        table.row(["a".into(), "5".into(), String::new()]);
        table.row(["longer".into(), "1000000".into(), "y".into()]);
        assert_eq!(
            table.text(),
            "NAME      TASKS  X\na             5\nlonger  1000000  y\n"
        );
    }

    #[test]
    fn units() {
        assert_eq!(
            [bytes(0), bytes(1023), bytes(1536), bytes(5 << 40)],
            ["0B", "1023B", "1.5KiB", "5.0TiB"]
        );
        assert_eq!(seconds(1_234_567_890), "1.234");
    }

    record! {
        /// A thing.
        pub struct Thing {
            /// How
            /// many.
            pub count: u32,
        }
    }

    #[test]
    fn records_describe_themselves() {
        assert_eq!(
            (Thing::ABOUT, Thing::FIELDS),
            (" A thing.", &[("count", " How many.")] as &[_])
        );
        assert_eq!(
            serde_json::to_string(&Thing { count: 1 }).unwrap(),
            r#"{"count":1}"#
        );
    }
}
