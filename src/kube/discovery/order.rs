//! In which order groups and versions are told, which is the order in which clients prefer them.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::super::schema::{GroupVersion, Resources};

/// The group versions of one moment, in the order of discovery.
///
/// Built-in groups come first, by their priorities; custom ones follow by name. Within a group of custom
/// resources versions are ordered as [`compare_versions`] says.
#[derive(Debug)]
pub struct Served<'a> {
    groups: Vec<Vec<&'a GroupVersion>>,
}

impl<'a> Served<'a> {
    /// `run_time` has each group version at most once; one that is built in is left out.
    pub fn new(
        built_in: &'a Resources,
        run_time: impl IntoIterator<Item = &'a GroupVersion>,
    ) -> Self {
        let mut groups: Vec<Vec<&GroupVersion>> = Vec::new();
        for of in built_in.groups() {
            match groups.last_mut() {
                Some(last) if last.first().is_some_and(|one| one.group == of.group) => {
                    last.push(of);
                }
                _ => groups.push(vec![of]),
            }
        }
        let mut custom: BTreeMap<&str, Vec<&GroupVersion>> = BTreeMap::new();
        for of in run_time {
            if built_in.group_version(&of.group, &of.version).is_none() {
                custom.entry(&of.group).or_default().push(of);
            }
        }
        for (group, mut versions) in custom {
            versions.sort_by(|one, other| compare_versions(&one.version, &other.version));
            let known = groups.iter_mut();
            let mut known =
                known.filter(|known| known.first().is_some_and(|one| *one.group == *group));
            match known.next() {
                // The APIService of a custom version has priority 100, a built-in one's is below 50.
                Some(known) => {
                    known.splice(..0, versions);
                }
                None => groups.push(versions),
            }
        }
        Self { groups }
    }

    /// Every group version.
    pub fn iter(&self) -> impl Iterator<Item = &'a GroupVersion> {
        self.groups.iter().flatten().copied()
    }

    /// The named groups with their versions, the preferred version first; without core.
    pub fn named(&self) -> impl Iterator<Item = (&'a str, &[&'a GroupVersion])> {
        let groups = self.groups.iter();
        let named = groups.filter_map(|of| Some((&*of.first()?.group, of.as_slice())));
        named.filter(|(group, _)| !group.is_empty())
    }

    /// The versions of a group, the preferred one first; none if there is no such group.
    pub fn versions(&self, group: &str) -> &[&'a GroupVersion] {
        let mut groups = self.groups.iter();
        let of = groups.find(|of| of.first().is_some_and(|one| *one.group == *group));
        of.map_or(&[], Vec::as_slice)
    }

    pub fn find(&self, group: &str, version: &str) -> Option<&'a GroupVersion> {
        let mut versions = self.versions(group).iter();
        versions.find(|of| *of.version == *version).copied()
    }
}

/// The order of preference: `v2`, `v1`, `v2beta1`, `v1beta2`, `v1beta1`, `v1alpha1`, then whatever is no such
/// version, by name.
///
/// Rule: <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#version-priority>.
pub fn compare_versions(one: &str, other: &str) -> Ordering {
    match (parts(one), parts(other)) {
        (Some(one), Some(other)) => other.cmp(&one),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => one.cmp(other),
    }
}

/// Stability (3 is stable), major and minor of `v1`, `v1beta2`.
fn parts(version: &str) -> Option<(u8, u64, u64)> {
    let rest = version.strip_prefix('v')?;
    let number = |digits: &str| -> Option<u64> {
        let plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    for (word, stability) in [("alpha", 1), ("beta", 2)] {
        if let Some((major, minor)) = rest.split_once(word) {
            return Some((stability, number(major)?, number(minor)?));
        }
    }
    Some((3, number(rest)?, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(group: &str, version: &str) -> GroupVersion {
        GroupVersion {
            group: group.into(),
            version: version.into(),
            resources: Vec::new(),
        }
    }

    #[test]
    fn versions_go_from_stable_to_alpha_and_new_to_old() {
        let order = [
            "v10",
            "v2",
            "v1",
            "v11beta2",
            "v10beta3",
            "v3beta1",
            "v12alpha1",
            "v11alpha2",
            "foo1",
            "foo10",
        ];
        let mut shuffled = order;
        shuffled.sort_unstable();
        shuffled.sort_by(|one, other| compare_versions(one, other));
        assert_eq!(shuffled, order);
    }

    #[test]
    fn custom_groups_follow_by_name_and_prefer_their_newest_stable_version() {
        let custom = [
            of("z.example.com", "v1"),
            of("a.example.com", "v1beta1"),
            of("a.example.com", "v1"),
            of("apps", "v1"),
            of("apps", "v9"),
        ];
        let served = Served::new(Resources::built_in(), &custom);
        let named: Vec<_> = served.named().map(|(group, _)| group).collect();
        assert_eq!(named[0], "apiregistration.k8s.io");
        assert_eq!(named[named.len() - 2..], ["a.example.com", "z.example.com"]);
        assert_eq!(named.len(), 22);
        let versions = |group| {
            let versions = served.versions(group).iter();
            versions.map(|of| &*of.version).collect::<Vec<_>>()
        };
        assert_eq!(versions("a.example.com"), ["v1", "v1beta1"]);
        assert_eq!(versions("apps"), ["v9", "v1"]);
        assert_eq!(versions(""), ["v1"]);
        assert!(versions("none").is_empty());
    }
}
