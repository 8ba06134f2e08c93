// SPDX-License-Identifier: MIT OR Apache-2.0
//! `apply`: a configuration file, whole or not at all.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result};
use clap::Args;
use vs_text::config::{Config, Document};
use vs_text::diff::{diff, Change};
use vs_text::name::{Service as Named, ROOT};

use crate::abi::*;
use crate::bpf::scheduler;
use crate::device::Device;
use crate::failure::Failure;
use crate::output::Output;
use crate::service::{fill, Services};
use crate::{reason, record, rule};

/// Make services and rules what a file says: all of it, or nothing
///
/// Services are known by name: those that exist are changed, others created. Rules are replaced as
/// a whole. Services that the file does not name stay, unless --prune is given.
#[derive(Debug, Args)]
pub struct Apply {
    /// The configuration, TOML; `-` reads standard input
    file: PathBuf,
    /// Show the differences and what the kernel would refuse; change nothing
    #[arg(long)]
    dry_run: bool,
    /// Destroy services that the file does not name
    #[arg(long)]
    prune: bool,
}

record! {
    /// A change that `apply` would make, or has made.
    pub struct Difference {
        /// `create`, `change`, `destroy`, `stays`, `rule-add`, `rule-del` or `rule-order`.
        pub action: &'static str,
        /// The service's name or the rule; empty for `rule-order`.
        pub subject: String,
        /// The change in words.
        pub text: String,
    }
}

impl Apply {
    /// Runs the command.
    pub fn run(self, output: Output) -> Result<()> {
        let document = read(&self.file)?;
        let device = Device::open()?;
        let _lock = device.lock()?;
        let changes = diff(&present(&device)?, &document.config, self.prune);
        if self.dry_run {
            check(&device, &document, self.prune)?;
        } else {
            apply(&device, &document, self.prune)?;
            scheduler::sync()?;
        }
        let differences: Vec<Difference> = changes.iter().map(difference).collect();
        output.value(&differences, |differences| {
            if changes
                .iter()
                .all(|change| matches!(change, Change::Stays(_)))
                && !changes.is_empty()
            {
                return format!("{}\nno other difference\n", lines(differences));
            }
            if differences.is_empty() {
                "no difference\n".to_owned()
            } else {
                lines(differences)
            }
        })
    }
}

