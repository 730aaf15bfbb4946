//! `serviceaccounts/token`: a token for a service account, bound to a pod, a secret or a node if that is asked.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::kube::field::{FieldError, quoted};
use crate::kube::object::time::Moment;
use crate::kube::schema::{Resource, Resources};
use crate::kube::status::{ApiError, ApiResult, Details};

use super::{ServiceAccounts, seconds, text, token, username};

const GROUP: &str = "authentication.k8s.io";
const KIND: &str = "TokenRequest";

/// Seconds that a token holds if nothing is said.
const DEFAULT: i64 = 3600;
/// What kubelets ask for: a request of just so many seconds is one that may be extended.
const EXTENDED_FROM: i64 = 3607;
/// To a year.
const EXTENDED_TO: i64 = 365 * 24 * 3600;

/// A `TokenRequest` with its token.
#[derive(Debug, Clone, PartialEq)]
pub struct Issued {
    pub object: Value,
    /// What is to be said in a `Warning` header.
    pub warning: Option<String>,
}

/// What a token is to be bound to, as it is stored.
#[derive(Default)]
struct Bound {
    pod: Option<Arc<Value>>,
    secret: Option<Arc<Value>>,
    /// Name and uid, which is empty for a node that is not there.
    node: Option<(String, String)>,
}

impl ServiceAccounts {
    /// Whether there is a key to sign with: without it, there is no such subresource.
    pub fn can_issue(&self) -> bool {
        self.settings.signing_key.is_some()
    }

