// SPDX-License-Identifier: MIT OR Apache-2.0
//! The BPF objects embedded in vsctl, and the roles of their programs.

use libbpf_rs::ProgramType;
use vs_text::gate::Gate;

/// Bytes aligned as libbpf wants an object file.
#[repr(C, align(8))]
pub struct Aligned<T: ?Sized>(pub T);

/// Embeds an object file.
macro_rules! include_object {
    ($path:literal) => {
        &$crate::bpf::object::Aligned(*include_bytes!($path)).0
    };
}

/// A BPF object, as compiled by build.rs.
pub struct Embedded {
    /// Name of its source without `.bpf.c`.
    pub name: &'static str,
    /// The object file.
    pub bytes: &'static [u8],
}

/// All objects: the gates, and the scheduler.
pub static OBJECTS: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/objects.rs"));

/// The role of a program, which its name tells: `GATE__hook`, or another prefix for a program that
/// every gate needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It acts at this gate.
    Gate(Gate),
    /// Every gate needs it.
    Core,
    /// It lists entities.
    Iterator,
    /// It is run on demand.
    OnDemand,
    /// It is a part of the scheduler.
    Scheduler,
}

impl Purpose {
    /// The role of a program of this name.
    pub fn of(name: &str, kind: ProgramType) -> Self {
        match kind {
            ProgramType::StructOps => Self::Scheduler,
            ProgramType::Syscall => Self::OnDemand,
            _ => match name.split_once("__") {
                Some(("iter", _)) => Self::Iterator,
                Some(("scheduler", _)) => Self::Scheduler,
                Some((prefix, _)) => Gate::named(prefix).map_or(Self::Core, Self::Gate),
                None => Self::Core,
            },
        }
    }
}

/// The gates a set of attached links serves.
pub fn gates<'a>(links: impl IntoIterator<Item = &'a str>) -> Vec<Gate> {
    let mut gates: Vec<Gate> = links
        .into_iter()
        .filter_map(|link| Gate::named(link.split_once("__")?.0))
        .collect();
    gates.sort();
    gates.dedup();
    gates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_purpose() {
        let lsm = ProgramType::Lsm;
        assert_eq!(
            Purpose::of("fork__task_alloc", lsm),
            Purpose::Gate(Gate::Fork)
        );
        assert_eq!(
            Purpose::of("core__sched_switch", ProgramType::Tracing),
            Purpose::Core
        );
        assert_eq!(
            Purpose::of("iter__tasks", ProgramType::Tracing),
            Purpose::Iterator
        );
        assert_eq!(
            Purpose::of("sync_services", ProgramType::Syscall),
            Purpose::OnDemand
        );
        assert_eq!(
            Purpose::of("vs_enqueue", ProgramType::StructOps),
            Purpose::Scheduler
        );
        assert_eq!(
            Purpose::of("scheduler__fires", ProgramType::Tracing),
            Purpose::Scheduler
        );
        assert_eq!(
            gates(["sched", "recv__x", "fork__a", "recv__y"]),
            [Gate::Fork, Gate::Recv]
        );
    }

    #[test]
    fn objects_are_aligned_elf_files() {
        assert!(!OBJECTS.is_empty());
        for object in OBJECTS {
            assert!(object.bytes.starts_with(b"\x7fELF"), "{}", object.name);
            assert_eq!(object.bytes.as_ptr() as usize % 8, 0, "{}", object.name);
        }
    }
}
