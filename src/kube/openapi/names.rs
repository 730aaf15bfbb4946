//! What things are called in the documents: definitions, operations, tags.

use super::super::schema::Leaf;

/// The definition of a type of the tables: `io.k8s.api.core.v1.Pod` of `core/v1.Pod`.
pub(super) fn definition(type_name: &str) -> String {
    let (package, rest) = type_name.split_once('/').unwrap_or(("", type_name));
    match package {
        "meta" => format!("io.k8s.apimachinery.pkg.apis.meta.{rest}"),
        "apiextensions" => {
            format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{rest}")
        }
        "apiregistration" => format!("io.k8s.kube-aggregator.pkg.apis.apiregistration.{rest}"),
        package => format!("io.k8s.api.{package}.{rest}"),
    }
}

/// The definition of a leaf that has one of its own; none for plain values.
pub(super) fn leaf(leaf: Leaf) -> Option<&'static str> {
    Some(match leaf {
        Leaf::Quantity => "io.k8s.apimachinery.pkg.api.resource.Quantity",
        Leaf::IntOrString => "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        Leaf::Time => "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
        Leaf::MicroTime => "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
        Leaf::Duration => "io.k8s.apimachinery.pkg.apis.meta.v1.Duration",
        Leaf::Raw => "io.k8s.apimachinery.pkg.runtime.RawExtension",
        Leaf::FieldsV1 => "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
        Leaf::Json => "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
        Leaf::SchemaOrBool => {
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool"
        }
        Leaf::SchemaOrArray => {
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray"
        }
        Leaf::SchemaOrStrings => {
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray"
        }
        Leaf::Bool | Leaf::Int32 | Leaf::Int64 | Leaf::Double | Leaf::String | Leaf::Bytes => {
            return None;
        }
    })
}

/// A group in operation names: `Core`, `Apps`, `RbacAuthorization`, `ExampleCom`.
pub(super) fn group(group: &str) -> String {
    if group.is_empty() {
        return "Core".into();
    }
    let group = group.strip_suffix(".k8s.io").unwrap_or(group);
    group.split('.').map(capitalized).collect()
}

/// The tag of a group's operations, or of a version's: `apps`, `rbacAuthorization_v1`.
pub(super) fn tag(of: &str, version: &str) -> String {
    let group = group(of);
    let mut letters = group.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    let mut tag: String = first.into_iter().chain(letters).collect();
    if !version.is_empty() {
        tag.push('_');
        tag.push_str(version);
    }
    tag
}

/// `status` as `Status`.
pub(super) fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_release() {
        for (name, definition_name) in [
            ("core/v1.Pod", "io.k8s.api.core.v1.Pod"),
            (
                "meta/v1.ObjectMeta",
                "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
            ),
            (
                "apiregistration/v1.APIService",
                "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService",
            ),
        ] {
            assert_eq!(definition(name), definition_name);
        }
        for (of, version, name, tagged) in [
            ("", "v1", "Core", "core_v1"),
            ("apps", "", "Apps", "apps"),
            (
                "rbac.authorization.k8s.io",
                "v1",
                "RbacAuthorization",
                "rbacAuthorization_v1",
            ),
            ("example.com", "v1", "ExampleCom", "exampleCom_v1"),
        ] {
            assert_eq!((group(of), tag(of, version)), (name.into(), tagged.into()));
        }
    }
}
