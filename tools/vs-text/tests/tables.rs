// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of gates, in the header and in the documents.
//!
//! Each is compared with the text that the table makes; with VS_UPDATE=1 in the environment it is
//! written instead.

use std::path::Path;
use std::{env, fs};

use vs_text::gate::{Carrier, Entity, Gate, Property};

macro_rules! constants {
    ($(#[doc = $about:literal] $gate:ident $abi:ident $name:literal [$($entity:tt)*]
        [$($props:ident)*] $trigger:ident $untold:literal;)*) => {
        /// The gates with their names in the ABI.
        const CONSTANTS: &[(Gate, &str)] = &[$((Gate::$gate, stringify!($abi))),*];
    };
}
vs_logic::each_gate!(constants);

fn properties(gate: Gate) -> String {
    let names: Vec<&str> = Property::among(gate.props()).map(Property::name).collect();
    names.join(" ")
}

/// The lines of `enum vs_gate`.
fn header() -> String {
    let mut text = String::new();
    for (gate, constant) in CONSTANTS {
        let entities: Vec<&str> = gate.entities().iter().map(|entity| entity.name).collect();
        let says = match entities[..] {
            [] => "counts, and takes no rules".to_owned(),
            _ => format!("{}: {}", entities.join(", "), properties(*gate)),
        };
        text += &format!("\t/* {says} */\n\t{constant},\n");
    }
    text
}

/// The table of Documentation/rules.md.
fn document() -> String {
    let entity = |entity: &Entity| {
        let carrier = match entity.carrier {
            Carrier::Task => "task",
            Carrier::Socket => "socket",
            Carrier::Packet => "packet",
        };
        let bound = if entity.binds { "" } else { ", not bound" };
        format!("{} ({carrier}{bound})", entity.name)
    };
    let mut text = String::from(
        "| number | gate | when | S1, S2, S3 (what carries the tag) \
         | properties | kind | without a rule |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for gate in Gate::ALL {
        let row = gate.row();
        let entities: Vec<String> = row.entities.iter().map(entity).collect();
        text += &format!(
            "| {} | `{}` | {} | {} | {} | {} | {} |\n",
            gate as u32,
            row.name,
            row.about.trim().trim_end_matches('.'),
            match &entities[..] {
                [] => "none: it counts, and takes no rules".to_owned(),
                some => some.join(", "),
            },
            properties(gate),
            format!("{:?}", row.trigger).to_lowercase(),
            row.untold,
        );
    }
    text
}

/// Compares the part of a file between two texts with `wanted`.
fn compare(file: &str, begin: &str, end: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(file);
    let text = fs::read_to_string(&path).unwrap();
    let from = text.find(begin).expect("the table's beginning") + begin.len();
    let to = from + text[from..].find(end).expect("the table's end");
    if env::var_os("VS_UPDATE").is_some() {
        fs::write(&path, format!("{}{wanted}{}", &text[..from], &text[to..])).unwrap();
    } else {
        let have = &text[from..to];
        assert_eq!(
            have, wanted,
            "{file}: VS_UPDATE=1 cargo test -p vs-text --test tables writes it"
        );
    }
}

#[test]
fn the_header_shows_the_table() {
    compare(
        "uapi/vs.h",
        "enum vs_gate {\n",
        "\tVS_GATE_COUNT\n",
        &header(),
    );
}

#[test]
fn the_rules_show_the_table() {
    let begin =
        "<!-- table of gates: made by `VS_UPDATE=1 cargo test -p vs-text --test tables` -->\n";
    compare(
        "Documentation/rules.md",
        begin,
        "<!-- end -->\n",
        &document(),
    );
}
