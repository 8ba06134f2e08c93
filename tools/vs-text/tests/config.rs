// SPDX-License-Identifier: MIT OR Apache-2.0
//! Configurations: how they are read, and how each mistake and its place is reported.

use proptest::prelude::*;
use vs_text::attribute::{self, Attribute};
use vs_text::config::{Config, Document, Service};
use vs_text::diff::{diff, Change};

const WHOLE: &str = r#"
rules = [
    "accept task=pg => task=conn",
    'exec path="/opt/my shop/*" => task=shop',
]

[services.batch]        # stands before its parent
parent = "shop"
cpu_weight = 10

[services.pg]
priority = 10

[services.shop]
cpu_weight = "300"
cpu_cap = "150%"
tasks_max = 500
sockets_max = "unlimited"
tasks_errno = "ENOMEM"
accept_order = "share"
"#;

fn read(text: &str) -> Config {
    Document::parse("vs.toml", text)
        .unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
        .config
}

#[test]
fn a_whole_file() {
    let config = read(WHOLE);
    let names: Vec<&str> = config.services.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(
        names,
        ["shop", "batch", "pg"],
        "parents first, else as in the file"
    );
    let shop = &config.services[0];
    assert_eq!(
        shop.attributes,
        [
            Some(300),
            Some(1500),
            Some(500),
            Some(u32::MAX),
            Some(12),
            None,
            Some(1),
        ]
    );
    assert_eq!(config.services[1].parent.as_deref(), Some("shop"));
    assert_eq!(config.services[2].priority, 10);
    assert_eq!(
        config.rules[1].to_string(),
        "exec path=\"/opt/my shop/*\" => task=shop"
    );
}

#[test]
fn an_empty_file_is_a_configuration() {
    assert_eq!(read(""), Config::default());
}

/// One line each: what the file says, where the problem is, a part of what is said.
#[test]
fn each_mistake_has_its_place() {
    for (text, line, column, message) in [
        ("rules = [", 1, 10, "no TOML"),
        ("[services.a]\n[services.a]", 2, 11, "no TOML"),
        ("rulez = []", 1, 1, "no key `rulez`"),
        ("rules = 1", 1, 9, "no list"),
        ("services = 1", 1, 12, "no table"),
        ("services.a = 1", 1, 14, "no table"),
        ("[services.A]", 1, 11, "a name is made of"),
        ("[services.root]", 1, 11, "always exists"),
        ("[services.conn]", 1, 11, "meaning of its own"),
        ("[services.a]\ncpu_wieght = 1", 2, 1, "no key `cpu_wieght`"),
        (
            "[services.a]\naccept_order = 1",
            2,
            16,
            "no value of accept_order",
        ),
        (
            "[services.a]\ncpu_weight = 0",
            2,
            14,
            "no value of cpu_weight",
        ),
        (
            "[services.a]\ncpu_weight = 1.5",
            2,
            14,
            "no value of cpu_weight",
        ),
        (
            "[services.a]\ncpu_cap = '0.5%'",
            2,
            11,
            "no value of cpu_cap",
        ),
        (
            "[services.a]\ntasks_max = true",
            2,
            13,
            "no value of tasks_max",
        ),
        ("[services.a]\npriority = 2147483648", 2, 12, "32 bits"),
        ("[services.a]\nparent = 1", 2, 10, "a parent is"),
        ("[services.a]\nparent = 'b'", 2, 10, "no service `b`"),
        ("[services.a]\nparent = 'a'", 2, 10, "its own ancestor"),
        (
            "[services.x]\nparent='a'\n[services.a]\nparent='b'\n[services.b]\nparent='a'",
            4,
            8,
            "its own ancestor",
        ),
        ("rules = [1]", 1, 10, "no rule"),
        (
            "rules = [\n  'accept task=pg => task=conn',\n]",
            2,
            3,
            "no service `pg`",
        ),
        (
            "rules = [\n  'accept tusk=pg => task=conn',\n]",
            2,
            11,
            "no property `tusk`",
        ),
        ("rules = ['exec uid=1 => task=#3']", 1, 10, "ids can change"),
        (
            "rules = ['fork => child=home',\n'fork => task=home']",
            2,
            1,
            "can never win: that of line 1",
        ),
        (
            "rules = [\"exec path=\\\"x\\\" => task=root\"]",
            1,
            10,
            "does not begin",
        ),
    ] {
        let problems = Document::parse("vs.toml", text).expect_err(text);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        let problem = &problems[0];
        assert!(problem.message.contains(message), "{text}: {problem}");
        assert_eq!(
            (problem.line, problem.column),
            (line, column),
            "{text}: {problem}"
        );
        assert!(!problem.advice.is_empty());
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = "rules = ['acept => task=a', 'exec => task=nobody']\n\
        [services.a]\ncpu_cap = '1'\nparent = 'c'\n";
    let problems = Document::parse("vs.toml", text).unwrap_err();
    let lines: Vec<usize> = problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [1, 1, 3, 4]);
}

