//! A check for the fuzzer: whatever is said in an expression, it is refused or runs to an end.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::json;

use super::{
    Bindings, Environment, FieldShape, ListOrder, ObjectShape, Shape, ShapeKind, Type, Value,
    compile,
};

/// A few fields of the usual types.
fn shape() -> Arc<Shape> {
    let field = |kind: ShapeKind| {
        let shape = Shape {
            max: 10,
            ..Shape::new(kind)
        };
        Arc::new(shape)
    };
    let fields = [
        ("s", field(ShapeKind::String)),
        ("i", field(ShapeKind::Int)),
        ("any", field(ShapeKind::IntOrString)),
        (
            "l",
            field(ShapeKind::List {
                items: field(ShapeKind::String),
                order: ListOrder::Set,
            }),
        ),
        ("m", field(ShapeKind::Map(field(ShapeKind::Int)))),
    ];
    let fields: IndexMap<Box<str>, FieldShape> = fields
        .into_iter()
        .map(|(name, shape)| {
            let field = FieldShape {
                escaped: Some(name.into()),
                shape,
                exposed: true,
            };
            (name.into(), field)
        })
        .collect();
    let object = ObjectShape {
        name: "self".into(),
        fields,
    };
    Arc::new(Shape::new(ShapeKind::Object(Arc::new(object))))
}

/// Parses, checks, estimates and runs an expression.
pub fn fuzz_cel(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let shape = shape();
    let env = Environment::new()
        .shaped("self", &shape)
        .variable("x", Type::Dyn);
    let Ok(program) = compile(&env, text) else {
        return;
    };
    let estimate = program.estimate();
    assert!(estimate.min <= estimate.max, "{text}");
    let object = json!({"s": "text", "i": 3, "any": "5%", "l": ["a", "b"], "m": {"k": 1}});
    let bindings = Bindings::new()
        .json("self", &object, &shape)
        .value("x", Value::json(&object));
    let done = program.eval(&bindings, 10_000);
    let again = program.eval(&bindings, 10_000);
    assert_eq!(done.cost, again.cost, "{text}");
    assert_eq!(done.value.is_ok(), again.value.is_ok(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::cel::{CompileError, Fault};

    /// Texts that nest deeply or grow as they are read.
    #[test]
    fn hostile_texts_are_refused_on_a_small_stack() {
        let texts = [
            format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000)),
            format!("{}1{}", "(".repeat(249), ")".repeat(249)),
            format!("{}1{}", "[".repeat(249), "]".repeat(249)),
            format!("{}1", "!".repeat(99_000)),
            format!("{}1", "-".repeat(99_000)),
            format!("1{}", " + 1".repeat(240)),
            format!("1{}", " + 1".repeat(24_000)),
            format!("true{}", " && true".repeat(9_000)),
            format!("x{}", ".a".repeat(240)),
            format!("x{}", ".a".repeat(30_000)),
            format!("x{}", "[0]".repeat(240)),
            format!("{}1{}", "true ? ".repeat(200), " : 1".repeat(200)),
            format!("{}1{}", "[1].map(x, ".repeat(120), ")".repeat(120)),
            format!("{}x{}", "[1].all(x, ".repeat(200), ")".repeat(200)),
            format!("optional.of(1){}", ".optMap(y, y)".repeat(60)),
            format!("[1]{}", ".map(y, {y: y})".repeat(60)),
            format!("{}1{}", "{1: ".repeat(240), "}".repeat(240)),
            format!("'{}'", "\\x".repeat(40_000)),
            "\"".repeat(99_999),
            "a.".repeat(49_999),
            format!("[1]{0} == [1]{0}", ".map(y, [y, y])".repeat(60)),
            format!("[[1]]{}.size()", ".map(y, y + y)".repeat(60)),
            format!("'%s'.format([[1]{}])", ".map(y, [y, y])".repeat(60)),
            format!("[1]{}.indexOf(1)", ".map(y, [dyn(y), y])".repeat(60)),
            "['x'].map(a, a.replace('', 'yyyyyyyy'))".to_owned()
                + &".map(a, a.replace('', a))".repeat(9),
        ];
        let small = std::thread::Builder::new().stack_size(2 << 20);
        let run = small.spawn(move || texts.iter().for_each(|text| fuzz_cel(text.as_bytes())));
        assert!(run.unwrap().join().is_ok());
    }

    #[test]
    fn budgets_end_what_goes_on() {
        let env = Environment::new();
        let text = "lists.range(100000).all(x, lists.range(1000).all(y, x + y >= 0))";
        let program = compile(&env, text).unwrap();
        let done = program.eval(&Bindings::new(), 1_000_000);
        assert_eq!(done.value.unwrap_err(), Fault::Cancelled);
        assert!(done.cost > 1_000_000);
        let absorbed = format!("true || {text}");
        let program = compile(&env, &format!("({text}) || true")).unwrap();
        assert_eq!(
            program.eval(&Bindings::new(), 1_000_000).value.unwrap_err(),
            Fault::Cancelled
        );
        let program = compile(&env, &absorbed).unwrap();
        assert_eq!(
            program.eval(&Bindings::new(), 10).value.unwrap().as_bool(),
            Some(true)
        );
    }

    #[test]
    fn pieces_of_expressions_in_any_order_pass() {
        let pieces = [
            "self",
            ".s",
            ".l",
            ".m",
            "x",
            "1",
            "'a'",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            "?",
            ":",
            ",",
            "+",
            "-",
            "!",
            "&&",
            "||",
            " in ",
            ".map(y, ",
            ".all(y, ",
            "has(",
            ".?",
            "[?",
            "true",
            "null",
            "1.5",
            "1u",
            "b'a'",
            ".size()",
            "==",
            "<",
            "optional.of(",
            ".optMap(z, ",
            ".format([",
            "duration('1h')",
            "\u{e4}",
            "\\",
            "\"",
            "`",
            ".sum()",
            "y",
            "%",
            "/",
            "*",
            "@",
            "type(",
            "int(",
            "string(",
            ".split('')",
            ".substring(1)",
            "lists.range(3)",
        ];
        // A small generator of numbers: the same texts every time.
        let mut state = 7u64;
        let mut next = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap_or(0) % below
        };
        for _ in 0..40_000 {
            let count = 1 + next(9);
            let text: String = (0..count).map(|_| pieces[next(pieces.len())]).collect();
            fuzz_cel(text.as_bytes());
        }
    }

    #[test]
    fn issues_have_places() {
        let error = compile(&Environment::new(), "1 + a\n + b").unwrap_err();
        let CompileError::Issues { issues, shown } = error else {
            unreachable!("the names are unknown");
        };
        assert_eq!(issues.len(), 2);
        assert_eq!(
            shown,
            "ERROR: <input>:1:5: undeclared reference to 'a' (in container '')\n | 1 + a\n | ....^\n\
             ERROR: <input>:2:4: undeclared reference to 'b' (in container '')\n |  + b\n | ...^"
        );
    }
}
