// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! Reads the headers of an IP packet: protocol, addresses, ports, and whether it is a fragment.
//!
//! Pure and bounded: nothing here calls the kernel or allocates, each loop has a limit, and for any
//! bytes the answer is a value, never a panic. The same file is compiled into the module, where the
//! bytes are those of a packet buffer, and into the host tests, where they are a slice.

/// Bytes that begin with an IP header.
pub(crate) trait Bytes {
    /// Fills `into` with the bytes from offset `at` on; `false` if they are not all there.
    fn read(&self, at: usize, into: &mut [u8]) -> bool;
}

impl Bytes for [u8] {
    fn read(&self, at: usize, into: &mut [u8]) -> bool {
        let end = at.checked_add(into.len());
        match end.and_then(|end| self.get(at..end)) {
            Some(bytes) => {
                into.copy_from_slice(bytes);
                true
            }
            None => false,
        }
    }
}

/// Protocol numbers, as IANA assigned them.
mod protocol {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const AUTHENTICATION: u8 = 51;
    pub(super) const DESTINATION: u8 = 60;
}

/// TCP's protocol number.
pub(crate) const TCP: u8 = 6;
/// UDP's protocol number.
pub(crate) const UDP: u8 = 17;

/// How many extension headers of IPv6 are followed. RFC 8200 lets a node send each kind once, and
/// one of them twice; the ports of a packet with more count as unknown.
const EXTENSIONS_MAX: usize = 8;

/// Length of an IPv6 fragment header, bytes.
const FRAGMENT_HEADER: usize = 8;

/// The part of a datagram that a packet holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// The first fragment, which has the ports.
    First,
    /// Another fragment, which has no ports.
    Later,
}

/// The source and destination of a packet, as its headers say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Packet {
    /// Network byte order; IPv4 as `::ffff:a.b.c.d`.
    pub(crate) source: [u8; 16],
    /// In the same form.
    pub(crate) destination: [u8; 16],
    /// The protocol above IP; for an IPv6 packet with an unknown extension header, the number of
    /// that.
    pub(crate) protocol: u8,
    pub(crate) part: Part,
    /// Source and destination port, host byte order: for TCP and UDP, if this packet has them.
    pub(crate) ports: Option<(u16, u16)>,
    /// It asks for a new TCP connection: a SYN without ACK.
    pub(crate) opens: bool,
    /// It is of IPv4.
    pub(crate) is_v4: bool,
}

impl Packet {
    /// The packet as it would be if the other end had sent it.
    pub(crate) fn reversed(&self) -> Packet {
        Packet {
            source: self.destination,
            destination: self.source,
            ports: self
                .ports
                .map(|(source, destination)| (destination, source)),
            ..*self
        }
    }

    /// Reads the headers. `None`: not an IP packet, or one cut off within its headers.
    pub(crate) fn parse<B: Bytes + ?Sized>(bytes: &B) -> Option<Packet> {
        let header = array::<20, B>(bytes, 0)?;
        match header[0] >> 4 {
            4 => Self::parse_v4(bytes, &header),
            6 => Self::parse_v6(bytes),
            _ => None,
        }
    }

    fn parse_v4<B: Bytes + ?Sized>(bytes: &B, header: &[u8; 20]) -> Option<Packet> {
        let length = usize::from(header[0] & 0xf) * 4;
        if length < header.len() {
            return None;
        }
        let fragment = u16::from_be_bytes([header[6], header[7]]);
        let part = part(fragment & 0x1fff != 0, fragment & 0x2000 != 0);
        let protocol = header[9];
        Some(Packet {
            source: mapped(header, 12),
            destination: mapped(header, 16),
            protocol,
            part,
            ports: ports(bytes, protocol, part, length),
            opens: opens(bytes, protocol, part, length),
            is_v4: true,
        })
    }

    fn parse_v6<B: Bytes + ?Sized>(bytes: &B) -> Option<Packet> {
        let header = array::<40, B>(bytes, 0)?;
        let mut protocol = header[6];
        let mut at = header.len();
        let mut part = Part::Whole;
        for _ in 0..EXTENSIONS_MAX {
            let unit = match protocol {
                protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION => 8,
                protocol::AUTHENTICATION => 4,
                protocol::FRAGMENT => {
                    let extension = array::<FRAGMENT_HEADER, B>(bytes, at)?;
                    let fragment = u16::from_be_bytes([extension[2], extension[3]]);
                    part = self::part(fragment & 0xfff8 != 0, fragment & 1 != 0);
                    protocol = extension[0];
                    at += FRAGMENT_HEADER;
                    if part == Part::Later {
                        // The packet's other bytes are from the middle of the datagram.
                        break;
                    }
                    continue;
                }
                _ => break,
            };
            let extension = array::<2, B>(bytes, at)?;
            // Both lengths leave out the first 8 bytes; one is in units of 8 bytes, the other in
            // units of 4.
            let length = 8 + usize::from(extension[1]) * unit;
            at += length;
            protocol = extension[0];
        }
        Some(Packet {
            source: address(&header, 8),
            destination: address(&header, 24),
            protocol,
            part,
            ports: ports(bytes, protocol, part, at),
            opens: opens(bytes, protocol, part, at),
            is_v4: false,
        })
    }
}

fn array<const N: usize, B: Bytes + ?Sized>(bytes: &B, at: usize) -> Option<[u8; N]> {
    let mut array = [0; N];
    bytes.read(at, &mut array).then_some(array)
}

fn part(offset: bool, more: bool) -> Part {
    match (offset, more) {
        (false, false) => Part::Whole,
        (false, true) => Part::First,
        (true, _) => Part::Later,
    }
}

fn address<const N: usize>(header: &[u8; N], at: usize) -> [u8; 16] {
    let mut address = [0; 16];
    address.copy_from_slice(&header[at..at + 16]);
    address
}

fn mapped<const N: usize>(header: &[u8; N], at: usize) -> [u8; 16] {
    let mut address = [0; 16];
    address[10..12].fill(0xff);
    address[12..].copy_from_slice(&header[at..at + 4]);
    address
}

fn ports<B: Bytes + ?Sized>(bytes: &B, protocol: u8, part: Part, at: usize) -> Option<(u16, u16)> {
    if part == Part::Later || !matches!(protocol, TCP | UDP) {
        return None;
    }
    let ports = array::<4, B>(bytes, at)?;
    let port = |n| u16::from_be_bytes([ports[n], ports[n + 1]]);
    Some((port(0), port(2)))
}

/// Whether the TCP header at `at` says SYN, and not ACK.
fn opens<B: Bytes + ?Sized>(bytes: &B, protocol: u8, part: Part, at: usize) -> bool {
    const FLAGS: usize = 13;
    const SYN: u8 = 0x02;
    const ACK: u8 = 0x10;
    protocol == TCP
        && part != Part::Later
        && array::<1, B>(bytes, at + FLAGS).is_some_and(|flags| flags[0] & (SYN | ACK) == SYN)
}
