// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ls`, `tree`, `show`.

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use vs_text::attribute::{self, Attribute};

use crate::abi::*;
use crate::device::Device;
use crate::output::{Output, Table};
use crate::record;
use crate::service::{own, text, Services};

record! {
    /// A service and its attributes.
    pub struct Row {
        /// Its id.
        pub id: u32,
        /// Its name.
        pub name: String,
        /// Name of the service above it; null for root.
        pub parent: Option<String>,
        /// How far below root.
        pub depth: u32,
        /// The number of services right below it.
        pub children: u32,
        /// Between rules, the one that names the service of the highest priority wins.
        pub priority: i32,
        /// The attributes in force, and whether each is its own.
        pub attributes: Vec<Value>,
    }
}

record! {
    /// An attribute of a service.
    pub struct Value {
        /// Its name.
        pub name: &'static str,
        /// Its value in force: thousandths of one CPU for cpu_cap; null: unlimited.
        pub value: Option<u32>,
        /// The value with its unit.
        pub text: String,
        /// Whether it is the service's own; else it is shared with the parent.
        pub detached: bool,
    }
}

fn row(services: &Services, service: &vs_service) -> Row {
    let value = |attribute: Attribute| {
        let number = service.attr[attribute as usize];
        Value {
            name: attribute.name(),
            value: (number != VS_UNLIMITED).then_some(number),
            text: attribute::show(attribute, number),
            detached: own(service, attribute).is_some(),
        }
    };
    Row {
        id: service.id,
        name: text(&service.name),
        parent: (service.id != VS_ROOT).then(|| services.name(service.parent)),
        depth: service.depth,
        children: service.children,
        priority: service.priority,
        attributes: Attribute::ALL.map(value).into(),
    }
}

/// A cell of an attribute: in parentheses if it is shared.
fn cell(value: &Value) -> String {
    if value.detached {
        value.text.clone()
    } else {
        format!("({})", value.text)
    }
}

const NOTE: &str = "A value in parentheses is shared with the parent.";

/// List the services
#[derive(Debug, Args)]
#[command(after_help = NOTE)]
pub struct Ls {}

impl Ls {
    /// Runs the command.
    pub fn run(self, output: Output) -> Result<()> {
        let services = Services::read(&Device::ask()?)?;
        let rows: Vec<Row> = services
            .all()
            .iter()
            .map(|service| row(&services, service))
            .collect();
        output.value(&rows, |rows| {
            let mut table = Table::new(&[
                ">ID",
                "NAME",
                "PARENT",
                ">PRIORITY",
                ">CPU_WEIGHT",
                ">CPU_CAP",
                ">TASKS_MAX",
                ">SOCKETS_MAX",
            ]);
            for row in rows {
                let cells: Vec<String> = row.attributes.iter().map(cell).collect();
                table.row([
                    row.id.to_string(),
                    row.name.clone(),
                    row.parent.clone().unwrap_or_default(),
                    row.priority.to_string(),
                    cells[0].clone(),
                    cells[1].clone(),
                    cells[2].clone(),
                    cells[3].clone(),
                ]);
            }
            table.text()
        })
    }
}

/// Show the services as a tree
///
/// Behind each name stand its id and the attributes that are its own.
#[derive(Debug, Args)]
pub struct Tree {
    /// Only this service and those below it
    name: Option<String>,
}

/// A service with the services below it.
#[derive(Debug, Serialize)]
struct Node {
    #[serde(flatten)]
    row: Row,
    services: Vec<Node>,
}

impl Tree {
    /// Runs the command.
    pub fn run(self, output: Output) -> Result<()> {
        let services = Services::read(&Device::ask()?)?;
        let top = match &self.name {
            Some(name) => services.find(name)?,
            None => services.find("root")?,
        };
        output.value(&node(&services, top), |node| {
            let mut text = String::new();
            draw(node, "", "", &mut text);
            text
        })
    }
}

fn node(services: &Services, service: &vs_service) -> Node {
    let below = services
        .children(service.id)
        .into_iter()
        .map(|child| node(services, child))
        .collect();
    Node {
        row: row(services, service),
        services: below,
    }
}

