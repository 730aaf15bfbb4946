//! The order in which go-yaml writes keys.

use std::cmp::Ordering;

/// Numbers in keys count as numbers, letters come behind everything else.
pub(super) fn natural(one: &str, other: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(a, b)| a != b) else {
        return a.len().cmp(&b.len());
    };
    let (Some(&x), Some(&y)) = (a.get(at), b.get(at)) else {
        return Ordering::Equal;
    };
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => return x.cmp(&y),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let before = a.get(..at).unwrap_or_default().iter().rev();
    let led = (x == '0' || y == '0')
        && before
            .take_while(|one| one.is_ascii_digit())
            .any(|one| *one != '0');
    let (an, ai) = run(&a, at, led);
    let (bn, bi) = run(&b, at, led);
    an.cmp(&bn).then(ai.cmp(&bi)).then(x.cmp(&y))
}

/// The number that begins at a place, and where it ends.
fn run(text: &[char], from: usize, led: bool) -> (i64, usize) {
    let digits = text.get(from..).unwrap_or_default().iter();
    let digits: Vec<_> = digits.map_while(|one| one.to_digit(10)).collect();
    let number = digits.iter().fold(i64::from(led), |number, digit| {
        number.wrapping_mul(10).wrapping_add(i64::from(*digit))
    });
    (number, from + digits.len())
}
