//! `allOf` and its kin.

use super::problem::{At, Outcome};
use crate::kube::custom::structural::Structural;
use crate::kube::custom::structural::value::quoted;

/// What junctions make of the outcomes of their alternatives.
pub(super) fn junctions(
    schema: &Structural,
    each: impl Fn(&Structural) -> Outcome,
    at: &At<'_>,
) -> Outcome {
    let mut outcome = Outcome::default();
    let junctions = &schema.junctions;
    if !junctions.any_of.is_empty() {
        any_of(&junctions.any_of, &each, at, &mut outcome);
    }
    if !junctions.one_of.is_empty() {
        one_of(&junctions.one_of, &each, at, &mut outcome);
    }
    if !junctions.all_of.is_empty() {
        let mut valid = 0;
        for one in &junctions.all_of {
            let result = each(one);
            valid += usize::from(result.is_valid());
            outcome.merge(result);
        }
        if valid != junctions.all_of.len() {
            let none = if valid == 0 { ". None validated" } else { "" };
            let path = shown_path(at);
            outcome.plain(format!(
                "{path} must validate all the schemas (allOf){none}"
            ));
        }
    }
    if let Some(not) = &junctions.not
        && each(not).is_valid()
    {
        let path = shown_path(at);
        outcome.plain(format!("{path} must not validate the schema (not)"));
    }
    outcome.matches += 1;
    outcome
}

fn shown_path(at: &At<'_>) -> String {
    quoted(&at.path())
}

fn any_of(
    schemas: &[Structural],
    each: impl Fn(&Structural) -> Outcome,
    at: &At<'_>,
    outcome: &mut Outcome,
) {
    let mut best: Option<Outcome> = None;
    for schema in schemas {
        let result = each(schema);
        if result.is_valid() {
            outcome.merge(result);
            return;
        }
        if best
            .as_ref()
            .is_none_or(|best| result.matches > best.matches)
        {
            best = Some(result);
        }
    }
    let path = shown_path(at);
    outcome.plain(format!("{path} must validate at least one schema (anyOf)"));
    outcome.merge(best.unwrap_or_default());
}

fn one_of(
    schemas: &[Structural],
    each: impl Fn(&Structural) -> Outcome,
    at: &At<'_>,
    outcome: &mut Outcome,
) {
    let (mut best, mut first, mut valid): (Option<Outcome>, Option<Outcome>, usize) =
        (None, None, 0);
    for schema in schemas {
        let result = each(schema);
        if result.is_valid() {
            valid += 1;
            best = None;
            first.get_or_insert(result);
        } else if valid == 0
            && best
                .as_ref()
                .is_none_or(|best| result.matches > best.matches)
        {
            best = Some(result);
        }
    }
    if valid == 1 {
        outcome.merge(first.unwrap_or_default());
        return;
    }
    let found = match valid {
        0 => "Found none valid".to_owned(),
        valid => format!("Found {valid} valid alternatives"),
    };
    let path = shown_path(at);
    outcome.plain(format!(
        "{path} must validate one and only one schema (oneOf). {found}"
    ));
    outcome.merge(best.unwrap_or_default());
}
