// SPDX-License-Identifier: MIT OR Apache-2.0

//! `vs_netfilter/parse.rs`: packets made here are read back whole, and no bytes at all do harm.

use crate::parse::{Bytes, Packet, Part, TCP, UDP};
use proptest::prelude::*;

/// An IPv4 packet with `options` bytes of options and a fragment field.
fn v4(options: usize, fragment: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let words = 5 + options.div_ceil(4);
    let mut packet = vec![0; words * 4];
    packet[0] = 0x40 | words as u8;
    packet[6..8].copy_from_slice(&fragment.to_be_bytes());
    packet[9] = protocol;
    packet[12..16].copy_from_slice(&[10, 1, 2, 3]);
    packet[16..20].copy_from_slice(&[10, 9, 8, 7]);
    packet.extend_from_slice(payload);
    packet
}

/// An IPv6 packet: the kind of the first header after the fixed one, then all that follows.
fn v6(next: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 40];
    packet[0] = 0x60;
    packet[6] = next;
    packet[8..24].copy_from_slice(&[0x11; 16]);
    packet[24..40].copy_from_slice(&[0x22; 16]);
    packet.extend_from_slice(rest);
    packet
}

/// An extension header of kind `kind`, followed by `next`; `size` is what its length field says.
fn extension(kind: u8, next: u8, size: u8) -> Vec<u8> {
    let length = match kind {
        44 => 8,
        51 => (usize::from(size) + 2) * 4,
        _ => (usize::from(size) + 1) * 8,
    };
    let mut header = vec![0; length];
    header[0] = next;
    header[1] = if kind == 44 { 0 } else { size };
    header
}

fn parsed(packet: &[u8]) -> Packet {
    Packet::parse(packet).expect("a packet")
}

const PORTS: [u8; 4] = [0x12, 0x34, 0x15, 0x38];

#[test]
fn v4_addresses_and_ports() {
    let packet = parsed(&v4(0, 0, TCP, &PORTS));
    assert_eq!(
        packet.source,
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3]
    );
    assert_eq!(
        packet.destination,
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 9, 8, 7]
    );
    assert_eq!(
        (packet.protocol, packet.ports),
        (TCP, Some((0x1234, 0x1538)))
    );
    assert_eq!(packet.part, Part::Whole);
}

#[test]
fn a_syn_opens_a_connection() {
    let opens = |flags: u8, protocol| {
        let mut header = [0; 20];
        header[13] = flags;
        [
            parsed(&v4(0, 0, protocol, &header)).opens,
            parsed(&v6(protocol, &header)).opens,
        ]
    };
    assert_eq!(opens(0x02, TCP), [true; 2], "SYN");
    assert_eq!(opens(0xc2, TCP), [true; 2], "SYN with ECN");
    assert_eq!(opens(0x12, TCP), [false; 2], "SYN and ACK");
    assert_eq!(opens(0x10, TCP), [false; 2], "ACK");
    assert_eq!(opens(0x02, UDP), [false; 2], "not TCP");
    assert!(!parsed(&v4(0, 0, TCP, &PORTS)).opens, "cut off before it");
}

#[test]
fn v4_ports_lie_behind_the_options() {
    let packet = parsed(&v4(40, 0, UDP, &PORTS));
    assert_eq!(packet.ports, Some((0x1234, 0x1538)));
}

#[test]
fn v4_fragments() {
    assert_eq!(
        parsed(&v4(0, 0x4000, UDP, &PORTS)).part,
        Part::Whole,
        "may not be fragmented"
    );
    let first = parsed(&v4(0, 0x2000, UDP, &PORTS));
    assert_eq!(
        (first.part, first.ports),
        (Part::First, Some((0x1234, 0x1538)))
    );
    for fragment in [0x0001, 0x2001, 0x1fff] {
        let later = parsed(&v4(0, fragment, UDP, &PORTS));
        assert_eq!(
            (later.part, later.ports),
            (Part::Later, None),
            "{fragment:#x}"
        );
    }
}

