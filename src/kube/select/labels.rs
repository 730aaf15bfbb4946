//! Label selectors: requirements that all must hold of an object's labels.
//!
//! Grammar and words are those of apimachinery's `labels` package; [`super::parse`] reads the text form.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::names;
use crate::kube::field::{FieldError, quoted};

/// Requirements on labels, sorted by key; none are met by everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

/// What must hold of one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    key: String,
    operator: Operator,
    /// Sorted, each once.
    values: Vec<String>,
    /// The value of `>` and `<`.
    number: i64,
}

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    In,
    NotIn,
    Equals,
    DoubleEquals,
    NotEquals,
    GreaterThan,
    LessThan,
    Exists,
    DoesNotExist,
}

impl LabelSelector {
    /// Reads `a=b,c in (d,e),!f`.
    ///
    /// # Errors
    /// The text of the 400 answer.
    pub fn parse(text: &str) -> Result<Self, String> {
        super::parse::requirements(text).map(Self::all_of)
    }

    /// A `metav1.LabelSelector` object. An empty one selects everything; what a missing one selects differs by its user
    /// and is not decided here.
    ///
    /// # Errors
    /// The requirement that can never be met as it is written.
    pub fn from_object(object: &Value) -> Result<Self, String> {
        let mut requirements = Vec::new();
        let labels = object.get("matchLabels").and_then(Value::as_object);
        for (key, value) in labels.into_iter().flatten() {
            let values = vec![value.as_str().unwrap_or_default().to_owned()];
            requirements.push(Requirement::new(key, Operator::Equals, values)?);
        }
        let expressions = object.get("matchExpressions").and_then(Value::as_array);
        for expression in expressions.into_iter().flatten() {
            let text = |name| expression.get(name).and_then(Value::as_str);
            let operator = text("operator").unwrap_or_default();
            let operator = match operator {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(format!("{other:?} is not a valid label selector operator")),
            };
            let values = expression.get("values").and_then(Value::as_array);
            let values = values.into_iter().flatten().filter_map(Value::as_str);
            let values = values.map(str::to_owned).collect();
            let key = text("key").unwrap_or_default();
            requirements.push(Requirement::new(key, operator, values)?);
        }
        Ok(Self::all_of(requirements))
    }

    /// A plain map of labels, as services and replication controllers have it.
    pub fn from_labels(labels: &Map<String, Value>) -> Self {
        let requirements = labels.iter().map(|(key, value)| Requirement {
            key: key.clone(),
            operator: Operator::Equals,
            values: vec![value.as_str().unwrap_or_default().to_owned()],
            number: 0,
        });
        Self::all_of(requirements.collect())
    }

    fn all_of(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|one, other| one.key.cmp(&other.key));
        Self { requirements }
    }

    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether it selects everything.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether the labels meet every requirement; no labels are an empty map.
    pub fn matches(&self, labels: Option<&Map<String, Value>>) -> bool {
        let label = |key: &str| labels.and_then(|labels| labels.get(key)?.as_str());
        let mut requirements = self.requirements.iter();
        requirements.all(|requirement| requirement.matches(label(&requirement.key)))
    }

    /// Whether the labels in the metadata of an object meet every requirement.
    pub fn matches_object(&self, object: &Value) -> bool {
        self.is_everything() || self.matches(labels_of(object))
    }
}

/// The labels of an object.
pub fn labels_of(object: &Value) -> Option<&Map<String, Value>> {
    object.get("metadata")?.get("labels")?.as_object()
}

impl std::fmt::Display for LabelSelector {
    /// The text form, as `status.selector` of a `Scale` has it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, requirement) in self.requirements.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            write!(f, "{requirement}")?;
        }
        Ok(())
    }
}

impl Requirement {
    /// # Errors
    /// Everything that is wrong with it, as one text.
    pub fn new(key: &str, operator: Operator, mut values: Vec<String>) -> Result<Self, String> {
        let mut errors = Vec::new();
        let problems = names::key_problems(key);
        if !problems.is_empty() {
            errors.push(FieldError::invalid("key", quoted(key), problems.join("; ")));
        }
        if let Some(problem) = count_problem(operator, values.len()) {
            let shown = match values.as_slice() {
                [] => "null".to_owned(),
                some => Value::from(some.to_vec()).to_string(),
            };
            errors.push(FieldError::invalid("values", shown, problem));
        }
        let mut number = 0;
        if matches!(operator, Operator::GreaterThan | Operator::LessThan) {
            for (at, value) in values.iter().enumerate() {
                match value.parse() {
                    Ok(read) => number = read,
                    Err(_) => errors.push(FieldError::invalid(
                        format!("values[{at}]"),
                        quoted(value),
                        "for 'Gt', 'Lt' operators, the value must be an integer",
                    )),
                }
            }
        }
        for (at, value) in values.iter().enumerate() {
            let problems = names::value_problems(value);
            if !problems.is_empty() {
                let path = format!("values[{at}][{key}]");
                errors.push(FieldError::invalid(
                    path,
                    quoted(value),
                    problems.join("; "),
                ));
            }
        }
        if !errors.is_empty() {
            return Err(aggregate(&errors));
        }
        values.sort_unstable();
        values.dedup();
        Ok(Self {
            key: key.to_owned(),
            operator,
            values,
            number,
        })
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn operator(&self) -> Operator {
        self.operator
    }

    pub fn values(&self) -> &[String] {
        &self.values
    }

    fn matches(&self, label: Option<&str>) -> bool {
        match self.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => {
                label.is_some_and(|label| self.has(label))
            }
            Operator::NotIn | Operator::NotEquals => !label.is_some_and(|label| self.has(label)),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::GreaterThan => self.compares(label, Ordering::Greater),
            Operator::LessThan => self.compares(label, Ordering::Less),
        }
    }

    fn has(&self, label: &str) -> bool {
        match self.values.as_slice() {
            [one] => one == label,
            several => several
                .binary_search_by(|value| value.as_str().cmp(label))
                .is_ok(),
        }
    }

    fn compares(&self, label: Option<&str>, wanted: Ordering) -> bool {
        let label = label.and_then(|label| label.parse::<i64>().ok());
        label.is_some_and(|label| label.cmp(&self.number) == wanted)
    }
}

impl std::fmt::Display for Requirement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { key, operator, .. } = self;
        let values = self.values.join(",");
        match operator {
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
        }
    }
}

fn count_problem(operator: Operator, values: usize) -> Option<&'static str> {
    match operator {
        Operator::In | Operator::NotIn if values == 0 => {
            Some("for 'in', 'notin' operators, values set can't be empty")
        }
        Operator::Equals | Operator::DoubleEquals | Operator::NotEquals if values != 1 => {
            Some("exact-match compatibility requires one single value")
        }
        Operator::Exists | Operator::DoesNotExist if values != 0 => {
            Some("values set must be empty for exists and does not exist")
        }
        Operator::GreaterThan | Operator::LessThan if values != 1 => {
            Some("for 'Gt', 'Lt' operators, exactly one value is required")
        }
        _ => None,
    }
}

/// Several errors as Go's aggregate prints them.
fn aggregate(errors: &[FieldError]) -> String {
    let texts: Vec<_> = errors.iter().map(FieldError::to_string).collect();
    match texts.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}
