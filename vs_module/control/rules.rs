// SPDX-License-Identifier: GPL-2.0

//! Changes to rules. Each makes a new set, compiles it and replaces the set in force.

use crate::control::abi::{self, Failure};
use crate::control::registry::Registry;
use crate::logic::classify::{Call, Cost};
use crate::logic::id::VsId;
use crate::logic::rule::{Gate, ANY, ENTITIES, RULES_MAX};
use crate::logic::why::Why;
use crate::shim::bindings::{vs_rule, vs_rule_test, VS_LIST_START};
use crate::state;
use kernel::prelude::*;

impl Registry {
    /// The number of the next rule after `last`, such that its hits are counted apart from those of
    /// every rule in force.
    pub(crate) fn number_after(&self, last: u32) -> Result<u32, Why> {
        let rules = self.writer.classifier().set().rules();
        let counted = |number: u32| number as usize % RULES_MAX;
        (last + 1..VS_LIST_START)
            .find(|number| {
                // Below the first wrap of the counters no two numbers share a counter.
                (*number as usize) < RULES_MAX
                    || rules
                        .iter()
                        .all(|rule| counted(rule.number()) != counted(*number))
            })
            .ok_or(Why::Full)
    }

    /// Adds a rule, and returns its number.
    pub(crate) fn add_rule(&mut self, raw: &vs_rule) -> Result<u32, Failure> {
        let rules = self.writer.classifier().set();
        if rules.rules().len() >= RULES_MAX {
            return Err(Why::Full.into());
        }
        let number = self.number_after(self.last_rule)?;
        let mut set = rules.copy(1)?;
        set.push(number, &abi::spec(raw)?, |id| self.tree.find(id))?;
        let rules = self.compile(set, |id| self.tree.priority(id))?;
        self.writer.make_hits(number)?;

        self.writer.clear_hits(number);
        self.publish(rules);
        self.writer.changed();
        self.last_rule = number;
        Ok(number)
    }

    /// Deletes a rule.
    pub(crate) fn delete_rule(&mut self, number: u32) -> Result<(), Failure> {
        let set = self.writer.classifier().set().without(number)?;
        let rules = self.compile(set, |id| self.tree.priority(id))?;
        self.publish(rules);
        self.writer.changed();
        Ok(())
    }

    /// Tells how the gates would classify a call.
    pub(crate) fn test_rules(&self, test: &mut vs_rule_test, raw: &vs_rule) -> Result<(), Failure> {
        let gate = Gate::new(raw.gate)
            .filter(|gate| gate.takes_rules())
            .ok_or(Why::Gate)?;
        if raw.props & !gate.props() != 0 {
            return Err(Why::Property.into());
        }
        let mut from = [VsId::ROOT; ENTITIES];
        for (n, id) in from.iter_mut().enumerate() {
            if n < gate.entities().len() {
                *id = self.tree.find(raw.from[n])?;
            } else if raw.from[n] != ANY && raw.from[n] != u32::from(VsId::ROOT.get()) {
                return Err(Why::Entity.into());
            }
        }
        let mut call = Call {
            gate,
            from,
            work: self.tree.find(test.work)?,
            facts: abi::facts(raw)?,
        };
        let mut cost = Cost::default();
        let verdict = state::with(|state| state.evaluate(&mut call, &mut cost));
        let mut to = [ANY; ENTITIES];
        for n in 0..gate.entities().len() {
            to[n] = verdict.to[n].unwrap_or(from[n]).get().into();
        }
        test.matching = self.writer.classifier().matching(&call) as u32;
        test.rule = verdict.rule.unwrap_or(VS_LIST_START);
        test.shapes = cost.lookups;
        test.to = to;
        Ok(())
    }
}
