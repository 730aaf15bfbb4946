//! Tokens that a node asks for: of its pods' accounts, for these pods, and for whom they are meant.

use serde_json::Value;

use super::super::resource_request;
use super::{Asked, missing};
use crate::kube::object::meta;
use crate::kube::status::ApiResult;
use crate::kube::tree::{get, items, text};

impl Asked<'_> {
    pub(super) fn account(self) -> ApiResult<()> {
        if !self.by.creates() || self.by.subresource != "token" {
            return Ok(());
        }
        let request = self.object.unwrap_or(&Value::Null);
        let bound = |field: &str| text(request, &["spec", "boundObjectRef", field]);
        let (name, uid) = (bound("name"), bound("uid"));
        if bound("apiVersion") != "v1" || bound("kind") != "Pod" || name.is_empty() {
            return self.refuse("node requested token not bound to a pod");
        }
        if uid.is_empty() {
            return self.refuse("node requested token with a pod binding without a uid");
        }
        let pod = self.find(("", "pods"), self.by.namespace, name, "pod")?;
        if uid != meta::uid(&pod) {
            return self.refuse(format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object might \
                 have been deleted and then recreated"
            ));
        }
        if text(&pod, &["spec", "nodeName"]) != self.node {
            return self
                .refuse("node requested token bound to a pod scheduled on a different node");
        }
        match self.audience(request, &pod) {
            Ok(()) => Ok(()),
            Err(why) => self.refuse(why),
        }
    }

    /// Whether the pod mounts tokens for the audience, or the node may ask for it all the same.
    fn audience(self, request: &Value, pod: &Value) -> Result<(), String> {
        let audience = match items(request, &["spec", "audiences"]) {
            [] => "",
            [one] => one.as_str().unwrap_or_default(),
            _ => return Err("node may only request 0 or 1 audiences".into()),
        };
        let mut wrong: Vec<String> = Vec::new();
        for volume in items(pod, &["spec", "volumes"]) {
            match self.is_for(volume, pod, audience) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(why) => wrong.push(why),
            }
        }
        let wrong = match wrong.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            all => Some(format!("[{}]", all.join(", "))),
        };
        if let Some(wrong) = wrong {
            return Err(format!("error validating audience {audience:?}: {wrong}"));
        }
        let asked = resource_request(
            "request-serviceaccounts-token-audience",
            ("", "v1", audience, ""),
            self.by.namespace,
            self.by.name,
        );
        (self.given.may)(&asked).map_err(|_| {
            let user = &self.by.user.name;
            format!(
                "audience {audience:?} not found in pod spec volume, {user} is not authorized to request tokens for \
                 this audience"
            )
        })
    }

    /// Whether what is mounted is a token for the audience, or a driver's that gets one.
    fn is_for(self, volume: &Value, pod: &Value, audience: &str) -> Result<bool, String> {
        let mut sources = items(volume, &["projected", "sources"]).iter();
        let token = |source: &Value| {
            let token = get(source, &["serviceAccountToken"]);
            token.is_some_and(|token| text(token, &["audience"]) == audience)
        };
        if sources.any(token) {
            return Ok(true);
        }
        let driver = if get(volume, &["ephemeral", "volumeClaimTemplate"]).is_some() {
            let claim = format!("{}-{}", meta::name(pod), text(volume, &["name"]));
            self.driver(&claim)?
        } else if get(volume, &["persistentVolumeClaim"]).is_some() {
            self.driver(text(volume, &["persistentVolumeClaim", "claimName"]))?
        } else {
            text(volume, &["csi", "driver"]).to_owned()
        };
        if driver.is_empty() {
            return Ok(false);
        }
        let kind = "csidriver.storage.k8s.io";
        let driver = self.get(("storage.k8s.io", "csidrivers"), "", &driver, kind)?;
        let mut requests = items(&driver, &["spec", "tokenRequests"]).iter();
        Ok(requests.any(|request| text(request, &["audience"]) == audience))
    }

    /// The driver of a claim's volume, `""` for one of another kind.
    fn driver(self, claim: &str) -> Result<String, String> {
        let claims = ("", "persistentvolumeclaims");
        let namespace = self.by.namespace;
        let claim = self.get(claims, namespace, claim, "persistentvolumeclaim")?;
        let volume = text(&claim, &["spec", "volumeName"]);
        let volume = self.get(("", "persistentvolumes"), "", volume, "persistentvolume")?;
        Ok(text(&volume, &["spec", "csi", "driver"]).to_owned())
    }

    fn get(
        self,
        resource: (&str, &str),
        namespace: &str,
        name: &str,
        kind: &str,
    ) -> Result<std::sync::Arc<Value>, String> {
        let (group, plural) = resource;
        let found = self.given.objects.get(group, plural, namespace, name);
        found.ok_or_else(|| missing(kind, name).message)
    }
}
