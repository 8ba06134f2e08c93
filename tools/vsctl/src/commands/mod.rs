// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commands, one noun a file.

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::failure::EXIT_CODES;
use crate::output::Output;

mod apply;
mod attribute;
mod exec;
mod fields;
mod lifecycle;
mod place;
mod ps;
mod rule;
mod service;
mod ss;
mod stat;
mod status;
mod top;
mod tree;

/// Virtual Services: charges work to the party that it is done for, and gives each its share of the
/// machine.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Arguments {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
    /// Print JSON; `vsctl fields` describes it
    #[arg(long, global = true)]
    pub json: bool,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Attach the gates and start the scheduler: all or nothing
    Up(lifecycle::Up),
    /// Detach all that `up` has attached
    Down(lifecycle::Down),
    /// Show the state of module, gates and scheduler
    Status(status::Status),
    /// Make services and rules what a file says: all of it, or nothing
    Apply(apply::Apply),
    /// Create a service
    Create(service::Create),
    /// Destroy a service
    Destroy(service::Destroy),
    /// Move a service to another parent
    Mv(service::Mv),
    /// Give a service another name
    Rename(service::Rename),
    /// Set attributes a service has of its own, or its priority
    Set(attribute::Set),
    /// Make attributes a service's own instead of its parent's
    Detach(attribute::Detach),
    /// Share attributes with the parent again
    Share(attribute::Share),
    /// List the services
    Ls(tree::Ls),
    /// Show the services as a tree
    Tree(tree::Tree),
    /// Show all about one service
    Show(tree::Show),
    /// Add, delete, list and test rules
    #[command(subcommand)]
    Rule(rule::Rule),
    /// Give processes a home: place them in a service
    Place(place::Place),
    /// Run a command in a service
    Exec(exec::Exec),
    /// List tasks with their home and current service
    Ps(ps::Ps),
    /// List sockets with their service
    Ss(ss::Ss),
    /// Show statistics
    Stat(stat::Stat),
    /// Show each service's use of the machine, live
    Top(top::Top),
    /// Describe the fields of the JSON output
    Fields(fields::Fields),
}

impl Command {
    /// Runs the command.
    pub fn run(self, output: Output) -> Result<()> {
        match self {
            Self::Up(command) => command.run(output),
            Self::Down(command) => command.run(),
            Self::Status(command) => command.run(output),
            Self::Apply(command) => command.run(output),
            Self::Create(command) => command.run(output),
            Self::Destroy(command) => command.run(),
            Self::Mv(command) => command.run(),
            Self::Rename(command) => command.run(),
            Self::Set(command) => command.run(),
            Self::Detach(command) => command.run(),
            Self::Share(command) => command.run(),
            Self::Ls(command) => command.run(output),
            Self::Tree(command) => command.run(output),
            Self::Show(command) => command.run(output),
            Self::Rule(command) => command.run(output),
            Self::Place(command) => command.run(),
            Self::Exec(command) => command.run(),
            Self::Ps(command) => command.run(output),
            Self::Ss(command) => command.run(output),
            Self::Stat(command) => command.run(output),
            Self::Top(command) => command.run(),
            Self::Fields(command) => command.run(),
        }
    }
}
