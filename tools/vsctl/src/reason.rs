// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why the kernel refused a command, in sentences: what was wrong, and what to do.

use nix::errno::Errno;

use crate::abi::*;

/// What was wrong and what to do, for each of enum vs_reason; None for one this program does not know.
fn explained(reason: u32) -> Option<(&'static str, &'static str)> {
    Some(match reason {
        VS_WHY_NAME_BAD => (
            "the name is empty, longer than 31 characters, or has a character outside a-z 0-9 . _ -",
            "choose another name",
        ),
        VS_WHY_NAME_TAKEN => ("a service of this name exists", "choose another name, or `vsctl set` the one there is"),
        VS_WHY_ID_TAKEN => (
            "this id is in use, or was lately, so that a task, socket or packet could still carry it",
            "leave --id out to be given a free one, or wait two minutes",
        ),
        VS_WHY_NO_SERVICE => ("there is no such service", "see `vsctl ls`"),
        VS_WHY_ROOT => ("this is not possible for root", "use a service below root"),
        VS_WHY_DEPTH => ("the tree would have more than 16 levels below root", "choose a parent further up"),
        VS_WHY_CYCLE => ("a service cannot be its own ancestor", "choose a parent that is not below it"),
        VS_WHY_FULL => (
            "no id, rule or set of conditions is left (16384 ids, 262144 rules, 64 different sets of conditions in the rules of one gate)",
            "destroy services not needed, or give the rules of this gate the same set of conditions and prefix lengths",
        ),
        VS_WHY_HAS_CHILDREN => ("it has services below it", "destroy or move those first; see `vsctl tree`"),
        VS_WHY_HAS_TASKS => ("it has tasks", "name a service that takes them over with --move-to, or see `vsctl ps`"),
        VS_WHY_HAS_SOCKETS => {
            ("it has sockets", "name a service that takes them over with --move-to, or see `vsctl ss`")
        }
        VS_WHY_HAS_RULES => (
            "rules name it",
            "delete them (see `vsctl rule ls`), or name a service that takes its place with --move-to",
        ),
        VS_WHY_SHARED => {
            ("the attribute is shared with the parent", "detach it first: `vsctl detach SERVICE ATTRIBUTE=VALUE`")
        }
        VS_WHY_RANGE => ("the value is outside the attribute's range", "see `vsctl set --help` for the ranges"),
        VS_WHY_GATE => ("there is no such gate, or it takes no rules", "see `vsctl rule add --help` for the gates"),
        VS_WHY_PROPERTY => ("the gate does not have a property the rule asks for", "see `vsctl rule add --help`"),
        VS_WHY_ENTITY => (
            "the gate does not have an entity the rule names, or cannot give it another service",
            "see `vsctl rule add --help`",
        ),
        VS_WHY_VALUE => ("a property's value is malformed", "see `vsctl rule add --help` for the forms"),
        VS_WHY_NO_RULE => ("no rule has this number", "see `vsctl rule ls`"),
        VS_WHY_NO_TASK => ("the task has exited", "nothing is left to do"),
        VS_WHY_FD => ("the descriptor is neither a process's nor a socket's", "give the number of a process or thread"),
        VS_WHY_NO_GATES => ("the gates that keep tags are not attached", "run `vsctl up`"),
        VS_WHY_DUPLICATE => ("a service stands twice in the configuration", "remove one of them"),
        VS_WHY_ORDER => ("a parent stands after its child in the configuration", "this is a fault of vsctl: report it"),
        _ => return None,
    })
}

/// What was wrong, without what to do.
pub fn what(reason: u32, errno: Errno) -> String {
    match explained(reason) {
        Some((what, _)) => format!("{what} ({errno:?})"),
        None if reason == VS_WHY_NONE => match errno {
            Errno::ENOTTY => {
                "the module does not know this command: it is older than vsctl (ENOTTY)".to_owned()
            }
            Errno::E2BIG => {
                "the module does not know a field that is set: it is older than vsctl (E2BIG)"
                    .to_owned()
            }
            errno => format!("{} ({errno:?})", errno.desc()),
        },
        None => format!("a reason this vsctl does not know, number {reason} ({errno:?})"),
    }
}

/// What to do about it.
pub fn advice(reason: u32) -> &'static str {
    explained(reason).map_or(
        "see `dmesg`, and that the module and vsctl are of one version",
        |(_, advice)| advice,
    )
}

/// Both, as printed.
pub fn sentence(reason: u32, errno: Errno) -> String {
    format!("{}\n  do: {}", what(reason, errno), advice(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_sentence_of_its_own() {
        let mut seen = std::collections::HashSet::new();
        for reason in VS_WHY_NONE + 1..VS_WHY_COUNT {
            let (what, advice) =
                explained(reason).unwrap_or_else(|| panic!("reason {reason} has no sentence"));
            assert!(!advice.is_empty());
            assert!(seen.insert(what), "two reasons say: {what}");
        }
        assert_eq!(explained(VS_WHY_NONE), None);
        assert_eq!(explained(VS_WHY_COUNT), None);
        assert!(what(VS_WHY_COUNT, Errno::EINVAL).contains(&VS_WHY_COUNT.to_string()));
    }
}
