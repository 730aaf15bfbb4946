//! Resource quantities as exact numbers: compared, added, rounded and written in their canonical form.
//!
//! Grammar and canonical form: `k8s.io/apimachinery/pkg/api/resource`. Values are counted in billionths and
//! bounded by `i64::MAX` units, as there.

use std::cmp::Ordering;

/// Billionths of a unit.
const UNIT: i128 = 1_000_000_000;
const MAX: i128 = i64::MAX as i128 * UNIT;

/// How a quantity is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Decimal,
    Binary,
    Exponent,
}

/// A quantity.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    nanos: i128,
    form: Form,
}

impl PartialEq for Amount {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Amount {}

impl PartialOrd for Amount {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Amount {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

const BINARY: [(&str, u32); 6] = [
    ("Ki", 10),
    ("Mi", 20),
    ("Gi", 30),
    ("Ti", 40),
    ("Pi", 50),
    ("Ei", 60),
];
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];

impl Amount {
    pub const ZERO: Self = Self {
        nanos: 0,
        form: Form::Decimal,
    };

    /// Reads `1`, `-0.5`, `100m`, `1.5Gi`, `1e3`; what is finer than a billionth is rounded up.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, suffix) = rest.split_at_checked(digits)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        let (form, binary, decimal) = suffix_of(suffix)?;
        // Digits beyond what a value can hold saturate; those of a fraction beyond the tenth round it up.
        let whole = whole.bytes().fold(0i128, push_digit);
        let kept = fraction.get(..fraction.len().min(10)).unwrap_or_default();
        let lost = fraction.bytes().skip(10).any(|digit| digit != b'0');
        let parts = kept.bytes().fold(0i128, push_digit);
        let scale = 10i128.checked_pow(u32::try_from(kept.len()).ok()?)?;
        let mantissa = whole.checked_mul(scale).and_then(|m| m.checked_add(parts));
        let mut nanos = mantissa
            .and_then(|mantissa| mantissa.checked_mul(1i128 << binary))
            .and_then(|wide| scaled(wide, scale, decimal));
        if lost {
            nanos = nanos.map(|nanos| nanos + 1);
        }
        let nanos = nanos.unwrap_or(MAX).min(MAX);
        Some(Self {
            nanos: if negative { -nanos } else { nanos },
            form,
        })
    }

    pub fn sign(self) -> Ordering {
        self.nanos.cmp(&0)
    }

    /// A number of things.
    pub fn count(of: i64) -> Self {
        Self {
            nanos: i128::from(of) * UNIT,
            form: Form::Decimal,
        }
    }

    /// The sum, written as `self` is, or as `other` if `self` is nothing.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            nanos: (self.nanos + other.nanos).clamp(-MAX, MAX),
            form: if self.nanos == 0 {
                other.form
            } else {
                self.form
            },
        }
    }

    /// The difference, written as [`Self::plus`] writes a sum.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.plus(Self {
            nanos: -other.nanos,
            ..other
        })
    }

    /// The smallest whole number that is not less.
    #[must_use]
    pub fn round_up(self) -> Self {
        Self {
            nanos: (self.units() * UNIT).clamp(-MAX, MAX),
            ..self
        }
    }

    /// The smallest number of thousandths that is not less.
    #[must_use]
    pub fn round_up_to_milli(self) -> Self {
        let step = UNIT / 1000;
        let rest = self.nanos.rem_euclid(step);
        let nanos = if rest == 0 {
            self.nanos
        } else if self.nanos > 0 {
            self.nanos - rest + step
        } else {
            // Go rounds away from zero.
            self.nanos - rest
        };
        Self { nanos, ..self }
    }

    /// Whether the value is a whole number.
    pub fn is_whole(self) -> bool {
        self.nanos % UNIT == 0
    }

    /// Whole units, rounded up.
    pub fn units(self) -> i128 {
        -(-self.nanos).div_euclid(UNIT)
    }

    /// Thousandths, rounded up.
    pub fn millis(self) -> i128 {
        -(-self.nanos).div_euclid(UNIT / 1000)
    }
}