#[test]
fn other_protocols_have_no_ports() {
    assert_eq!(parsed(&v4(0, 0, 1, &PORTS)).ports, None);
    assert_eq!(parsed(&v6(58, &PORTS)).ports, None);
}

#[test]
fn what_is_cut_off_is_no_packet_or_has_no_ports() {
    let whole = v4(8, 0, TCP, &PORTS);
    for length in 0..20 {
        assert_eq!(Packet::parse(&whole[..length]), None, "{length}");
    }
    assert_eq!(parsed(&whole[..31]).ports, None);
    assert!(
        Packet::parse(&[0x44; 20][..]).is_none(),
        "a header shorter than a header"
    );
    assert!(Packet::parse(&[0x50; 40][..]).is_none(), "neither version");
    assert!(
        Packet::parse(&v6(43, &[])[..]).is_none(),
        "an extension that is not there"
    );
}

#[test]
fn v6_follows_the_extensions() {
    let mut rest = extension(0, 60, 0);
    rest.extend(extension(60, 43, 3));
    rest.extend(extension(43, 51, 2));
    rest.extend(extension(51, TCP, 4));
    rest.extend_from_slice(&PORTS);
    let packet = parsed(&v6(0, &rest));
    assert_eq!(
        (packet.source, packet.destination),
        ([0x11; 16], [0x22; 16])
    );
    assert_eq!(
        (packet.protocol, packet.ports),
        (TCP, Some((0x1234, 0x1538)))
    );
}

#[test]
fn v6_fragments() {
    for (fragment, part, ports) in [
        (0u16, Part::Whole, true),
        (0x0001, Part::First, true),
        (0x0008, Part::Later, false),
        (0x0009, Part::Later, false),
    ] {
        let mut rest = extension(44, UDP, 0);
        rest[2..4].copy_from_slice(&fragment.to_be_bytes());
        rest.extend_from_slice(&PORTS);
        let packet = parsed(&v6(44, &rest));
        assert_eq!(
            (packet.part, packet.ports.is_some()),
            (part, ports),
            "{fragment:#x}"
        );
        assert_eq!(packet.protocol, UDP);
    }
}

#[test]
fn v6_follows_so_many_extensions_and_no_more() {
    for (count, ports) in [(8, true), (9, false)] {
        let mut rest: Vec<u8> = (1..count).flat_map(|_| extension(60, 60, 0)).collect();
        rest.extend(extension(60, TCP, 0));
        rest.extend_from_slice(&PORTS);
        assert_eq!(parsed(&v6(60, &rest)).ports.is_some(), ports, "{count}");
    }
}

/// Bytes that are not contiguous, as in a packet buffer with pages.
struct Paged<'a>(&'a [u8]);

impl Bytes for Paged<'_> {
    fn read(&self, at: usize, into: &mut [u8]) -> bool {
        (0..into.len()).all(|n| self.0.read(at + n, &mut into[n..n + 1]))
    }
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Packet::parse(&bytes[..]);
    }

    #[test]
    fn no_header_chain_does_harm(
        kinds in proptest::collection::vec(
            (prop::sample::select(vec![0u8, 43, 44, 51, 60, 6, 17, 59, 135]), any::<u8>()),
            0..12,
        ),
        tail in proptest::collection::vec(any::<u8>(), 0..64),
        keep in 0usize..600,
    ) {
        let mut rest = Vec::new();
        for pair in kinds.windows(2) {
            rest.extend(extension(pair[0].0, pair[1].0, pair[0].1));
        }
        rest.extend(tail);
        let bytes = v6(kinds.first().map_or(59, |kind| kind.0), &rest);
        let whole = Packet::parse(&bytes[..]);
        let paged = Packet::parse(&Paged(&bytes));
        prop_assert_eq!(whole, paged, "where bytes lie makes no difference");
        // The fields that a packet cut short still has are read as in the whole packet.
        let part = Packet::parse(&bytes[..keep.min(bytes.len())]);
        if let (Some(whole), Some(part)) = (whole, part) {
            prop_assert_eq!((whole.source, whole.destination), (part.source, part.destination));
            if part.ports.is_some() {
                prop_assert_eq!(whole.ports, part.ports);
            }
        }
    }
}
