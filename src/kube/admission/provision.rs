//! NamespaceAutoProvision: a namespace is made when something is first created in it.

use std::time::SystemTime;

use serde_json::json;

use super::Attributes;
use super::lifecycle::namespaces;
use crate::base::ids::LeaseId;
use crate::kube::apply::{FieldManager, Update};
use crate::kube::convert::{self, BuiltInVersions};
use crate::kube::live::Live;
use crate::kube::object::conform;
use crate::kube::objects::Objects as _;
use crate::kube::schema::Schema;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::store::{self, ObjectStore, Written};
use crate::kube::strategy::{self, Context};
use crate::kube::user::{MASTERS, User};
use crate::kube::{codec, defaults};

pub(super) const NAME: &str = "NamespaceAutoProvision";

/// Makes the namespace of a request if it is not there.
///
/// # Errors
/// What the store says.
pub(super) async fn ensure(
    store: &ObjectStore,
    live: &Live,
    attributes: &Attributes<'_>,
    now: SystemTime,
) -> ApiResult<()> {
    let name = attributes.namespace;
    let applies = attributes.creates() && !attributes.dry_run && !name.is_empty();
    if !applies
        || attributes.about("", "namespaces")
        || live.get("", "namespaces", "", name).is_some()
    {
        return Ok(());
    }
    let (schema, resource) = (Schema::built_in(), namespaces()?);
    let id = resource.object.ok_or_else(ApiError::no_such_resource)?;
    let namespace = json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}});
    let conformed = conform(schema, id, &namespace).map_err(ApiError::internal)?;
    let mut namespace = conformed.value;
    defaults::apply(schema, id, &mut namespace);
    let user = User {
        name: "system:apiserver".into(),
        groups: vec![MASTERS.into()],
        ..User::default()
    };
    let cx = Context {
        schema,
        user: &user,
        now,
    };
    strategy::begin_create(schema, resource, "", &mut namespace)?;
    let manager = FieldManager::new(resource, "", Box::new(BuiltInVersions));
    let update = Update {
        live: None,
        manager: "kube-apiserver",
        now: &strategy::rfc3339(now),
        reset: false,
    };
    let mut namespace = manager.update(namespace, &update);
    strategy::fill(&cx, resource, &mut namespace, &mut rand::random);
    strategy::prepare_create(&cx, resource, &mut namespace);
    let stored = codec::encode(&convert::to_storage(resource, &namespace));
    let key = store::key(store::place(resource)?, "", name);
    // It may be there already, and only not known here.
    if let Written::At(revision) = store.create(key, stored, LeaseId::NONE).await? {
        store.not_older_than(revision).await?;
    }
    Ok(())
}
