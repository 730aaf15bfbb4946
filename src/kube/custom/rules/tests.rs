use std::sync::Arc;

use serde_json::Value as Json;

use super::declare::declare;
use super::testing::structural;
use super::{CompiledRules, OBJECT_BUDGET, check, validate};
use crate::kube::cel::{Bindings, Environment, Type, Value, compile, testing::shown};

/// The answers of the release's own packages to many expressions about one object.
const RECORDED: &str = include_str!("recorded.jsonl");

/// What the release takes and is not taken here, or is refused in other words: messages of its parser's recovery, and
/// protobuf messages.
const NOT_TAKEN: [&str; 5] = [
    "*",
    "!",
    "in",
    "1 /* c */",
    "google.protobuf.Duration{seconds: 1}",
];

/// The same of expressions that were put together at random.
const GENERATED: &str = include_str!("generated.jsonl");

#[test]
fn expressions_are_judged_typed_run_and_paid_as_by_the_release() {
    compared(RECORDED);
    compared(GENERATED);
}

fn compared(recorded: &str) {
    let mut lines = recorded
        .lines()
        .map(|line| serde_json::from_str::<Json>(line).unwrap());
    let about = lines.next().unwrap();
    let schema = structural(&about["schema"]);
    let shape = declare(&schema, true, "selfType").shape;
    let env = Environment::new()
        .shaped("self", &shape)
        .shaped_optional("oldSelf", &shape)
        .variable("x", Type::Dyn);
    let object = &about["self"];
    let mut failed = Vec::new();
    let mut count = 0;
    for line in lines {
        let text = line["e"].as_str().unwrap();
        let mut found = serde_json::Map::new();
        found.insert("e".into(), text.into());
        if NOT_TAKEN.contains(&text) {
            assert!(compile(&env, text).is_err(), "{text}");
            continue;
        }
        // The release fails by accident.
        if line["err"]
            .as_str()
            .is_some_and(|err| err.starts_with("internal error"))
        {
            continue;
        }
        count += 1;
        match compile(&env, text) {
            Err(error @ crate::kube::cel::CompileError::Issues { .. }) => {
                found.insert("issues".into(), error.to_string().into());
            }
            Err(error) => {
                found.insert("err".into(), format!("PROGRAM {error}").into());
            }
            Ok(program) => {
                found.insert("type".into(), program.result().to_string().into());
                let estimate = program.estimate();
                found.insert("min".into(), estimate.min.into());
                found.insert("max".into(), estimate.max.into());
                let bindings = Bindings::new()
                    .json("self", object, &shape)
                    .optional("oldSelf", None, &shape)
                    .value("x", Value::json(object));
                let done = program.eval(&bindings, 1_000_000);
                found.insert("cost".into(), done.cost.into());
                match done.value {
                    Ok(value) => found.insert("value".into(), shown(&value).into()),
                    Err(fault) => found.insert("err".into(), fault.to_string().into()),
                };
            }
        }
        for key in ["issues", "type", "value", "err", "cost", "min", "max"] {
            let (wanted, found) = (line.get(key), found.get(key));
            // Where the release refuses before it runs, it has no costs.
            let refused = matches!(key, "cost" | "min" | "max" | "type")
                && (wanted.is_none() || found.is_none());
            if wanted != found && !refused {
                failed.push(format!(
                    "{text}\n  {key}: want {wanted:?}\n     found {found:?}"
                ));
            }
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {count}:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

const RULES_ASKED: &str = include_str!("rules_asked.jsonl");
const RULES_ANSWERED: &str = include_str!("rules_answered.jsonl");

#[test]
fn rules_are_refused_and_run_as_by_the_release() {
    let mut failed = Vec::new();
    for (asked, answered) in RULES_ASKED.lines().zip(RULES_ANSWERED.lines()) {
        let (asked, answered): (Json, Json) = (
            serde_json::from_str(asked).unwrap(),
            serde_json::from_str(answered).unwrap(),
        );
        let list = |key: &str| -> Vec<String> {
            let found = answered.get(key).and_then(Json::as_array);
            let found = found.into_iter().flatten().filter_map(Json::as_str);
            found.map(str::to_owned).collect()
        };
        let texts = |errors: Vec<crate::kube::field::FieldError>| -> Vec<String> {
            errors.iter().map(ToString::to_string).collect()
        };
        let (mut wanted, mut found);
        if let Some(crd) = asked.get("crd") {
            let schema = structural(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]);
            wanted = list("errors");
            found = texts(check(&schema, "spec.validation.openAPIV3Schema"));
        } else {
            let schema = Arc::new(structural(&asked["schema"]));
            let rules = CompiledRules::compile(&schema);
            let mut budget = asked["budget"].as_u64().unwrap_or(OBJECT_BUDGET);
            let verdict = match &rules {
                Some(rules) => validate(rules, &asked["self"], asked.get("old"), &mut budget),
                None => super::Verdict::default(),
            };
            wanted = list("errors");
            found = texts(verdict.errors);
            wanted.extend(list("warnings"));
            found.extend(texts(verdict.ratcheted));
            let left = answered["cost"].as_u64().unwrap();
            if left != u64::MAX {
                wanted.push(format!("left {left}"));
                found.push(format!("left {budget}"));
            }
        }
        wanted.sort();
        found.sort();
        if wanted != found {
            failed.push(format!("{asked}\n  want {wanted:#?}\n  found {found:#?}"));
        }
    }
    assert!(
        failed.is_empty(),
        "{}:\n{}",
        failed.len(),
        failed.join("\n")
    );
}
