// SPDX-License-Identifier: GPL-2.0

//! The C interfaces that the kernel crate does not bind, and the structures of `uapi/vs.h`.
//!
//! Made by bindgen at each build from `bindings_helper.h`. Only wrappers use these bindings: code
//! that decides something works with the wrappers' types.

#![allow(
    clippy::all,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unknown_lints,
    unnecessary_transmutes,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]

use kernel::ffi;
use pin_init::{MaybeZeroable, Zeroable};

// The size types are `usize` and `isize` whatever C makes of them, as in the kernel crate.
type __kernel_size_t = usize;
type __kernel_ssize_t = isize;
type __kernel_ptrdiff_t = isize;

// SAFETY: A bit field unit is a newtype around its storage.
unsafe impl<Storage> Zeroable for __BindgenBitfieldUnit<Storage> where Storage: Zeroable {}

include!(concat!(
    env!("VS_OBJ"),
    "/vs_module/shim/bindings_generated.rs"
));
