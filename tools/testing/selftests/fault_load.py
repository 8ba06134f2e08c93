#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 600
# module: no
# expect: kmemleak: Cannot allocate a scan area
# expect: WARNING: kernel/trace/trace_events.c:[0-9]+ at event_define_fields
"""Loading the module while memory is short, allocation by allocation: it is not loaded, or it
works.
"""

import ctypes
import errno
import os

import fault
import vs

NR_FINIT_MODULE = 313
MODULE = os.environ["VS_MODULE"]


@vs.test
def loading():
    """A load that fails leaves nothing, and the next one succeeds"""
    fd = os.open(MODULE, os.O_RDONLY | os.O_CLOEXEC)
    parameters = ctypes.c_char_p(b"")
    failed = loaded = 0
    for n, error in fault.nth(lambda: fault.syscall(NR_FINIT_MODULE, fd, parameters, 0)):
        here = [os.path.exists(path) for path in ("/sys/module/vs", vs.DEVICE)]
        if error:
            # EINVAL and ELOOP: the kernel's errors when it has no memory to look up types and
            # kfuncs
            wanted = errno.ENOMEM, errno.EINVAL, errno.EFAULT, errno.ELOOP
            vs.eq(
                (-error in wanted, here),
                (True, [False, False]),
                f"fault {n}: {error}, what is there",
            )
            failed += 1
            continue
        vs.eq(here, [True, True], f"fault {n}: what is there")
        dev = vs.Device()
        dev.create("a")
        dev.close()
        vs.eq(vs.run("rmmod", "vs").returncode, 0, "rmmod")
        loaded += 1
    os.close(fd)
    print(f"# {failed} loads failed, {loaded} did not", flush=True)
    vs.eq(failed > 50, True, "loads that failed")


fault.main()
