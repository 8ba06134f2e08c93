// SPDX-License-Identifier: MIT OR Apache-2.0
//! Translates rules between the text's form, with names, and the kernel's form, with ids.

use vs_logic::classify::Call as Classified;
use vs_logic::id::VsId;
use vs_logic::rule::{Facts, RuleSet, Spec, REF};
use vs_logic::why::Why;
use vs_text::address::Prefix;
use vs_text::gate::{Gate, Property, Proto};
use vs_text::name::Service as Named;
use vs_text::pattern::Pattern;
use vs_text::rule::{Call, Conditions, Rule, Target, ENTITIES};

use crate::abi::*;
use crate::service::{fill, raw};

/// The kernel's form of a rule. `id` gives a service's id, or its place in a configuration.
pub fn to_kernel<E>(rule: &Rule, id: impl Fn(&Named) -> Result<u32, E>) -> Result<vs_rule, E> {
    let mut out = left(rule.gate, &rule.from, &rule.conditions, VS_ANY, &id)?;
    for (slot, target) in out.to.iter_mut().zip(&rule.to) {
        *slot = match target {
            Target::Unchanged => VS_ANY,
            Target::Service(service) => id(service)?,
            Target::Entity(place) => REF + u32::from(*place),
            Target::Home => VS_HOME,
        };
    }
    Ok(out)
}

/// The kernel's form of a call; entities that are not named are root's.
pub fn call_to_kernel<E>(call: &Call, id: impl Fn(&Named) -> Result<u32, E>) -> Result<vs_rule, E> {
    left(call.gate, &call.from, &call.conditions, VS_ROOT, &id)
}

fn left<E>(
    gate: Gate,
    from: &[Option<Named>; ENTITIES],
    conditions: &Conditions,
    unnamed: u32,
    id: &impl Fn(&Named) -> Result<u32, E>,
) -> Result<vs_rule, E> {
    let mut out = vs_rule {
        gate: gate as u32,
        props: conditions.properties(),
        ..Default::default()
    };
    out.to = [VS_ANY; ENTITIES];
    for (n, (slot, service)) in out.from.iter_mut().zip(from).enumerate() {
        *slot = match service {
            Some(service) => id(service)?,
            None if n < gate.entities().len() => unnamed,
            None => VS_ANY,
        };
    }
    // no gate has both properties, so they share a field
    if let Some(path) = conditions.path.as_ref().or(conditions.unix.as_ref()) {
        fill(&mut out.path, path.bytes());
    }
    if let Some(cgroup) = &conditions.cgroup {
        fill(&mut out.cgroup, cgroup.bytes());
    }
    if let Some(iface) = &conditions.iface {
        fill(&mut out.iface, iface);
    }
    if let Some(local) = conditions.local {
        (out.local, out.local_len) = (local.octets(), local.len());
    }
    if let Some(peer) = conditions.peer {
        (out.peer, out.peer_len) = (peer.octets(), peer.len());
    }
    out.uid = conditions.uid.unwrap_or_default();
    out.gid = conditions.gid.unwrap_or_default();
    out.proto = conditions.proto.map_or(0, |proto| proto as u8);
    out.local_port = conditions.lport.unwrap_or_default();
    out.peer_port = conditions.pport.unwrap_or_default();
    Ok(out)
}

