// SPDX-License-Identifier: MIT OR Apache-2.0
//! `rule add|del|ls|test`.

use anyhow::Result;
use clap::{Args, Subcommand};
use vs_logic::classify::matches;
use vs_logic::id::VsId;
use vs_logic::rule::RuleSet;
use vs_text::contest::{loses, Merit};
use vs_text::gate::{Gate, Property};
use vs_text::name::Service as Named;
use vs_text::problem::{Located, Problem};
use vs_text::rule::{self as text, Call};

use super::lifecycle;
use crate::abi::*;
use crate::device::Device;
use crate::failure::Failure;
use crate::output::{print, Output, Table};
use crate::service::Services;
use crate::{record, rule};

/// Add, delete, list and test rules
#[derive(Debug, Subcommand)]
pub enum Rule {
    /// Add a rule
    #[command(after_help = forms())]
    Add(Add),
    /// Delete rules by their numbers
    Del(Del),
    /// List the rules
    Ls(Ls),
    /// Say which rule a call would fall under, and why the others lose
    #[command(after_help = forms())]
    Test(Test),
}

impl Rule {
    /// Runs the command.
    pub fn run(self, output: Output) -> Result<()> {
        match self {
            Self::Add(command) => command.run(output),
            Self::Del(command) => command.run(),
            Self::Ls(command) => command.run(output),
            Self::Test(command) => command.run(output),
        }
    }
}

/// The gates with their entities and properties, for --help.
fn forms() -> String {
    let mut out = String::from("Gates, their entities : their properties\n");
    for gate in Gate::ALL.into_iter().filter(|gate| gate.takes_rules()) {
        let entities: Vec<&str> = gate.entities().iter().map(|entity| entity.name).collect();
        let names: Vec<&str> = Property::among(gate.props()).map(Property::name).collect();
        out += &format!(
            "  {:<11} {} : {}\n",
            gate.name(),
            entities.join(" "),
            names.join(" ")
        );
    }
    out + "\n\
An entity takes a service's name or `*`; on the right also an entity's name or `home`.\n\
  path=/usr/bin/x, or /dir/* for all below    unix=/run/x.sock or @name    \
cgroup=/system.slice/x.service\n\
  uid=, gid= numbers    local=, peer= ADDRESS[/LENGTH]    lport=, pport= ports    iface=NAME\n\
  proto=tcp, udp, unix-stream, unix-dgram, unix-seqpacket or queue\n\
  Values with blanks go in double quotes: path=\"/opt/my shop/*\"\n\
\n\
Examples:\n  \
  vsctl rule add 'accept task=pg => task=conn'\n  \
  vsctl rule add 'exec path=/usr/bin/pgbench uid=1001 => task=a'\n  \
  vsctl rule add 'packet peer=10.1.0.0/16 lport=5432 => conn=a'\n  \
  vsctl rule test accept task=pg peer=10.1.2.3 lport=5432"
}

record! {
    /// A rule.
    pub struct Row {
        /// Its number; the older has the smaller one.
        pub id: u32,
        /// The gate it is for.
        pub gate: String,
        /// The rule as text.
        pub rule: String,
        /// How many calls it has decided.
        pub hits: u64,
    }
}

/// A rule as the kernel has it.
pub fn row(services: &Services, kernel: &vs_rule) -> Row {
    let rule = rule::from_kernel(kernel, |id| services.named(id));
    let gate = Gate::new(kernel.gate).map_or_else(
        || format!("#{}", kernel.gate),
        |gate| gate.name().to_owned(),
    );
    let rule = rule.map_or_else(
        || "(of a kind this vsctl does not know)".to_owned(),
        |rule| rule.to_string(),
    );
    Row {
        id: kernel.id,
        gate,
        rule,
        hits: kernel.hits,
    }
}

/// Joins the words of a command line, and explains the mistake that a shell makes easy.
fn joined(words: &[String]) -> Result<String> {
    let text = words.join(" ");
    if text.trim_end().ends_with(" =") {
        return Err(Failure::Usage(
            "the shell took `>` for itself and wrote to a file\n  do: quote the rule: vsctl rule \
             add 'accept task=pg => task=conn'"
                .to_owned(),
        )
        .into());
    }
    Ok(text)
}

fn wrong(text: &str, problem: &Problem) -> Failure {
    Failure::Config(vec![Located::new("rule", text, problem)])
}

/// The id of a service that a rule names.
fn id(services: &Services, named: &Named) -> Result<u32> {
    Ok(services.resolve(named).map_err(Failure::Usage)?.id)
}

