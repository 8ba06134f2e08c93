// SPDX-License-Identifier: GPL-2.0

//! Copying the structures of `uapi/vs.h` from and to user space.
//!
//! A caller may know a shorter or longer version of a structure than this module. It is treated as
//! openat2(2) treats its argument: the part that this module does not know must be zero, and the
//! part that the caller does not know is neither read nor written. May sleep.

use crate::shim::bindings as c;
use core::marker::PhantomData;
use kernel::page::PAGE_SIZE;
use kernel::prelude::*;
use kernel::uaccess::{UserPtr, UserSlice, UserSliceReader, UserSliceWriter};
use pin_init::Zeroable;

/// A structure of `uapi/vs.h`: a command's argument, or an item of a list.
///
/// # Safety
///
/// All bit patterns are valid, and there is no padding.
pub(crate) unsafe trait Structure: Sized + Zeroable {
    /// Its length in version 1 of the ABI: no caller has a shorter one.
    const FIRST: usize;

    /// The field for the cause of a failure.
    fn reason(&mut self) -> Option<&mut u32>;

    /// Whether all reserved fields are zero.
    fn is_reserved_zero(&self) -> bool;

    /// The bytes known to a caller whose structure is `given` bytes long.
    fn known_bytes(&mut self, given: usize) -> &mut [u8] {
        let known = given.min(size_of::<Self>());
        // SAFETY: That many bytes are there, all are initialised, and all bit patterns are valid.
        unsafe { core::slice::from_raw_parts_mut(core::ptr::from_mut(self).cast(), known) }
    }
}

/// Implements [`Structure`]: the size in version 1, the field of the reason, the reserved fields.
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
        const _: () = assert!(size_of::<c::$type>() >= $first);
    )*};
}

structures! {
    vs_info: 32;
    vs_create: 80, reason reason;
    vs_destroy: 40, reason reason, reserved reserved;
    vs_change: 88, reason reason, reserved reserved;
    vs_set_attr: 16, reason reason;
    vs_service: 216;
    vs_query: 224, reason reason;
    vs_list: 24;
    vs_rule: 624, reason reason, reserved reserved1;
    vs_rule_test: 48, reason reason, reserved reserved;
    vs_place_task: 16, reason reason;
    vs_place_socket: 16, reason reason;
    vs_stat: 720, reason reason;
    vs_config_service: 208;
    vs_apply: 56, reason reason, reserved reserved;
    vs_gate_switch: 8;
    vs_socket: 16, reason reason;
    vs_tags: 8, reserved reserved;
}

/// Reads a structure that is `given` bytes long for the caller. Bytes beyond this module's own must
/// be zero.
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

/// Writes a structure that is `given` bytes long for the caller. Bytes beyond this module's own
/// become zero.
fn write<T: Structure>(writer: &mut UserSliceWriter, given: usize, structure: &mut T) -> Result {
    writer.write_slice(structure.known_bytes(given))?;
    let mut more = given.saturating_sub(size_of::<T>());
    while more != 0 {
        let bytes = &[0; 64][..more.min(64)];
        writer.write_slice(bytes)?;
        more -= bytes.len();
    }
    Ok(())
}

/// An array in the caller's memory, whose structures the caller may know in another length.
///
/// All memory that a structure points to is accessed this way: lists, configurations, calls.
pub(crate) struct UserArray<T> {
    first: UserPtr,
    /// The length of one structure for the caller.
    size: usize,
    count: usize,
    /// How many have been read or written.
    done: usize,
    _of: PhantomData<T>,
}

impl<T: Structure> UserArray<T> {
    /// An array of `count` structures of `size` bytes each. `EINVAL`: they are shorter than in
    /// version 1; `E2BIG`: longer than a page. The size of an empty array does not matter.
    pub(crate) fn new(address: u64, count: u32, size: u32) -> Result<Self> {
        let (count, size) = (count as usize, size as usize);
        if count != 0 && size < T::FIRST {
            return Err(EINVAL);
        }
        if count != 0 && size > PAGE_SIZE {
            return Err(E2BIG);
        }
        Ok(UserArray {
            first: UserPtr::from_addr(address as usize),
            size,
            count,
            done: 0,
            _of: PhantomData,
        })
    }

    /// How many are yet to be read or written.
    pub(crate) fn left(&self) -> usize {
        self.count - self.done
    }

    /// The next one.
    fn next(&mut self) -> Result<UserSlice> {
        if self.left() == 0 {
            return Err(EINVAL);
        }
        // The product is below 2^44; the copy refuses addresses beyond the end of user memory.
        let at = self.first.wrapping_byte_add(self.done * self.size);
        self.done += 1;
        Ok(UserSlice::new(at, self.size))
    }

    /// Reads the next one.
    pub(crate) fn read(&mut self, structure: &mut T) -> Result {
        let size = self.size;
        read(&mut self.next()?.reader(), size, structure)
    }

    /// Writes the next one.
    pub(crate) fn write(&mut self, structure: &mut T) -> Result {
        let size = self.size;
        write(&mut self.next()?.writer(), size, structure)
    }
}