/// The canonical form.
impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let whole = self.is_whole().then_some(self.nanos / UNIT);
        if let (Form::Binary, Some(whole)) = (self.form, whole)
            && whole.abs() >= 1024
        {
            let even = whole.trailing_zeros() / 10 * 10;
            let found = BINARY.iter().rev().find(|(_, bits)| *bits <= even);
            return match found {
                Some((suffix, bits)) => write!(f, "{}{suffix}", whole >> bits),
                None => write!(f, "{whole}"),
            };
        }
        let fits = |(_, power): &&(&str, i32)| match u32::try_from(power + 9) {
            Ok(zeros) => self.nanos % 10i128.pow(zeros) == 0,
            Err(_) => false,
        };
        let (suffix, power) = DECIMAL
            .iter()
            .rev()
            .find(fits)
            .copied()
            .unwrap_or(("n", -9));
        let count = u32::try_from(power + 9).map_or(self.nanos, |z| self.nanos / 10i128.pow(z));
        match (self.form, power) {
            (Form::Exponent, 0) | (Form::Decimal | Form::Binary, _) => write!(f, "{count}{suffix}"),
            (Form::Exponent, power) => write!(f, "{count}e{power}"),
        }
    }
}

fn push_digit(value: i128, digit: u8) -> i128 {
    // 10^28 is far beyond any quantity and far below i128's end even times 2^60's share of it.
    (value * 10 + i128::from(digit - b'0')).min(10i128.pow(28))
}

fn suffix_of(suffix: &str) -> Option<(Form, u32, i32)> {
    if let Some((_, bits)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return Some((Form::Binary, *bits, 0));
    }
    if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Some((Form::Decimal, 0, *power));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((Form::Exponent, 0, exponent.parse().ok()?))
}

/// `wide / scale * 10^power` in billionths, rounded up.
fn scaled(wide: i128, scale: i128, power: i32) -> Option<i128> {
    let power = power.checked_add(9)?;
    if wide == 0 {
        return Some(0);
    }
    match u32::try_from(power) {
        Ok(up) => {
            let up = 10i128.checked_pow(up)?;
            let (whole, rest) = (wide / scale, wide % scale);
            let rest = rest.checked_mul(up)?;
            whole
                .checked_mul(up)?
                .checked_add(rest / scale + i128::from(rest % scale != 0))
        }
        Err(_) => {
            let down = 10i128.checked_pow(power.unsigned_abs());
            let Some(by) = down.and_then(|down| scale.checked_mul(down)) else {
                return Some(1);
            };
            Some(wide / by + i128::from(wide % by != 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(text: &str) -> String {
        Amount::parse(text).unwrap().to_string()
    }

    #[test]
    fn quantities_are_read_and_written_as_kubernetes_does() {
        for (text, said) in [
            ("0", "0"),
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("1024Ki", "1Mi"),
            ("1000", "1k"),
            ("100e3", "100e3"),
            ("1e3", "1e3"),
            ("0.5Ki", "512"),
            ("-1", "-1"),
            ("0.0000000001", "1n"),
            ("99999999999999999999", "9223372036854775807"),
        ] {
            assert_eq!(canonical(text), said, "{text}");
        }
        for text in ["", "a", "1.2.3", "1Kii", "1e", ".", "1 ", "--1", "1e99999"] {
            assert!(Amount::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn amounts_finer_than_a_thousandth_are_rounded_up() {
        for (text, said) in [
            ("100u", "1m"),
            ("1500u", "2m"),
            ("1m", "1m"),
            ("-1500u", "-2m"),
        ] {
            let rounded = Amount::parse(text).unwrap().round_up_to_milli();
            assert_eq!(rounded.to_string(), said);
        }
    }

    #[test]
    fn sums_are_written_as_their_first_part_that_is_something() {
        let of = |text| Amount::parse(text).unwrap();
        assert_eq!(of("0").plus(of("2Gi")).to_string(), "2Gi");
        assert_eq!(of("1Gi").plus(of("1k")).to_string(), "1073742824");
        assert_eq!(of("3").minus(of("500m")).to_string(), "2500m");
        assert_eq!(of("0").minus(of("1Mi")).to_string(), "-1Mi");
        assert_eq!(of("1500m").round_up().to_string(), "2");
        assert_eq!(Amount::count(3000).to_string(), "3k");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[-+]?[0-9.]{0,40}[eEnumkKMGTPi]{0,2}[-+]?[0-9]{0,5}") {
            if let Some(amount) = Amount::parse(&text) {
                let again = Amount::parse(&amount.to_string()).unwrap();
                prop_assert_eq!(again.to_string(), amount.to_string());
            }
        }
    }
}
