// SPDX-License-Identifier: MIT OR Apache-2.0
//! Explains in sentences why the kernel refused a command: the mistake, and the remedy.

use nix::errno::Errno;

use vs_logic::why::Why;

use crate::abi::VS_WHY_NONE;

/// The mistake, without the remedy.
pub fn what(reason: u32, errno: Errno) -> String {
    match Why::new(reason) {
        Some(why) => format!("{} ({errno:?})", why.what()),
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

/// The remedy.
pub fn advice(reason: u32) -> &'static str {
    Why::new(reason).map_or(
        "see `dmesg`, and that the module and vsctl are of one version",
        Why::advice,
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
    fn a_reason_has_its_sentence() {
        let said = sentence(Why::NoGates as u32, Errno::ENOTCONN);
        assert!(said.contains("not attached (ENOTCONN)") && said.contains("do: run `vsctl up`"));
        let unknown = Why::ALL.len() as u32 + 1;
        assert!(what(unknown, Errno::EINVAL).contains(&format!("number {unknown} ")));
    }
}
