use std::sync::Arc;

use serde_json::Value as Json;

use super::declare::declare;
use super::testing::structural;
use crate::kube::cel::{Bindings, Environment, Type, Value, compile, testing::shown};

/// The answers of the release's own packages to many expressions about one object.
const RECORDED: &str = include_str!("recorded.jsonl");

#[test]
fn expressions_are_judged_typed_run_and_paid_as_by_the_release() {
    let mut lines = RECORDED.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
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
            let refused = matches!(key, "cost" | "min" | "max" | "type") && wanted.is_none();
            if wanted != found && !refused {
                failed.push(format!("{text}\n  {key}: want {wanted:?}\n     found {found:?}"));
            }
        }
    }
    let _ = Arc::strong_count(&shape);
    assert!(failed.is_empty(), "{} of {count}:\n{}", failed.len(), failed.join("\n"));
}
