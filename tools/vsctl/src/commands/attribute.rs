// SPDX-License-Identifier: MIT OR Apache-2.0
//! `set`, `detach`, `share`.

use anyhow::Result;
use clap::Args;
use vs_text::attribute::{self as text, Attribute};

use crate::abi::*;
use crate::bpf::scheduler;
use crate::device::Device;
use crate::failure::Failure;
use crate::service::Services;

fn values() -> String {
    let attributes = Attribute::ALL
        .map(|attribute| format!("  {:<14} {}\n", attribute.name(), text::form(attribute)))
        .concat();
    format!(
        "Attributes and their values:\n{attributes}  \
        priority       a whole number (`set` alone); between rules, the higher wins"
    )
}

/// Set attributes a service has of its own, or its priority
///
/// An attribute that is shared with the parent has to be detached first. Values are set in the
/// order given; the first that is refused ends it.
#[derive(Debug, Args)]
#[command(after_help = values())]
pub struct Set {
    /// The service
    name: String,
    /// The attributes and values to set, such as cpu_weight=300
    #[arg(required = true, value_name = "ATTRIBUTE=VALUE")]
    values: Vec<String>,
}

/// A setting that `set` changes.
enum Setting {
    Attribute(Attribute, u32),
    Priority(i32),
}

impl Set {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let mut settings = Vec::new();
        for text in &self.values {
            let (key, value) = pair(text)?;
            settings.push(if key == "priority" {
                let priority = value.parse().map_err(|_| {
                    Failure::Usage(format!(
                        "`{value}` is no priority: it is a whole number of 32 bits"
                    ))
                })?;
                Setting::Priority(priority)
            } else {
                let attribute = text::named(key).map_err(Failure::Usage)?;
                Setting::Attribute(
                    attribute,
                    text::parse(attribute, value).map_err(Failure::Usage)?,
                )
            });
        }
        let device = Device::open()?;
        let id = Services::read(&device)?.find(&self.name)?.id;
        for setting in settings {
            match setting {
                Setting::Attribute(attribute, value) => {
                    let what = format!("set {} of `{}`", attribute.name(), self.name);
                    operate(&device, id, VS_ATTR_SET, attribute, value, &what)?;
                }
                Setting::Priority(priority) => {
                    let mut change = vs_change {
                        id,
                        what: VS_CHANGE_PRIORITY,
                        priority,
                        ..Default::default()
                    };
                    device.change(&mut change, &format!("set priority of `{}`", self.name))?;
                }
            }
        }
        scheduler::sync()
    }
}

/// Make attributes a service's own instead of its parent's
///
/// Without a value, it takes the parent's present one.
#[derive(Debug, Args)]
#[command(after_help = values())]
pub struct Detach {
    /// The service
    name: String,
    /// The attributes, such as cpu_weight, or cpu_weight=300
    #[arg(required = true, value_name = "ATTRIBUTE[=VALUE]")]
    attributes: Vec<String>,
}

impl Detach {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let mut wanted = Vec::new();
        for text in &self.attributes {
            let (key, value) = text
                .split_once('=')
                .map_or((text.as_str(), None), |(key, value)| (key, Some(value)));
            let attribute = text::named(key).map_err(Failure::Usage)?;
            let value = value
                .map(|value| text::parse(attribute, value))
                .transpose()
                .map_err(Failure::Usage)?;
            wanted.push((attribute, value));
        }
        let device = Device::open()?;
        let id = Services::read(&device)?.find(&self.name)?.id;
        for (attribute, value) in wanted {
            detach(&device, id, &self.name, attribute, value)?;
        }
        scheduler::sync()
    }
}

/// Share attributes with the parent again
#[derive(Debug, Args)]
pub struct Share {
    /// The service
    name: String,
    /// The attributes
    #[arg(required = true, value_name = "ATTRIBUTE")]
    attributes: Vec<String>,
}

impl Share {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let wanted: Result<Vec<Attribute>, String> = self
            .attributes
            .iter()
            .map(|name| text::named(name))
            .collect();
        let wanted = wanted.map_err(Failure::Usage)?;
        let device = Device::open()?;
        let id = Services::read(&device)?.find(&self.name)?.id;
        for attribute in wanted {
            let what = format!("share {} of `{}`", attribute.name(), self.name);
            operate(&device, id, VS_ATTR_SHARE, attribute, 0, &what)?;
        }
        scheduler::sync()
    }
}

/// Detaches an attribute and sets its value, if one is given.
pub fn detach(
    device: &Device,
    id: u32,
    name: &str,
    attribute: Attribute,
    value: Option<u32>,
) -> Result<()> {
    let what = format!("detach {} of `{name}`", attribute.name());
    operate(device, id, VS_ATTR_DETACH, attribute, 0, &what)?;
    match value {
        Some(value) => operate(device, id, VS_ATTR_SET, attribute, value, &what),
        None => Ok(()),
    }
}

fn operate(
    device: &Device,
    id: u32,
    op: vs_attr_op,
    attribute: Attribute,
    value: u32,
    what: &str,
) -> Result<()> {
    let mut set = vs_set_attr {
        id,
        op: op as u16,
        attr: attribute as u16,
        value,
        reason: 0,
    };
    device.set_attr(&mut set, what)
}

fn pair(text: &str) -> Result<(&str, &str), Failure> {
    text.split_once('=').ok_or_else(|| {
        Failure::Usage(format!(
            "`{text}` has no value\n  do: write ATTRIBUTE=VALUE, such as cpu_weight=300"
        ))
    })
}
