#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 900
# A million calls (fewer in a slow kernel), many of them malformed, compared with a model of the
# header's promises; VS_FUZZ=CALLS[,SEED] for others.
IFS=, read -r calls seed <<<"${VS_FUZZ:-$((1000000 / VS_SLOWNESS))}"
exec "${VS_BUILD:?}/testing/fuzz" "$calls" "${seed:-1}"
