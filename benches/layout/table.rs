//! The figures of all turns: medians in a table, and the check that answers agree.

use std::fmt;

use crate::{
    layouts::{Name, Result},
    turn::CHECK,
};

/// A figure by name, with the values of each column's turns.
struct Row {
    name: String,
    columns: Vec<Vec<f64>>,
}

impl Row {
    /// Whether the row says something that a reader can use: no checksum, and not zero as it is printed.
    fn is_figure(&self) -> bool {
        !self.name.starts_with(CHECK)
            && self
                .columns
                .iter()
                .flatten()
                .any(|value| value.abs() >= 0.005)
    }
}

/// One column for each layout, one row for each figure in the order of their coming.
pub(crate) struct Table {
    names: Vec<Name>,
    rows: Vec<Row>,
}

impl Table {
    pub(crate) fn new(names: &[Name]) -> Self {
        Self {
            names: names.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a turn's output to its layout's column.
    pub(crate) fn add(&mut self, column: usize, output: &str) -> Result<()> {
        for line in output.lines() {
            let (name, value) = line.split_once('\t').ok_or("a line without figure")?;
            self.row(name).columns[column].push(value.parse()?);
        }
        Ok(())
    }

    fn row(&mut self, name: &str) -> &mut Row {
        let index = self
            .rows
            .iter()
            .position(|row| row.name == name)
            .unwrap_or_else(|| {
                self.rows.push(Row {
                    name: name.to_owned(),
                    columns: vec![Vec::new(); self.names.len()],
                });
                self.rows.len() - 1
            });
        &mut self.rows[index]
    }

    /// Fails if two turns gave different answers to the same question.
    pub(crate) fn check(&self) -> Result<()> {
        let rows = self.rows.iter().filter(|row| row.name.starts_with(CHECK));
        for row in rows {
            let mut sums = row.columns.iter().flatten();
            let first = sums.next();
            if sums.any(|sum| Some(sum) != first) {
                return Err(format!(
                    "layouts differ in their answers: {} {:?}",
                    row.name, row.columns
                )
                .into());
            }
        }
        Ok(())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| figure: median (least-most) |")?;
        self.names
            .iter()
            .try_for_each(|name| write!(f, " {name} |"))?;
        writeln!(f, "\n|---|{}", "---:|".repeat(self.names.len()))?;
        for row in self.rows.iter().filter(|row| row.is_figure()) {
            write!(f, "| {} |", row.name)?;
            row.columns
                .iter()
                .try_for_each(|values| write!(f, " {} |", Cell(values)))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

/// The median with the extremes.
struct Cell<'a>(&'a [f64]);

impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut values = self.0.to_vec();
        values.sort_unstable_by(f64::total_cmp);
        let (Some(least), Some(most)) = (values.first(), values.last()) else {
            return write!(f, "–");
        };
        let median = values[values.len() / 2];
        match median.abs() {
            0.0..10.0 => write!(f, "{median:.2} ({least:.2}-{most:.2})"),
            10.0..100.0 => write!(f, "{median:.1} ({least:.1}-{most:.1})"),
            _ => write!(f, "{median:.0} ({least:.0}-{most:.0})"),
        }
    }
}
