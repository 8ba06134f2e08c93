// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! The table of attributes, and which values each can have.

use super::why::Why;

/// No limit, no cap: `VS_UNLIMITED`.
pub const UNLIMITED: u32 = u32::MAX;
/// Largest weight.
pub const WEIGHT_MAX: u32 = 10_000;
/// Smallest cap, in thousandths of one CPU.
pub const CAP_MIN: u32 = 10;
/// Largest error number that programs know, EHWPOISON: those above are the kernel's own.
pub const ERRNO_MAX: u32 = 133;

/// The orders in which connections can be accepted: `enum vs_order`.
pub const ORDERS: [&str; 2] = ["arrival", "share"];
/// The order by what is left of CPU shares: `VS_ORDER_SHARE`.
pub const ORDER_SHARE: u32 = 1;

/// Hands the attributes to the macro `$then`, in the order of `enum vs_attr`: the constant of the
/// ABI, the name, the kind, and what root has unless it is told otherwise. EAGAIN and ENOBUFS are
/// the errors of these calls at the kernel's own limits.
#[macro_export]
macro_rules! each_attr {
    ($then:ident) => {
        $then! {
            /// Share of CPU time among siblings.
            CpuWeight VS_ATTR_CPU_WEIGHT "cpu_weight" Weight 100;
            /// Most CPU time.
            CpuCap VS_ATTR_CPU_CAP "cpu_cap" Cap u32::MAX;
            /// Most tasks, threads among them.
            TasksMax VS_ATTR_TASKS_MAX "tasks_max" Limit u32::MAX;
            /// Most sockets.
            SocketsMax VS_ATTR_SOCKETS_MAX "sockets_max" Limit u32::MAX;
            /// The error of fork at the limit.
            TasksErrno VS_ATTR_TASKS_ERRNO "tasks_errno" Errno 11;
            /// The error of socket and socketpair at the limit, and of connect() to a unix socket
            /// of a service that has reached it.
            SocketsErrno VS_ATTR_SOCKETS_ERRNO "sockets_errno" Errno 105;
            /// The order in which its tasks accept connections.
            AcceptOrder VS_ATTR_ACCEPT_ORDER "accept_order" Order 0;
        }
    };
}

/// The meaning of the number behind an attribute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A share, 1 to [`WEIGHT_MAX`].
    Weight,
    /// Thousandths of one CPU, from [`CAP_MIN`], or [`UNLIMITED`].
    Cap,
    /// How many, or [`UNLIMITED`].
    Limit,
    /// An error number, 1 to [`ERRNO_MAX`].
    Errno,
    /// An order of connections, a place in [`ORDERS`].
    Order,
}

macro_rules! define_attrs {
    ($(
        $(#[doc = $about:literal])*
        $attr:ident $abi:ident $name:literal $kind:ident $default:expr;
    )*) => {
        /// Attributes: `enum vs_attr`, in its order.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Attr {
            $(
                $(#[doc = $about])*
                $attr,
            )*
        }

        impl Attr {
            /// How many there are.
            pub const COUNT: usize = [$(Attr::$attr),*].len();

            /// All, in the order of their numbers.
            pub const ALL: [Attr; Attr::COUNT] = [$(Attr::$attr),*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Attr::$attr => $name,)*
                }
            }

            /// The meaning of its number.
            pub const fn kind(self) -> Kind {
                match self {
                    $(Attr::$attr => Kind::$kind,)*
                }
            }

            /// The value that root has unless it is told otherwise.
            pub const fn default(self) -> u32 {
                match self {
                    $(Attr::$attr => $default,)*
                }
            }
        }
    };
}
each_attr!(define_attrs);

impl Attr {
    /// All of them, as bits.
    pub const MASK: u32 = (1 << Attr::COUNT) - 1;

    /// The attribute of this number.
    pub fn new(raw: u16) -> Option<Attr> {
        Self::ALL.get(usize::from(raw)).copied()
    }

    /// Its bit in a set.
    pub const fn bit(self) -> u32 {
        1 << self as u8
    }

    /// Checks a value that it is to take.
    pub fn check(self, value: u32) -> Result<(), Why> {
        let fits = match self.kind() {
            Kind::Weight => (1..=WEIGHT_MAX).contains(&value),
            Kind::Cap => value >= CAP_MIN,
            Kind::Limit => true,
            Kind::Errno => (1..=ERRNO_MAX).contains(&value),
            Kind::Order => (value as usize) < ORDERS.len(),
        };
        fits.then_some(()).ok_or(Why::Range)
    }
}
