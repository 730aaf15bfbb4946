//! The clauses of an `Accept` header, as the release's parser reads and orders them.

/// A clause of an `Accept` header.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Clause<'a> {
    kind: &'a str,
    sub: &'a str,
    quality: f64,
    pub(super) parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Clause<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.trim_matches(' ').split(';');
        let name = parts.next()?;
        let (kind, sub) = match name.split_once('/') {
            Some((kind, sub)) if !sub.is_empty() => (kind.trim_matches(' '), sub),
            _ => (
                "*",
                if name.trim_matches(' ') == "*" {
                    "*"
                } else {
                    return None;
                },
            ),
        };
        // A slash more, unless it ends the name.
        let sub = match sub.split_once('/') {
            None => sub,
            Some((sub, "")) => sub,
            Some(_) => return None,
        };
        let mut clause = Self {
            kind,
            sub: sub.trim_matches(' '),
            quality: 1.0,
            parameters: Vec::new(),
        };
        for part in parts {
            let Some((name, value)) = part.split_once('=') else {
                continue;
            };
            if value.is_empty() || value.trim_end_matches('=').contains('=') {
                continue;
            }
            match name.trim_matches(' ') {
                "q" => {
                    clause.quality = value
                        .parse()
                        .ok()
                        .filter(|q: &f64| !q.is_nan())
                        .unwrap_or(0.0);
                }
                name => clause
                    .parameters
                    .push((name, value.trim_matches([' ', '=']))),
            }
        }
        Some(clause)
    }

    /// Whether it goes before another. No order in the strict sense: where two disagree, both may.
    pub(super) fn before(&self, other: &Self) -> bool {
        self.quality > other.quality
            || (self.kind != "*" && other.kind == "*")
            || (self.sub != "*" && other.sub == "*")
    }

    pub(super) fn names(&self, format: &str) -> bool {
        let (kind, sub) = format.split_once('/').unwrap_or((format, ""));
        (self.kind == kind && (self.sub == sub || self.sub == "*"))
            || (self.kind == "*" && self.sub == "*")
    }
}
