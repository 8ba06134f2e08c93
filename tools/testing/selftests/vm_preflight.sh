#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: none
# limit: 240
# preflight finds missing parts of a build tree, and a module whose BTF has copies of kernel types.
. "${0%/*}/lib.sh"

vm=$(readlink -f "${0%/*}/../../vm")
work=$(mktemp -d -p "$VS_BUILD")
cleanup() { rm -rf "$work"; }

# looks STATUS NAME ARGUMENTS...: checks preflight's exit status; its output is in $work/said.
looks() {
	local wanted=$1 name=$2 status=0
	shift 2
	"$vm/preflight" "$@" >"$work/said" 2>&1 || status=$?
	is "$name" "$status" "$wanted"
}
# says NAME REGEX: a line of the output matches.
says() { check "$1" grep -qE "$2" "$work/said"; }

looks 0 "the cached tree and the module lack nothing" --module "$VS_BUILD/module/vs.ko" --tree

looks 1 "a folder that is no build tree" "$work"
says "the command to use is named" 'make preflight KDIR='

# a headers package as Debian ships it: a .config, no Rust metadata; and of a kernel without
# sched_ext
mkdir "$work/kdir"
grep -v SCHED_CLASS_EXT "$KDIR/.config" >"$work/kdir/.config"
looks 1 "a tree that lacks much" --module "$VS_BUILD/module/vs.ko" "$work/kdir"
says "an option is named" '^missing: CONFIG_SCHED_CLASS_EXT'
says "an option that is set is not missing" '^ok: +CONFIG_BPF_LSM'
says "Rust metadata is named, file by file" '^missing: Rust metadata .*libkernel\.rmeta'
says "Module.symvers is named" '^missing: Module.symvers'
check "each is named with the remedy" test "$(grep -c '^missing:' "$work/said")" = \
	"$(grep -c '^         ' "$work/said")"

# a module built with the distribution's libbpf, which is older than the kernel
check "a module is built without a libbpf as new as the kernel" env LIBBPF= "$vm/module" "$KDIR" \
	"$work/module"
looks 1 "its BTF is refused" --module "$work/module/vs.ko" --tree
says "copied kernel types are counted" '^missing: clean BTF in .*own copy of [0-9]+ kernel types'
says "the remedy is named" 'libbpf is too old'
printf broken >"$work/broken.ko"
looks 1 "a file that is no module" --module "$work/broken.ko" --tree
says "missing BTF is named" '^missing: BTF in'
finish
