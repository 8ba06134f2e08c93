#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# guest: cpus=2
# limit: 240
"""The accounting's figures under scx_vs: the same as by the default scheduler."""
import cpu
import vs


@cpu.scheduled
def alone(dev):
    """A task that changes its VS every few ms is charged within 2 % of the true time"""
    vs.in_child(lambda: cpu.alternating(dev, 0))


@cpu.scheduled
def crowded(dev):
    """So it is among others"""
    vs.in_child(lambda: cpu.alternating(dev, 3))


vs.main()