/// The text's form of a kernel's rule. None: it names a gate or value that this program does not
/// know.
pub fn from_kernel(rule: &vs_rule, named: impl Fn(u32) -> Named) -> Option<Rule> {
    let gate = Gate::new(rule.gate)?;
    let has = |property: Property| (rule.props & property.bit() != 0).then_some(());
    let conditions = Conditions {
        path: has(Property::Path).map(|()| Pattern::trusted(&raw(&rule.path))),
        unix: has(Property::Unix).map(|()| Pattern::trusted(&raw(&rule.path))),
        cgroup: has(Property::Cgroup).map(|()| Pattern::trusted(&raw(&rule.cgroup))),
        uid: has(Property::Uid).map(|()| rule.uid),
        gid: has(Property::Gid).map(|()| rule.gid),
        proto: has(Property::Proto)
            .map(|()| Proto::new(rule.proto))
            .map_or(Some(None), |p| p.map(Some))?,
        local: has(Property::Local).and_then(|()| Prefix::new(rule.local, rule.local_len)),
        lport: has(Property::Lport).map(|()| rule.local_port),
        peer: has(Property::Peer).and_then(|()| Prefix::new(rule.peer, rule.peer_len)),
        pport: has(Property::Pport).map(|()| rule.peer_port),
        iface: has(Property::Iface).map(|()| raw(&rule.iface)),
    };
    let entities = gate.entities().len();
    let mut to = [const { Target::Unchanged }; ENTITIES];
    for (target, id) in to.iter_mut().zip(rule.to) {
        *target = match id {
            VS_ANY => Target::Unchanged,
            VS_HOME => Target::Home,
            id if id < REF => Target::Service(named(id)),
            id if ((id - REF) as usize) < entities => Target::Entity((id - REF) as u8),
            _ => return None,
        };
    }
    let from = rule.from.map(|id| (id != VS_ANY).then(|| named(id)));
    Some(Rule {
        gate,
        from,
        conditions,
        to,
    })
}

/// A kernel's rule or call, with its texts cut at their NULs.
pub struct Said<'a> {
    rule: &'a vs_rule,
    path: Vec<u8>,
    cgroup: Vec<u8>,
}

impl<'a> Said<'a> {
    /// Reads a rule, or a call in the form of a rule.
    pub fn new(rule: &'a vs_rule) -> Self {
        Self {
            rule,
            path: raw(&rule.path),
            cgroup: raw(&rule.cgroup),
        }
    }

