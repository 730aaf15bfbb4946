//! Acting as somebody else: the headers `Impersonate-*`, and who may.
//!
//! First the constrained ways are tried (KEP-5284), in which one needs a right to act as the other and a right to
//! do so with the request at hand, then the old one, in which the former is enough.

use http::{HeaderMap, HeaderName};

use crate::kube::authn::request_header::extra;
use crate::kube::authn::service_account::{groups, split_username};
use crate::kube::request::RequestInfo;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::user::{ANONYMOUS, AUTHENTICATED, MASTERS, UNAUTHENTICATED, User};

use super::Authorizer;
use super::refusal::forbidden;

const USER: &str = "impersonate-user";
const UID: &str = "impersonate-uid";
const GROUP: &str = "impersonate-group";
const EXTRA: &str = "impersonate-extra-";

const NODE: &str = "system:node:";
const NODES: &str = "system:nodes";
const OF_NODE: &str = "authentication.kubernetes.io/node-name";

/// From so many groups or extra values on, a right to all of them is asked for first.
const MANY: usize = 4;

/// As whom a request goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impersonated {
    pub user: User,
    /// The verb that allows it, for the audit log; `""` for the old way.
    pub constraint: String,
}

/// The user that a request asks to be made as, if it does and may. The headers are taken away.
///
/// # Errors
/// 400 for headers without a user; 403 with the first of the ways that was refused.
pub fn impersonate(
    authorizer: &Authorizer,
    requestor: &User,
    request: &RequestInfo,
    headers: &mut HeaderMap,
) -> ApiResult<Option<Impersonated>> {
    let Some(wanted) = wanted(headers)? else {
        return Ok(None);
    };
    strip(headers);
    let mut refused = None;
    for way in Way::ALL {
        let trying = Trying {
            authorizer,
            requestor,
            wanted: &wanted,
            way,
        };
        if !trying.applies() {
            continue;
        }
        match trying.check(request) {
            Ok(user) => {
                let constraint = way.verb();
                return Ok(Some(Impersonated {
                    user,
                    constraint: if way == Way::Legacy {
                        String::new()
                    } else {
                        constraint
                    },
                }));
            }
            Err(error) => {
                refused.get_or_insert(error);
            }
        }
    }
    Err(refused.unwrap_or_else(|| ApiError::internal("all impersonation modes failed")))
}

fn wanted(headers: &HeaderMap) -> ApiResult<Option<User>> {
    let text = |value: &http::HeaderValue| String::from_utf8(value.as_bytes().to_vec()).ok();
    let first = |name: &str| headers.get(name).and_then(text).unwrap_or_default();
    let mut user = User {
        name: first(USER),
        uid: first(UID),
        groups: headers.get_all(GROUP).iter().filter_map(text).collect(),
        ..User::default()
    };
    extra(headers, EXTRA, &mut user);
    if !user.name.is_empty() {
        return Ok(Some(user));
    }
    if user == User::default() {
        return Ok(None);
    }
    let printed = printed(&user);
    let message = format!("requested {printed} without impersonating a user name");
    Err(ApiError::bad_request(message))
}

/// Takes the headers away.
fn strip(headers: &mut HeaderMap) {
    let own = |name: &&HeaderName| {
        [USER, UID, GROUP].contains(&name.as_str()) || name.as_str().starts_with(EXTRA)
    };
    let own: Vec<HeaderName> = headers.keys().filter(own).cloned().collect();
    for name in own {
        headers.remove(name);
    }
}

