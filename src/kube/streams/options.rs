//! What is asked of a stream: the parameters of `log`, `exec`, `attach` and `portforward`, and what the kubelet is
//! asked in turn.

use form_urlencoded::Serializer;

use crate::kube::field::FieldError;
use crate::kube::object::time::Moment;
use crate::kube::rest::query::Query;
use crate::kube::status::{ApiError, ApiResult};

/// `v1.PodLogOptions`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    pub container: String,
    pub follow: bool,
    pub previous: bool,
    pub timestamps: bool,
    pub since_seconds: Option<i64>,
    /// RFC 3339, as it is told to the kubelet.
    pub since_time: Option<String>,
    pub tail_lines: Option<i64>,
    /// In bytes.
    pub limit_bytes: Option<i64>,
    /// Whether the kubelet's certificate is not looked at.
    pub insecure: bool,
    /// Which of a container's streams; refused as long as `PodLogsQuerySplitStreams` is off, as it is by default.
    pub stream: Option<String>,
}

impl LogOptions {
    /// Reads and checks the parameters.
    ///
    /// # Errors
    /// 400 for what cannot be read, 422 for what is not allowed.
    pub fn parse(query: &Query, pod: &str) -> ApiResult<Self> {
        let text = |name| query.get(name).filter(|text| !text.is_empty());
        let flag = |name| query.flag(name).unwrap_or(false);
        let options = Self {
            container: text("container").unwrap_or_default().to_owned(),
            follow: flag("follow"),
            previous: flag("previous"),
            timestamps: flag("timestamps"),
            since_seconds: query.integer("sinceSeconds")?,
            since_time: text("sinceTime").map(time).transpose()?,
            tail_lines: query.integer("tailLines")?,
            limit_bytes: query.integer("limitBytes")?,
            insecure: flag("insecureSkipTLSVerifyBackend"),
            stream: text("stream").map(str::to_owned),
        };
        match options.errors() {
            errors if errors.is_empty() => Ok(options),
            errors => Err(ApiError::invalid("", "PodLogOptions", pod, &errors)),
        }
    }

    fn errors(&self) -> Vec<FieldError> {
        let positive = "must be greater than 0";
        let below = |value: Option<i64>, least| value.filter(|value| *value < least);
        let mut errors = Vec::new();
        if let Some(lines) = below(self.tail_lines, 0) {
            let why = "must be greater than or equal to 0";
            errors.push(FieldError::invalid("tailLines", lines.to_string(), why));
        }
        if let Some(bytes) = below(self.limit_bytes, 1) {
            errors.push(FieldError::invalid(
                "limitBytes",
                bytes.to_string(),
                positive,
            ));
        }
        if self.since_seconds.is_some() && self.since_time.is_some() {
            let why = "at most one of `sinceTime` or `sinceSeconds` may be specified";
            errors.push(FieldError::forbidden("", why));
        } else if let Some(seconds) = below(self.since_seconds, 1) {
            let seconds = seconds.to_string();
            errors.push(FieldError::invalid("sinceSeconds", seconds, positive));
        }
        if self.stream.is_some() {
            errors.push(FieldError::forbidden("stream", "may not be specified"));
        }
        errors
    }

    /// What the kubelet is asked, with its names in order as Go writes them.
    pub fn to_query(&self) -> String {
        let number = |value: Option<i64>| value.map(|value| value.to_string());
        let flag = |value: bool| value.then(|| "true".to_owned());
        write([
            ("follow", flag(self.follow)),
            ("limitBytes", number(self.limit_bytes)),
            ("previous", flag(self.previous)),
            ("sinceSeconds", number(self.since_seconds)),
            ("sinceTime", self.since_time.clone()),
            ("tailLines", number(self.tail_lines)),
            ("timestamps", flag(self.timestamps)),
        ])
    }
}

/// A time in the form in which the kubelet is told it: in UTC.
fn time(text: &str) -> ApiResult<String> {
    Moment::parse(text)
        .map(Moment::rfc3339)
        .map_err(ApiError::bad_request)
}

/// `v1.PodExecOptions` and `v1.PodAttachOptions`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecOptions {
    pub container: String,
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    pub tty: bool,
    /// Only for `exec`.
    pub command: Vec<String>,
}

