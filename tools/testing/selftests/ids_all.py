#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 180
"""All ids. This is a file of its own, because an id that something carried rests, and would be
missing here.
"""

import errno

import vs


@vs.test
def all_at_once(dev):
    """All 16383 ids can be in use at once; then ENOSPC"""
    dev.apply([vs.config_service(f"f{n}") for n in range(dev.info().ids_max - 1)])
    vs.eq(dev.info().services, dev.info().ids_max)
    vs.refused(errno.ENOSPC, "FULL", dev.create, "more")
    services = dev.services(room=4096)
    vs.eq([service.id for service in services], list(range(dev.info().ids_max)), "list")
    dev.destroy(dev.find("f77").id)
    dev.create("more")
    dev.apply(prune=True)
    vs.eq(dev.info().services, 1)


vs.main()