/// A user as Go prints a value with its types.
fn printed(user: &User) -> String {
    let list = |list: &[String]| {
        let quoted: Vec<_> = list.iter().map(|one| format!("{one:?}")).collect();
        match list {
            [] => "[]string(nil)".to_owned(),
            _ => format!("[]string{{{}}}", quoted.join(", ")),
        }
    };
    let extra: Vec<_> = user
        .extra
        .iter()
        .map(|(k, v)| format!("{k:?}:{}", list(v)))
        .collect();
    let extra = match extra.as_slice() {
        [] => "map[string][]string(nil)".to_owned(),
        extra => format!("map[string][]string{{{}}}", extra.join(", ")),
    };
    format!(
        "&user.DefaultInfo{{Name:{:?}, UID:{:?}, Groups:{}, Extra:{extra}}}",
        user.name,
        user.uid,
        list(&user.groups),
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A service account as the node that its pod runs on.
    AssociatedNode,
    ArbitraryNode,
    ServiceAccount,
    UserInfo,
    Legacy,
}

impl Way {
    const ALL: [Self; 5] = [
        Self::AssociatedNode,
        Self::ArbitraryNode,
        Self::ServiceAccount,
        Self::UserInfo,
        Self::Legacy,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::AssociatedNode => "associated-node",
            Self::ArbitraryNode => "arbitrary-node",
            Self::ServiceAccount => "serviceaccount",
            Self::UserInfo => "user-info",
            Self::Legacy => "legacy",
        }
    }

    fn verb(self) -> String {
        match self {
            Self::Legacy => "impersonate".to_owned(),
            way => format!("impersonate:{}", way.name()),
        }
    }

    /// The group of users and groups as resources.
    fn group(self) -> &'static str {
        match self {
            Self::Legacy => "",
            _ => "authentication.k8s.io",
        }
    }
}

struct Trying<'a> {
    authorizer: &'a Authorizer,
    requestor: &'a User,
    wanted: &'a User,
    way: Way,
}

