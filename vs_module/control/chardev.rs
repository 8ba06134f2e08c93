// SPDX-License-Identifier: GPL-2.0

//! `/dev/vsctl`: the one interface for the administrator, and for programs that only ask.
//!
//! Every command has one fixed-layout argument. Its size travels in the request number and is
//! treated as openat2(2) does: fields that the caller does not know are not written, fields that
//! the module does not know must be zero. The argument is copied back even if a command fails, so
//! that its `reason` can be read.

use crate::control::abi::Failure;
use crate::control::access::{Access, Caller};
use crate::control::commands;
use crate::control::wire::{read, Structure};
use crate::logic::id::VsId;
use crate::shim::bindings as c;
use crate::shim::misc::Misc;
use kernel::bindings;
use kernel::ffi::{c_long, c_uint, c_ulong};
use kernel::ioctl::_IOC_SIZE;
use kernel::prelude::*;
use kernel::uaccess::{UserPtr, UserSlice};

/// A command: its request number in version 1, the access that it needs, and its handler.
struct Command {
    first: u32,
    access: Access,
    serve: fn(u32, usize) -> Result,
}

macro_rules! commands {
    ($($first:ident $access:ident $run:ident;)*) => {
        /// All commands.
        static COMMANDS: [Command; [$(stringify!($run)),*].len()] = [$(
            Command {
                first: c::$first,
                access: Access::$access,
                serve: |request, user| serve(request, user, commands::$run),
            }
        ),*];
    };
}

commands! {
    VS_IOC_INFO Ask info;
    VS_IOC_CREATE Change create;
    VS_IOC_DESTROY Change destroy;
    VS_IOC_CHANGE Change change;
    VS_IOC_SET_ATTR Change set_attr;
    VS_IOC_QUERY Ask query;
    VS_IOC_LIST Ask list;
    VS_IOC_STAT Ask stat;
    VS_IOC_RULE_ADD Change rule_add;
    VS_IOC_RULE_DEL Change rule_del;
    VS_IOC_RULE_LIST Ask rule_list;
    VS_IOC_RULE_TEST Ask rule_test;
    VS_IOC_PLACE_TASK Change place_task;
    VS_IOC_PLACE_SOCKET Change place_socket;
    VS_IOC_APPLY Change apply;
    VS_IOC_GATE Change gate;
    VS_IOC_SOCKET Ask socket;
    VS_IOC_TAGS Change tags;
}

/// A request number without the size in it.
const fn command(request: u32) -> u32 {
    request & !(bindings::_IOC_SIZEMASK << bindings::_IOC_SIZESHIFT)
}

/// Runs a command: copies its argument in, and copies it back whether it failed or not.
fn serve<T: Structure>(
    request: u32,
    user: usize,
    run: fn(&mut T) -> Result<(), Failure>,
) -> Result {
    let given = _IOC_SIZE(request);
    if given < T::FIRST {
        return Err(EINVAL);
    }
    let mut argument = KBox::<T>::zeroed(GFP_KERNEL)?;
    let (mut reader, mut writer) = UserSlice::new(UserPtr::from_addr(user), given).reader_writer();
    read(&mut reader, given, &mut *argument)?;
    if let Some(reason) = argument.reason() {
        *reason = c::VS_WHY_NONE;
    }

    let result = run(&mut argument);
    if let (Err(failure), Some(reason)) = (&result, argument.reason()) {
        *reason = failure.reason;
    }
    writer.write_slice(argument.known_bytes(given))?;
    result.map_err(|failure| failure.error)
}

/// The file's only operation. Process context, may sleep.
unsafe extern "C" fn ioctl(file: *mut bindings::file, request: c_uint, user: c_ulong) -> c_long {
    // SAFETY: The kernel calls this with the file that the system call names.
    let caller = unsafe { Caller::new(file) };
    let found = COMMANDS
        .iter()
        .find(|one| command(one.first) == command(request));
    let result = match found {
        None => Err(ENOTTY),
        Some(one) => caller
            .may(one.access, VsId::ROOT)
            .and_then(|()| (one.serve)(request, user)),
    };
    match result {
        Ok(()) => 0,
        Err(error) => error.to_errno() as c_long,
    }
}

/// Makes the device appear. From then on commands come.
pub(crate) fn register(module: &'static ThisModule) -> impl PinInit<Misc, Error> {
    Misc::register(module, c"vsctl", 0o600, ioctl)
}
