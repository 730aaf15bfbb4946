//! Finds the links in a page of HTML and puts others in their place; all else stays byte for byte.
//!
//! It is no parser of HTML: it looks at tags with their attributes, and passes over comments and over the elements whose
//! content is no HTML. What it does not understand it leaves alone.

/// Attributes that hold links, by element: HTML 4.01's and HTML5's.
const LINKS: [(&str, &[&str]); 26] = [
    ("a", &["href"]),
    ("applet", &["codebase"]),
    ("area", &["href"]),
    ("audio", &["src"]),
    ("base", &["href"]),
    ("blockquote", &["cite"]),
    ("body", &["background"]),
    ("button", &["formaction"]),
    ("command", &["icon"]),
    ("del", &["cite"]),
    ("embed", &["src"]),
    ("form", &["action"]),
    ("frame", &["longdesc", "src"]),
    ("head", &["profile"]),
    ("html", &["manifest"]),
    ("iframe", &["longdesc", "src"]),
    ("img", &["longdesc", "src", "usemap"]),
    ("input", &["src", "usemap", "formaction"]),
    ("ins", &["cite"]),
    ("link", &["href"]),
    ("object", &["classid", "codebase", "data", "usemap"]),
    ("q", &["cite"]),
    ("script", &["src"]),
    ("source", &["src"]),
    ("video", &["poster", "src"]),
    ("track", &["src"]),
];

/// Elements whose content is text up to their end.
const RAW: [&str; 6] = ["script", "style", "textarea", "title", "xmp", "iframe"];

/// The page with its links replaced by what `through` makes of them; None leaves a link.
pub fn rewrite(page: &[u8], through: impl Fn(&str) -> Option<String>) -> Vec<u8> {
    let mut out = Vec::with_capacity(page.len() + page.len() / 8);
    let mut rest = page;
    while let Some(at) = rest.iter().position(|byte| *byte == b'<') {
        let (text, from) = rest.split_at(at);
        out.extend_from_slice(text);
        rest = from;
        if rest.starts_with(b"<!--") {
            let end = find(rest, b"-->").map_or(rest.len(), |at| at + 3);
            pass(&mut rest, end, &mut out);
            continue;
        }
        let name = name_of(rest.get(1..).unwrap_or_default());
        if name.is_empty() {
            pass(&mut rest, 1, &mut out);
            continue;
        }
        let Some(end) = end_of_tag(rest) else { break };
        let (tag, after) = rest.split_at(end);
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        rewrite_tag(tag, &name, &through, &mut out);
        rest = after;
        if RAW.contains(&name.as_str()) {
            let end = end_of_raw(rest, &name);
            pass(&mut rest, end, &mut out);
        }
    }
    out.extend_from_slice(rest);
    out
}

fn pass(rest: &mut &[u8], length: usize, out: &mut Vec<u8>) {
    let (passed, after) = rest.split_at(length.min(rest.len()));
    out.extend_from_slice(passed);
    *rest = after;
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|part| part == what)
}

/// The name that a tag begins with; empty for what is no tag that opens an element.
fn name_of(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_alphanumeric());
    let name = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
    match name.first() {
        Some(first) if first.is_ascii_alphabetic() => name,
        _ => b"",
    }
}

/// Where a tag ends, behind its `>`: the first that is not within quotes.
fn end_of_tag(tag: &[u8]) -> Option<usize> {
    let mut quote = None;
    // Quotes count only where a value begins.
    let mut before = b' ';
    for (at, byte) in tag.iter().enumerate() {
        match (quote, *byte) {
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'>') => return Some(at + 1),
            (None, byte @ (b'"' | b'\'')) if before == b'=' => quote = Some(byte),
            (None, _) => {}
        }
        if !byte.is_ascii_whitespace() {
            before = *byte;
        }
    }
    None
}

/// Where the content of an element without HTML ends.
fn end_of_raw(text: &[u8], name: &str) -> usize {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| find(rest, b"</")) {
        at += found;
        let after = text.get(at + 2..).unwrap_or_default();
        if name_of(after).eq_ignore_ascii_case(name.as_bytes()) {
            return at;
        }
        at += 2;
    }
    text.len()
}

fn rewrite_tag(
    tag: &[u8],
    name: &str,
    through: &impl Fn(&str) -> Option<String>,
    out: &mut Vec<u8>,
) {
    let links = LINKS.iter().find(|(known, _)| *known == name);
    let Some((_, links)) = links else {
        return out.extend_from_slice(tag);
    };
    let mut rest = tag;
    pass(&mut rest, 1 + name.len(), out);
    while let Some(attribute) = Attribute::next(rest) {
        let known = String::from_utf8_lossy(attribute.name).to_ascii_lowercase();
        let link = String::from_utf8_lossy(attribute.value);
        let new = match links.contains(&known.as_str()) {
            true => through(unescape(&link).trim()),
            false => None,
        };
        match new {
            Some(new) => {
                out.extend_from_slice(rest.get(..attribute.begin).unwrap_or_default());
                let quoted = attribute.quoted;
                let quote: &[u8] = if quoted { b"" } else { b"\"" };
                out.extend_from_slice(quote);
                out.extend_from_slice(escape(&new).as_bytes());
                out.extend_from_slice(quote);
                rest = rest.get(attribute.end..).unwrap_or_default();
            }
            None => pass(&mut rest, attribute.end, out),
        }
    }
    out.extend_from_slice(rest);
}

