// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compiles vs_sched/arith.h, which is a part of the scheduler, for the host.

fn main() {
    println!("cargo::rerun-if-changed=src/arith.c");
    println!("cargo::rerun-if-changed=../../vs_sched/arith.h");
    cc::Build::new()
        .file("src/arith.c")
        .include("../../vs_sched")
        .std("gnu11")
        .warnings_into_errors(true)
        .compile("arith");
}
