// SPDX-License-Identifier: MIT OR Apache-2.0
//! How vsctl fails: each cause with its exit code.

use std::fmt;

use nix::errno::Errno;
use vs_text::problem::Located;

use crate::reason;

/// Exit codes, for --help. They are part of the interface and do not change.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    refused by the kernel; the reason is printed
  2    wrong usage, or a bad configuration or rule
  3    the module is not loaded, or the gates are not attached
  4    no permission
  5    the BPF programs cannot be loaded or attached, or another sched_ext scheduler runs
  6    something still holds on to what `down` takes away
  7    another error
  126, 127   from exec: the command cannot be run, or is not found";

/// The failure of a command.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The kernel refused the command.
    #[error("{what}: {}", reason::sentence(*reason, *errno))]
    Refused {
        /// The request.
        what: String,
        /// The reason, of enum vs_reason.
        reason: u32,
        /// The errno of the call.
        errno: Errno,
    },
    /// Wrong usage.
    #[error("{0}")]
    Usage(String),
    /// Problems in a configuration.
    #[error("{}", Problems(.0))]
    Config(Vec<Located>),
    /// A refusal that has a place in a configuration.
    #[error("{0}")]
    RefusedAt(Located),
    /// The module or the gates are missing.
    #[error("{0}")]
    NotLoaded(String),
    /// The caller lacks the right.
    #[error("{0}")]
    Permission(String),
    /// BPF programs do not load or attach, or the scheduler cannot run.
    #[error("{0}")]
    Bpf(String),
    /// Something still holds on to what was to be removed.
    #[error("{0}")]
    Held(String),
    /// The command of `exec` could not be run.
    #[error("{command}: {error}")]
    Exec {
        /// The command.
        command: String,
        /// The cause.
        error: std::io::Error,
    },
}

impl Failure {
    /// The exit code of this failure.
    pub fn code(&self) -> u8 {
        match self {
            Self::Refused {
                reason: crate::abi::VS_WHY_NO_GATES,
                ..
            } => 3,
            Self::Refused { .. } | Self::RefusedAt(_) => 1,
            Self::Usage(_) | Self::Config(_) => 2,
            Self::NotLoaded(_) => 3,
            Self::Permission(_) => 4,
            Self::Bpf(_) => 5,
            Self::Held(_) => 6,
            Self::Exec { error, .. } if error.kind() == std::io::ErrorKind::NotFound => 127,
            Self::Exec { .. } => 126,
        }
    }
}

/// The exit code of any error.
pub fn code(error: &anyhow::Error) -> u8 {
    error.downcast_ref().map_or(7, Failure::code)
}

struct Problems<'a>(&'a [Located]);

impl fmt::Display for Problems<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if n == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}
