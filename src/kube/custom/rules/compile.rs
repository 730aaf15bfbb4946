//! Compiles the rules of a schema, and says what is wrong with them.

use std::sync::Arc;

use super::CompiledRules;
use super::declare::{Declared, MAX_REQUEST, declare};
use super::path;
use crate::kube::cel::{CompileError, Environment, Program, ShapeKind, Type, compile};
use crate::kube::custom::structural::{Additional, ListType, Rule, SchemaType, Structural};
use crate::kube::field::{FieldError, FieldErrorKind, quoted};

/// The most that one expression may cost by its estimate.
const EXPRESSION_LIMIT: u64 = 10_000_000;
/// The most that all expressions of a definition may cost by their estimates.
const TOTAL_LIMIT: u64 = 100_000_000;
/// Expressions named if the total is too much.
const NAMED: usize = 4;

const REASONS: [&str; 4] = [
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueRequired",
];

/// The rules of one node, ready to run, and of the nodes below it that have any.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) rules: Vec<Compiled>,
    pub(super) declared: Option<Declared>,
    pub(super) items: Option<Box<Node>>,
    pub(super) values: Option<Box<Node>>,
    pub(super) properties: Vec<(Box<str>, Node)>,
    pub(super) all_of: Vec<Node>,
}

/// One rule.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) rule: Rule,
    pub(super) program: Result<Program, String>,
    pub(super) uses_old: bool,
    /// Normalized; empty for the node itself.
    pub(super) field_path: String,
    pub(super) message: Option<Program>,
}

/// What is not right about the rules, apart by what the release tells apart.
#[derive(Debug, Default)]
struct Found {
    schema: Vec<FieldError>,
    rules: Vec<FieldError>,
}

/// Costs of a whole schema.
#[derive(Debug, Default)]
struct Total {
    sum: u64,
    most: Vec<(u64, String)>,
}

impl Total {
    fn add(&mut self, path: &str, cost: u64) {
        self.sum = self.sum.saturating_add(cost);
        if cost >= TOTAL_LIMIT / 100 {
            self.most.push((cost, path.to_owned()));
            self.most.sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
            self.most.truncate(NAMED);
        }
    }
}

/// Where a node is.
#[derive(Clone)]
struct Place {
    path: String,
    /// How often it may be there; None if nothing bounds it.
    times: Option<u64>,
    /// Where old values cannot be told from new ones, from the outermost on.
    uncorrelated: Option<String>,
    /// Whether its rules are compiled: not below `anyOf` and its kin.
    compiled: bool,
}

impl Place {
    fn below(&self, path: String, times: Option<u64>) -> Self {
        Self {
            path,
            times: self
                .times
                .zip(times)
                .map(|(one, other)| one.saturating_mul(other)),
            ..self.clone()
        }
    }

    fn uncompiled(&self, path: String) -> Self {
        Self {
            path,
            compiled: false,
            ..self.clone()
        }
    }
}

/// What is wrong with the rules of a definition's schema. `path` is that of the schema,
/// `spec.validation.openAPIV3Schema`. Whether the schema is right otherwise is for the caller to know: the release looks at no
/// rule of a schema that is not.
pub fn check(schema: &Structural, path: &str) -> Vec<FieldError> {
    let mut total = Total::default();
    let place = Place {
        path: path.to_owned(),
        times: Some(1),
        uncorrelated: None,
        compiled: true,
    };
    let declared = declare(schema, true, "selfType");
    let found = walk(schema, Some(&declared), &place, &mut total);
    let mut errors = found.schema;
    errors.extend(found.rules);
    if total.sum > TOTAL_LIMIT {
        for (_, path) in &total.most {
            errors.push(FieldError::forbidden(
                path,
                "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema",
            ));
        }
        let name = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        errors.push(FieldError::forbidden(
            path,
            over_limit(name, total.sum, TOTAL_LIMIT),
        ));
    }
    errors
}

#[expect(clippy::cast_precision_loss, reason = "as the release computes")]
fn over_limit(name: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = if factor > 100.0 {
        "more than 100x".to_owned()
    } else if factor < 1.5 {
        format!("{factor:.6}x")
    } else {
        format!("{factor:.1}x")
    };
    format!(
        "{name} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and \
         maxLength where arrays, maps, and strings are declared)"
    )
}