impl Trying<'_> {
    /// Whether the way is one for the user that is wanted.
    fn applies(&self) -> bool {
        let wanted = self.wanted;
        let alone = wanted.uid.is_empty() && wanted.groups.is_empty() && wanted.extra.is_empty();
        let node = node_of(&wanted.name);
        let is_account = split_username(&wanted.name).is_some();
        match self.way {
            Way::AssociatedNode => {
                let own = self.requestor.extra.get(OF_NODE).map(Vec::as_slice);
                let is_own = matches!((own, node), (Some([own]), Some(node)) if own == node);
                alone && is_own && split_username(&self.requestor.name).is_some()
            }
            Way::ArbitraryNode => alone && node.is_some(),
            Way::ServiceAccount => alone && is_account,
            Way::UserInfo => node.is_none() && !is_account,
            Way::Legacy => true,
        }
    }

    fn check(&self, request: &RequestInfo) -> ApiResult<User> {
        if self.way != Way::Legacy {
            let mut with_it = request.clone();
            with_it.verb = format!("impersonate-on:{}:{}", self.way.name(), request.verb);
            self.allowed(&with_it)?;
        }
        let mut user = self.wanted.clone();
        self.check_name(&mut user)?;
        if !user.uid.is_empty() {
            self.may("authentication.k8s.io", "uids", "", &user.uid)?;
        }
        self.check_groups()?;
        self.check_extra()?;
        let group = match &*user.name {
            ANONYMOUS => UNAUTHENTICATED,
            _ => AUTHENTICATED,
        };
        if !user.is_in(group) && !user.is_in(UNAUTHENTICATED) {
            user.groups.push(group.to_owned());
        }
        Ok(user)
    }

    /// Also gives nodes and service accounts the groups that they always have.
    fn check_name(&self, user: &mut User) -> ApiResult<()> {
        let name = self.wanted.name.as_str();
        if let Some((namespace, account)) = split_username(name) {
            if user.groups.is_empty() {
                user.groups = groups(namespace);
            }
            let group = self.way.group();
            let verb = self.way.verb();
            return self.allowed(&RequestInfo::of_resource(
                &verb,
                group,
                "serviceaccounts",
                "",
                namespace,
                account,
            ));
        }
        match node_of(name).filter(|_| self.way != Way::Legacy) {
            None => self.may(self.way.group(), "users", "", name),
            Some(node) => {
                user.groups = vec![NODES.to_owned()];
                // The right is one to all nodes that the account's pods run on.
                let node = if self.way == Way::AssociatedNode {
                    "*"
                } else {
                    node
                };
                self.may(self.way.group(), "nodes", "", node)
            }
        }
    }

    fn check_groups(&self) -> ApiResult<()> {
        let (group, wanted) = (self.way.group(), &self.wanted.groups);
        let refuse = |name: &str, why: &str| {
            let verb = self.way.verb();
            let asked = RequestInfo::of_resource(&verb, group, "groups", "", "", name);
            Err(forbidden(self.requestor, &asked, why))
        };
        if self.way != Way::Legacy {
            if wanted.iter().any(String::is_empty) {
                return refuse("", "impersonating the empty string group is not allowed");
            }
            if self.wanted.is_in(MASTERS) {
                return refuse(
                    MASTERS,
                    "impersonating the system:masters group is not allowed",
                );
            }
            if wanted.len() >= MANY && self.may(group, "groups", "", "*").is_ok() {
                return Ok(());
            }
        }
        wanted
            .iter()
            .try_for_each(|name| self.may(group, "groups", "", name))
    }

    fn check_extra(&self) -> ApiResult<()> {
        const GROUP: &str = "authentication.k8s.io";
        let extra = &self.wanted.extra;
        if self.way != Way::Legacy {
            for (key, values) in extra {
                if let Some(why) = problem(key, values) {
                    let verb = self.way.verb();
                    let asked = RequestInfo::of_resource(&verb, GROUP, "userextras", "", "", "");
                    return Err(forbidden(self.requestor, &asked, &why));
                }
            }
            let count: usize = extra.values().map(Vec::len).sum();
            if count.max(extra.len()) >= MANY && self.may(GROUP, "userextras", "*", "*").is_ok() {
                return Ok(());
            }
        }
        for (key, values) in extra {
            for value in values {
                self.may(GROUP, "userextras", key, value)?;
            }
        }
        Ok(())
    }

    fn may(&self, group: &str, resource: &str, subresource: &str, name: &str) -> ApiResult<()> {
        let verb = self.way.verb();
        self.allowed(&RequestInfo::of_resource(
            &verb,
            group,
            resource,
            subresource,
            "",
            name,
        ))
    }

    fn allowed(&self, asked: &RequestInfo) -> ApiResult<()> {
        let decision = self.authorizer.authorize(self.requestor, asked);
        if decision.is_allowed() {
            return Ok(());
        }
        Err(forbidden(self.requestor, asked, &decision.reason))
    }
}

/// What is wrong with an extra key and its values, where more is asked of them than in the old way.
fn problem(key: &str, values: &[String]) -> Option<String> {
    let why = if key.is_empty() {
        "impersonating the empty string key in extra is not allowed"
    } else if key
        .split_once('/')
        .is_none_or(|(host, path)| !is_subdomain(host) || path.is_empty())
    {
        return Some(format!(
            "impersonating an invalid key in extra is not allowed: extra.key: Invalid value: {key:?}: must be a \
             domain-prefixed path (such as \"acme.io/foo\")"
        ));
    } else if values.is_empty() {
        "impersonating empty values in extra is not allowed"
    } else if values.iter().any(String::is_empty) {
        "impersonating the empty string value in extra is not allowed"
    } else {
        return None;
    };
    Some(why.to_owned())
}

fn node_of(username: &str) -> Option<&str> {
    username
        .strip_prefix(NODE)
        .filter(|name| is_subdomain(name))
}

fn is_subdomain(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        let ends = label.bytes().next().zip(label.bytes().last());
        ends.is_some_and(|(first, last)| fits(first) && fits(last))
            && label.bytes().all(|byte| fits(byte) || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}
