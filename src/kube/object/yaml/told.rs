//! Errors of the parser in go-yaml's words.

use granit_parser::ScanError;

/// What go-yaml says of an error. It counts lines from nought for its parser and from one for its scanner, and leaves the
/// first out.
pub(super) fn told(text: &str, error: &ScanError) -> String {
    let info = error.info();
    let said = info.rsplit(", ").next().unwrap_or(&info);
    let line = error.marker().line();
    let ended = text.lines().count();
    let (line, said) = match said {
        _ if info.ends_with("found unknown anchor") => {
            let name = name_at(text, line, error.marker().col());
            (0, format!("unknown anchor '{name}' referenced"))
        }
        _ if said.starts_with("unclosed bracket") => {
            let open = text.trim_end().ends_with(['[', '{', ',', ':']);
            let closing = if said.contains('[') { ']' } else { '}' };
            let expected = if open {
                "node content".into()
            } else {
                format!("',' or '{closing}'")
            };
            (ended, format!("did not find expected {expected}"))
        }
        // Other than this parser, go-yaml goes on to look for the end of the quotes.
        "unclosed quote" | "invalid indentation in multiline quoted scalar" => {
            (ended, "found unexpected end of stream".into())
        }
        "misplaced bracket" | "\"-\" is only valid inside a block" => (
            line.saturating_sub(1),
            "did not find expected node content".into(),
        ),
        "simple key expected ':'" => (line, "could not find expected ':'".into()),
        _ if said.starts_with("unexpected character") => {
            (line, "found character that cannot start any token".into())
        }
        "did not find expected hexadecimal number" => {
            (line, "did not find expected hexdecimal number".into())
        }
        _ if said.starts_with("did not find expected") && !said.contains("digit") => {
            (line.saturating_sub(1), said.into())
        }
        _ => (line, said.into()),
    };
    let parser = said.starts_with("did not find expected")
        && !said.contains("digit")
        && !said.contains("number");
    match line {
        0 => format!("yaml: {said}"),
        1 if !parser => format!("yaml: {said}"),
        _ => format!("yaml: line {line}: {said}"),
    }
}

/// The name of the alias or anchor that a column of a line begins with.
pub(super) fn name_at(text: &str, line: usize, column: usize) -> String {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let name = line
        .chars()
        .skip(column)
        .skip_while(|one| matches!(one, '*' | '&'));
    name.take_while(|one| one.is_alphanumeric() || matches!(one, '-' | '_'))
        .collect()
}
