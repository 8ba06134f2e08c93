// SPDX-License-Identifier: MIT OR Apache-2.0
//! `create`, `destroy`, `mv`, `rename`.

use anyhow::Result;
use clap::Args;
use vs_logic::rule::REF;
use vs_text::attribute::{self as values, Attribute};
use vs_text::name;

use super::attribute;
use crate::abi::*;
use crate::bpf::scheduler;
use crate::device::Device;
use crate::failure::Failure;
use crate::output::Output;
use crate::record;
use crate::service::{fill, Services};

/// Create a service
///
/// It shares all attributes with its parent until they are detached; those given here are detached
/// at once.
#[derive(Debug, Args)]
pub struct Create {
    /// Its name: 1 to 63 of a-z 0-9 . _ -
    name: String,
    /// The service above it
    #[arg(long, default_value = name::ROOT)]
    parent: String,
    /// Between rules, the one that names the service of the highest priority wins
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,
    /// Take this id instead of one the kernel chooses
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..i64::from(REF)))]
    id: Option<u32>,
    /// Detach cpu_weight: share among siblings, 1 to 10000
    #[arg(long, value_name = "N")]
    weight: Option<String>,
    /// Detach cpu_cap: `150%`, `1500m` or `unlimited`
    #[arg(long, value_name = "CAP")]
    cap: Option<String>,
    /// Detach tasks_max: most tasks, threads counted
    #[arg(long, value_name = "N")]
    tasks_max: Option<String>,
    /// Detach sockets_max: most sockets
    #[arg(long, value_name = "N")]
    sockets_max: Option<String>,
}

record! {
    /// A service that was created.
    pub struct Created {
        /// Its id.
        pub id: u32,
        /// Its name.
        pub name: String,
        /// Names of the attributes that were detached.
        pub detached: Vec<&'static str>,
    }
}

impl Create {
    /// Runs the command.
    pub fn run(self, output: Output) -> Result<()> {
        name::check(&self.name)
            .map_err(|message| Failure::Usage(format!("{message}\n  do: choose another name")))?;
        let own = [
            (Attribute::CpuWeight, &self.weight),
            (Attribute::CpuCap, &self.cap),
            (Attribute::TasksMax, &self.tasks_max),
            (Attribute::SocketsMax, &self.sockets_max),
        ];
        let mut wanted = Vec::new();
        for (attribute, text) in own {
            if let Some(text) = text {
                wanted.push((
                    attribute,
                    values::parse(attribute, text).map_err(Failure::Usage)?,
                ));
            }
        }
        let device = Device::open()?;
        let parent = Services::read(&device)?.find(&self.parent)?.id;
        let what = format!("create `{}`", self.name);
        let mut create = vs_create {
            id: self.id.unwrap_or(VS_ANY),
            parent,
            priority: self.priority,
            ..Default::default()
        };
        fill(&mut create.name, self.name.as_bytes());
        device.create(&mut create, &what)?;
        for (attribute, value) in &wanted {
            if let Err(error) =
                attribute::detach(&device, create.id, &self.name, *attribute, Some(*value))
            {
                // all or nothing: the new service is destroyed again, as nothing can use it yet
                // except by its name
                let mut destroy = vs_destroy {
                    id: create.id,
                    move_to: VS_ANY,
                    ..Default::default()
                };
                device.destroy(&mut destroy, &what)?;
                return Err(error);
            }
        }
        scheduler::sync()?;
        let created = Created {
            id: create.id,
            name: self.name,
            detached: wanted
                .iter()
                .map(|(attribute, _)| attribute.name())
                .collect(),
        };
        output.value(&created, |created| {
            let mut text = format!("created {} (id {})\n", created.name, created.id);
            for (attribute, value) in &wanted {
                text += &format!(
                    "detached {}: {}\n",
                    attribute.name(),
                    values::show(*attribute, *value)
                );
            }
            text
        })
    }
}

/// Destroy a service
///
/// Refused while it has services below it. Also refused while it has tasks, sockets or rules that
/// name it, unless another service takes these over.
#[derive(Debug, Args)]
pub struct Destroy {
    /// The service
    name: String,
    /// The service that takes over its tasks, sockets and rules
    #[arg(long, value_name = "SERVICE")]
    move_to: Option<String>,
}

impl Destroy {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let device = Device::open()?;
        let services = Services::read(&device)?;
        let id = services.find(&self.name)?.id;
        let move_to = self
            .move_to
            .as_deref()
            .map(|to| services.find(to))
            .transpose()?
            .map_or(VS_ANY, |to| to.id);
        if move_to == id {
            let message = format!(
                "`{}` cannot take over what it has itself\n  do: name another service",
                self.name
            );
            return Err(Failure::Usage(message).into());
        }
        let mut destroy = vs_destroy {
            id,
            move_to,
            ..Default::default()
        };
        device
            .destroy(&mut destroy, &format!("destroy `{}`", self.name))
            .map_err(|error| match error.downcast() {
                Ok(Failure::Refused {
                    what,
                    reason,
                    errno,
                }) => Failure::Refused {
                    what: held(&what, &destroy),
                    reason,
                    errno,
                }
                .into(),
                Ok(other) => other.into(),
                Err(error) => error,
            })?;
        scheduler::sync()
    }
}

/// Says how many things hold on to a service.
fn held(what: &str, destroy: &vs_destroy) -> String {
    let counts = [
        (destroy.children, "services below it"),
        (destroy.rules, "rules"),
        (destroy.tasks.try_into().unwrap_or(u32::MAX), "tasks"),
        (destroy.sockets.try_into().unwrap_or(u32::MAX), "sockets"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, of)| format!("{n} {of}"))
        .collect();
    if counts.is_empty() {
        what.to_owned()
    } else {
        format!("{what} ({})", counts.join(", "))
    }
}

/// Move a service to another parent
#[derive(Debug, Args)]
pub struct Mv {
    /// The service
    name: String,
    /// Its new parent
    parent: String,
}

impl Mv {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let device = Device::open()?;
        let services = Services::read(&device)?;
        let (id, parent) = (
            services.find(&self.name)?.id,
            services.find(&self.parent)?.id,
        );
        let mut change = vs_change {
            id,
            what: VS_CHANGE_PARENT,
            parent,
            ..Default::default()
        };
        device.change(
            &mut change,
            &format!("move `{}` below `{}`", self.name, self.parent),
        )?;
        scheduler::sync()
    }
}

/// Give a service another name
#[derive(Debug, Args)]
pub struct Rename {
    /// The service
    name: String,
    /// Its new name
    new: String,
}

impl Rename {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        name::check(&self.new)
            .map_err(|message| Failure::Usage(format!("{message}\n  do: choose another name")))?;
        let device = Device::open()?;
        let id = Services::read(&device)?.find(&self.name)?.id;
        let mut change = vs_change {
            id,
            what: VS_CHANGE_NAME,
            ..Default::default()
        };
        fill(&mut change.name, self.new.as_bytes());
        device.change(
            &mut change,
            &format!("rename `{}` to `{}`", self.name, self.new),
        )
    }
}
