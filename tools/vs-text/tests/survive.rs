// SPDX-License-Identifier: MIT OR Apache-2.0
//! No bytes make a parser panic, and each problem that it reports lies within its input.

use proptest::prelude::*;
use vs_text::address::Prefix;
use vs_text::attribute::{self, Attribute};
use vs_text::config::Document;
use vs_text::name::Service;
use vs_text::pattern::Pattern;
use vs_text::problem::Located;
use vs_text::rule::{Call, Rule};

/// A configuration with an example of everything; damaged ones are made of its parts, too.
const WHOLE: &str = "rules = [
    \"accept task=pg peer=10.1.0.0/16 lport=5432 => task=conn\", # a note
    'exec path=\"/opt/my shop/*\" uid=1001 => task=shöp',
    'send task=pg proto=udp peer=2001:db8::/32 => msg=home',
]
[services.pg]
priority = -3
[services.\"shop\"]
parent = \"pg\"
cpu_cap = \"150%\"
tasks_max = 1_000
tasks_errno = 'EAGAIN'\r\n";

/// Any text: random bytes, random characters, or pieces of a configuration in random order.
fn text() -> impl Strategy<Value = String> {
    let pieces: Vec<&str> = WHOLE
        .split_inclusive(|c: char| !c.is_alphanumeric())
        .collect();
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200)
            .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        ".{0,100}",
        prop::collection::vec(prop::sample::select(pieces), 0..60)
            .prop_map(|pieces| pieces.concat()),
    ]
}

/// A configuration with some of its characters taken out and others put in their place.
fn damaged() -> impl Strategy<Value = String> {
    let damage = (
        any::<prop::sample::Index>(),
        0usize..4,
        "[\"'\\[\\]=.#\\\\ \r\n\t*/:%a0é\u{0}\u{2028}]{0,3}",
    );
    prop::collection::vec(damage, 1..6).prop_map(|damages| {
        let mut text: Vec<char> = WHOLE.chars().collect();
        for (at, length, with) in damages {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, with.chars());
        }
        text.into_iter().collect()
    })
}

/// A problem names an existing line, marks text on it, and can be printed.
fn within(text: &str, problem: &Located) -> Result<(), TestCaseError> {
    let line = text
        .split('\n')
        .nth(problem.line - 1)
        .map(|line| line.trim_end_matches('\r'));
    prop_assert_eq!(line, Some(problem.text.as_str()), "{:?}", problem);
    let length = problem.text.chars().count();
    prop_assert!((1..=length + 1).contains(&problem.column), "{:?}", problem);
    prop_assert!(
        (1..=(length + 1 - problem.column).max(1)).contains(&problem.width),
        "{:?}",
        problem
    );
    prop_assert!(
        !problem.message.is_empty() && !problem.advice.is_empty(),
        "{:?}",
        problem
    );
    prop_assert!(problem.to_string().lines().count() >= 4, "{:?}", problem);
    Ok(())
}

fn configuration(text: &str) -> Result<(), TestCaseError> {
    match Document::parse("vs.toml", text) {
        Ok(document) => {
            for n in 0..document.config.services.len() {
                within(
                    text,
                    &document.at_service(n, "refused".to_owned(), "mend it".to_owned()),
                )?;
            }
            for n in 0..document.config.rules.len() {
                within(
                    text,
                    &document.at_rule(n, "refused".to_owned(), "mend it".to_owned()),
                )?;
            }
        }
        Err(problems) => {
            prop_assert!(!problems.is_empty());
            for problem in &problems {
                within(text, problem)?;
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_configuration_of_any_text(text in text()) {
        configuration(&text)?;
    }

    #[test]
    fn a_damaged_configuration(text in damaged()) {
        configuration(&text)?;
    }

    #[test]
    fn a_rule_or_a_call_of_any_text(text in text()) {
        for problem in [Rule::parse(&text).err(), Call::parse(&text).err()].into_iter().flatten() {
            prop_assert!(text.get(problem.span.clone()).is_some(), "{:?}", problem);
        }
        if let Ok(rule) = Rule::parse(&text) {
            prop_assert_eq!(Rule::parse(&rule.to_string()), Ok(rule));
        }
    }

    #[test]
    fn an_address_of_any_text(
        text in prop_oneof![
            text(),
            "[0-9a-f:./%]{0,45}",
            "[0-9]{1,3}(\\.[0-9]{1,3}){3}(/[0-9]{1,3})?",
        ],
    ) {
        if let Ok(prefix) = Prefix::parse(&text) {
            prop_assert!(prefix.contains(prefix.octets()));
            prop_assert_eq!(Prefix::parse(&prefix.to_string()), Ok(prefix));
        }
    }

    #[test]
    fn a_value_of_any_text(
        text in prop_oneof![text(), "-?[0-9_]{0,12}\\.?[0-9]{0,3}(%|m|)", "[A-Z]{1,12}"],
    ) {
        for attribute in Attribute::ALL {
            if let Ok(value) = attribute::parse(attribute, &text) {
                let shown = attribute::show(attribute, value);
                prop_assert_eq!(
                    attribute::parse(attribute, &shown), Ok(value), "{}", attribute.name()
                );
            }
        }
        let _ = attribute::named(&text);
    }

    #[test]
    fn every_value_reads_back(value: u32) {
        for attribute in Attribute::ALL {
            // a string that is no value of the attribute is refused when it is read, too
            if let Ok(read) = attribute::parse(attribute, &attribute::show(attribute, value)) {
                prop_assert_eq!(read, value, "{}", attribute.name());
            }
        }
    }

    #[test]
    fn a_name_of_any_text(text in text()) {
        if let Ok(Service::Name(name)) = Service::parse(&text) {
            prop_assert_eq!(name, text);
        }
    }

    #[test]
    fn a_pattern_of_any_bytes(
        bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), Just(b'/'), Just(b'*')],
            0..120,
        ),
    ) {
        for pattern in [Pattern::path(&bytes), Pattern::unix(&bytes)].into_iter().flatten() {
            prop_assert_eq!(pattern.bytes(), bytes.as_slice());
        }
    }
}

#[test]
fn the_whole_one_is_nearly_right() {
    let problems = Document::parse("vs.toml", WHOLE).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(
        (problems[0].line, problems[0].column),
        (3, 50),
        "{}",
        problems[0]
    );
}
