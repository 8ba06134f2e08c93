// SPDX-License-Identifier: MIT OR Apache-2.0
//! Brings the gates and the scheduler up: all that was asked for, or no change.
//!
//! Every object is loaded before any program is attached, so that a program which the kernel does
//! not accept changes nothing. Then the programs that every gate needs are attached, then the
//! gates, then the scheduler. Pinned programs are left alone, so a second run adds those that are
//! missing. Programs that run and were explicitly not asked for are left out. All of it takes
//! effect for good in one instant, when the new set of pins is published; if vsctl ends before
//! that, it is undone.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result};
use libbpf_rs::{
    set_print, Link, MapCore, MapType, Object, ObjectBuilder, OpenObject, PrintLevel, ProgramMut,
    ProgramType,
};
use vs_text::gate::Gate;

use super::object::{gates, Embedded, Purpose, OBJECTS};
use super::pin::{self, Draft, LINKS, PROGS, ROOT};
use super::scheduler::{self, State};
use crate::device::Device;
use crate::failure::Failure;

/// The gates of which a part is the module's own.
pub const PROBED: [Gate; 5] = [Gate::Send, Gate::Recv, Gate::Packet, Gate::Hint, Gate::Read];

/// Those that are nothing else.
pub const BARE: [Gate; 3] = [Gate::Packet, Gate::Hint, Gate::Read];

/// The root of cgroup2, to which programs of the type cgroup attach: all tasks are below it.
const CGROUP: &str = "/sys/fs/cgroup";

/// The parts that are to run.
pub struct Wanted {
    /// The gates; None: all, and those that are attached stay.
    pub gates: Option<Vec<Gate>>,
    /// Whether the scheduler is to run.
    pub scheduler: bool,
}

/// The outcome of `up`.
#[derive(Debug, Default)]
pub struct Done {
    /// Programs attached now.
    pub attached: usize,
    /// Gates that were attached and were not asked for.
    pub detached: Vec<Gate>,
    /// Whether scx_vs ran and was not asked for: it has been stopped.
    pub stopped: bool,
    /// The exit record of scx_vs, if it had stopped before.
    pub ejected: Option<String>,
}

/// Brings up the wanted parts.
pub fn up(device: &Device, wanted: &Wanted) -> Result<Done> {
    let mut done = Done::default();
    let mut scheduler = wanted.scheduler;
    let state = scheduler::state()?;
    match &state {
        State::Ours => scheduler = false,
        State::Other(name) if scheduler => {
            return Err(Failure::Bpf(format!(
                "another sched_ext scheduler runs: `{name}`, and the kernel runs one at a \
                 time\n  do: stop it, or account only: `vsctl up --no-sched`"
            ))
            .into());
        }
        State::Ejected(exit) => done.ejected = Some(exit.sentence()),
        State::Other(_) | State::Off => {}
    }

    let draft = Draft::new()?;
    if state != State::Ours && scheduler {
        scheduler::forget(&draft)?;
    }
    let chosen = wanted.gates.clone().unwrap_or_else(|| Gate::ALL.to_vec());
    let present = draft.names(LINKS)?;
    let before = in_force(device)?;
    let probes = Undo::new(true, || {
        let added = |gate: &Gate| !before.contains(gate);
        PROBED
            .into_iter()
            .filter(added)
            .try_for_each(|gate| device.gate(gate, false))
    });
    let tags = Undo::new(present.is_empty(), || device.tags(false));
    let missing = |name: &str, kind: ProgramType| match Purpose::of(name, kind) {
        Purpose::Gate(gate) => chosen.contains(&gate) && !present.iter().any(|link| link == name),
        Purpose::Core | Purpose::Iterator => !present.iter().any(|link| link == name),
        // it works on the scheduler's own maps, so it is loaded with the scheduler
        Purpose::OnDemand => scheduler,
        // libbpf decides about the others
        Purpose::Scheduler => scheduler && scheduler::wants_timers(),
    };

    let mut loaded = Vec::new();
    for object in OBJECTS {
        loaded.extend(load(object, draft.root(), &missing, scheduler)?);
    }
    if present.is_empty() {
        // the tags are from programs that were detached by hand
        device.tags(false)?;
    }
    for core in [true, false] {
        for object in &loaded {
            for program in object.progs_mut() {
                let name = program.name().to_string_lossy().into_owned();
                let purpose = Purpose::of(&name, program.prog_type());
                if program.autoload()
                    && purpose != Purpose::Scheduler
                    && (purpose == Purpose::Core) == core
                {
                    fasten(program, &name, purpose, &draft)?;
                    done.attached += 1;
                }
            }
        }
        if core {
            // from here on BPF programs see the end of sockets
            device.tags(true)?;
        }
    }
    if scheduler {
        for object in &mut loaded {
            start(object, &draft)?;
        }
    }
    let forgotten = !wanted.scheduler && matches!(state, State::Ours | State::Ejected(_));
    if forgotten {
        scheduler::forget(&draft)?;
        done.stopped = state == State::Ours;
    }
    if wanted.gates.is_some() {
        done.detached = gates(present.iter().map(String::as_str));
        done.detached.retain(|gate| !chosen.contains(gate));
        for link in present.iter().filter(|link| {
            gates([link.as_str()])
                .iter()
                .any(|gate| !chosen.contains(gate))
        }) {
            draft.remove(LINKS, link)?;
        }
    }
    for gate in PROBED.into_iter().filter(|gate| chosen.contains(gate)) {
        device.gate(gate, true)?;
    }
    if done.attached > 0 || forgotten || !done.detached.is_empty() {
        draft.publish()?;
    }
    probes.keep();
    tags.keep();

    // a gate that is attached stays, unless other gates were asked for
    for gate in PROBED
        .into_iter()
        .filter(|gate| wanted.gates.is_some() && !chosen.contains(gate))
    {
        device.gate(gate, false)?;
    }
    if done.stopped {
        scheduler::wait_ended()?;
    }
    Ok(done)
}