/// Add a rule
#[derive(Debug, Args)]
pub struct Add {
    /// The rule, in quotes: 'GATE name=value… => name=value…'
    #[arg(required = true)]
    rule: Vec<String>,
}

impl Add {
    /// Runs the command.
    pub fn run(self, output: Output) -> Result<()> {
        let text = joined(&self.rule)?;
        let parsed = text::Rule::parse(&text).map_err(|problem| wrong(&text, &problem))?;
        let device = Device::open()?;
        let services = Services::read(&device)?;
        let mut kernel = rule::to_kernel(&parsed, |named| id(&services, named))?;
        device.rule_add(&mut kernel, &format!("add rule `{parsed}`"))?;
        output.value(&row(&services, &kernel), |row| {
            format!("added rule {}: {}", row.id, row.rule)
        })
    }
}

/// Delete rules by their numbers
#[derive(Debug, Args)]
pub struct Del {
    /// Their numbers, as `rule ls` shows them
    #[arg(required = true)]
    ids: Vec<u32>,
}

impl Del {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let device = Device::open()?;
        self.ids.iter().try_for_each(|id| device.rule_del(*id))
    }
}

/// List the rules
#[derive(Debug, Args)]
pub struct Ls {
    /// Only those of this gate
    #[arg(value_parser = lifecycle::gate)]
    gate: Option<Gate>,
}

impl Ls {
    /// Runs the command.
    pub fn run(self, output: Output) -> Result<()> {
        let device = Device::ask()?;
        let services = Services::read(&device)?;
        let rules = device.rules()?;
        let wanted = |rule: &&vs_rule| self.gate.is_none_or(|gate| gate as u32 == rule.gate);
        let rows: Vec<Row> = rules
            .iter()
            .filter(wanted)
            .map(|rule| row(&services, rule))
            .collect();
        output.value(&rows, |rows| {
            let mut table = Table::new(&[">ID", ">HITS", "RULE"]);
            for row in rows {
                table.row([row.id.to_string(), row.hits.to_string(), row.rule.clone()]);
            }
            table.text()
        })
    }
}

/// Say which rule a call would fall under, and why the others lose
///
/// Describe the call as the left side of a rule. Entities that are not named are root's; a property
/// that is not given is not known, and rules that ask for it do not match. The kernel's own code
/// decides; nothing has any effect.
#[derive(Debug, Args)]
pub struct Test {
    /// The call: GATE name=value…
    #[arg(required = true)]
    call: Vec<String>,
    /// The service that the caller works for just now [default: its own]
    #[arg(long, value_name = "SERVICE")]
    work: Option<String>,
}

record! {
    /// The result of testing a call.
    pub struct Tested {
        /// The call, as understood.
        pub call: String,
        /// The rule that wins; null: none matches.
        pub wins: Option<Row>,
        /// The service of each entity after the call.
        pub becomes: Vec<Becomes>,
        /// The other rules that match, and why each loses.
        pub lose: Vec<Loser>,
        /// How many rules match, as the kernel counts.
        pub matching: u32,
        /// How many look-ups the kernel needed.
        pub lookups: u32,
    }
}

record! {
    /// An entity of a tested call.
    pub struct Becomes {
        /// Its name.
        pub entity: &'static str,
        /// Its service before.
        pub before: String,
        /// Its service after.
        pub after: String,
    }
}

record! {
    /// A rule that matches and loses.
    pub struct Loser {
        /// The rule.
        pub rule: Row,
        /// Why it loses.
        pub because: String,
    }
}

impl Test {
    /// Runs the command.
    pub fn run(self, output: Output) -> Result<()> {
        let text = self.call.join(" ");
        let call = Call::parse(&text).map_err(|problem| wrong(&text, &problem))?;
        let device = Device::ask()?;
        let services = Services::read(&device)?;
        let kernel = rule::call_to_kernel(&call, |named| id(&services, named))?;
        let work = match &self.work {
            Some(work) => services.find(work)?.id,
            // a packet has no caller: its first entity is the connection
            None if call.gate == Gate::Packet => VS_ROOT,
            None => kernel.from[0],
        };
        let mut test = vs_rule_test {
            call: std::ptr::from_ref(&kernel) as u64,
            call_size: size_of::<vs_rule>() as u32,
            work,
            ..Default::default()
        };
        device.rule_test(&mut test, &format!("test `{call}`"))?;
        let tested = tested(&services, &device.rules()?, &call, &kernel, &test);
        output.value(&tested, explain)?;
        if !output.json
            && tested.matching as usize != tested.lose.len() + usize::from(tested.wins.is_some())
        {
            print("the rules have changed in the meantime: run it again\n")?;
        }
        Ok(())
    }
}

