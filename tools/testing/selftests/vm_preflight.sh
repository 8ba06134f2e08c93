#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: none
# limit: 240
# What preflight finds missing: in a build tree, and in a module that fell into the BTF trap.
. "${0%/*}/lib.sh"

vm=$(readlink -f "${0%/*}/../../vm")
work=$(mktemp -d -p "$VS_BUILD")
cleanup() { rm -rf "$work"; }

# looks STATUS NAME ARGUMENTS...: how preflight ends; what it says is in $work/said.
looks() {
	local wanted=$1 name=$2 status=0
	shift 2
	"$vm/preflight" "$@" >"$work/said" 2>&1 || status=$?
	is "$name" "$status" "$wanted"
}
# says NAME REGEX: that is a line of it.
says() { check "$1" grep -qE "$2" "$work/said"; }

looks 0 "the cached tree and the module lack nothing" --module "$VS_BUILD/module/vs.ko" --tree

looks 1 "a folder that is no build tree" "$work"
says "what to name instead" 'make preflight KDIR='

# a headers package as Debian ships it: a .config, no Rust metadata; and of a kernel without
# sched_ext
mkdir "$work/kdir"
grep -v SCHED_CLASS_EXT "$KDIR/.config" >"$work/kdir/.config"
looks 1 "a tree that lacks much" --module "$VS_BUILD/module/vs.ko" "$work/kdir"
says "an option is named" '^missing: CONFIG_SCHED_CLASS_EXT'
says "the options that are there are not" '^ok: +CONFIG_BPF_LSM'
says "Rust metadata is named, file by file" '^missing: Rust metadata .*libkernel\.rmeta'
says "so is Module.symvers" '^missing: Module.symvers'
check "each with what to do" test "$(grep -c '^missing:' "$work/said")" = \
	"$(grep -c '^         ' "$work/said")"

# the module as it is built with the libbpf of the distribution, which the kernel's BTF is a trap
# for
check "a module is built without a libbpf as new as the kernel" env LIBBPF= "$vm/module" "$KDIR" \
	"$work/module"
looks 1 "its BTF is refused" --module "$work/module/vs.ko" --tree
says "for types of the kernel's" '^missing: clean BTF in .*own copy of [0-9]+ kernel types'
says "and what to do is said" 'libbpf is too old'
printf broken >"$work/broken.ko"
looks 1 "a file that is no module" --module "$work/broken.ko" --tree
says "has no BTF" '^missing: BTF in'
finish