#[test]
fn a_refusal_of_the_kernel_has_a_place_too() {
    let document = Document::parse("vs.toml", WHOLE).unwrap();
    assert_eq!(
        document.at_service(1, String::new(), String::new()).line,
        7,
        "batch is the second, but stands first"
    );
    assert_eq!(document.at_rule(1, String::new(), String::new()).line, 4);
}

#[test]
fn differences() {
    let present = read(
        "rules=['fork => child=home', 'exec uid=1 => task=a', 'exec uid=2 => task=a']\n\
         [services.a]\ncpu_weight=50\n[services.old]",
    );
    let wanted = read(
        "rules=['exec uid=2 => task=a', 'exec uid=1 => task=a', 'exec uid=3 => task=b']\n\
         [services.a]\ncpu_cap='50%'\npriority=1\n[services.b]\nparent='a'\ncpu_weight=7",
    );
    let shown = |prune| {
        diff(&present, &wanted, prune)
            .iter()
            .map(Change::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        shown(false),
        [
            "~ service a: priority 0 -> 1, cpu_weight 50 -> shared, cpu_cap shared -> 50%",
            "+ service b: parent a, cpu_weight 7",
            "  service old stays: the file does not name it (--prune would destroy it)",
            "- rule fork => child=home",
            "+ rule exec uid=3 => task=b",
            "~ rules: another order of age",
        ]
    );
    assert_eq!(shown(true)[2], "- service old");
}

fn tree() -> impl Strategy<Value = Vec<Service>> {
    let value = prop_oneof![0u32..2, 10u32..=133];
    let attributes = prop::collection::vec(prop::option::of(value), Attribute::ALL.len());
    let seed = (
        any::<prop::sample::Index>(),
        any::<bool>(),
        any::<i32>(),
        attributes,
    );
    prop::collection::vec(seed, 0..20).prop_map(|seeds| {
        let mut services: Vec<Service> = Vec::new();
        for (up, rooted, priority, mut attributes) in seeds {
            for (attribute, value) in Attribute::ALL.into_iter().zip(&mut attributes) {
                *value = value.filter(|value| attribute.check(*value).is_ok());
            }
            let n = services.len();
            services.push(Service {
                id: None,
                name: format!("s{n}"),
                // taken from those before it: no circles
                parent: (n > 0 && !rooted).then(|| format!("s{}", up.index(n))),
                priority,
                attributes: attributes.try_into().unwrap(),
            });
        }
        services
    })
}

fn write(services: &[Service]) -> String {
    let mut text = String::new();
    for service in services {
        text += &format!(
            "[services.{}]\npriority = {}\n",
            service.name, service.priority
        );
        if let Some(parent) = &service.parent {
            text += &format!("parent = '{parent}'\n");
        }
        for (attribute, value) in Attribute::ALL.into_iter().zip(service.attributes) {
            if let Some(value) = value {
                text += &format!(
                    "{} = '{}'\n",
                    attribute.name(),
                    attribute::show(attribute, value)
                );
            }
        }
    }
    text
}

proptest! {
    #[test]
    fn any_order_gives_parents_first(
        (services, shuffled) in tree().prop_flat_map(|s| (Just(s.clone()), Just(s).prop_shuffle())),
    ) {
        let config = read(&write(&shuffled));
        for (n, service) in config.services.iter().enumerate() {
            if let Some(parent) = &service.parent {
                prop_assert!(config.services[..n].iter().any(|s| s.name == *parent));
            }
        }
        let mut sorted = config.services.clone();
        sorted.sort_by_key(|s| s.name[1..].parse::<usize>().unwrap());
        prop_assert_eq!(sorted, services);
        // the same, in another order, is no difference
        prop_assert_eq!(diff(&config, &config, true), []);
    }

    #[test]
    fn any_text_is_survived(
        text in "(\\[services\\.[a-c]\\]\n|parent = \"[a-c]\"\n|rules = \\[|\\]|\
            \"fork => child=[a-c]\",|[ -~]\n){0,12}",
    ) {
        if let Err(problems) = Document::parse("x", &text) {
            prop_assert!(!problems.is_empty());
        }
    }
}
