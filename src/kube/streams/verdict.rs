//! How a process has ended: what a kubelet says of it on the error stream, and what a client is told.

use serde_json::{Value, json};

use crate::kube::status::ApiError;
use crate::kube::tree;

/// `metav1.StatusReason` of a process that has ended with another code than 0.
const NON_ZERO: &str = "NonZeroExitCode";
/// `metav1.CauseType` of that code.
const EXIT_CODE: &str = "ExitCode";

/// The JSON text of what a client is told on the error channel, given all that came on the error stream. Nothing
/// came if there is nothing to be said.
pub(super) fn told(said: &[u8]) -> Vec<u8> {
    let status = if said.is_empty() {
        success()
    } else {
        judge(said).unwrap_or_else(|why| internal(&why))
    };
    status.to_string().into_bytes()
}

fn judge(said: &[u8]) -> Result<Value, String> {
    let status: Value = serde_json::from_slice(said).map_err(|error| {
        let said = String::from_utf8_lossy(said);
        format!("error stream protocol error: {error} in {said:?}")
    })?;
    match tree::text(&status, &["status"]) {
        "Success" => return Ok(success()),
        "Failure" => {}
        _ => return Err("error stream protocol error: unknown error".into()),
    }
    if tree::text(&status, &["reason"]) != NON_ZERO {
        return Err(tree::text(&status, &["message"]).to_owned());
    }
    if status.get("details").is_none() {
        return Err("error stream protocol error: details must be set".into());
    }
    let causes = tree::items(&status, &["details", "causes"]).iter();
    let cause = { causes }.find(|cause| tree::text(cause, &["reason"]) == EXIT_CODE);
    let Some(cause) = cause else {
        return Err(format!(
            "error stream protocol error: no {EXIT_CODE} cause given"
        ));
    };
    let code = tree::text(cause, &["message"]);
    let code: u8 = code
        .parse()
        .map_err(|_| format!("error stream protocol error: invalid exit code value {code:?}"))?;
    Ok(exited(code))
}

fn success() -> Value {
    json!({"metadata": {}, "status": "Success"})
}

fn exited(code: u8) -> Value {
    let message = format!(
        "command terminated with non-zero exit code: command terminated with exit code {code}"
    );
    json!({
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": NON_ZERO,
        "details": {"causes": [{"reason": EXIT_CODE, "message": code.to_string()}]},
    })
}

fn internal(why: &str) -> Value {
    refused(&ApiError::internal(why))
}

/// A refusal as the error channel has it: without its kind.
pub(super) fn refused(error: &ApiError) -> Value {
    let mut status = error.to_value();
    if let Some(status) = status.as_object_mut() {
        status.shift_remove("kind");
        status.shift_remove("apiVersion");
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(said: &str) -> String {
        String::from_utf8(told(said.as_bytes())).unwrap()
    }

    #[test]
    fn processes_that_end_well() {
        let well = r#"{"metadata":{},"status":"Success"}"#;
        assert_eq!(of(""), well);
        assert_eq!(of(r#"{"kind":"Status","status":"Success"}"#), well);
    }

    #[test]
    fn exit_codes_are_passed_on() {
        let said = r#"{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#;
        let wanted = concat!(
            r#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: "#,
            r#"command terminated with exit code 3","reason":"NonZeroExitCode","#,
            r#""details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#
        );
        assert_eq!(of(said), wanted);
    }

    #[test]
    fn other_failures_are_internal_errors() {
        let wanted = concat!(
            r#"{"metadata":{},"status":"Failure","message":"Internal error occurred: no such container","#,
            r#""reason":"InternalError","details":{"causes":[{"message":"no such container"}]},"code":500}"#
        );
        assert_eq!(
            of(r#"{"status":"Failure","message":"no such container"}"#),
            wanted
        );
        for (said, why) in [
            (r#"{"status":"Maybe"}"#, "unknown error"),
            (
                r#"{"status":"Failure","reason":"NonZeroExitCode"}"#,
                "details must be set",
            ),
            (
                r#"{"status":"Failure","reason":"NonZeroExitCode","details":{}}"#,
                "no ExitCode cause given",
            ),
            (
                r#"{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"300"}]}}"#,
                "invalid exit code value",
            ),
            ("nonsense", "in \\\"nonsense\\\""),
        ] {
            assert!(of(said).contains(why), "{}", of(said));
        }
    }
}
