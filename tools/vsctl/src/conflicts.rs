// SPDX-License-Identifier: MIT OR Apache-2.0
//! Other software that uses the same resources as VS. `up` fails if VS would break it, or cannot
//! work at all, and warns if a rule of the administrator would remove tags.

use std::fs;
use std::process::Command;

use anyhow::Result;

use crate::failure::Failure;

const LSM: &str = "/sys/kernel/security/lsm";
/// The targets that rules of iptables use in this network namespace, or could use.
const TARGETS: [&str; 2] = [
    "/proc/net/ip_tables_targets",
    "/proc/net/ip6_tables_targets",
];
/// LSMs that keep a security id of their own in the field in which a packet's tag travels.
const LABELLERS: [&str; 2] = ["selinux", "smack"];

/// Fails if something active rules VS out. Changes nothing.
pub fn refuse() -> Result<()> {
    match fs::read_to_string(LSM) {
        Ok(list) => Ok(judge(list.trim())?),
        // no securityfs: programs that need an LSM say so when they are attached
        Err(_) => Ok(()),
    }
}

fn judge(list: &str) -> Result<(), Failure> {
    let active: Vec<&str> = list.split(',').collect();
    if !active.contains(&"bpf") {
        return Err(Failure::Bpf(format!(
            "`bpf` is not among the active LSMs ({list}), so the gates cannot be attached\n  do: \
             boot with `lsm={list},bpf`"
        )));
    }
    match active.iter().find(|lsm| LABELLERS.contains(lsm)) {
        None => Ok(()),
        Some(lsm) => Err(Failure::Bpf(format!(
            "`{lsm}` is active; it labels packets and requests in the fields in which tags \
             travel\n  do: boot without it; AppArmor, Landlock, Tomoyo and IPE do not conflict"
        ))),
    }
}

/// Tells the administrator of rules that write the field in which a packet's tag travels.
pub fn warnings() -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(output) = Command::new("nft").args(["list", "ruleset"]).output() {
        let ruleset = String::from_utf8_lossy(&output.stdout).into_owned();
        found.extend(writers(&ruleset).map(|rule| {
            format!(
                "this rule of nftables writes the security mark, in which a packet's tag \
                travels: {rule}"
            )
        }));
    }
    for path in TARGETS {
        let targets = fs::read_to_string(path).unwrap_or_default();
        for target in targets.lines().filter(|target| target.ends_with("SECMARK")) {
            found.push(format!(
                "iptables can write the security mark ({target} is in {path}); where a rule does, \
                 packets lose their tags"
            ));
        }
    }
    found
}

/// Rules that set the security mark of packets.
fn writers(ruleset: &str) -> impl Iterator<Item = &str> {
    ruleset
        .lines()
        .map(str::trim)
        .filter(|rule| rule.contains("meta secmark set"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_bpf_or_beside_a_labeller_up_is_refused() {
        assert!(judge("lockdown,capability,landlock,yama,apparmor,tomoyo,bpf,ipe,ima,evm").is_ok());
        for (list, word) in [
            (
                "lockdown,capability,apparmor",
                "lsm=lockdown,capability,apparmor,bpf",
            ),
            ("capability,selinux,bpf", "`selinux`"),
            ("smack,bpf", "`smack`"),
            ("", "lsm="),
        ] {
            let error = judge(list).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
            assert_eq!(error.code(), 5);
        }
    }

    #[test]
    fn rules_that_write_the_security_mark_are_named() {
        let ruleset = "table inet t {\n\tchain c {\n\t\ttype filter hook input priority 0;\n\
            \t\tmeta secmark set \"s\"\n\t\tct secmark set meta secmark\n\t}\n}\n";
        assert_eq!(
            writers(ruleset).collect::<Vec<_>>(),
            ["meta secmark set \"s\""]
        );
    }
}
