// SPDX-License-Identifier: GPL-2.0

//! Copying the structures of `uapi/vs.h` from and to user space.
//!
//! Every structure may be shorter or longer for the caller than it is here, and is treated as
//! openat2(2) treats its argument: the caller's part that this module does not know must be zero,
//! and the part that the caller does not know is neither read nor written. May sleep.

use crate::shim::bindings as c;
use kernel::prelude::*;
use kernel::uaccess::{UserSliceReader, UserSliceWriter};
use pin_init::Zeroable;

/// A structure of `uapi/vs.h`: a command's argument, or an item of a list.
///
/// # Safety
///
/// All bit patterns are valid, and there is no padding.
pub(crate) unsafe trait Structure: Sized + Zeroable {
    /// How long it was in version 1 of the ABI: nobody has a shorter one.
    const FIRST: usize;

    /// Where the cause of a failure goes.
    fn reason(&mut self) -> Option<&mut u32>;

    /// Whether all that is reserved is zero.
    fn is_reserved_zero(&self) -> bool;

    /// The bytes that a caller knows whose structure is `given` bytes long.
    fn known_bytes(&mut self, given: usize) -> &mut [u8] {
        let known = given.min(size_of::<Self>());
        // SAFETY: As many bytes are there, all are initialised, and any are valid.
        unsafe { core::slice::from_raw_parts_mut(core::ptr::from_mut(self).cast(), known) }
    }
}

/// Implements [`Structure`]: size in version 1, where the reason is, what is reserved.
macro_rules! structures {
    ($($type:ident: $first:literal $(, reason $reason:ident)?
        $(, reserved $($reserved:ident).+)*;)*) => {$(
        // SAFETY: The structures of uapi/vs.h are plain integers without padding.
        unsafe impl Structure for c::$type {
            const FIRST: usize = $first;

            fn reason(&mut self) -> Option<&mut u32> {
                None$(.or(Some(&mut self.$reason)))?
            }

            fn is_reserved_zero(&self) -> bool {
                true $(&& self.$($reserved).+ == 0)*
            }
        }
        const _: () = assert!(size_of::<c::$type>() == $first);
    )*};
}

structures! {
    vs_info: 32;
    vs_create: 48, reason reason;
    vs_destroy: 40, reason reason, reserved reserved;
    vs_change: 56, reason reason, reserved reserved;
    vs_set_attr: 16, reason reason;
    vs_service: 88;
    vs_query: 96, reason reason;
    vs_list: 24;
    vs_rule: 608, reason reason, reserved reserved1;
    vs_rule_test: 640, reason reason, reserved call.reserved1, reserved reserved,
        reserved reserved2;
    vs_place_task: 16, reason reason;
    vs_place_socket: 16, reason reason;
    vs_stat: 216, reason reason;
    vs_config_service: 80, reserved reserved;
    vs_apply: 48, reason reason;
    vs_gate_packet: 8, reserved reserved;
    vs_socket: 16, reason reason;
    vs_tags: 8, reserved reserved;
}

/// Reads a structure that is `given` bytes long for the caller. What is beyond ours must be zero.
pub(crate) fn read<T: Structure>(
    reader: &mut UserSliceReader,
    given: usize,
    structure: &mut T,
) -> Result {
    reader.read_slice(structure.known_bytes(given))?;
    let mut more = given.saturating_sub(size_of::<T>());
    let mut bytes = [0; 64];
    while more != 0 {
        let bytes = &mut bytes[..more.min(64)];
        reader.read_slice(bytes)?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Err(E2BIG);
        }
        more -= bytes.len();
    }
    if structure.is_reserved_zero() {
        Ok(())
    } else {
        Err(EINVAL)
    }
}

/// Writes a structure that is `given` bytes long for the caller. What is beyond ours becomes zero.
pub(crate) fn write<T: Structure>(
    writer: &mut UserSliceWriter,
    given: usize,
    structure: &mut T,
) -> Result {
    writer.write_slice(structure.known_bytes(given))?;
    let mut more = given.saturating_sub(size_of::<T>());
    while more != 0 {
        let bytes = &[0; 64][..more.min(64)];
        writer.write_slice(bytes)?;
        more -= bytes.len();
    }
    Ok(())
}