fn lines(differences: &[Difference]) -> String {
    differences
        .iter()
        .map(|difference| difference.text.as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

fn difference(change: &Change) -> Difference {
    let (action, subject) = match change {
        Change::Create(service) => ("create", service.name.clone()),
        Change::Alter { name, .. } => ("change", name.clone()),
        Change::Destroy(name) => ("destroy", name.clone()),
        Change::Stays(name) => ("stays", name.clone()),
        Change::Add(rule) => ("rule-add", rule.to_string()),
        Change::Remove(rule) => ("rule-del", rule.to_string()),
        Change::Reorder => ("rule-order", String::new()),
    };
    Difference {
        action,
        subject,
        text: change.to_string(),
    }
}

/// Reads a configuration file.
pub fn read(file: &Path) -> Result<Document> {
    let name = file.display().to_string();
    let text = match file.to_str() {
        Some("-") => io::read_to_string(io::stdin()),
        _ => fs::read_to_string(file),
    };
    let text = text
        .map_err(|error| Failure::Usage(format!("{name}: {error}\n  do: name a readable file")))?;
    Ok(Document::parse(&name, &text).map_err(Failure::Config)?)
}

/// The present services and rules.
fn present(device: &Device) -> Result<Config> {
    let services = Services::read(device)?;
    let rules = device.rules()?;
    let rules = rules.iter().map(|kernel| {
        rule::from_kernel(kernel, |id| services.named(id))
            .with_context(|| format!("rule {} is of a kind this vsctl does not know", kernel.id))
    });
    Ok(Config {
        services: services.config(),
        rules: rules.collect::<Result<_>>()?,
    })
}

/// Asks the kernel what it would refuse.
pub fn check(device: &Device, document: &Document, prune: bool) -> Result<()> {
    submit(
        device,
        document,
        VS_APPLY_CHECK | if prune { VS_APPLY_PRUNE } else { 0 },
    )
}

/// Applies a configuration.
pub fn apply(device: &Device, document: &Document, prune: bool) -> Result<()> {
    submit(device, document, if prune { VS_APPLY_PRUNE } else { 0 })
}

fn submit(device: &Device, document: &Document, flags: u32) -> Result<()> {
    let (services, rules) = kernel_form(&document.config)?;
    let mut apply = vs_apply {
        services: services.as_ptr() as u64,
        rules: rules.as_ptr() as u64,
        nr_services: services.len() as u32,
        nr_rules: rules.len() as u32,
        flags,
        service_size: size_of::<vs_config_service>() as u32,
        rule_size: size_of::<vs_rule>() as u32,
        ..Default::default()
    };
    device
        .apply(&mut apply, "apply")
        .map_err(|error| match error.downcast_ref() {
            Some(Failure::Refused { reason, errno, .. })
                if apply.at_service != 0 || apply.at_rule != 0 =>
            {
                let (what, advice) = (
                    reason::what(*reason, *errno),
                    reason::advice(*reason).to_owned(),
                );
                Failure::RefusedAt(match apply.at_service {
                    0 => document.at_rule(apply.at_rule as usize - 1, what, advice),
                    place => document.at_service(place as usize - 1, what, advice),
                })
                .into()
            }
            Some(Failure::Refused { reason, errno, .. })
                if matches!(*reason, VS_WHY_HAS_TASKS | VS_WHY_HAS_SOCKETS) =>
            {
                let what = match holding(device, document) {
                    Ok(Some(name)) => {
                        format!("apply: destroy `{name}`, which the file does not name")
                    }
                    _ => "apply".to_owned(),
                };
                Failure::Refused {
                    what,
                    reason: *reason,
                    errno: *errno,
                }
                .into()
            }
            _ => error,
        })
}

/// Finds a service that is to be pruned and still has tasks or sockets. None may have them by now,
/// after the refusal.
fn holding(device: &Device, document: &Document) -> Result<Option<String>> {
    let services = Services::read(device)?;
    for service in services
        .all()
        .iter()
        .filter(|service| service.id != VS_ROOT)
    {
        let name = services.name(service.id);
        let stat = device.stat(service.id, "apply")?;
        if document
            .config
            .services
            .iter()
            .all(|kept| kept.name != name)
            && (stat.tasks > 0 || stat.sockets > 0)
        {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// A configuration as the kernel takes it: services and rules name services by their place, from 1;
/// root is 0.
fn kernel_form(config: &Config) -> Result<(Vec<vs_config_service>, Vec<vs_rule>)> {
    let names = config.services.iter().map(|service| service.name.as_str());
    let places: std::collections::HashMap<&str, u32> = names.zip(1..).collect();
    let place = |name: &str| {
        if name == ROOT {
            Some(VS_ROOT)
        } else {
            places.get(name).copied()
        }
    };
    let services = config.services.iter().map(|service| {
        let mut out = vs_config_service {
            id: service.id.unwrap_or(VS_ANY),
            priority: service.priority,
            ..Default::default()
        };
        fill(&mut out.name, service.name.as_bytes());
        out.parent = service.parent.as_deref().and_then(place).unwrap_or(VS_ROOT);
        for (n, value) in service.attributes.iter().enumerate() {
            if let Some(value) = value {
                out.detached |= 1 << n;
                out.attr[n] = *value;
            }
        }
        out
    });
    let rules = config.rules.iter().map(|rule| {
        rule::to_kernel(rule, |named: &Named| {
            named
                .name()
                .and_then(place)
                .with_context(|| format!("the configuration has no service `{named}`"))
        })
    });
    Ok((services.collect(), rules.collect::<Result<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_gets() {
        let text = "rules = ['accept task=b => task=conn', 'fork => child=root']\n\
            [services.b]\nparent='a'\ncpu_cap='50%'\n[services.a]\npriority=-1\nid=7";
        let document = Document::parse("x", text).unwrap();
        let (services, rules) = kernel_form(&document.config).unwrap();
        assert_eq!(
            services.iter().map(|s| s.parent).collect::<Vec<_>>(),
            [0, 1],
            "a, then b below it"
        );
        assert_eq!(
            (
                services[1].detached,
                services[1].attr[1],
                services[0].priority
            ),
            (2, 500, -1)
        );
        assert_eq!((services[0].id, services[1].id), (7, VS_ANY));
        assert_eq!(rules[0].from[0], 2);
        assert_eq!(rules[1].to[1], 0);
    }
}
