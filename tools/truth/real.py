# SPDX-License-Identifier: MIT OR Apache-2.0
SERVERS = []
class Server: pass
