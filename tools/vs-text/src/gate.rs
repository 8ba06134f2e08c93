// SPDX-License-Identifier: GPL-2.0
//! The gates as the text names them: which entities each touches, which properties its rules may ask for.
//!
//! This is the table at the head of `uapi/vs.h` in the words of Documentation/rules.md. The numbers are those of
//! `enum vs_gate` and `VS_P_*`; vsctl has a test that holds the two together.

/// A set of properties: bit `n` stands for `Property::ALL[n]`, as in `vs_rule.props`.
pub type Properties = u16;

/// A property of a call that a rule can ask for. The order is that of `VS_P_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Property {
    /// The program's path.
    Path,
    /// The path or abstract name of a unix socket.
    Unix,
    /// The task's path below the cgroup2 root.
    Cgroup,
    /// Effective user id.
    Uid,
    /// Effective group id.
    Gid,
    /// Transport.
    Proto,
    /// Own address.
    Local,
    /// Own port.
    Lport,
    /// The other end's address.
    Peer,
    /// The other end's port.
    Pport,
    /// Interface a packet came in by.
    Iface,
}

impl Property {
    /// All, in the order of their bits.
    pub const ALL: [Self; 11] = [
        Self::Path,
        Self::Unix,
        Self::Cgroup,
        Self::Uid,
        Self::Gid,
        Self::Proto,
        Self::Local,
        Self::Lport,
        Self::Peer,
        Self::Pport,
        Self::Iface,
    ];

    /// Its name in a rule.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Unix => "unix",
            Self::Cgroup => "cgroup",
            Self::Uid => "uid",
            Self::Gid => "gid",
            Self::Proto => "proto",
            Self::Local => "local",
            Self::Lport => "lport",
            Self::Peer => "peer",
            Self::Pport => "pport",
            Self::Iface => "iface",
        }
    }

    /// The property of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|property| property.name() == name)
    }

    /// Its bit in a set.
    pub const fn bit(self) -> Properties {
        1 << self as u16
    }
}

/// Properties that say who calls: known wherever a task is in hand.
const CALLER: Properties = Property::Uid.bit() | Property::Gid.bit() | Property::Cgroup.bit();
/// Both ends of a connection.
const ENDS: Properties = Property::Proto.bit()
    | Property::Local.bit()
    | Property::Lport.bit()
    | Property::Peer.bit()
    | Property::Pport.bit();

/// An interception point. The order is that of `enum vs_gate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gate {
    /// A task is made.
    Fork,
    /// A program is executed.
    Exec,
    /// A task ends; counts only.
    Exit,
    /// The user id changes.
    Setuid,
    /// The group id changes.
    Setgid,
    /// A socket is made.
    Socket,
    /// A pair of sockets is made.
    Socketpair,
    /// A socket is connected.
    Connect,
    /// A connection is taken.
    Accept,
    /// A message is sent.
    Send,
    /// A message is received.
    Recv,
    /// A socket is closed; counts only.
    Close,
    /// A task waits for its next request; counts only.
    Wait,
    /// A packet comes in that belongs to no connection yet.
    Packet,
}

