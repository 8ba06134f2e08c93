// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ss`: sockets with their service.

use anyhow::Result;
use clap::Args;
use vs_text::address;
use vs_text::gate::Proto;

use crate::abi::{vs_sock_record, VS_ROOT};
use crate::bpf::iter;
use crate::device::Device;
use crate::output::{Output, Table};
use crate::record;
use crate::service::{text, Services};

/// List sockets with their service
///
/// Lists the sockets of this network namespace. Root's are left out, unless --all is given.
#[derive(Debug, Args)]
pub struct Ss {
    /// Only sockets of this service
    name: Option<String>,
    /// Root's too
    #[arg(short, long)]
    all: bool,
}

record! {
    /// A socket.
    pub struct Row {
        /// Its service.
        pub service: String,
        /// Transport, as rules name it.
        pub proto: &'static str,
        /// State, as ss(8) names it.
        pub state: &'static str,
        /// Own address; of a unix socket its path, `@name` if abstract.
        pub local: String,
        /// Own port; null for unix sockets.
        pub lport: Option<u16>,
        /// The other end's address; empty for unix sockets.
        pub peer: String,
        /// The other end's port; null for unix sockets.
        pub pport: Option<u16>,
        /// Its inode, as in /proc/PID/fd; 0 if it belongs to no process.
        pub inode: u64,
    }
}

/// AF_UNIX.
const UNIX: u8 = 1;
/// TCP_ESTABLISHED and the states that follow, as ss(8) writes them. Unix sockets have the first,
/// the seventh (no peer) and the tenth.
const STATES: [&str; 12] = [
    "ESTAB",
    "SYN-SENT",
    "SYN-RECV",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "TIME-WAIT",
    "UNCONN",
    "CLOSE-WAIT",
    "LAST-ACK",
    "LISTEN",
    "CLOSING",
    "NEW-SYN-RECV",
];

impl Ss {
    /// Runs the command.
    pub fn run(self, output: Output) -> Result<()> {
        let services = Services::read(&Device::ask()?)?;
        let only = self
            .name
            .as_deref()
            .map(|name| services.find(name))
            .transpose()?
            .map(|service| service.id);
        iter::needed()?;
        let shown = |socket: &vs_sock_record| match only {
            Some(id) => u32::from(socket.vs) == id,
            None => self.all || u32::from(socket.vs) != VS_ROOT,
        };
        let rows: Vec<Row> = iter::sockets()?
            .into_iter()
            .filter(shown)
            .map(|socket| row(&services, &socket))
            .collect();
        output.value(&rows, |rows| {
            let mut table = Table::new(&["SERVICE", "PROTO", "STATE", "LOCAL", "PEER", ">INODE"]);
            for row in rows {
                table.row([
                    row.service.clone(),
                    row.proto.to_owned(),
                    row.state.to_owned(),
                    end(&row.local, row.lport),
                    end(&row.peer, row.pport),
                    row.inode.to_string(),
                ]);
            }
            table.text()
        })
    }
}

fn end(address: &str, port: Option<u16>) -> String {
    match port {
        Some(port) if address.contains(':') => format!("[{address}]:{port}"),
        Some(port) => format!("{address}:{port}"),
        None => address.escape_debug().to_string(),
    }
}

fn row(services: &Services, socket: &vs_sock_record) -> Row {
    let unix = socket.family == UNIX;
    Row {
        service: services.name(socket.vs.into()),
        proto: Proto::new(socket.proto).map_or("?", Proto::name),
        state: STATES
            .get(usize::from(socket.state).wrapping_sub(1))
            .unwrap_or(&"?"),
        local: if unix {
            path(socket)
        } else {
            address::show(socket.local)
        },
        lport: (!unix).then_some(socket.local_port),
        peer: if unix {
            String::new()
        } else {
            address::show(socket.peer)
        },
        pport: (!unix).then_some(socket.peer_port),
        inode: socket.inode,
    }
}

/// The name to which a unix socket is bound, as rules write it. A path may have a NUL behind it, an
/// abstract name has one before it.
fn path(socket: &vs_sock_record) -> String {
    let name: Vec<u8> = socket
        .name
        .iter()
        .take(socket.name_len.into())
        .map(|c| *c as u8)
        .collect();
    match name.split_first() {
        Some((0, name)) => format!("@{}", String::from_utf8_lossy(name)),
        _ => text(&socket.name[..name.len()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() {
        assert_eq!(end("10.0.0.1", Some(80)), "10.0.0.1:80");
        assert_eq!(end("::1", Some(80)), "[::1]:80");
        assert_eq!(end("/run/a\n", None), "/run/a\\n");
        assert_eq!(STATES[10 - 1], "LISTEN");
    }

    #[test]
    fn names_of_unix_sockets() {
        let socket = |name: &[u8]| {
            let mut socket = vs_sock_record {
                name_len: name.len() as u16,
                ..Default::default()
            };
            crate::service::fill(&mut socket.name, name);
            path(&socket)
        };
        assert_eq!(socket(b"/run/a.sock\0"), "/run/a.sock");
        assert_eq!(socket(b"/run/a.sock"), "/run/a.sock");
        assert_eq!(socket(b"\0bus"), "@bus");
        assert_eq!(socket(b""), "");
    }
}
