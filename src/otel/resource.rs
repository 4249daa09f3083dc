//! The resource: the thing observed, not Watchpost.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::names;

/// What is observed, by the attributes `service.name`, `service.namespace` and `service.instance.id`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Resource {
    /// A process's name without its replica; a session's service, else its command; a hub's id.
    pub service_name: Cow<'static, str>,
    /// A process's namespace.
    pub service_namespace: Option<Cow<'static, str>>,
    /// A process's source and replica: `main/web-0`.
    pub service_instance_id: Option<Cow<'static, str>>,
}

impl Resource {
    /// What is known of it, by the names of attributes, in a fixed order.
    pub fn attributes(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            Some((names::SERVICE_NAME, &*self.service_name)),
            self.service_namespace.as_deref().map(|namespace| (names::SERVICE_NAMESPACE, namespace)),
            self.service_instance_id.as_deref().map(|id| (names::SERVICE_INSTANCE_ID, id)),
        ]
        .into_iter()
        .flatten()
    }
}
