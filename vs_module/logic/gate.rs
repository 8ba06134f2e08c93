// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! The table of gates, and those of the properties and protocols that rules ask for.
//!
//! Each table stands once, in a macro that hands its rows to another macro. The enums below are
//! made so; so are, elsewhere, the assertions that hold them to `uapi/vs.h`. The comments of that
//! header and the tables of Documentation/rules.md are made from [`Gate::row`] by a test of
//! `vs-text`.

/// Hands the gates to the macro `$then`, in the order of `enum vs_gate`: the constant of the ABI,
/// the name, the entities with the carrier of each one's tag and whether a rule can bind it, the
/// properties that rules can ask for, the trigger, and the fate of the entities without a rule.
///
/// A gate without entities counts and takes no rules.
#[macro_export]
macro_rules! each_gate {
    ($then:ident) => {
        $then! {
            /// A task is created. What its parent works on, a rule can hand on to it.
            Fork VS_GATE_FORK "fork" [task Task true, child Task true, work Task true]
                [TASK] Creation
                "the child is at home where the caller is, and has no work in hand";
            /// A program is executed.
            Exec VS_GATE_EXEC "exec" [task Task true]
                [TASK PATH] Transformation
                "nothing changes";
            /// A task exits.
            Exit VS_GATE_EXIT "exit" []
                [] Transformation
                "nothing changes";
            /// The user id changes, to the one that rules see.
            Setuid VS_GATE_SETUID "setuid" [task Task true]
                [TASK] Transformation
                "nothing changes";
            /// The group id changes, to the one that rules see.
            Setgid VS_GATE_SETGID "setgid" [task Task true]
                [TASK] Transformation
                "nothing changes";
            /// A socket is created.
            Socket VS_GATE_SOCKET "socket" [task Task true, socket Socket true]
                [TASK PROTO] Creation
                "the socket takes the caller's home VS";
            /// A pair of sockets is created.
            Socketpair VS_GATE_SOCKETPAIR "socketpair"
                [task Task true, socket Socket true, peersocket Socket true]
                [TASK PROTO] Creation
                "both take the caller's home VS";
            /// A socket is connected.
            Connect VS_GATE_CONNECT "connect" [task Task true, socket Socket true]
                [TASK PROTO ENDS UNIX] Communication
                "the socket takes the caller's home VS";
            /// A connection is accepted.
            Accept VS_GATE_ACCEPT "accept" [task Task true, conn Socket true]
                [TASK PROTO ENDS UNIX] Communication
                "the connection has its client's VS, or the acceptor's home; work in hand ends";
            /// A message is sent.
            Send VS_GATE_SEND "send" [task Task true, socket Socket true, msg Packet true]
                [TASK PROTO ENDS UNIX] Communication
                "nothing changes";
            /// A message is received. It has its sender's VS, which no rule changes.
            Recv VS_GATE_RECV "recv" [task Task true, socket Socket true, msg Packet false]
                [TASK PROTO ENDS UNIX] Communication
                "work in hand ends, unless it has asked for this";
            /// A socket is closed, by which the work in hand may have come.
            Close VS_GATE_CLOSE "close" []
                [] Communication
                "the work that came by the socket ends";
            /// A task waits for its next request.
            Wait VS_GATE_WAIT "wait" []
                [] Synchronization
                "the work in hand ends";
            /// A packet comes in, or goes out.
            Packet VS_GATE_PACKET "packet" [conn Packet true]
                [PROTO ENDS IFACE] Communication
                "the connection stays unclassified";
            /// A task says which connection it serves, or that it is done.
            Hint VS_GATE_HINT "hint" [task Task true, socket Socket false]
                [TASK PROTO ENDS UNIX] Synchronization
                "work in hand ends";
            /// A task reads from a pipe, an eventfd or the like, or takes a message from a queue.
            Read VS_GATE_READ "read" []
                [] Communication
                "the work in hand ends";
        }
    };
}

