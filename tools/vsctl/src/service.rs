// SPDX-License-Identifier: MIT OR Apache-2.0
//! The present services: names for people, ids for the kernel.

use std::collections::HashMap;
use std::ffi::c_char;

use anyhow::Result;
use vs_text::attribute::Attribute;
use vs_text::config;
use vs_text::name::{is_reserved, Service as Named};
use vs_text::problem::nearest;

use crate::abi::*;
use crate::device::Device;
use crate::failure::Failure;

/// All services at one time.
pub struct Services {
    all: Vec<vs_service>,
    by_id: HashMap<u32, usize>,
    by_name: HashMap<String, usize>,
}

impl Services {
    /// Reads the services from the kernel.
    pub fn read(device: &Device) -> Result<Self> {
        Ok(Self::new(device.services()?))
    }

    /// Makes it from a list.
    pub fn new(all: Vec<vs_service>) -> Self {
        let by_id = all
            .iter()
            .enumerate()
            .map(|(n, service)| (service.id, n))
            .collect();
        let by_name = all
            .iter()
            .enumerate()
            .map(|(n, service)| (text(&service.name), n))
            .collect();
        Self {
            all,
            by_id,
            by_name,
        }
    }

    /// All, by id; root is the first.
    pub fn all(&self) -> &[vs_service] {
        &self.all
    }

    /// The service of this id.
    pub fn by_id(&self, id: u32) -> Option<&vs_service> {
        self.by_id.get(&id).map(|n| &self.all[*n])
    }

    /// The service of this name, or of this id if written `#ID`; the error suggests a name.
    pub fn find(&self, text: &str) -> Result<&vs_service> {
        let named = Named::parse(text).map_err(Failure::Usage)?;
        Ok(self.resolve(&named).map_err(Failure::Usage)?)
    }

    /// The service of a name or id that was parsed already.
    pub fn resolve(&self, named: &Named) -> Result<&vs_service, String> {
        match named {
            Named::Name(name) => self
                .by_name
                .get(name)
                .map(|n| &self.all[*n])
                .ok_or_else(|| {
                    let advice = match nearest(name, self.by_name.keys().map(String::as_str)) {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None => format!("see `vsctl ls`, or `vsctl create {name}`"),
                    };
                    format!("there is no service `{name}`\n  do: {advice}")
                }),
            Named::Id(id) => self
                .by_id(*id)
                .ok_or_else(|| format!("no service has the id {id}\n  do: see `vsctl ls`")),
        }
    }

    /// The name of an id; `#ID` if its service is gone.
    pub fn name(&self, id: u32) -> String {
        self.by_id(id)
            .map_or_else(|| format!("#{id}"), |service| text(&service.name))
    }

    /// How a rule names it: by id if its name has a meaning of its own there.
    pub fn named(&self, id: u32) -> Named {
        match self.by_id(id).map(|service| text(&service.name)) {
            Some(name) if !is_reserved(&name) => Named::Name(name),
            _ => Named::Id(id),
        }
    }

    /// The services right below a service, by name.
    pub fn children(&self, id: u32) -> Vec<&vs_service> {
        let mut children: Vec<_> = self
            .all
            .iter()
            .filter(|s| s.parent == id && s.id != VS_ROOT)
            .collect();
        children.sort_by_key(|service| text(&service.name));
        children
    }

    /// All in the order of the tree: each behind its parent.
    pub fn tree(&self) -> Vec<&vs_service> {
        let mut ordered = Vec::new();
        let mut waiting: Vec<&vs_service> = self.by_id(VS_ROOT).into_iter().collect();
        let mut below: HashMap<u32, Vec<&vs_service>> = HashMap::new();
        for service in self.all.iter().filter(|service| service.id != VS_ROOT) {
            below.entry(service.parent).or_default().push(service);
        }
        while let Some(next) = waiting.pop() {
            ordered.push(next);
            let mut children = below.remove(&next.id).unwrap_or_default();
            children.sort_by_key(|service| std::cmp::Reverse(text(&service.name)));
            waiting.extend(children);
        }
        ordered
    }

    /// The services in the form of a configuration, without root and rules.
    pub fn config(&self) -> Vec<config::Service> {
        let service = |service: &&vs_service| config::Service {
            name: text(&service.name),
            id: None,
            parent: (service.parent != VS_ROOT).then(|| self.name(service.parent)),
            priority: service.priority,
            attributes: Attribute::ALL.map(|attribute| own(service, attribute)),
        };
        self.tree().iter().skip(1).map(service).collect()
    }
}

/// The value of an attribute that is the service's own; None: shared with the parent.
pub fn own(service: &vs_service, attribute: Attribute) -> Option<u32> {
    (service.detached & attribute.bit() != 0).then(|| service.attr[attribute as usize])
}

/// The text in a field of the ABI.
pub fn text(field: &[c_char]) -> String {
    String::from_utf8_lossy(&raw(field)).into_owned()
}

/// The bytes in a field of the ABI, up to the NUL.
pub fn raw(field: &[c_char]) -> Vec<u8> {
    field
        .iter()
        .map(|c| *c as u8)
        .take_while(|b| *b != 0)
        .collect()
}

/// Puts bytes into a field of the ABI. The text crate has checked that there is room for the NUL.
pub fn fill(field: &mut [c_char], bytes: &[u8]) {
    debug_assert!(bytes.len() < field.len());
    for (to, from) in field.iter_mut().zip(bytes) {
        *to = *from as c_char;
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A service for tests.
    pub fn service(id: u32, parent: u32, name: &str) -> vs_service {
        let mut service = vs_service {
            id,
            parent,
            ..Default::default()
        };
        fill(&mut service.name, name.as_bytes());
        service
    }

    fn some() -> Services {
        Services::new(vec![
            service(0, 0, "root"),
            service(1, 3, "batch"),
            service(2, 0, "a"),
            service(3, 0, "shop"),
            service(4, 0, "conn"),
        ])
    }

    #[test]
    fn names_and_ids() {
        let services = some();
        assert_eq!(services.find("shop").unwrap().id, 3);
        assert_eq!(services.find("#3").unwrap().id, 3);
        assert!(services
            .find("shpo")
            .unwrap_err()
            .to_string()
            .contains("`shop`"));
        assert!(services.find("#9").is_err());
        assert_eq!(services.name(9), "#9");
        assert_eq!(services.named(3), Named::Name("shop".to_owned()));
        assert_eq!(
            services.named(4),
            Named::Id(4),
            "`conn` would mean an entity"
        );
    }

    #[test]
    fn parents_come_first() {
        let services = some();
        let order: Vec<u32> = services.tree().iter().map(|s| s.id).collect();
        assert_eq!(order, [0, 2, 4, 3, 1]);
        assert_eq!(services.config()[3].parent.as_deref(), Some("shop"));
        assert_eq!(services.children(0).len(), 3);
    }

    #[test]
    fn own_attributes() {
        let mut shop = service(3, 0, "shop");
        shop.attr[..2].copy_from_slice(&[300, 1500]);
        shop.detached = 1;
        assert_eq!(own(&shop, Attribute::CpuWeight), Some(300));
        assert_eq!(own(&shop, Attribute::CpuCap), None);
    }
}
