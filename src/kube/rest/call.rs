//! One request on its way: who asks what, of which resource, and what is told besides the answer.

use std::sync::Arc;

use http::{HeaderMap, Method};
use parking_lot::Mutex;

use super::query::Query;
use crate::kube::admission::Charged;
use crate::kube::request::{RequestInfo, Target};
use crate::kube::schema::{Resource, Subresource};
use crate::kube::user::User;

/// A request for a resource that has been let in.
#[derive(Debug)]
pub struct Call {
    pub method: Method,
    pub headers: HeaderMap,
    pub query: Query,
    pub user: User,
    pub target: Target,
    /// What authorization was asked.
    pub info: RequestInfo,
    pub resource: Arc<Resource>,
    pub subresource: Option<Subresource>,
    /// Told in `Warning` headers.
    pub warnings: Mutex<Vec<String>>,
    /// What quotas have been charged for it.
    pub charged: Charged,
}

impl Call {
    /// The call that would be for the object itself, where this one is for a part of it.
    pub fn of_object(part: &Self) -> Self {
        Self {
            method: part.method.clone(),
            headers: part.headers.clone(),
            query: part.query.clone(),
            user: part.user.clone(),
            target: part.target.clone(),
            info: part.info.clone(),
            resource: Arc::clone(&part.resource),
            subresource: None,
            warnings: Mutex::default(),
            charged: Charged::default(),
        }
    }

    /// The namespace of the object; `""` at the cluster's scope.
    pub fn namespace(&self) -> &str {
        if self.resource.namespaced {
            &self.target.namespace
        } else {
            ""
        }
    }

    pub fn name(&self) -> &str {
        &self.target.name
    }

    pub fn subresource_name(&self) -> &str {
        self.subresource.as_ref().map_or("", |sub| &sub.name)
    }

    /// Group, version and kind of what is sent and answered.
    pub fn kind(&self) -> (&str, &str, &str) {
        match &self.subresource {
            Some(sub) => (&sub.group, &sub.version, &sub.kind),
            None => (
                &self.resource.group,
                &self.resource.version,
                &self.resource.kind,
            ),
        }
    }

    pub fn warn(&self, text: impl Into<String>) {
        self.warnings.lock().push(text.into());
    }

    /// Warns of a resource that is deprecated, as every answer about it does.
    pub fn warn_of_deprecation(&self) {
        let resource = &*self.resource;
        let custom = resource.custom.as_ref();
        let warning = match (&*resource.group, &*resource.plural) {
            ("", "endpoints") => {
                Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
            }
            ("", "componentstatuses") => Some("v1 ComponentStatus is deprecated in v1.19+"),
            _ => custom.and_then(|kind| kind.version.deprecation_warning.as_deref()),
        };
        if let Some(warning) = warning {
            self.warn(warning);
        }
    }

    /// Who manages the fields of what is written: the parameter, or the client's program.
    pub fn manager(&self) -> String {
        if let Some(name) = self
            .query
            .get("fieldManager")
            .filter(|name| !name.is_empty())
        {
            return name.to_owned();
        }
        let agent = self.headers.get(http::header::USER_AGENT);
        let agent = agent
            .and_then(|agent| agent.to_str().ok())
            .unwrap_or_default();
        let program = agent.split('/').next().unwrap_or_default();
        let program: String = program
            .chars()
            .filter(|c| !c.is_control())
            .take(128)
            .collect();
        if program.is_empty() {
            "unknown".into()
        } else {
            program
        }
    }
}
