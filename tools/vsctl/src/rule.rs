// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules between the text's form, with names, and the kernel's, with ids.

use vs_text::address::Prefix;
use vs_text::gate::{Gate, Property, Proto};
use vs_text::name::Service as Named;
use vs_text::pattern::Pattern;
use vs_text::rule::{Call, Conditions, Rule, Target, ENTITIES};

use crate::abi::*;
use crate::service::{fill, raw};

/// First of the values that stand for an entity: VS_REF(0), which is an expression that bindgen leaves out.
const REF: u16 = 0xfff0;

/// The kernel's form of a rule. `id` gives a service's id, or its place in a configuration.
pub fn to_kernel<E>(rule: &Rule, id: impl Fn(&Named) -> Result<u16, E>) -> Result<vs_rule, E> {
    let mut out = left(rule.gate, &rule.from, &rule.conditions, VS_ANY as u16, &id)?;
    for (slot, target) in out.to.iter_mut().zip(&rule.to) {
        *slot = match target {
            Target::Unchanged => VS_ANY as u16,
            Target::Service(service) => id(service)?,
            Target::Entity(place) => REF + u16::from(*place),
            Target::Home => VS_HOME as u16,
        };
    }
    Ok(out)
}

/// The kernel's form of a call; entities that are not named are root's.
pub fn call_to_kernel<E>(call: &Call, id: impl Fn(&Named) -> Result<u16, E>) -> Result<vs_rule, E> {
    left(call.gate, &call.from, &call.conditions, VS_ROOT as u16, &id)
}

