//! Whether one set of rules covers another: what keeps users from giving what they do not have.

use std::collections::{BTreeSet, HashMap};

use super::rule::{ALL, Rule, covers_path, has_or_all};

/// A set of rules that comes apart into more than this is not looked at further: a request of a few hundred
/// kilobytes could otherwise ask for more comparisons than there is time for.
const MAX_PARTS: usize = 100_000;

/// The parts of `wanted` that no rule of `held` covers, as lines in the form and order of the release; empty if
/// all is covered.
///
/// What is not covered as it stands is taken apart into rules of one verb and one resource, which a single rule
/// covers or does not.
pub fn missing(held: &[Rule], wanted: &[Rule]) -> Vec<String> {
    let open = wanted
        .iter()
        .filter(|rule| !held.iter().any(|one| covers(one, rule)));
    let open: Vec<_> = open.collect();
    let parts = open
        .iter()
        .try_fold(0_usize, |sum, rule| sum.checked_add(parts(rule)?));
    if parts.is_none_or(|parts| parts > MAX_PARTS) {
        return vec![format!(
            "{{more than {MAX_PARTS} combinations of verbs and resources}}"
        )];
    }
    let mut simple: Vec<Rule> = Vec::new();
    let mut places = HashMap::new();
    let mut lines = BTreeSet::new();
    for atom in open.into_iter().flat_map(atoms) {
        if held.iter().any(|rule| covers(rule, &atom)) {
            continue;
        }
        if !atom.urls.is_empty() {
            lines.insert(atom.compact());
            continue;
        }
        let key = (
            atom.groups.clone(),
            atom.resources.clone(),
            atom.names.clone(),
        );
        let at = *places.entry(key).or_insert(simple.len());
        match simple.get_mut(at) {
            Some(rule) => rule.verbs.extend(atom.verbs),
            None => simple.push(atom),
        }
    }
    lines.extend(simple.iter().map(Rule::compact));
    lines.into_iter().collect()
}

/// The parts of `wanted`, each of one verb and one resource, that no rule of `held` covers.
pub fn uncovered(held: &[Rule], wanted: &[Rule]) -> Vec<Rule> {
    let parts = wanted.iter().flat_map(atoms);
    parts
        .filter(|atom| !held.iter().any(|rule| covers(rule, atom)))
        .collect()
}

/// Into how many a rule comes apart; None for more than can be counted.
fn parts(rule: &Rule) -> Option<usize> {
    let names = rule.names.len().max(1);
    let of = rule
        .groups
        .len()
        .checked_mul(rule.resources.len())?
        .checked_mul(names)?;
    of.checked_add(rule.urls.len())?
        .checked_mul(rule.verbs.len())
}

/// Takes a rule apart.
fn atoms(rule: &Rule) -> Vec<Rule> {
    let one = |text: &String| vec![text.clone()];
    let names: Vec<Vec<String>> = match rule.names.as_slice() {
        [] => vec![Vec::new()],
        names => names.iter().map(one).collect(),
    };
    let mut atoms = Vec::new();
    for group in &rule.groups {
        for resource in &rule.resources {
            for verb in &rule.verbs {
                atoms.extend(names.iter().map(|names| Rule {
                    verbs: one(verb),
                    groups: one(group),
                    resources: one(resource),
                    names: names.clone(),
                    urls: Vec::new(),
                }));
            }
        }
    }
    for url in &rule.urls {
        atoms.extend(rule.verbs.iter().map(|verb| Rule {
            verbs: one(verb),
            urls: one(url),
            ..Rule::default()
        }));
    }
    atoms
}

/// Whether a rule covers all parts of another.
fn covers(held: &Rule, atom: &Rule) -> bool {
    let all_in = |list: &[String], atoms: &[String]| atoms.iter().all(|one| has_or_all(list, one));
    all_in(&held.verbs, &atom.verbs)
        && all_in(&held.groups, &atom.groups)
        && atom.resources.iter().all(|one| covers_resource(held, one))
        && atom
            .urls
            .iter()
            .all(|path| held.urls.iter().any(|url| covers_path(url, path)))
        && match atom.names.as_slice() {
            [] => held.names.is_empty(),
            names => held.names.is_empty() || names.iter().all(|name| held.names.contains(name)),
        }
}

fn covers_resource(held: &Rule, resource: &str) -> bool {
    let any_of = |subresource: &str| {
        let mut held = held.resources.iter();
        held.any(|one| one.strip_prefix("*/") == Some(subresource))
    };
    let subresource = resource.split_once('/').map(|(_, subresource)| subresource);
    held.resources
        .iter()
        .any(|one| one == ALL || one == resource)
        || subresource.is_some_and(any_of)
}
