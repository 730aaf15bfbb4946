//! How a quantity is written.

use std::cmp::Ordering;

use super::{Format, Quantity};

impl Quantity {
    /// The whole number if it is one.
    fn whole(&self) -> Option<i128> {
        let exact = match usize::try_from(-i64::from(self.scale)) {
            Ok(places) => {
                let zeros = self.digits.iter().rev().take_while(|digit| **digit == 0);
                places <= zeros.count()
            }
            Err(_) => true,
        };
        exact.then(|| self.scaled(0)).flatten()
    }

    fn write_binary(&self, f: &mut std::fmt::Formatter<'_>, value: i128) -> std::fmt::Result {
        let mut rest = value;
        let mut steps = 0;
        while rest.abs() >= 1024 && rest % 1024 == 0 && steps < 6 {
            rest /= 1024;
            steps += 1;
        }
        let suffix = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        write!(f, "{rest}{}", suffix.get(steps).unwrap_or(&""))
    }

    fn write_decimal(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut digits: String = self
            .digits
            .iter()
            .map(|digit| char::from(b'0' + digit))
            .collect();
        let mut exponent = self.scale;
        while digits.len() > 1 && digits.ends_with('0') {
            digits.pop();
            exponent += 1;
        }
        for _ in 0..exponent.rem_euclid(3) {
            digits.push('0');
            exponent -= 1;
        }
        if self.negative {
            f.write_str("-")?;
        }
        f.write_str(&digits)?;
        match (self.format, exponent) {
            (_, 0) => Ok(()),
            (Format::Exponent, exponent) => write!(f, "e{exponent}"),
            // Beyond the last suffix the release writes none.
            (_, exponent) => f.write_str(match exponent {
                -9 => "n",
                -6 => "u",
                -3 => "m",
                3 => "k",
                6 => "M",
                9 => "G",
                12 => "T",
                15 => "P",
                18 => "E",
                _ => "",
            }),
        }
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(text) = &self.text {
            return f.write_str(text);
        }
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        if self.format == Format::Binary
            && self.order("1024") != Ordering::Less
            && let Some(value) = self.whole()
        {
            return self.write_binary(f, value);
        }
        let plain = Self {
            format: match self.format {
                Format::Binary => Format::Decimal,
                other => other,
            },
            ..self.clone()
        };
        plain.write_decimal(f)
    }
}