/// Hands the properties to the macro `$then`, in the order of their bits: the bit of the ABI, its
/// name in [`props`], its name in a rule, and the form of a value.
#[macro_export]
macro_rules! each_property {
    ($then:ident) => {
        $then! {
            /// The program's path.
            Path VS_P_PATH PATH "path" "a program's full path, or `/folder/*`";
            /// The path or abstract name of a unix socket.
            Unix VS_P_UNIX UNIX "unix"
                "a socket's full path, `@name` if abstract, or `/folder/*`";
            /// The task's path below the cgroup2 root.
            Cgroup VS_P_CGROUP CGROUP "cgroup"
                "a path below the cgroup2 mount such as `/system.slice/x.service`, or `/…/*`";
            /// The effective user id.
            Uid VS_P_UID UID "uid" "a number (see `id`)";
            /// The effective group id.
            Gid VS_P_GID GID "gid" "a number (see `id`)";
            /// The transport.
            Proto VS_P_PROTO PROTO "proto"
                "tcp, udp, unix-stream, unix-dgram, unix-seqpacket or queue";
            /// The own address.
            Local VS_P_LOCAL LOCAL "local"
                "an address or prefix such as 10.1.0.0/16 or 2001:db8::1";
            /// The own port.
            Lport VS_P_LPORT LPORT "lport" "a port from 0 to 65535";
            /// The other end's address.
            Peer VS_P_PEER PEER "peer"
                "an address or prefix such as 10.1.0.0/16 or 2001:db8::1";
            /// The other end's port.
            Pport VS_P_PPORT PPORT "pport" "a port from 0 to 65535";
            /// The interface that a packet came in by.
            Iface VS_P_IFACE IFACE "iface" "an interface's name such as eth0";
        }
    };
}

/// Hands the protocols to the macro `$then`, in the order of `enum vs_proto`.
#[macro_export]
macro_rules! each_proto {
    ($then:ident) => {
        $then! {
            /// None of the others: calls have it, rules written as text cannot ask for it.
            Other VS_PROTO_OTHER "other";
            /// TCP.
            Tcp VS_PROTO_TCP "tcp";
            /// UDP.
            Udp VS_PROTO_UDP "udp";
            /// A unix stream socket.
            UnixStream VS_PROTO_UNIX_STREAM "unix-stream";
            /// A unix datagram socket.
            UnixDgram VS_PROTO_UNIX_DGRAM "unix-dgram";
            /// A unix sequenced-packet socket.
            UnixSeqpacket VS_PROTO_UNIX_SEQPACKET "unix-seqpacket";
            /// A System V or POSIX message queue, which is no socket.
            Queue VS_PROTO_QUEUE "queue";
        }
    };
}

/// Where an entity's tag is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carrier {
    /// In the task's storage. A task works for the VS that it is bound to.
    Task,
    /// In a table of sockets.
    Socket,
    /// In the packet.
    Packet,
}

/// The kinds of gates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// An entity comes into being.
    Creation,
    /// Entities exchange something.
    Communication,
    /// A task waits.
    Synchronization,
    /// A task becomes something else.
    Transformation,
}

/// A thing that a call is about, and that a rule can name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entity {
    /// Its name in a rule.
    pub name: &'static str,
    /// Where its tag is kept.
    pub carrier: Carrier,
    /// Whether a rule can give it another VS.
    pub binds: bool,
}

/// A row of the table of gates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The gate's name in a rule.
    pub name: &'static str,
    /// The event that passes the gate, as a sentence.
    pub about: &'static str,
    /// The entities of a call, the caller first. None: the gate counts and takes no rules.
    pub entities: &'static [Entity],
    /// The properties that its rules can ask for.
    pub props: u32,
    /// Its kind.
    pub trigger: Trigger,
    /// The fate of the entities if no rule says anything else.
    pub untold: &'static str,
}

macro_rules! define_gates {
    ($(
        #[doc = $about:literal]
        $gate:ident $abi:ident $name:literal
        [$($entity:ident $carrier:ident $binds:literal),*] [$($props:ident)*]
        $trigger:ident $untold:literal;
    )*) => {
        /// Interception points: `enum vs_gate`, in its order.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Gate {
            $(
                #[doc = $about]
                $gate,
            )*
        }

        impl Gate {
            /// All, in the order of their numbers.
            pub const ALL: [Gate; Gate::COUNT] = [$(Gate::$gate),*];
        }

        /// How many gates there are, and the table itself.
        const COUNT: usize = [$(Gate::$gate),*].len();
        static ROWS: [Row; COUNT] = [$(
            Row {
                name: $name,
                about: $about,
                entities: &[$(
                    Entity {
                        name: stringify!($entity),
                        carrier: Carrier::$carrier,
                        binds: $binds,
                    }
                ),*],
                props: 0 $(| props::$props)*,
                trigger: Trigger::$trigger,
                untold: $untold,
            }
        ),*];
    };
}
each_gate!(define_gates);

impl Gate {
    /// How many there are.
    pub const COUNT: usize = COUNT;