fn left<E>(
    gate: Gate,
    from: &[Option<Named>; ENTITIES],
    conditions: &Conditions,
    unnamed: u16,
    id: &impl Fn(&Named) -> Result<u16, E>,
) -> Result<vs_rule, E> {
    let mut out = vs_rule {
        gate: gate as u16,
        props: conditions.properties(),
        ..Default::default()
    };
    out.to = [VS_ANY as u16; ENTITIES];
    for (n, (slot, service)) in out.from.iter_mut().zip(from).enumerate() {
        *slot = match service {
            Some(service) => id(service)?,
            None if n < gate.entities().len() => unnamed,
            None => VS_ANY as u16,
        };
    }
    // no gate has both, so they share a field
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

/// The text's form of a kernel's rule. None: it names a gate or value that this program does not know.
pub fn from_kernel(rule: &vs_rule, named: impl Fn(u16) -> Named) -> Option<Rule> {
    let gate = Gate::numbered(rule.gate)?;
    let has = |property: Property| (rule.props & property.bit() != 0).then_some(());
    let conditions = Conditions {
        path: has(Property::Path).map(|()| Pattern::trusted(&raw(&rule.path))),
        unix: has(Property::Unix).map(|()| Pattern::trusted(&raw(&rule.path))),
        cgroup: has(Property::Cgroup).map(|()| Pattern::trusted(&raw(&rule.cgroup))),
        uid: has(Property::Uid).map(|()| rule.uid),
        gid: has(Property::Gid).map(|()| rule.gid),
        proto: has(Property::Proto)
            .map(|()| Proto::numbered(rule.proto))
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
            id if u32::from(id) == VS_ANY => Target::Unchanged,
            id if u32::from(id) == VS_HOME => Target::Home,
            id if id >= REF && usize::from(id - REF) < entities => Target::Entity((id - REF) as u8),
            id if u32::from(id) < VS_ID_COUNT => Target::Service(named(id)),
            _ => return None,
        };
    }
    let from = rule
        .from
        .map(|id| (u32::from(id) != VS_ANY).then(|| named(id)));
    Some(Rule {
        gate,
        from,
        conditions,
        to,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(service: &Named) -> Result<u16, String> {
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
        assert_eq!(u32::from(kernel.gate), VS_GATE_ACCEPT);
        assert_eq!(kernel.from, [5, 0xffff, 0xffff]);
        assert_eq!(
            kernel.to,
            [0xfff1, 0xffff, 0xffff],
            "the VS of entity 1, counted from 0"
        );
        assert_eq!((u32::from(kernel.props), kernel.peer_len), (VS_P_PEER, 104));
        assert_eq!(
            kernel.peer,
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 0]
        );
        let call = call_to_kernel(&Call::parse("accept conn=s2").unwrap(), id).unwrap();
        assert_eq!(
            call.from,
            [0, 2, 0xffff],
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
                to: [0xfff2, 0xffff, 0xffff],
                ..rule
            },
            named
        )
        .is_none());
        assert!(from_kernel(
            &vs_rule {
                props: VS_P_PROTO as u16,
                proto: 77,
                ..rule
            },
            named
        )
        .is_none());
    }

    #[test]
    fn the_text_counts_as_the_kernel_does() {
        for (gate, number) in [
            (Gate::Fork, VS_GATE_FORK),
            (Gate::Exec, VS_GATE_EXEC),
            (Gate::Exit, VS_GATE_EXIT),
            (Gate::Setuid, VS_GATE_SETUID),
            (Gate::Setgid, VS_GATE_SETGID),
            (Gate::Socket, VS_GATE_SOCKET),
            (Gate::Socketpair, VS_GATE_SOCKETPAIR),
            (Gate::Connect, VS_GATE_CONNECT),
            (Gate::Accept, VS_GATE_ACCEPT),
            (Gate::Send, VS_GATE_SEND),
            (Gate::Recv, VS_GATE_RECV),
            (Gate::Close, VS_GATE_CLOSE),
            (Gate::Wait, VS_GATE_WAIT),
            (Gate::Packet, VS_GATE_PACKET),
        ] {
            assert_eq!(gate as u32, number);
        }
        assert_eq!(Gate::ALL.len() as u32, VS_GATE_COUNT);
        for (property, bit) in [
            (Property::Path, VS_P_PATH),
            (Property::Unix, VS_P_UNIX),
            (Property::Cgroup, VS_P_CGROUP),
            (Property::Uid, VS_P_UID),
            (Property::Gid, VS_P_GID),
            (Property::Proto, VS_P_PROTO),
            (Property::Local, VS_P_LOCAL),
            (Property::Lport, VS_P_LPORT),
            (Property::Peer, VS_P_PEER),
            (Property::Pport, VS_P_PPORT),
            (Property::Iface, VS_P_IFACE),
        ] {
            assert_eq!(u32::from(property.bit()), bit);
        }
        assert_eq!(VS_P_ALL, (1 << Property::ALL.len()) - 1);
        for (proto, number) in [
            (Proto::Other, VS_PROTO_OTHER),
            (Proto::Tcp, VS_PROTO_TCP),
            (Proto::Udp, VS_PROTO_UDP),
            (Proto::UnixStream, VS_PROTO_UNIX_STREAM),
            (Proto::UnixDgram, VS_PROTO_UNIX_DGRAM),
            (Proto::UnixSeqpacket, VS_PROTO_UNIX_SEQPACKET),
        ] {
            assert_eq!(proto as u32, number);
        }
        assert_eq!(Proto::ALL.len() as u32, VS_PROTO_COUNT);
        use vs_text::attribute::{Attribute, UNLIMITED};
        for (attribute, number) in [
            (Attribute::CpuWeight, VS_ATTR_CPU_WEIGHT),
            (Attribute::CpuCap, VS_ATTR_CPU_CAP),
            (Attribute::TasksMax, VS_ATTR_TASKS_MAX),
            (Attribute::SocketsMax, VS_ATTR_SOCKETS_MAX),
            (Attribute::TasksErrno, VS_ATTR_TASKS_ERRNO),
            (Attribute::SocketsErrno, VS_ATTR_SOCKETS_ERRNO),
        ] {
            assert_eq!(attribute as u32, number);
        }
        assert_eq!(Attribute::ALL.len() as u32, VS_ATTR_COUNT);
        assert_eq!(UNLIMITED, VS_UNLIMITED);
        assert_eq!(u32::from(vs_text::name::ID_COUNT), VS_ID_COUNT);
        assert_eq!(vs_text::name::NAME_MAX + 1, VS_NAME_LEN as usize);
        assert_eq!(vs_text::pattern::PATTERN_MAX + 1, VS_PATH_LEN as usize);
        assert_eq!(ENTITIES, VS_ENTITIES as usize);
    }
}
