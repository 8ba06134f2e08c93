#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 300
# Replays the inputs that were kept for the instructions that they reach, against the model. In a
# kernel that has kcov it also searches for inputs that reach more, for VS_FUZZ_SECONDS (60); all
# inputs worth keeping are then in build/corpus.
corpus=$(readlink -f "${0%/*}/../fuzz/corpus/inputs")
search=()
[[ ! -e /sys/kernel/debug/kcov ]] || search=("${VS_FUZZ_SECONDS:-60}" "${VS_BUILD:?}/corpus")
exec "${VS_BUILD:?}/testing/fuzz" --corpus "$corpus" "${search[@]}"