    /// Gives a token for a service account. `request` is a `TokenRequest`, `random` makes the token's id, `now` is
    /// since the Unix epoch.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub fn issue(
        &self,
        namespace: &str,
        name: &str,
        request: &Value,
        random: [u8; 16],
        now: Duration,
    ) -> ApiResult<Issued> {
        check_metadata(request, namespace, name)?;
        let account = self.find("serviceaccounts", namespace, name)?;
        let uid = text(&account, "/metadata/uid");
        let asked = text(request, "/metadata/uid");
        if !asked.is_empty() && asked != uid {
            let why = format!(
                "the UID in the token request ({asked}) does not match the UID of the service account ({uid})"
            );
            return Err(conflict(GROUP, KIND, name, &why));
        }
        let spec = Spec::read(request, &self.settings.audiences);
        spec.check()?;
        let bound = self.bind(namespace, name, request)?;
        let (spec, warning) = self.limited(spec);
        let extended = self.settings.extend_expiration
            && bound.pod.is_some()
            && spec.expiration == EXTENDED_FROM
            && spec
                .audiences
                .iter()
                .all(|one| self.settings.audiences.contains(one));
        let now = seconds(now);
        let holds = if extended {
            EXTENDED_TO
        } else {
            spec.expiration
        };
        let mut own = Map::new();
        own.insert("namespace".into(), namespace.into());
        bound.insert_into(&mut own);
        own.insert("serviceaccount".into(), reference(name, uid));
        if let Some(secret) = &bound.secret {
            let names = (
                text(secret, "/metadata/name"),
                text(secret, "/metadata/uid"),
            );
            own.insert("secret".into(), reference(names.0, names.1));
        }
        if extended {
            own.insert(
                "warnafter".into(),
                now.saturating_add(spec.expiration).into(),
            );
        }
        own.sort_keys();
        let mut claims = Map::new();
        claims.insert("aud".into(), spec.audiences.clone().into());
        claims.insert("exp".into(), now.saturating_add(holds).into());
        claims.insert("iat".into(), now.into());
        claims.insert("iss".into(), self.settings.issuers.first().cloned().into());
        claims.insert("jti".into(), uuid(random).into());
        claims.insert("kubernetes.io".into(), own.into());
        claims.insert("nbf".into(), now.into());
        claims.insert("sub".into(), username(namespace, name).into());
        let key = self.settings.signing_key.as_ref();
        let token = key.and_then(|key| token::sign(key, &claims));
        let token = token.ok_or_else(|| ApiError::internal("failed to generate token"))?;
        let ends = time(now.saturating_add(spec.expiration));
        let metadata = metadata(request, (namespace, name, uid), now);
        Ok(Issued {
            object: answer(metadata, spec, request, token, ends),
            warning,
        })
    }

    fn limited(&self, mut spec: Spec) -> (Spec, Option<String>) {
        let limit = seconds(self.settings.max_expiration);
        if limit == 0 || spec.expiration <= limit {
            return (spec, None);
        }
        let asked = spec.expiration;
        spec.expiration = limit;
        let warning =
            format!("requested expiration of {asked} seconds shortened to {limit} seconds");
        (spec, Some(warning))
    }

    /// Looks up what the token is to be bound to.
    fn bind(&self, namespace: &str, account: &str, request: &Value) -> ApiResult<Bound> {
        let Some(asked) = request
            .pointer("/spec/boundObjectRef")
            .filter(|asked| !asked.is_null())
        else {
            return Ok(Bound::default());
        };
        let (kind, name) = (text(asked, "/kind"), text(asked, "/name"));
        let api_version = text(asked, "/apiVersion");
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let mut bound = Bound::default();
        let stored = match (group, kind) {
            ("", "Pod") => {
                let pod = self.find("pods", namespace, name)?;
                if text(&pod, "/spec/serviceAccountName") != account {
                    return Err(ApiError::bad_request(format!(
                        "cannot bind token for serviceaccount {account:?} to pod running with different \
                         serviceaccount name."
                    )));
                }
                let node = text(&pod, "/spec/nodeName");
                if !node.is_empty() {
                    let stored = self.objects.get("", "nodes", "", node);
                    let uid = stored.map(|stored| text(&stored, "/metadata/uid").to_owned());
                    bound.node = Some((node.to_owned(), uid.unwrap_or_default()));
                }
                bound.pod = Some(Arc::clone(&pod));
                pod
            }
            ("", "Node") => {
                let node = self.find("nodes", "", name)?;
                bound.node = Some((name.to_owned(), text(&node, "/metadata/uid").to_owned()));
                node
            }
            ("", "Secret") => {
                let secret = self.find("secrets", namespace, name)?;
                bound.secret = Some(Arc::clone(&secret));
                secret
            }
            _ => {
                return Err(ApiError::bad_request(format!(
                    "cannot bind token to object of type {group}/{version}, Kind={kind}"
                )));
            }
        };
        let asked = text(asked, "/uid");
        if !asked.is_empty() && asked != text(&stored, "/metadata/uid") {
            let why = format!(
                "the UID in the bound object reference ({asked}) does not match the UID in record. The object might \
                 have been deleted and then recreated"
            );
            return Err(conflict(group, kind, name, &why));
        }
        Ok(bound)
    }

    fn find(&self, plural: &str, namespace: &str, name: &str) -> ApiResult<Arc<Value>> {
        let found = self.objects.get("", plural, namespace, name);
        found.ok_or_else(|| match core(plural) {
            Some(resource) => ApiError::not_found(resource, name),
            None => ApiError::no_such_resource(),
        })
    }
}

fn core(plural: &str) -> Option<&'static Resource> {
    let resource = Resources::built_in().find("", "v1", plural)?;
    Some(resource)
}

impl Bound {
    fn insert_into(&self, own: &mut Map<String, Value>) {
        if let Some((name, uid)) = &self.node {
            own.insert("node".into(), reference(name, uid));
        }
        if let Some(pod) = &self.pod {
            let pod = reference(text(pod, "/metadata/name"), text(pod, "/metadata/uid"));
            own.insert("pod".into(), pod);
        }
    }
}

/// What is asked of the token.
struct Spec {
    audiences: Vec<String>,
    /// Seconds.
    expiration: i64,
}