fn walk(node: &Structural, declared: Option<&Declared>, place: &Place, total: &mut Total) -> Found {
    let mut found = Found::default();
    let mut add = |below: Found| {
        found.schema.extend(below.schema);
        found.rules.extend(below.rules);
    };
    let path = &place.path;
    let bound = |max: Option<i64>| max.map(|max| u64::try_from(max).unwrap_or(0));
    if let Additional::Of(values) = &node.additional {
        let times = match node.of {
            Some(SchemaType::Object) => bound(node.checks.max_properties),
            _ => Some(1),
        };
        let below = declared_below(declared, values, &Below::Values);
        let place = place.below(format!("{path}.additionalProperties"), times);
        add(walk(values, below.as_ref(), &place, total));
    }
    for (name, property) in &node.properties {
        let below = declared_below(declared, property, &Below::Field(name));
        let times = match (&node.additional, node.of) {
            (Additional::Unsaid, _) | (_, None) => Some(1),
            _ => bound(node.checks.max_properties),
        };
        let place = place.below(format!("{path}.properties[{name}]"), times);
        add(walk(property, below.as_ref(), &place, total));
    }
    let junctions = &node.junctions;
    if let Some(not) = &junctions.not {
        add(walk(
            not,
            None,
            &place.uncompiled(format!("{path}.not")),
            total,
        ));
    }
    for (name, all) in [
        ("allOf", &junctions.all_of),
        ("oneOf", &junctions.one_of),
        ("anyOf", &junctions.any_of),
    ] {
        for (at, part) in all.iter().enumerate() {
            add(walk(
                part,
                None,
                &place.uncompiled(format!("{path}.{name}[{at}]")),
                total,
            ));
        }
    }
    if let Some(items) = &node.items {
        let times = match node.of {
            Some(SchemaType::Array) => bound(node.checks.max_items),
            _ => Some(1),
        };
        let mut place = place.below(format!("{path}.items"), times);
        if node.list_type != Some(ListType::Map) && place.uncorrelated.is_none() {
            place.uncorrelated = Some(path.clone());
        }
        let below = declared_below(declared, items, &Below::Items);
        add(walk(items, below.as_ref(), &place, total));
    }
    for (at, rule) in node.rules.iter().enumerate() {
        let path = format!("{path}.x-kubernetes-validations[{at}]");
        found.schema.extend(form(rule, node, &path));
    }
    if found.schema.is_empty() && place.compiled && !node.rules.is_empty() {
        match declared {
            Some(declared) => rules(node, declared, place, total, &mut found.rules),
            None => found.rules.push(FieldError::new(
                FieldErrorKind::Internal,
                format!("{path}.x-kubernetes-validations"),
                "",
                "internal error: failed to construct type information for x-kubernetes-validations rules: unable to \
                 convert structural schema to CEL declarations",
            )),
        }
    }
    found
}

/// What a part of a node was declared as; what nothing above it names is declared for itself. None if it has no rules.
fn declared_below(
    declared: Option<&Declared>,
    part: &Structural,
    which: &Below<'_>,
) -> Option<Declared> {
    if !has_rules(part) {
        return None;
    }
    match declared {
        Some(declared) => below(declared, part, which),
        None => Some(declare(part, part.embedded, "selfType")).filter(|own| own.exposed),
    }
}

/// Which part of a node.
enum Below<'n> {
    Items,
    Values,
    Field(&'n str),
}

/// What a part of a node was declared as: as it is in the whole, if it can be named there.
fn below(declared: &Declared, part: &Structural, which: &Below<'_>) -> Option<Declared> {
    let shape = match (which, &declared.shape.kind) {
        (Below::Items, ShapeKind::List { items, .. }) => Some(items),
        (Below::Values, ShapeKind::Map(values)) => Some(values),
        (Below::Field(name), ShapeKind::Object(object)) => {
            let field = object.fields.get(*name).filter(|field| field.exposed);
            field.map(|field| &field.shape)
        }
        _ => None,
    };
    let own = declare(part, part.embedded, "selfType");
    match shape {
        // A part of the root's metadata is what the root says of it.
        Some(shape) => Some(Declared {
            shape: shape.clone(),
            ..own
        }),
        None => own.exposed.then_some(own),
    }
}