impl Gate {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::Fork,
        Self::Exec,
        Self::Exit,
        Self::Setuid,
        Self::Setgid,
        Self::Socket,
        Self::Socketpair,
        Self::Connect,
        Self::Accept,
        Self::Send,
        Self::Recv,
        Self::Close,
        Self::Wait,
        Self::Packet,
    ];

    /// Its name in a rule.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Exec => "exec",
            Self::Exit => "exit",
            Self::Setuid => "setuid",
            Self::Setgid => "setgid",
            Self::Socket => "socket",
            Self::Socketpair => "socketpair",
            Self::Connect => "connect",
            Self::Accept => "accept",
            Self::Send => "send",
            Self::Recv => "recv",
            Self::Close => "close",
            Self::Wait => "wait",
            Self::Packet => "packet",
        }
    }

    /// The gate of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|gate| gate.name() == name)
    }

    /// The gate of that number, which is that of `enum vs_gate`.
    pub fn numbered(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The entities its rules name, the caller first. None: it takes no rules.
    pub const fn entities(self) -> &'static [&'static str] {
        match self {
            Self::Fork => &["task", "child"],
            Self::Exec | Self::Setuid | Self::Setgid => &["task"],
            Self::Socket | Self::Connect => &["task", "socket"],
            Self::Socketpair => &["task", "socket", "peersocket"],
            Self::Accept => &["task", "conn"],
            Self::Send | Self::Recv => &["task", "socket", "msg"],
            Self::Packet => &["conn"],
            Self::Exit | Self::Close | Self::Wait => &[],
        }
    }

    /// Whether a rule that asks for `proto` can give the entity of this place another service. A message that has come
    /// has its sender's, and one that is sent can be told from its socket by UDP alone.
    pub fn binds(self, place: usize, proto: Option<Proto>) -> bool {
        match self {
            Self::Recv => place < 2,
            Self::Send => place < 2 || (place == 2 && matches!(proto, None | Some(Proto::Udp))),
            _ => place < self.entities().len(),
        }
    }

    /// The properties its rules may ask for.
    pub const fn properties(self) -> Properties {
        match self {
            Self::Fork | Self::Setuid | Self::Setgid => CALLER,
            Self::Exec => CALLER | Property::Path.bit(),
            Self::Socket | Self::Socketpair => CALLER | Property::Proto.bit(),
            Self::Connect | Self::Accept | Self::Send | Self::Recv => {
                CALLER | ENDS | Property::Unix.bit()
            }
            Self::Packet => ENDS | Property::Iface.bit(),
            Self::Exit | Self::Close | Self::Wait => 0,
        }
    }

    /// Whether it takes rules at all.
    pub const fn takes_rules(self) -> bool {
        !self.entities().is_empty()
    }
}

/// Transports, in the order of `enum vs_proto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proto {
    /// None of the others; calls have it, rules cannot ask for it.
    Other,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// A unix stream socket.
    UnixStream,
    /// A unix datagram socket.
    UnixDgram,
    /// A unix sequenced-packet socket.
    UnixSeqpacket,
}

impl Proto {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Other,
        Self::Tcp,
        Self::Udp,
        Self::UnixStream,
        Self::UnixDgram,
        Self::UnixSeqpacket,
    ];

    /// Its name in a rule.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::UnixStream => "unix-stream",
            Self::UnixDgram => "unix-dgram",
            Self::UnixSeqpacket => "unix-seqpacket",
        }
    }

    /// The transport of that name that a rule can ask for.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .skip(1)
            .find(|proto| proto.name() == name)
    }

    /// The transport of that number, which is that of `enum vs_proto`.
    pub fn numbered(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places() {
        for (n, gate) in Gate::ALL.into_iter().enumerate() {
            assert_eq!(gate as usize, n);
            assert_eq!(Gate::named(gate.name()), Some(gate));
            assert_eq!(Gate::numbered(n as u16), Some(gate));
            assert_eq!(gate.takes_rules(), gate.properties() != 0);
        }
        for (n, property) in Property::ALL.into_iter().enumerate() {
            assert_eq!(property.bit(), 1 << n);
            assert_eq!(Property::named(property.name()), Some(property));
        }
        for (n, proto) in Proto::ALL.into_iter().enumerate() {
            assert_eq!(Proto::numbered(n as u8), Some(proto));
        }
        assert_eq!(Proto::named("other"), None);
        assert_eq!(Gate::numbered(14), None);
    }

    #[test]
    fn a_word_is_either_an_entity_or_a_property() {
        for gate in Gate::ALL {
            for entity in gate.entities() {
                assert_eq!(Property::named(entity), None, "{entity}");
            }
        }
    }
}