impl Spec {
    fn read(request: &Value, default: &[String]) -> Self {
        let audiences = request.pointer("/spec/audiences").and_then(Value::as_array);
        let audiences = audiences.into_iter().flatten().filter_map(Value::as_str);
        let audiences: Vec<String> = audiences.map(str::to_owned).collect();
        let expiration = request.pointer("/spec/expirationSeconds");
        Self {
            audiences: if audiences.is_empty() {
                default.to_vec()
            } else {
                audiences
            },
            expiration: expiration.and_then(Value::as_i64).unwrap_or(DEFAULT),
        }
    }

    fn check(&self) -> ApiResult<()> {
        let detail = match self.expiration {
            ..600 => "may not specify a duration less than 10 minutes",
            4_294_967_297.. => "may not specify a duration larger than 2^32 seconds",
            _ => return Ok(()),
        };
        let value = self.expiration.to_string();
        let error = FieldError::invalid("spec.expirationSeconds", value, detail);
        Err(ApiError::invalid(GROUP, KIND, "", &[error]))
    }
}

/// What the body says of the account has to be what the URL says.
fn check_metadata(request: &Value, namespace: &str, name: &str) -> ApiResult<()> {
    for (field, wanted) in [("name", name), ("namespace", namespace)] {
        let said = text(request, &format!("/metadata/{field}"));
        if !said.is_empty() && said != wanted {
            let detail = format!("must match the service account {field} if specified");
            let error = FieldError::invalid(format!("metadata.{field}"), quoted(said), detail);
            return Err(ApiError::invalid(GROUP, KIND, name, &[error]));
        }
    }
    Ok(())
}

fn metadata(request: &Value, (namespace, name, uid): (&str, &str, &str), now: i64) -> Value {
    let mut metadata = Map::new();
    metadata.insert("name".into(), name.into());
    metadata.insert("namespace".into(), namespace.into());
    metadata.insert("uid".into(), uid.into());
    metadata.insert("creationTimestamp".into(), time(now).into());
    let sent = request.get("metadata").and_then(Value::as_object);
    for (key, value) in sent
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
    {
        metadata.entry(key.clone()).or_insert_with(|| value.clone());
    }
    metadata.into()
}

fn answer(metadata: Value, spec: Spec, request: &Value, token: String, ends: String) -> Value {
    let asked = request.pointer("/spec/boundObjectRef");
    let mut given = Map::new();
    given.insert("audiences".into(), spec.audiences.into());
    given.insert("expirationSeconds".into(), spec.expiration.into());
    given.insert("boundObjectRef".into(), asked.cloned().unwrap_or_default());
    let mut status = Map::new();
    status.insert("token".into(), token.into());
    status.insert("expirationTimestamp".into(), ends.into());
    let mut object = Map::new();
    object.insert("kind".into(), KIND.into());
    object.insert("apiVersion".into(), format!("{GROUP}/v1").into());
    object.insert("metadata".into(), metadata);
    object.insert("spec".into(), given.into());
    object.insert("status".into(), status.into());
    object.into()
}

/// 409 about a kind, where the release names no resource.
fn conflict(group: &str, kind: &str, name: &str, why: &str) -> ApiError {
    let what = match group {
        "" => kind.to_owned(),
        group => format!("{kind}.{group}"),
    };
    let message = format!("Operation cannot be fulfilled on {what} {name:?}: {why}");
    ApiError::new(409, "Conflict", message).with_details(Details {
        name: name.to_owned(),
        group: group.to_owned(),
        kind: kind.to_owned(),
        ..Details::default()
    })
}

fn reference(name: &str, uid: &str) -> Value {
    let mut reference = Map::new();
    reference.insert("name".into(), name.into());
    if !uid.is_empty() {
        reference.insert("uid".into(), uid.into());
    }
    reference.into()
}

fn time(seconds: i64) -> String {
    Moment { seconds, nanos: 0 }.rfc3339()
}

/// A random UUID (RFC 9562, version 4).
fn uuid(mut random: [u8; 16]) -> String {
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut random;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (at, byte) in random.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}