/// What is wrong with a rule before it is read.
fn form(rule: &Rule, node: &Structural, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let lines = |text: &str| text.contains(['\n', '\r']);
    let (text, message) = (rule.rule.trim(), rule.message.trim());
    if text.is_empty() {
        errors.push(FieldError::required(
            format!("{path}.rule"),
            "rule is not specified",
        ));
    } else if !rule.message.is_empty() && message.is_empty() {
        let why = "must be non-empty if specified";
        errors.push(FieldError::invalid(
            format!("{path}.message"),
            quoted(&rule.message),
            why,
        ));
    } else if lines(message) {
        let why = "must not contain line breaks";
        errors.push(FieldError::invalid(
            format!("{path}.message"),
            quoted(&rule.message),
            why,
        ));
    } else if lines(text) && message.is_empty() {
        let why = "message must be specified if rule contains line breaks";
        errors.push(FieldError::required(format!("{path}.message"), why));
    }
    if !rule.message_expression.is_empty() && rule.message_expression.trim().is_empty() {
        let why = "messageExpression must be non-empty if specified";
        errors.push(FieldError::required(
            format!("{path}.messageExpression"),
            why,
        ));
    }
    if !rule.reason.is_empty() && !REASONS.contains(&rule.reason.as_str()) {
        errors.push(FieldError::not_supported(
            format!("{path}.reason"),
            &rule.reason,
            &REASONS,
        ));
    }
    let field = format!("{path}.fieldPath");
    let value = || quoted(&rule.field_path);
    if !rule.field_path.is_empty() && rule.field_path.trim().is_empty() {
        errors.push(FieldError::invalid(
            &field,
            value(),
            "must be non-empty if specified",
        ));
    }
    if lines(&rule.field_path) {
        errors.push(FieldError::invalid(
            &field,
            value(),
            "must not contain line breaks",
        ));
    }
    if !rule.field_path.is_empty() && path::normalized(&rule.field_path, node).is_none() {
        errors.push(FieldError::invalid(&field, value(), "must be a valid path"));
    }
    errors
}

