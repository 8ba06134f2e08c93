#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The documents: the kernel accepts each configuration that they show.
# limit: 120
. "${0%/*}/lib.sh"

# Writes the blocks of TOML in FILE to /tmp/blocks/1, 2, …
blocks() {
	rm -rf /tmp/blocks
	mkdir /tmp/blocks
	awk '
		/^```toml$/ { n++; inside = 1; next }
		/^```/ { inside = 0 }
		inside { print > "/tmp/blocks/" n }' "$1"
}

cd "${0%/*}/../../.." || exit 1
shown=0
for file in README.md $(find Documentation -name '*.md' | sort); do
	blocks "$file"
	for block in /tmp/blocks/*; do
		[[ -e $block ]] || continue
		check "$file, configuration ${block##*/}" vsctl apply --dry-run "$block"
		((++shown))
	done
done
check "the documents show configurations" test "$shown" -ge 5
finish