    /// The gate of this number.
    pub fn new(raw: u32) -> Option<Gate> {
        Self::ALL.get(raw as usize).copied()
    }

    /// The gate of this name.
    pub fn named(name: &str) -> Option<Gate> {
        Self::ALL.into_iter().find(|gate| gate.name() == name)
    }

    /// Its row in the table.
    pub fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// Its name in a rule.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The entities of a call, the caller first.
    pub fn entities(self) -> &'static [Entity] {
        self.row().entities
    }

    /// Whether it takes rules at all.
    pub fn takes_rules(self) -> bool {
        !self.entities().is_empty()
    }

    /// Whether a rule can give entity `n` another VS.
    pub fn binds(self, n: usize) -> bool {
        self.entities().get(n).is_some_and(|entity| entity.binds)
    }

    /// Whether a rule that asks for `proto` can give entity `n` another VS: a message that is sent
    /// can be told from its socket over TCP and UDP, of unix streams and datagrams, and in a queue.
    pub fn binds_by(self, n: usize, proto: Option<Proto>) -> bool {
        let told = match proto {
            Some(Proto::Other | Proto::UnixSeqpacket) => self != Gate::Send || n != 2,
            _ => true,
        };
        self.binds(n) && told
    }

    /// Whether entity `n` is a task, which works for the VS that it is bound to.
    pub fn is_task(self, n: usize) -> bool {
        self.entities()
            .get(n)
            .is_some_and(|entity| entity.carrier == Carrier::Task)
    }

    /// The properties that rules of this gate can ask for.
    pub fn props(self) -> u32 {
        self.row().props
    }
}

macro_rules! define_properties {
    ($(
        #[doc = $about:literal]
        $property:ident $abi:ident $bit:ident $name:literal $form:literal;
    )*) => {
        /// Properties of a call that a rule can ask for, in the order of the bits `VS_P_*`.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Property {
            $(
                #[doc = $about]
                $property,
            )*
        }

        /// Sets of properties: the bits `VS_P_*`.
        pub mod props {
            use super::Property;

            $(
                #[doc = $about]
                pub const $bit: u32 = 1 << Property::$property as u32;
            )*
            /// All there are.
            pub const ALL: u32 = 0 $(| $bit)*;
            /// Those of a connection.
            pub const ENDS: u32 = LOCAL | LPORT | PEER | PPORT;
            /// Those of a task.
            pub const TASK: u32 = UID | GID | CGROUP;
            /// Those whose values need a buffer.
            pub const NAMES: u32 = PATH | UNIX | CGROUP;
        }

        impl Property {
            /// All, in the order of their bits.
            pub const ALL: [Property; props::ALL.count_ones() as usize] =
                [$(Property::$property),*];

            /// Its name in a rule.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Property::$property => $name,)*
                }
            }

            /// The form of a value.
            pub const fn form(self) -> &'static str {
                match self {
                    $(Property::$property => $form,)*
                }
            }
        }
    };
}
each_property!(define_properties);

impl Property {
    /// The property of this name.
    pub fn named(name: &str) -> Option<Property> {
        Self::ALL
            .into_iter()
            .find(|property| property.name() == name)
    }

    /// Its bit in a set.
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// Those in a set, in their order.
    pub fn among(set: u32) -> impl Iterator<Item = Property> {
        Self::ALL
            .into_iter()
            .filter(move |property| set & property.bit() != 0)
    }
}

macro_rules! define_protos {
    ($(#[doc = $about:literal] $proto:ident $abi:ident $name:literal;)*) => {
        /// Transports: `enum vs_proto`, in its order.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Proto {
            $(
                #[doc = $about]
                $proto,
            )*
        }

        impl Proto {
            /// How many there are.
            pub const COUNT: usize = [$(Proto::$proto),*].len();

            /// All, in the order of their numbers.
            pub const ALL: [Proto; Proto::COUNT] = [$(Proto::$proto),*];

            /// Its name in a rule.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Proto::$proto => $name,)*
                }
            }
        }
    };
}
each_proto!(define_protos);

impl Proto {
    /// The protocol of this number.
    pub fn new(raw: u8) -> Option<Proto> {
        Self::ALL.get(usize::from(raw)).copied()
    }

    /// The protocol of this name that a rule can ask for.
    pub fn named(name: &str) -> Option<Proto> {
        Self::ALL
            .into_iter()
            .skip(1)
            .find(|proto| proto.name() == name)
    }
}