/// A rule as errors print it: JSON of the structure, with what HTML minds escaped.
fn printed(rule: &Rule) -> String {
    let reason = (!rule.reason.is_empty()).then_some(&rule.reason);
    let printed = serde_json::json!({
        "Rule": rule.rule,
        "Message": rule.message,
        "MessageExpression": rule.message_expression,
        "Reason": reason,
        "FieldPath": rule.field_path,
        "OptionalOldSelf": rule.optional_old_self,
    });
    printed
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// Compiles the rules of a node and looks at what they cost and use.
fn rules(
    node: &Structural,
    declared: &Declared,
    place: &Place,
    total: &mut Total,
    errors: &mut Vec<FieldError>,
) {
    // As often as values of the least size fit a request, if nothing else bounds it.
    let most = u64::try_from(MAX_REQUEST / (declared.least + 1)).unwrap_or(0);
    let times = place.times.unwrap_or(most);
    for (at, rule) in node.rules.iter().enumerate() {
        let path = format!("{}.x-kubernetes-validations[{at}]", place.path);
        let rule_path = format!("{path}.rule");
        let env = environment(declared, rule);
        let program = program(&env, rule);
        let each = program.as_ref().map_or(0, |program| program.estimate().max);
        let cost = each.saturating_mul(times);
        if cost > EXPRESSION_LIMIT {
            let why = over_limit("estimated rule cost", cost, EXPRESSION_LIMIT);
            errors.push(FieldError::forbidden(&rule_path, why));
        }
        total.add(&rule_path, cost);
        let mut uses_old = false;
        match &program {
            Err(why) => errors.push(FieldError::invalid(&rule_path, printed(rule), why.clone())),
            Ok(program) => {
                uses_old = program.uses("oldSelf");
                message(&env, rule, &path, total, errors);
            }
        }
        if uses_old {
            if let Some(place) = &place.uncorrelated {
                let why = format!(
                    "oldSelf cannot be used on the uncorrelatable portion of the schema within {place}"
                );
                errors.push(FieldError::invalid(&rule_path, quoted(&rule.rule), why));
            }
        } else if let Some(value) = rule.optional_old_self {
            errors.push(FieldError::invalid(
                format!("{path}.optionalOldSelf"),
                value.to_string(),
                "may not be set if oldSelf is not used in rule",
            ));
        }
    }
}

fn message(
    env: &Environment,
    rule: &Rule,
    path: &str,
    total: &mut Total,
    errors: &mut Vec<FieldError>,
) {
    let path = format!("{path}.messageExpression");
    match message_program(env, rule) {
        None => {}
        Some(Err(why)) => errors.push(FieldError::invalid(path, printed(rule), why)),
        Some(Ok(program)) => {
            let cost = program.estimate().max;
            if cost > EXPRESSION_LIMIT {
                let why = over_limit("estimated messageExpression cost", cost, EXPRESSION_LIMIT);
                errors.push(FieldError::forbidden(&path, why));
            }
            total.add(&path, cost);
        }
    }
}

/// What a rule may name.
fn environment(declared: &Declared, rule: &Rule) -> Environment {
    let env = Environment::new().shaped("self", &declared.shape);
    if rule.optional_old_self == Some(true) {
        env.shaped_optional("oldSelf", &declared.shape)
    } else {
        env.shaped("oldSelf", &declared.shape)
    }
}

fn program(env: &Environment, rule: &Rule) -> Result<Program, String> {
    let program = compile(env, &rule.rule).map_err(|error| match &error {
        CompileError::Issues { .. } => format!("compilation failed: {error}"),
        CompileError::Constant(_) => format!("program instantiation failed: {error}"),
    })?;
    if *program.result() != Type::Bool {
        return Err("cel expression must evaluate to a bool".into());
    }
    Ok(program)
}

fn message_program(env: &Environment, rule: &Rule) -> Option<Result<Program, String>> {
    if rule.message_expression.is_empty() {
        return None;
    }
    let program = compile(env, &rule.message_expression).map_err(|error| match &error {
        CompileError::Issues { .. } => format!("messageExpression compilation failed: {error}"),
        CompileError::Constant(_) => format!("messageExpression instantiation failed: {error}"),
    });
    Some(program.and_then(|program| {
        if *program.result() == Type::String {
            Ok(program)
        } else {
            Err("messageExpression must evaluate to a string".into())
        }
    }))
}

impl CompiledRules {
    /// Compiles the rules of a schema to be run; None if it has none.
    pub fn compile(schema: &Arc<Structural>) -> Option<Self> {
        if !has_rules(schema) {
            return None;
        }
        let declared = declare(schema, true, "selfType");
        let root = compiled(schema, schema, Some(&declared))?;
        Some(Self {
            root,
            schema: schema.clone(),
        })
    }
}

/// Whether there are rules outside of `allOf` and its kin: without one, those are not run either.
fn has_rules(node: &Structural) -> bool {
    let values = match &node.additional {
        Additional::Of(values) => Some(&**values),
        _ => None,
    };
    let below = node
        .items
        .as_deref()
        .into_iter()
        .chain(values)
        .chain(node.properties.values());
    !node.rules.is_empty() || below.into_iter().any(has_rules)
}

/// As [`has_rules`], in `allOf` too.
fn has_any(node: &Structural) -> bool {
    let values = match &node.additional {
        Additional::Of(values) => Some(&**values),
        _ => None,
    };
    let below = node.items.as_deref().into_iter().chain(values);
    let below = below.chain(node.properties.values());
    !node.rules.is_empty() || below.chain(&node.junctions.all_of).any(has_any)
}

/// The rules of `rules`, which is a node or a part of its `allOf`, over values of `node`.
fn compiled(rules: &Structural, node: &Structural, declared: Option<&Declared>) -> Option<Node> {
    if !has_any(rules) {
        return None;
    }
    let mut found = Node {
        declared: declared.cloned(),
        ..Node::default()
    };
    if let Some(declared) = declared {
        found.rules = rules
            .rules
            .iter()
            .filter_map(|rule| one(rule, node, declared))
            .collect();
    }
    if let (Some(rules), Some(items)) = (&rules.items, &node.items) {
        let below = declared.and_then(|declared| below(declared, items, &Below::Items));
        found.items = compiled(rules, items, below.as_ref()).map(Box::new);
    }
    if let (Additional::Of(rules), Additional::Of(values)) = (&rules.additional, &node.additional) {
        let below = declared.and_then(|declared| below(declared, values, &Below::Values));
        found.values = compiled(rules, values, below.as_ref()).map(Box::new);
    }
    for (name, rules) in &rules.properties {
        let Some(property) = node.properties.get(name) else {
            continue;
        };
        let below = declared.and_then(|declared| below(declared, property, &Below::Field(name)));
        if let Some(property) = below.and_then(|below| compiled(rules, property, Some(&below))) {
            found.properties.push((name.clone(), property));
        }
    }
    let all = rules.junctions.all_of.iter();
    found.all_of = all
        .filter_map(|part| compiled(part, node, declared))
        .collect();
    let empty = found.rules.is_empty()
        && found.items.is_none()
        && found.values.is_none()
        && found.properties.is_empty()
        && found.all_of.is_empty();
    (!empty).then_some(found)
}

fn one(rule: &Rule, node: &Structural, declared: &Declared) -> Option<Compiled> {
    if rule.rule.trim().is_empty() {
        return None;
    }
    let env = environment(declared, rule);
    let program = program(&env, rule);
    let uses_old = program
        .as_ref()
        .is_ok_and(|program| program.uses("oldSelf"));
    Some(Compiled {
        message: message_program(&env, rule).and_then(Result::ok),
        field_path: path::normalized(&rule.field_path, node).unwrap_or_default(),
        rule: rule.clone(),
        program,
        uses_old,
    })
}
