// SPDX-License-Identifier: MIT OR Apache-2.0
//! /dev/vsctl: one method for each command of the ABI.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, BorrowedFd};

use anyhow::Result;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use vs_text::gate::Gate;

use crate::abi::*;
use crate::failure::Failure;

/// The path of the device.
pub const PATH: &str = "/dev/vsctl";
/// How many items of a list are fetched at once.
const CHUNK: usize = 256;

/// The device, opened.
pub struct Device {
    file: File,
}

/// Keeps other runs of vsctl that change what is loaded waiting.
pub struct Lock {
    _file: Flock<File>,
}

/// A structure whose command says why it refused.
trait Reasoned {
    fn reason(&self) -> u32;
}

macro_rules! reasoned {
    ($($name:ident)+) => {
        $(impl Reasoned for $name { fn reason(&self) -> u32 { self.reason } })+
    };
}
reasoned!(
    vs_create vs_destroy vs_change vs_set_attr vs_query vs_stat vs_rule vs_rule_test vs_place_task
    vs_apply
);

macro_rules! reasonless {
    ($($name:ident)+) => {
        $(impl Reasoned for $name { fn reason(&self) -> u32 { VS_WHY_NONE } })+
    };
}
reasonless!(vs_info vs_list vs_gate_switch vs_tags);

impl Device {
    /// Opens the device to change something, and checks that the module speaks vsctl's version of
    /// the ABI.
    pub fn open() -> Result<Self> {
        Self::with(true)
    }

    /// Opens the device to ask, which needs only the right to read the file. Commands that change
    /// something are refused.
    pub fn ask() -> Result<Self> {
        Self::with(false)
    }

    fn with(changes: bool) -> Result<Self> {
        let device = Self {
            file: open(changes)?,
        };
        let abi = device.info()?.abi;
        if abi != VS_ABI_VERSION {
            let message = format!(
                "the module speaks version {abi} of the ABI, this vsctl version \
                 {VS_ABI_VERSION}\n  do: install both from one release"
            );
            return Err(Failure::NotLoaded(message).into());
        }
        Ok(device)
    }

    /// Opens the device to change something, if the module is loaded.
    pub fn open_if_loaded() -> Result<Option<Self>> {
        Self::if_loaded(Self::open())
    }

    /// Opens the device to ask, if the module is loaded.
    pub fn ask_if_loaded() -> Result<Option<Self>> {
        Self::if_loaded(Self::ask())
    }