/// The gates that are attached.
pub fn in_force(device: &Device) -> Result<Vec<Gate>> {
    let mut found = gates(pin::names(LINKS)?.iter().map(String::as_str));
    for gate in BARE {
        if device.gate_on(gate)? {
            found.push(gate);
        }
    }
    Ok(found)
}

/// Collects libbpf's messages; shown only when it fails.
static MESSAGES: Mutex<String> = Mutex::new(String::new());

fn listen(_: PrintLevel, message: String) {
    if let Ok(mut messages) = MESSAGES.lock() {
        messages.push_str(&message);
    }
}

fn failed(object: &str, error: impl std::fmt::Display) -> Failure {
    /// How much of libbpf's log is shown: the error is at its end.
    const LINES: usize = 25;
    let log = MESSAGES
        .lock()
        .map(|messages| messages.clone())
        .unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let end = lines[lines.len().saturating_sub(LINES)..].join("\n    ");
    Failure::Bpf(format!(
        "the BPF object {object} does not load: {error}\n    {end}\n  do: use the vs.ko and vsctl \
         of one release, built for this kernel"
    ))
}

/// Opens an object without loading it. Loaded, it shares maps with those that are pinned at `root`.
pub fn open(object: &Embedded, root: &Path) -> Result<OpenObject> {
    set_print(Some((PrintLevel::Info, listen)));
    let mut builder = ObjectBuilder::default();
    builder.name(object.name)?.pin_root_path(root)?;
    builder
        .open_memory(object.bytes)
        .map_err(|error| failed(object.name, error).into())
}

/// Loads the programs of an object that are not pinned; None if all are.
pub fn load(
    object: &Embedded,
    root: &Path,
    missing: &impl Fn(&str, ProgramType) -> bool,
    scheduler: bool,
) -> Result<Option<Object>> {
    let mut opened = open(object, root)?;
    let mut needed = false;
    for mut map in opened
        .maps_mut()
        .filter(|map| map.map_type() == MapType::StructOps)
    {
        map.set_autocreate(scheduler)?;
        needed |= scheduler;
    }
    for mut program in opened.progs_mut() {
        // libbpf loads a scheduler's programs with the map that names them
        if program.prog_type() != ProgramType::StructOps {
            let wanted = missing(&program.name().to_string_lossy(), program.prog_type());
            program.set_autoload(wanted);
            needed |= wanted;
        }
    }
    if !needed {
        return Ok(None);
    }
    Ok(Some(
        opened.load().map_err(|error| failed(object.name, error))?,
    ))
}

