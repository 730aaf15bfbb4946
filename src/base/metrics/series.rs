//! Series that are looked up once: what is counted on hot paths goes through no map of labels.

use std::sync::OnceLock;

use prometheus_client::metrics::family::Family;

use super::Histogram;
use super::types::{Count, Label};

/// Series of one name by `LABELS` labels.
pub(super) type FamilyBy<M, const LABELS: usize> = Family<[Label; LABELS], M, fn() -> M>;

/// One series of a family, made when it is first counted: the page shows only what has happened.
#[derive(Debug)]
struct Series<M, const LABELS: usize> {
    family: FamilyBy<M, LABELS>,
    labels: [Label; LABELS],
    metric: OnceLock<M>,
}

impl<M: Clone, const LABELS: usize> Series<M, LABELS> {
    fn new(family: &FamilyBy<M, LABELS>, labels: [Label; LABELS]) -> Self {
        Self {
            family: family.clone(),
            labels,
            metric: OnceLock::new(),
        }
    }

    fn get(&self) -> &M {
        self.metric
            .get_or_init(|| self.family.get_or_create_owned(&self.labels))
    }
}

/// The versions of the client API that have a series of their own, behind the one for everything else: a
/// client may say anything, and must not make the page grow.
const VERSIONS: [&str; 11] = [
    "unknown", "3.0", "3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8", "3.9",
];

/// Requests of one type by the API version that the client names.
#[derive(Debug)]
pub struct RequestsByVersion([Series<Count, 2>; VERSIONS.len()]);

impl RequestsByVersion {
    pub(super) fn new(family: &FamilyBy<Count, 2>, kind: &'static str) -> Self {
        let labels = |version| [("type", kind), ("client_api_version", version)];
        Self(VERSIONS.map(|version| Series::new(family, labels(version))))
    }

    /// The counter for what a client says its version is.
    pub fn of(&self, version: Option<&[u8]>) -> &Count {
        let [unknown, known @ ..] = &self.0;
        let minor = match version {
            Some([b'3', b'.', digit @ b'0'..=b'9']) => Some(usize::from(digit - b'0')),
            _ => None,
        };
        minor
            .and_then(|minor| known.get(minor))
            .unwrap_or(unknown)
            .get()
    }
}

/// Durations of a fixed list of operations, by success.
#[derive(Debug)]
pub struct Durations<const LABELS: usize>(Vec<[Series<Histogram, LABELS>; 2]>);

/// Durations of commands that are applied.
pub type OperationDurations = Durations<3>;

/// Durations of requests.
pub type RequestDurations = Durations<2>;

impl OperationDurations {
    pub(super) fn new(family: &FamilyBy<Histogram, 3>, operations: &[&'static str]) -> Self {
        Self::labelled(family, operations, |op, success| {
            [("version", "v3"), ("op", op), ("success", success)]
        })
    }
}

impl RequestDurations {
    pub(super) fn new(family: &FamilyBy<Histogram, 2>, types: &[&'static str]) -> Self {
        Self::labelled(family, types, |kind, success| {
            [("type", kind), ("success", success)]
        })
    }
}

impl<const LABELS: usize> Durations<LABELS> {
    fn labelled(
        family: &FamilyBy<Histogram, LABELS>,
        operations: &[&'static str],
        labels: impl Fn(&'static str, &'static str) -> [Label; LABELS],
    ) -> Self {
        let series = |op, success| Series::new(family, labels(op, success));
        let both = |op: &&'static str| ["false", "true"].map(|success| series(*op, success));
        Self(operations.iter().map(both).collect())
    }

    /// The histogram of the operation with this place in the list.
    pub fn of(&self, operation: usize, success: bool) -> Option<&Histogram> {
        let [failed, succeeded] = self.0.get(operation)?;
        Some(if success { succeeded } else { failed }.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_are_no_api_version_count_together() {
        let requests =
            RequestsByVersion::new(&Family::new_with_constructor(Count::default), "unary");
        requests.of(Some(b"3.5")).inc();
        for odd in [
            None,
            Some(&b""[..]),
            Some(b"3.10"),
            Some(b"4.0"),
            Some(b"3.x"),
        ] {
            requests.of(odd).inc();
        }
        let counted = requests.0.each_ref().map(|series| series.get().get());
        assert_eq!(counted, [5, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    }
}
