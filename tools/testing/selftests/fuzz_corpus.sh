#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 300
# The inputs that were kept for what they reach, replayed against the model. In a kernel that has
# kcov, inputs that reach more are looked for besides, VS_FUZZ_SECONDS (60) long; all that is worth
# keeping is then in build/corpus.
corpus=$(readlink -f "${0%/*}/../fuzz/corpus/inputs")
search=()
[[ ! -e /sys/kernel/debug/kcov ]] || search=("${VS_FUZZ_SECONDS:-60}" "${VS_BUILD:?}/corpus")
exec "${VS_BUILD:?}/testing/fuzz" --corpus "$corpus" "${search[@]}"