    fn if_loaded(device: Result<Self>) -> Result<Option<Self>> {
        match device {
            Ok(device) => Ok(Some(device)),
            Err(error)
                if matches!(error.downcast_ref(), Some(Failure::NotLoaded(_))) && !loaded() =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Waits until no other vsctl changes what is loaded, and keeps others waiting while the lock
    /// lives.
    pub fn lock(&self) -> Result<Lock> {
        match Flock::lock(open(true)?, FlockArg::LockExclusive) {
            Ok(file) => Ok(Lock { _file: file }),
            Err((_, errno)) => Err(errno.into()),
        }
    }

    /// Runs a command. If it is refused, `what` becomes part of the message, and the argument has
    /// the kernel's answer.
    fn run<T: Reasoned>(
        &self,
        nr: u32,
        argument: &mut T,
        what: impl FnOnce() -> String,
    ) -> Result<()> {
        // SAFETY: `nr` carries the size of `T`: each caller here pairs them, which the test
        // `commands_fit` checks. So the kernel reads and writes within `argument`. The pointers
        // inside of arguments come from slices that outlive the call.
        let result = unsafe {
            libc::ioctl(
                self.file.as_raw_fd(),
                libc::c_ulong::from(nr),
                std::ptr::from_mut(argument),
            )
        };
        match Errno::result(result) {
            Ok(_) => Ok(()),
            Err(Errno::EPERM) if argument.reason() == VS_WHY_NONE => Err(permission()),
            Err(errno) => Err(Failure::Refused {
                what: what(),
                reason: argument.reason(),
                errno,
            }
            .into()),
        }
    }

    /// Version, features, and numbers of services and rules.
    pub fn info(&self) -> Result<vs_info> {
        let mut info = vs_info::default();
        self.run(NR_VS_IOC_INFO, &mut info, || "info".to_owned())?;
        Ok(info)
    }

    /// Tells whether a gate is on that is made of no program: `packet`, `hint`, `read`.
    pub fn gate_on(&self, gate: Gate) -> Result<bool> {
        let feature = match gate {
            Gate::Packet => VS_FEATURE_PACKETS,
            Gate::Hint => VS_FEATURE_HINT,
            Gate::Read => VS_FEATURE_READ,
            _ => return Ok(false),
        };
        Ok(self.info()?.features & u64::from(feature) != 0)
    }

    /// Creates a service.
    pub fn create(&self, create: &mut vs_create, what: &str) -> Result<()> {
        self.run(NR_VS_IOC_CREATE, create, || what.to_owned())
    }

    /// Destroys a service.
    pub fn destroy(&self, destroy: &mut vs_destroy, what: &str) -> Result<()> {
        self.run(NR_VS_IOC_DESTROY, destroy, || what.to_owned())
    }

    /// Renames or moves a service, or changes its priority.
    pub fn change(&self, change: &mut vs_change, what: &str) -> Result<()> {
        self.run(NR_VS_IOC_CHANGE, change, || what.to_owned())
    }

    /// Sets, detaches or shares an attribute.
    pub fn set_attr(&self, set: &mut vs_set_attr, what: &str) -> Result<()> {
        self.run(NR_VS_IOC_SET_ATTR, set, || what.to_owned())
    }

    /// Statistics of a service.
    pub fn stat(&self, id: u32, what: &str) -> Result<vs_stat> {
        let mut stat = vs_stat {
            id,
            ..Default::default()
        };
        self.run(NR_VS_IOC_STAT, &mut stat, || what.to_owned())?;
        Ok(stat)
    }

    /// All services, by id.
    pub fn services(&self) -> Result<Vec<vs_service>> {
        self.list(NR_VS_IOC_LIST)
    }

    /// All rules, the older first.
    pub fn rules(&self) -> Result<Vec<vs_rule>> {
        self.list(NR_VS_IOC_RULE_LIST)
    }

    fn list<T: Default + Copy>(&self, nr: u32) -> Result<Vec<T>> {
        let mut found = Vec::new();
        let mut after = VS_LIST_START;
        loop {
            let mut chunk = vec![T::default(); CHUNK];
            let mut list = vs_list {
                items: chunk.as_mut_ptr() as u64,
                room: CHUNK as u32,
                after,
                count: 0,
                item_size: size_of::<T>() as u32,
            };
            self.run(nr, &mut list, || "list".to_owned())?;
            let count = (list.count as usize).min(CHUNK);
            found.extend_from_slice(&chunk[..count]);
            if count < CHUNK {
                return Ok(found);
            }
            after = list.after;
        }
    }

    /// Adds a rule; gives its number.
    pub fn rule_add(&self, rule: &mut vs_rule, what: &str) -> Result<()> {
        self.run(NR_VS_IOC_RULE_ADD, rule, || what.to_owned())
    }

    /// Deletes the rule of this number.
    pub fn rule_del(&self, id: u32) -> Result<()> {
        let mut rule = vs_rule {
            id,
            ..Default::default()
        };
        self.run(NR_VS_IOC_RULE_DEL, &mut rule, || {
            format!("delete rule {id}")
        })
    }

    /// Classifies a call without effects.
    pub fn rule_test(&self, test: &mut vs_rule_test, what: &str) -> Result<()> {
        self.run(NR_VS_IOC_RULE_TEST, test, || what.to_owned())
    }

    /// Places a process, or one thread of it.
    pub fn place_task(&self, pidfd: BorrowedFd<'_>, id: u32, flags: u32, what: &str) -> Result<()> {
        let mut place = vs_place_task {
            pidfd: pidfd.as_raw_fd(),
            id,
            flags,
            reason: 0,
        };
        self.run(NR_VS_IOC_PLACE_TASK, &mut place, || what.to_owned())
    }

    /// Applies a configuration. After a refusal the argument has its place.
    pub fn apply(&self, apply: &mut vs_apply, what: &str) -> Result<()> {
        self.run(NR_VS_IOC_APPLY, apply, || what.to_owned())
    }

    /// Lets sockets and packets carry tags, or takes all of them off.
    pub fn tags(&self, on: bool) -> Result<()> {
        let mut tags = vs_tags {
            on: on.into(),
            ..Default::default()
        };
        self.run(NR_VS_IOC_TAGS, &mut tags, || {
            format!("turn tags of sockets {}", if on { "on" } else { "off" })
        })
    }

    /// Attaches or detaches the probes of a gate that are part of the module.
    pub fn gate(&self, gate: Gate, on: bool) -> Result<()> {
        let mut switch = vs_gate_switch {
            gate: gate as u32,
            on: on.into(),
        };
        self.run(NR_VS_IOC_GATE, &mut switch, || {
            format!(
                "turn the gate {} {}",
                gate.name(),
                if on { "on" } else { "off" }
            )
        })
    }
}

/// Tells whether the module is loaded.
pub fn loaded() -> bool {
    std::path::Path::new("/sys/module/vs").exists()
}

fn open(changes: bool) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(changes)
        .open(PATH)
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => Failure::NotLoaded(format!(
            "{PATH} does not exist: the module vs is not loaded\n  do: `modprobe vs`, or `insmod \
             vs.ko`"
        ))
            .into(),
            ErrorKind::PermissionDenied => permission(),
            _ => anyhow::Error::new(error).context(PATH),
        })
}

fn permission() -> anyhow::Error {
    Failure::Permission(
        "no permission: virtual services are root's (CAP_SYS_ADMIN), and asking needs the right to \
         read /dev/vsctl\n  do: run it with sudo"
            .to_owned(),
    )
    .into()
}
