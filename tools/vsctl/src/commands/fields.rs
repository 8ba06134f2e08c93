// SPDX-License-Identifier: MIT OR Apache-2.0
//! `fields`: describes the JSON output.

use anyhow::Result;
use clap::Args;

use super::{apply, ps, rule, service, ss, stat, status, tree};
use crate::output::{print, Described};

/// Describe the fields of the JSON output
///
/// Fields are added; none is renamed or changes its meaning.
#[derive(Debug, Args)]
pub struct Fields {}

impl Fields {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let text = [
            section::<status::Report>("status, up"),
            section::<tree::Row>("ls (a list), tree (each with its `services` in it)"),
            section::<tree::Value>("an item of `attributes`"),
            section::<tree::Shown>("show"),
            section::<stat::Row>("stat (a list)"),
            section::<stat::Hits>("an item of `hits`"),
            section::<stat::Counter>("stat --sched (a list)"),
            section::<rule::Row>("rule ls (a list), rule add"),
            section::<rule::Tested>("rule test"),
            section::<rule::Becomes>("an item of `becomes`"),
            section::<rule::Loser>("an item of `lose`"),
            section::<ps::Row>("ps (a list)"),
            section::<ss::Row>("ss (a list)"),
            section::<service::Created>("create"),
            section::<apply::Difference>("apply (a list)"),
        ];
        print(&text.join("\n"))
    }
}

fn section<T: Described>(of: &str) -> String {
    let mut text = format!("{of}:{}\n", T::ABOUT);
    for (name, about) in T::FIELDS {
        text += &format!("  {name:<20}{about}\n");
    }
    text
}
