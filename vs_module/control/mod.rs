// SPDX-License-Identifier: GPL-2.0

//! The administrator's way: `/dev/vsctl`, and every change that comes by it.
//!
//! Process context; may sleep. One mutex, the registry's, serialises all changes.
//!
//! | file | noun |
//! | --- | --- |
//! | `chardev` | the device and its table of commands |
//! | `access` | the rights that commands need |
//! | `wire` | copying the structures of `uapi/vs.h` |
//! | `commands` | one function a command |
//! | `abi` | the words of `uapi/vs.h` and those of `logic`, held together |
//! | `registry` | services, changed one at a time |
//! | `rules` | rules, changed one at a time |
//! | `apply` | a whole configuration, changed at once |
//! | `place` | tasks and sockets given to a service |

mod abi;
mod access;
mod apply;
pub(crate) mod chardev;
mod commands;
mod place;
pub(crate) mod registry;
mod rules;
mod wire;
