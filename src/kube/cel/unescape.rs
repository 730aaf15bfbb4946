//! What string and bytes literals say.

/// The inside of a literal, unescaped. In bytes `\x` and octal escapes are bytes, in strings characters.
///
/// # Errors
/// In cel-go's words.
pub(super) fn unescape(literal: &str, bytes: bool) -> Result<Vec<u8>, &'static str> {
    let text = literal.replace("\r\n", "\n").replace('\r', "\n");
    let raw = text.starts_with(['r', 'R']);
    let text = if raw {
        text.get(1..)
    } else {
        Some(text.as_str())
    };
    let text = text.unwrap_or_default();
    let quotes = if text.len() >= 6 && (text.starts_with("'''") || text.starts_with("\"\"\"")) {
        3
    } else {
        1
    };
    let inside = text
        .len()
        .checked_sub(quotes)
        .and_then(|end| text.get(quotes..end));
    let Some(inside) = inside else {
        return Err("unable to unescape string");
    };
    if raw {
        return Ok(inside.as_bytes().to_vec());
    }
    let mut out = Vec::with_capacity(inside.len());
    let mut rest = inside.chars();
    while let Some(next) = rest.next() {
        if next != '\\' {
            push(&mut out, next);
            continue;
        }
        escape(&mut rest, bytes, &mut out)?;
    }
    Ok(out)
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn escape(
    rest: &mut std::str::Chars<'_>,
    bytes: bool,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    const BAD: &str = "unable to unescape string";
    let kind = rest
        .next()
        .ok_or("unable to unescape string, found '\\' as last character")?;
    let plain = match kind {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => 10,
        'r' => 13,
        't' => 9,
        'v' => 11,
        '\\' | '\'' | '"' | '`' | '?' => kind as u8,
        _ => 0,
    };
    if plain != 0 {
        out.push(plain);
        return Ok(());
    }
    let (digits, radix, first) = match kind {
        'x' | 'X' => (2, 16, 0),
        'u' if !bytes => (4, 16, 0),
        'U' if !bytes => (8, 16, 0),
        '0'..='3' => (2, 8, kind.to_digit(8).unwrap_or(0)),
        _ => return Err(BAD),
    };
    let mut code = first;
    for _ in 0..digits {
        let digit = rest.next().and_then(|c| c.to_digit(radix)).ok_or(BAD)?;
        code = code.wrapping_mul(radix).wrapping_add(digit);
    }
    if bytes {
        out.push(u8::try_from(code).map_err(|_| BAD)?);
        return Ok(());
    }
    push(
        out,
        char::from_u32(code).ok_or("invalid unicode code point")?,
    );
    Ok(())
}
