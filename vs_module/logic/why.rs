// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! The table of causes for which a command is refused.

use crate::table::NoMemory;

/// Hands the causes to the macro `$then`, in the order of `enum vs_reason`: the constant of the
/// ABI, the errno, the mistake and the way to mend it, as vsctl tells them.
#[macro_export]
macro_rules! each_reason {
    ($then:ident) => {
        $then! {
            NameBad VS_WHY_NAME_BAD EINVAL
                "the name is empty, longer than 63 characters, or has a character outside \
a-z 0-9 . _ -"
                "choose another name";
            NameTaken VS_WHY_NAME_TAKEN EEXIST
                "a service of this name exists"
                "choose another name, or `vsctl set` the one there is";
            IdTaken VS_WHY_ID_TAKEN EEXIST
                "this id is in use, or was lately, so that a task, socket or packet could still \
carry it"
                "leave the id out to be given a free one";
            NoService VS_WHY_NO_SERVICE ENOENT
                "there is no such service"
                "see `vsctl ls`";
            Root VS_WHY_ROOT EINVAL
                "this is not possible for root"
                "use a service below root";
            Depth VS_WHY_DEPTH EMLINK
                "the tree would have more than 16 levels below root"
                "choose a parent further up";
            Cycle VS_WHY_CYCLE ELOOP
                "a service cannot be its own ancestor"
                "choose a parent that is not below it";
            Full VS_WHY_FULL ENOSPC
                "no id or rule is left (262144 rules), or a call would take more than 64 look-ups \
in the rules of one gate"
                "destroy services not needed, or give the rules of this gate the same kinds of \
conditions, and networks that nest less deep";
            HasChildren VS_WHY_HAS_CHILDREN EBUSY
                "it has services below it"
                "destroy or move those first; see `vsctl tree`";
            HasTasks VS_WHY_HAS_TASKS EBUSY
                "it has tasks"
                "name a service that takes them over with --move-to, or see `vsctl ps`";
            HasSockets VS_WHY_HAS_SOCKETS EBUSY
                "it has sockets"
                "name a service that takes them over with --move-to, or see `vsctl ss`";
            HasRules VS_WHY_HAS_RULES EBUSY
                "rules name it"
                "delete them (see `vsctl rule ls`), or name a service that takes its place with \
--move-to";
            Shared VS_WHY_SHARED EPERM
                "the attribute is shared with the parent"
                "detach it first: `vsctl detach SERVICE ATTRIBUTE=VALUE`";
            Range VS_WHY_RANGE ERANGE
                "the value is outside the attribute's range, or the id is too large"
                "see `vsctl set --help` for the ranges, or leave the id out";
            Gate VS_WHY_GATE EINVAL
                "there is no such gate, or it takes no rules"
                "see `vsctl rule add --help` for the gates";
            Property VS_WHY_PROPERTY EINVAL
                "the gate does not have a property the rule asks for"
                "see `vsctl rule add --help`";
            Entity VS_WHY_ENTITY EINVAL
                "the gate does not have an entity the rule names, or cannot give it another service"
                "the entities of each gate stand in `vsctl rule add --help`";
            Value VS_WHY_VALUE EINVAL
                "a property's value is malformed"
                "see `vsctl rule add --help` for the forms";
            NoRule VS_WHY_NO_RULE ENOENT
                "no rule has this number"
                "see `vsctl rule ls`";
            NoTask VS_WHY_NO_TASK ESRCH
                "the task has exited"
                "nothing is left to do";
            Fd VS_WHY_FD EBADF
                "the descriptor is neither a process's nor a socket's"
                "give the number of a process or thread";
            NoGates VS_WHY_NO_GATES ENOTCONN
                "the gates that keep tags are not attached"
                "run `vsctl up`";
            Duplicate VS_WHY_DUPLICATE EEXIST
                "a service stands twice in the configuration"
                "remove one of them";
            Order VS_WHY_ORDER EINVAL
                "a parent stands after its child in the configuration"
                "this is a fault of vsctl: report it";
            OtherId VS_WHY_OTHER_ID EEXIST
                "the service exists, and has another id than the configuration says"
                "leave `id` out: the id of a service does not change";
        }
    };
}

macro_rules! define_reasons {
    ($($why:ident $abi:ident $errno:ident $what:literal $advice:literal;)*) => {
        /// The causes that the ABI can name: `enum vs_reason`, in its order, but for `VS_WHY_NONE`.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        #[allow(missing_docs)] // the text of each says what it means
        pub enum Why {
            $($why = Cause::$why as u32 + 1,)*
        }

        /// The causes, counted from 0.
        enum Cause {
            $($why,)*
        }

        impl Why {
            /// All, in the order of their numbers, of which the first is 1.
            pub const ALL: [Why; [$(Cause::$why),*].len()] = [$(Why::$why),*];

            /// The cause of this number.
            pub fn new(raw: u32) -> Option<Why> {
                Self::ALL.get((raw as usize).wrapping_sub(1)).copied()
            }

            /// The mistake.
            pub const fn what(self) -> &'static str {
                match self {
                    $(Why::$why => $what,)*
                }
            }

            /// The way to mend it.
            pub const fn advice(self) -> &'static str {
                match self {
                    $(Why::$why => $advice,)*
                }
            }
        }
    };
}
each_reason!(define_reasons);

/// The failure of an operation that has changed nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The caller asked for something that is not possible.
    Why(Why),
    /// An allocation failed.
    NoMemory,
}

impl From<Why> for Refusal {
    fn from(why: Why) -> Self {
        Refusal::Why(why)
    }
}

impl From<NoMemory> for Refusal {
    fn from(_: NoMemory) -> Self {
        Refusal::NoMemory
    }
}