    fn facts(&self) -> Facts<'_> {
        let rule = self.rule;
        Facts {
            props: rule.props,
            proto: rule.proto,
            uid: rule.uid,
            gid: rule.gid,
            local: rule.local,
            peer: rule.peer,
            local_port: rule.local_port,
            peer_port: rule.peer_port,
            iface: rule.iface.map(|c| c as u8),
            path: &self.path,
            cgroup: &self.cgroup,
        }
    }

    /// Adds the rule to a set of the classifier; `false`: this program does not know its kind.
    pub fn add(&self, set: &mut RuleSet) -> bool {
        let spec = Spec {
            gate: self.rule.gate,
            from: self.rule.from,
            to: self.rule.to,
            facts: self.facts(),
            local_len: self.rule.local_len,
            peer_len: self.rule.peer_len,
        };
        let service = |id| VsId::new(id).ok_or(Why::NoService);
        set.push(self.rule.id, &spec, service).is_ok()
    }

    /// The call, in the classifier's form.
    pub fn call(&self, work: u32) -> Option<Classified<'_>> {
        let id = |raw| VsId::new(raw).unwrap_or(VsId::ROOT);
        Some(Classified {
            gate: Gate::new(self.rule.gate)?,
            from: self.rule.from.map(id),
            work: id(work),
            facts: self.facts(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(service: &Named) -> Result<u32, String> {
        match service {
            Named::Id(id) => Ok(*id),
            Named::Name(name) => name
                .strip_prefix('s')
                .and_then(|n| n.parse().ok())
                .ok_or_else(|| name.clone()),
        }
    }

    #[test]
    fn there_and_back() {
        for text in [
            "accept task=s1 => task=conn",
            "exec path=/usr/bin/pgbench uid=1001 => task=s2",
            "exec cgroup=/a.slice/* gid=7 => task=home",
            "packet proto=udp local=::1 lport=53 peer=10.1.0.0/16 pport=7 iface=eth0 => conn=s3",
            "connect task=s1 socket=s2 unix=@bus => task=socket socket=s4",
            "socketpair => peersocket=task",
            "recv peer=::/0 => task=*",
        ] {
            let rule = Rule::parse(text).unwrap();
            let kernel = to_kernel(&rule, id).unwrap();
            let back = from_kernel(&kernel, |id| Named::Name(format!("s{id}"))).unwrap();
            assert_eq!(back.to_string(), text);
        }
    }

    #[test]
    fn what_the_kernel_gets() {
        let rule = Rule::parse("accept task=s5 peer=10.0.0.0/8 => task=conn").unwrap();
        let kernel = to_kernel(&rule, id).unwrap();
        assert_eq!(kernel.gate, VS_GATE_ACCEPT);
        assert_eq!(kernel.from, [5, VS_ANY, VS_ANY]);
        assert_eq!(
            kernel.to,
            [REF + 1, VS_ANY, VS_ANY],
            "the VS of entity 1, counted from 0"
        );
        assert_eq!((kernel.props, kernel.peer_len), (VS_P_PEER, 104));
        assert_eq!(
            kernel.peer,
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 0]
        );
        let call = call_to_kernel(&Call::parse("accept conn=s2").unwrap(), id).unwrap();
        assert_eq!(
            call.from,
            [0, 2, VS_ANY],
            "a task that is not named is root's"
        );
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let rule = to_kernel(&Rule::parse("accept => task=conn").unwrap(), id).unwrap();
        let named = |id| Named::Id(id);
        assert!(from_kernel(&vs_rule { gate: 99, ..rule }, named).is_none());
        assert!(from_kernel(
            &vs_rule {
                to: [REF + 2, VS_ANY, VS_ANY],
                ..rule
            },
            named
        )
        .is_none());
        assert!(from_kernel(
            &vs_rule {
                props: VS_P_PROTO,
                proto: 77,
                ..rule
            },
            named
        )
        .is_none());
    }

    /// Compares each row of a table with the ABI's constant of its name.
    macro_rules! gates {
        ($(#[doc = $about:literal] $gate:ident $abi:ident $name:literal [$($entity:tt)*]
            [$($props:ident)*] $trigger:ident $untold:literal;)*) => {
            $(assert_eq!(Gate::$gate as u32, $abi);)*
        };
    }
    macro_rules! properties {
        ($(#[doc = $about:literal] $property:ident $abi:ident $bit:ident $name:literal
            $form:literal;)*) => {
            $(assert_eq!(Property::$property.bit(), $abi);)*
        };
    }
    macro_rules! protos {
        ($(#[doc = $about:literal] $proto:ident $abi:ident $name:literal;)*) => {
            $(assert_eq!(Proto::$proto as u32, $abi);)*
        };
    }
    macro_rules! attributes {
        ($($(#[doc = $about:literal])* $attr:ident $abi:ident $name:literal $kind:ident
            $default:expr;)*) => {
            $(assert_eq!(Attribute::$attr as u32, $abi);)*
        };
    }
    macro_rules! reasons {
        ($($why:ident $abi:ident $errno:ident $what:literal $advice:literal;)*) => {
            $(assert_eq!(Why::$why as u32, $abi);)*
        };
    }

    #[test]
    fn the_tables_count_as_the_header_does() {
        use vs_text::attribute::{Attribute, UNLIMITED};
        vs_logic::each_gate!(gates);
        assert_eq!(Gate::ALL.len() as u32, VS_GATE_COUNT);
        vs_logic::each_property!(properties);
        assert_eq!(VS_P_ALL, vs_logic::gate::props::ALL);
        vs_logic::each_proto!(protos);
        assert_eq!(Proto::ALL.len() as u32, VS_PROTO_COUNT);
        vs_logic::each_attr!(attributes);
        assert_eq!(Attribute::ALL.len() as u32, VS_ATTR_COUNT);
        vs_logic::each_reason!(reasons);
        assert_eq!(Why::ALL.len() as u32 + 1, VS_WHY_COUNT);
        assert_eq!(UNLIMITED, VS_UNLIMITED);
        assert_eq!(
            (VS_ANY, VS_HOME),
            (vs_logic::rule::ANY, vs_logic::rule::HOME)
        );
        assert_eq!(NR_VS_REF, REF);
        assert_eq!(vs_text::name::NAME_MAX + 1, VS_NAME_LEN as usize);
        assert_eq!(vs_text::pattern::PATTERN_MAX + 1, VS_PATH_LEN as usize);
        assert_eq!(ENTITIES, VS_ENTITIES as usize);
    }
}