impl ExecOptions {
    /// Reads the parameters. What makes no sense is refused by the kubelet.
    pub fn parse(query: &Query) -> Self {
        let flag = |name| query.flag(name).unwrap_or(false);
        Self {
            container: query.get("container").unwrap_or_default().to_owned(),
            stdin: flag("stdin"),
            stdout: flag("stdout"),
            stderr: flag("stderr"),
            tty: flag("tty"),
            command: query.all("command").map(str::to_owned).collect(),
        }
    }

    /// What the kubelet is asked.
    pub fn to_query(&self) -> String {
        let flag = |value: bool| value.then(|| "1".to_owned());
        let command = self
            .command
            .iter()
            .map(|word| ("command", Some(word.clone())));
        let flags = [
            ("error", flag(self.stderr)),
            ("input", flag(self.stdin)),
            ("output", flag(self.stdout)),
            ("tty", flag(self.tty)),
        ];
        write(command.chain(flags))
    }
}

/// `v1.PodPortForwardOptions`: ports for those who name them in the URL, comma-separated or one by one.
///
/// # Errors
/// 400 for what is no number.
pub fn forwarded_ports(query: &Query) -> ApiResult<String> {
    let mut ports = Vec::new();
    for port in query.all("ports").flat_map(|ports| ports.split(',')) {
        let read: Result<i32, _> = port.trim().parse();
        let port = read.map_err(|_| {
            let why = format!("strconv.ParseInt: parsing {port:?}: invalid syntax");
            ApiError::bad_request(why)
        })?;
        ports.push(port.to_string());
    }
    let ports = (!ports.is_empty()).then(|| ports.join(","));
    Ok(write([("port", ports)]))
}

fn write(pairs: impl IntoIterator<Item = (&'static str, Option<String>)>) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in pairs {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
    query.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs(query: &str) -> ApiResult<LogOptions> {
        LogOptions::parse(&Query::parse(query), "p")
    }

    #[test]
    fn logs_are_asked_for_as_the_client_asks() {
        let asked = "container=a&follow=true&previous=false&tailLines=0&limitBytes=7&timestamps=1\
                     &sinceTime=2026-01-02T03%3A04%3A05%2B01%3A00";
        let options = logs(asked).unwrap();
        assert_eq!(options.container, "a");
        let wanted = "follow=true&limitBytes=7&sinceTime=2026-01-02T02%3A04%3A05Z&tailLines=0&timestamps=true";
        assert_eq!(options.to_query(), wanted);
        assert_eq!(logs("").unwrap().to_query(), "");
    }

    #[test]
    fn options_of_logs_that_are_not_allowed() {
        let said = |query| {
            let error = logs(query).unwrap_err();
            (error.code, error.message)
        };
        let invalid = |why: &str| (422, format!("PodLogOptions \"p\" is invalid: {why}"));
        let cases = [
            (
                "tailLines=-1",
                invalid("tailLines: Invalid value: -1: must be greater than or equal to 0"),
            ),
            (
                "limitBytes=0",
                invalid("limitBytes: Invalid value: 0: must be greater than 0"),
            ),
            (
                "sinceSeconds=0",
                invalid("sinceSeconds: Invalid value: 0: must be greater than 0"),
            ),
            (
                "stream=Stdout",
                invalid("stream: Forbidden: may not be specified"),
            ),
            (
                "tailLines=x",
                (
                    400,
                    "strconv.ParseInt: parsing \"x\": invalid syntax".into(),
                ),
            ),
        ];
        for (query, wanted) in cases {
            assert_eq!(said(query), wanted, "{query}");
        }
        let both = said("sinceSeconds=1&sinceTime=2026-01-02T03:04:05Z").1;
        assert!(both.ends_with("at most one of `sinceTime` or `sinceSeconds` may be specified"));
        assert_eq!(said("sinceTime=yesterday").0, 400);
    }

    #[test]
    fn commands_keep_their_words_and_their_order() {
        let query = "container=c&stdin=true&stdout=1&stderr=false&tty=0&command=sh&command=-c&command=echo%20%26";
        let options = ExecOptions::parse(&Query::parse(query));
        assert_eq!(options.command, ["sh", "-c", "echo &"]);
        let wanted = "command=sh&command=-c&command=echo+%26&input=1&output=1";
        assert_eq!(options.to_query(), wanted);
    }

    #[test]
    fn ports_are_numbers() {
        let ports = |query| forwarded_ports(&Query::parse(query)).map_err(|error| error.code);
        assert_eq!(ports(""), Ok(String::new()));
        assert_eq!(ports("ports=80&ports=443"), Ok("port=80%2C443".into()));
        assert_eq!(ports("ports=80,x"), Err(400));
    }
}