fn draw(node: &Node, lead: &str, below: &str, text: &mut String) {
    *text += &format!("{lead}{} ({})", node.row.name, node.row.id);
    if node.row.priority != 0 {
        *text += &format!(" priority={}", node.row.priority);
    }
    for value in node.row.attributes.iter().filter(|value| value.detached) {
        *text += &format!(" {}={}", value.name, value.text);
    }
    text.push('\n');
    for (n, child) in node.services.iter().enumerate() {
        let last = n + 1 == node.services.len();
        let (branch, rest) = if last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        draw(
            child,
            &format!("{below}{branch}"),
            &format!("{below}{rest}"),
            text,
        );
    }
}

/// Show all about one service
#[derive(Debug, Args)]
#[command(after_help = NOTE)]
pub struct Show {
    /// The service
    name: String,
}

record! {
    /// All about one service.
    pub struct Shown {
        /// The service, as `ls` shows it.
        pub service: Row,
        /// Names of the services right below it.
        pub below: Vec<String>,
        /// Its statistics, as `stat` shows them.
        pub stat: super::stat::Row,
        /// The rules that name it, as `rule ls` has them.
        pub rules: Vec<super::rule::Row>,
    }
}

impl Show {
    /// Runs the command.
    pub fn run(self, output: Output) -> Result<()> {
        let device = Device::ask()?;
        let services = Services::read(&device)?;
        let service = services.find(&self.name)?;
        let rules = device.rules()?;
        // with the totals of the services below it; none: the service was destroyed meanwhile,
        // which the kernel then says
        let stat = super::stat::all(&device)?
            .into_iter()
            .find(|row| row.id == service.id);
        let stat = stat.map_or_else(
            || {
                device
                    .stat(service.id, "statistics")
                    .map(|stat| super::stat::row(&services, &stat))
            },
            Ok,
        )?;
        let names = |rule: &&vs_rule| rule.from.iter().chain(&rule.to).any(|id| *id == service.id);
        let shown = Shown {
            service: row(&services, service),
            below: services
                .children(service.id)
                .iter()
                .map(|child| text(&child.name))
                .collect(),
            stat,
            rules: rules
                .iter()
                .filter(names)
                .map(|rule| super::rule::row(&services, rule))
                .collect(),
        };
        output.value(&shown, |shown| {
            let row = &shown.service;
            let mut out = format!("name        {} (id {})\n", row.name, row.id);
            if let Some(parent) = &row.parent {
                out += &format!("parent      {parent}\n");
            }
            if !shown.below.is_empty() {
                out += &format!("below       {}\n", shown.below.join(" "));
            }
            out += &format!("priority    {}\n", row.priority);
            for value in &row.attributes {
                out += &format!("{:<14} {}\n", value.name, cell(value));
            }
            out += &super::stat::details(&shown.stat);
            for rule in &shown.rules {
                out += &format!("rule {:<6} {}\n", rule.id, rule.rule);
            }
            out
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::service;

    #[test]
    fn a_tree_is_drawn() {
        let mut shop = service(3, 0, "shop");
        shop.detached = 1;
        shop.attr[0] = 300;
        let services = Services::new(vec![
            service(0, 0, "root"),
            service(1, 3, "batch"),
            shop,
            service(2, 0, "x"),
        ]);
        let mut text = String::new();
        draw(
            &node(&services, services.by_id(0).unwrap()),
            "",
            "",
            &mut text,
        );
        assert_eq!(
            text,
            "root (0)\n├─ shop (3) cpu_weight=300\n│  └─ batch (1)\n└─ x (2)\n"
        );
    }

    #[test]
    fn shared_values_show() {
        let mut a = service(1, 0, "a");
        a.detached = 2;
        a.attr[..7].copy_from_slice(&[100, 1500, VS_UNLIMITED, 0, 11, 105, 1]);
        let row = row(&Services::new(vec![a]), &a);
        let cells: Vec<String> = row.attributes.iter().map(cell).collect();
        assert_eq!(
            cells,
            [
                "(100)",
                "150%",
                "(unlimited)",
                "(0)",
                "(EAGAIN)",
                "(ENOBUFS)",
                "(share)"
            ]
        );
        assert_eq!(row.attributes[2].value, None);
    }
}
