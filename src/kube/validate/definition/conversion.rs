//! How objects are turned from one version into another.

use super::super::cursor::{At, Errors};
use super::super::{names, webhook};
use super::Tolerated;
use crate::kube::custom::authorities;
use crate::kube::custom::conditions;

/// Versions of conversion reviews that the release and the one before it know.
const REVIEWS: [&str; 2] = ["v1", "v1beta1"];

pub(super) fn conversion(conversion: &At<'_>, tolerated: Tolerated<'_>, errors: &mut Errors) {
    if !conversion.is_set() {
        return;
    }
    let (strategy, hook) = (conversion.field("strategy"), conversion.field("webhook"));
    errors.one_of(&strategy, &["None", "Webhook"]);
    // The internal form has no struct around these two.
    let here = |name: &str| format!("{}.{name}", conversion.path);
    let config = hook
        .field("clientConfig")
        .named(here("webhookClientConfig"));
    let reviews = hook
        .field("conversionReviewVersions")
        .named(here("conversionReviewVersions"));
    if strategy.is("Webhook") {
        if config.is_set() {
            webhook::client(&config, errors);
            bundle(&config.field("caBundle"), tolerated, errors);
        } else {
            errors.required(&config, "required when strategy is set to Webhook");
        }
        review_versions(&reviews, tolerated, errors);
        return;
    }
    let why = "should not be set when strategy is not set to Webhook";
    if config.is_set() {
        errors.forbidden(&config, why);
    }
    if !reviews.is_empty() {
        errors.forbidden(&reviews, why);
    }
}

/// A bundle that cannot be read is refused once the definition is established, unless it has been there.
fn bundle(bundle: &At<'_>, tolerated: Tolerated<'_>, errors: &mut Errors) {
    let Some(old) = tolerated.old else { return };
    if !conditions::is_true(old.value, conditions::ESTABLISHED) {
        return;
    }
    let before = old.down(&["spec", "conversion", "webhook", "clientConfig", "caBundle"]);
    if authorities::readable(before.text()) && !authorities::readable(bundle.text()) {
        let why = "unable to load root certificates: unable to parse bytes as PEM block";
        errors.bad_text(bundle, why);
    }
}

fn review_versions(reviews: &At<'_>, tolerated: Tolerated<'_>, errors: &mut Errors) {
    if reviews.is_empty() {
        return errors.required(reviews, "");
    }
    let known = |versions: &[&str]| versions.iter().any(|one| REVIEWS.contains(one));
    let mut seen: Vec<&str> = Vec::new();
    for version in reviews.items() {
        if seen.contains(&version.text()) {
            errors.bad_text(&version, "duplicate version");
            continue;
        }
        seen.push(version.text());
        errors.bad_texts(&version, names::dns_1035_label(version.text()));
    }
    let path = ["spec", "conversion", "webhook", "conversionReviewVersions"];
    let before = tolerated.old.map(|old| old.down(&path).texts());
    let needed = before.is_none_or(|before| before.is_empty() || known(&before));
    if needed && !known(&seen) {
        errors.invalid(
            reviews,
            format!("must include at least one of {}", REVIEWS.join(", ")),
        );
    }
}