fn tested(
    services: &Services,
    rules: &[vs_rule],
    call: &Call,
    kernel: &vs_rule,
    test: &vs_rule_test,
) -> Tested {
    let priority = |id: VsId| {
        services
            .by_id(id.get().into())
            .map_or(0, |service| service.priority)
    };
    // the classifier's own code ranks the rules; a rule of an unknown kind is left out, so the
    // count then differs
    let mut set = RuleSet::new();
    for rule in rules {
        rule::Said::new(rule).add(&mut set);
    }
    let said = rule::Said::new(kernel);
    let asked = said.call(test.work);
    let matching: Vec<(&vs_rule, Merit)> = set
        .rules()
        .iter()
        .filter(|rule| asked.as_ref().is_some_and(|call| matches(&set, rule, call)))
        .filter_map(|rule| {
            let place = rules.binary_search_by_key(&rule.number(), |kernel| kernel.id);
            Some((&rules[place.ok()?], Merit::of(&set, rule, &priority)))
        })
        .collect();
    let winner = matching.iter().find(|(kernel, _)| kernel.id == test.rule);
    let because = |merit: &Merit| winner.map_or_else(String::new, |(_, best)| loses(merit, best));
    let becomes = call
        .gate
        .entities()
        .iter()
        .enumerate()
        .map(|(n, entity)| Becomes {
            entity: entity.name,
            before: services.name(kernel.from[n]),
            after: services.name(test.to[n]),
        });
    Tested {
        call: call.to_string(),
        wins: winner.map(|(kernel, _)| row(services, kernel)),
        becomes: becomes.collect(),
        lose: matching
            .iter()
            .filter(|(kernel, _)| kernel.id != test.rule)
            .map(|(kernel, merit)| Loser {
                rule: row(services, kernel),
                because: because(merit),
            })
            .collect(),
        matching: test.matching,
        lookups: test.shapes,
    }
}

fn explain(tested: &Tested) -> String {
    let mut out = format!("call     {}\n", tested.call);
    match &tested.wins {
        Some(rule) => out += &format!("wins     rule {}: {}\n", rule.id, rule.rule),
        None => out += "wins     no rule matches\n",
    }
    for entity in &tested.becomes {
        let change = if entity.before == entity.after {
            format!("{} stays", entity.before)
        } else {
            format!("{} -> {}", entity.before, entity.after)
        };
        out += &format!("{:<8} {change}\n", entity.entity);
    }
    for loser in &tested.lose {
        out += &format!(
            "loses    rule {}: {}\n         it {}\n",
            loser.rule.id, loser.rule.rule, loser.because
        );
    }
    let s = if tested.lookups == 1 { "" } else { "s" };
    out + &format!("cost     {} look-up{s}\n", tested.lookups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::service;

    #[test]
    fn losers_are_explained() {
        let services = Services::new(vec![
            service(0, 0, "root"),
            service(1, 0, "pg"),
            service(2, 0, "conn"),
        ]);
        let rules: Vec<vs_rule> = [
            "accept => task=conn",
            "accept task=pg => task=conn",
            "accept task=#2 => task=home",
        ]
        .iter()
        .zip(1..)
        .map(|(text, number)| {
            let rule = text::Rule::parse(text).unwrap();
            vs_rule {
                id: number,
                ..rule::to_kernel(&rule, |named| id(&services, named)).unwrap()
            }
        })
        .collect();
        let call = Call::parse("accept task=#1").unwrap();
        let kernel = rule::call_to_kernel(&call, |named| id(&services, named)).unwrap();
        let test = vs_rule_test {
            rule: 2,
            matching: 2,
            to: [1, 0, 0],
            ..Default::default()
        };
        let tested = tested(&services, &rules, &call, &kernel, &test);
        assert_eq!(
            tested.wins.as_ref().unwrap().rule,
            "accept task=pg => task=conn"
        );
        assert_eq!(tested.lose.len(), 1, "#1 is pg, and `task=#2` is not");
        assert!(tested.lose[0].because.contains("names no service"));
        assert_eq!(tested.becomes[0].after, "pg");
        assert!(explain(&tested).contains("task     pg stays"));
    }

    #[test]
    fn the_shells_mistake_is_explained() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(joined(&words("accept task=pg ="))
            .unwrap_err()
            .to_string()
            .contains("quote"));
        assert_eq!(
            joined(&words("accept => task=conn")).unwrap(),
            "accept => task=conn"
        );
    }
}