/// Attaches a program and pins the link; or pins the program, if it runs on demand.
fn fasten(mut program: ProgramMut<'_>, name: &str, purpose: Purpose, draft: &Draft) -> Result<()> {
    if purpose == Purpose::OnDemand {
        return program
            .pin(draft.path(PROGS, name))
            .context(name.to_owned());
    }
    keep(attach(&program)?, name, draft)
}

/// Attaches a program to the hook that its section names.
pub fn attach(program: &ProgramMut<'_>) -> Result<Link> {
    let link = match program.prog_type() {
        ProgramType::CgroupSockopt => {
            let root = File::open(CGROUP).context(CGROUP)?;
            program.attach_cgroup(root.as_raw_fd())
        }
        _ => program.attach(),
    };
    let link = link.map_err(|error| {
        let name = program.name().to_string_lossy();
        Failure::Bpf(format!(
            "the BPF program {name} cannot be attached: {error}\n  do: see that this kernel is one \
             the release supports, and that `bpf` is among /sys/kernel/security/lsm"
        ))
    })?;
    Ok(link)
}

fn keep(mut link: Link, name: &str, draft: &Draft) -> Result<()> {
    link.pin(draft.path(LINKS, name)).context(name.to_owned())
}

/// Starts the scheduler, if this object has it.
fn start(object: &mut Object, draft: &Draft) -> Result<()> {
    for mut map in object
        .maps_mut()
        .filter(|map| map.name().to_string_lossy().ends_with(scheduler::EXIT_MAP))
    {
        map.pin(draft.path(ROOT, scheduler::EXIT_PIN))
            .context(scheduler::EXIT_PIN)?;
    }
    for program in object
        .progs_mut()
        .filter(|program| program.name() == scheduler::TIMERS && program.autoload())
    {
        keep(attach(&program)?, scheduler::TIMERS, draft)?;
    }
    for mut map in object
        .maps_mut()
        .filter(|map| map.map_type() == MapType::StructOps)
    {
        let link = map.attach_struct_ops().map_err(|error| {
            let pin = draft.path(ROOT, scheduler::EXIT_PIN);
            let exit = scheduler::exit(&pin).filter(|exit| exit.kind != 0);
            let why = exit.map_or_else(String::new, |exit| format!(": {}", exit.sentence()));
            Failure::Bpf(format!(
                "the scheduler cannot be started: {error}{why}\n  do: see `dmesg`; `vsctl up \
                 --no-sched` accounts without it"
            ))
        })?;
        keep(link, scheduler::LINK, draft)?;
    }
    Ok(())
}

/// Turns something off again when this is dropped, unless it was kept.
struct Undo<F: Fn() -> Result<()>> {
    off: F,
    due: bool,
}

impl<F: Fn() -> Result<()>> Undo<F> {
    /// `due`: it was off before, and is to be turned off on drop.
    fn new(due: bool, off: F) -> Self {
        Self { off, due }
    }

    fn keep(mut self) {
        self.due = false;
    }
}

impl<F: Fn() -> Result<()>> Drop for Undo<F> {
    fn drop(&mut self) {
        if self.due {
            if let Err(error) = (self.off)() {
                eprintln!("vsctl: while undoing: {error:#}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gate_has_a_program() {
        let mut names = Vec::new();
        for object in OBJECTS {
            let opened = open(object, Path::new(ROOT)).unwrap();
            for program in opened.progs() {
                names.push(program.name().to_string_lossy().into_owned());
            }
        }
        let found = gates(names.iter().map(String::as_str));
        let expected: Vec<Gate> = Gate::ALL
            .into_iter()
            .filter(|gate| !BARE.contains(gate))
            .collect();
        assert_eq!(found, expected, "{names:?}");
    }
}