/// An attribute with a value, and where the value stands, without its quotes.
struct Attribute<'a> {
    name: &'a [u8],
    value: &'a [u8],
    begin: usize,
    end: usize,
    quoted: bool,
}

impl<'a> Attribute<'a> {
    /// The next attribute with a value in what is left of a tag.
    fn next(tag: &'a [u8]) -> Option<Self> {
        let mut at = 0;
        let skip = |mut at: usize, wanted: &dyn Fn(u8) -> bool| {
            while tag.get(at).is_some_and(|byte| wanted(*byte)) {
                at += 1;
            }
            at
        };
        let space = |byte: u8| byte.is_ascii_whitespace() || byte == b'/';
        loop {
            at = skip(at, &|byte| space(byte) || byte == b'"' || byte == b'\'');
            let begin = at;
            at = skip(at, &|byte| !space(byte) && byte != b'=' && byte != b'>');
            let name = tag.get(begin..at)?;
            at = skip(at, &|byte| byte.is_ascii_whitespace());
            match tag.get(at)? {
                b'=' => {
                    let from = skip(at + 1, &|byte| byte.is_ascii_whitespace());
                    return Self::value(tag, name, from);
                }
                b'>' => return None,
                // It has no value.
                _ if at > begin => {}
                _ => at += 1,
            }
        }
    }

    fn value(tag: &'a [u8], name: &'a [u8], from: usize) -> Option<Self> {
        let first = *tag.get(from)?;
        let quoted = first == b'"' || first == b'\'';
        let begin = from + usize::from(quoted);
        let ends = |byte: &u8| match quoted {
            true => *byte == first,
            false => byte.is_ascii_whitespace() || *byte == b'>',
        };
        let end = begin + tag.get(begin..)?.iter().position(ends)?;
        Some(Self {
            name,
            value: tag.get(begin..end)?,
            begin,
            end,
            quoted,
        })
    }
}

/// The characters that are written otherwise in links, as they are.
fn unescape(text: &str) -> String {
    text.replace("&quot;", "\"")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn through(page: &str) -> String {
        let links = |link: &str| link.starts_with('/').then(|| format!("/P{link}"));
        String::from_utf8(rewrite(page.as_bytes(), links)).unwrap()
    }

    #[test]
    fn links_of_all_kinds() {
        for (page, wanted) in [
            ("<a href=\"/x\">t</a>", "<a href=\"/P/x\">t</a>"),
            ("<A  HREF = '/x' id=b>", "<A  HREF = '/P/x' id=b>"),
            ("<a href=/x>", "<a href=\"/P/x\">"),
            ("<a disabled href=/x>", "<a disabled href=\"/P/x\">"),
            (
                "<a href=\"/x?a=1&amp;b=2\">",
                "<a href=\"/P/x?a=1&amp;b=2\">",
            ),
            (
                "<img src='/i' usemap='/m' alt='/a'/>",
                "<img src='/P/i' usemap='/P/m' alt='/a'/>",
            ),
            (
                "<script src=\"/s\">if (a<b) '<a href=\"/x\">'</script>",
                "<script src=\"/P/s\">if (a<b) '<a href=\"/x\">'</script>",
            ),
            (
                "<form title=\">\" action=\"/f\">",
                "<form title=\">\" action=\"/P/f\">",
            ),
        ] {
            assert_eq!(through(page), wanted);
        }
    }

    #[test]
    fn what_is_no_link_stays() {
        for page in [
            "<!-- <a href=\"/x\"> --><p href=\"/x\">",
            "<a href=\"x\" data-href=\"/y\">",
            "a < b <3 </a href=\"/x\">",
            "<a href=\"/x",
            "<a href>",
            "<a href=",
            "<title><a href=\"/x\"></title>",
            "<",
            "<a href=\"/x\" <!--",
        ] {
            let kept = through(page);
            let changed = page.starts_with("<a href=\"/x\" <!--");
            assert!(changed || kept == page, "{page} became {kept}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost(page in "(<|>|a|img|script|/| |=|\"|'|href|src|!--|--|[a-z&é]){0,60}") {
            let same = rewrite(page.as_bytes(), |_| None);
            prop_assert_eq!(same, page.as_bytes());
            let _any = rewrite(page.as_bytes(), |_| Some("/".into()));
        }
    }
}
