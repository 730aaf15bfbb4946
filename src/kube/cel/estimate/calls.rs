//! What calls may cost.

use super::super::ast::op;
use super::{
    At, Estimator, Expr, Kind, LIST, Literal, Next, Part, REGEX, Range, TRAVERSAL, Type, union,
};

/// A cost without that of the arguments, and the size of what comes out.
struct Estimate {
    cost: Range,
    size: Option<Range>,
}

fn cost(cost: Range) -> Option<Estimate> {
    Some(Estimate { cost, size: None })
}

fn sized(cost: Range, size: Range) -> Option<Estimate> {
    Some(Estimate {
        cost,
        size: Some(size),
    })
}

impl Part<'_> {
    /// The size as libraries see it.
    fn known(&self) -> Range {
        self.size
            .or_else(|| Estimator::shape_size(self.at))
            .unwrap_or(Range::UNKNOWN)
    }

    /// The size as the language sees it.
    fn computed(&self) -> Range {
        self.size.unwrap_or(Range::UNKNOWN)
    }

    fn int(&self, otherwise: u64) -> u64 {
        match &self.expr.kind {
            Kind::Literal(Literal::Int(int)) => u64::try_from(*int).unwrap_or(0),
            _ => otherwise,
        }
    }
}

/// A call and its parts.
struct Called<'p, 'c> {
    function: &'p str,
    overload: &'static str,
    target: Option<&'p Part<'c>>,
    args: &'p [Part<'c>],
}

impl<'c> Called<'_, 'c> {
    fn arg(&self, at: usize) -> Option<&Part<'c>> {
        self.args.get(at)
    }
}

impl<'c> Estimator<'c> {
    pub(super) fn call(
        &mut self,
        expr: &'c Expr,
        function: &str,
        target: Option<&'c Expr>,
        args: &'c [Expr],
    ) -> Range {
        if let ("dyn", [arg]) = (function, args) {
            let cost = self.cost(arg);
            let size = self.size(arg);
            self.set_size(expr, size);
            self.set_entries(expr, self.entries_of(arg));
            return cost.plus(Range::fixed(1));
        }
        let mut costs = Vec::with_capacity(args.len());
        let mut parts = Vec::with_capacity(args.len());
        for arg in args {
            costs.push(self.cost(arg));
            parts.push(self.part(arg));
        }
        let overloads = self.checked.overloads(expr.id).to_vec();
        if overloads.is_empty() {
            return Range::ZERO;
        }
        let mut sum = Range::ZERO;
        let target = target.map(|target| {
            sum = self.cost(target);
            self.part(target)
        });
        let mut most = Range {
            min: u64::MAX,
            max: 0,
        };
        let mut size: Option<Range> = None;
        for overload in overloads {
            let called = Called {
                function,
                overload,
                target: target.as_ref(),
                args: &parts,
            };
            let one = self.overload(expr, &called, &costs);
            most = most.union(one.cost);
            if let Some(found) = one.size {
                size = Some(size.map_or(found, |size| size.union(found)));
            }
            let next = match overload {
                "index_list" => Some(Next::Items),
                "index_map" => Some(Next::Values),
                _ => None,
            };
            if let (Some(next), Some(first)) = (next, args.first()) {
                size = self.entries_of(first).map(|entries| entries.value);
                let at = self.next(self.path(first), &next);
                self.paths.insert(expr.id, at);
            }
            if size.is_none() {
                size = self.size(expr);
            }
        }
        self.set_size(expr, size);
        sum.plus(most)
    }

    fn overload(&mut self, expr: &Expr, called: &Called<'_, 'c>, costs: &[Range]) -> Estimate {
        let before = costs.iter().copied().fold(Range::ZERO, Range::plus);
        let own = Self::lists(called).or_else(|| self.library(called));
        if let Some(mut own) = own {
            own.cost = own.cost.plus(before);
            return own;
        }
        if let Some(own) = self.logic(expr, called, costs) {
            return own;
        }
        let mut own = self.standard(expr, called).unwrap_or(Estimate {
            cost: Range::fixed(1),
            size: None,
        });
        own.cost = own.cost.plus(before);
        own
    }

    /// Lists and sets of the language's extensions.
    fn lists(called: &Called<'_, 'c>) -> Option<Estimate> {
        let made = |factor: f64, size: Range| {
            let cost = size.scaled(factor).plus(Range::fixed(1 + LIST));
            sized(cost, size)
        };
        let first = called.arg(0);
        let squared = |part: &Part<'_>, factor: f64| {
            let size = part.known();
            made(factor, size.times(size))
        };
        let text =
            called.overload.contains("string_sort") || called.overload.contains("bytes_sort");
        let factor = if text { 2.0 + TRAVERSAL } else { 2.0 };
        #[expect(clippy::cast_precision_loss, reason = "as the release computes")]
        match (called.overload, called.target) {
            ("list_slice", Some(target)) => {
                let start = first?.int(0);
                let end = called.arg(1)?.int(target.known().max);
                made(1.0, Range::fixed(end.wrapping_sub(start)))
            }
            ("lists_range", None) => made(1.0, Range::fixed(first?.int(u64::MAX))),
            ("list_reverse", Some(target)) => made(1.0, target.known()),
            ("list_flatten" | "list_flatten_int", Some(target)) => {
                let depth = first.map_or(1, |depth| depth.int(u64::MAX));
                made(depth as f64, target.known())
            }
            ("list_distinct", Some(target)) => squared(target, 2.0),
            (
                "list_sets_contains_list"
                | "list_sets_intersects_list"
                | "list_sets_equivalent_list",
                None,
            ) => {
                let factor = if called.overload == "list_sets_equivalent_list" {
                    2.0
                } else {
                    1.0
                };
                let size = first?.known().times(called.arg(1)?.known());
                cost(size.scaled(factor).plus(Range::fixed(1)))
            }
            (id, Some(_)) if id.ends_with("_sortByAssociatedKeys") => squared(first?, factor),
            (id, Some(target)) if id.starts_with("list_") && id.ends_with("_sort") => {
                squared(target, factor)
            }
            _ => None,
        }
    }

    /// The release's own libraries, and those of the language that it has numbers of its own for.
    fn library(&mut self, called: &Called<'_, 'c>) -> Option<Estimate> {
        let first = called.arg(0);
        let one = || cost(Range::fixed(1));
        match called.function {
            "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => {
                self.compared(called.target?)
            }
            "url" => {
                let size = first?.known();
                sized(size.scaled(TRAVERSAL), size)
            }
            "lowerAscii" | "upperAscii" | "substring" | "trim" => {
                let size = called.target?.known();
                sized(size.scaled(TRAVERSAL), size)
            }
            "replace" => replaced(
                called.target?.known(),
                first?.known(),
                called.arg(1)?.known(),
            ),
            "split" => {
                let size = called.target?.known();
                let limit = called
                    .arg(1)
                    .map_or(size.max, |limit| match &limit.expr.kind {
                        #[expect(clippy::cast_sign_loss, reason = "as the release computes")]
                        Kind::Literal(Literal::Int(int)) => *int as u64,
                        _ => size.max,
                    });
                sized(size.scaled(2.0 * TRAVERSAL), Range { min: 0, max: limit })
            }
            "join" => {
                let target = called.target?;
                let list = target.known();
                let mut size = self
                    .item(target)
                    .map_or(Range::ZERO, |(_, item)| list.times(item));
                if let Some(separator) = first {
                    let between = Range {
                        min: list.min.saturating_sub(1),
                        max: list.max.saturating_sub(1),
                    };
                    size = size.plus(separator.known().times(between));
                }
                sized(size.scaled(TRAVERSAL), size)
            }
            "find" | "findAll" => {
                let size = called.target?.known();
                let text = size.plus(Range::fixed(1)).scaled(TRAVERSAL);
                let pattern = first?.known().scaled(REGEX);
                sized(
                    text.times(pattern),
                    Range {
                        min: 0,
                        max: size.max,
                    },
                )
            }
            "ip" if called.overload == "cidr_ip" => one(),
            "cidr" | "isIP" | "isCIDR" | "ip" | "quantity" | "isQuantity" | "semver"
            | "isSemver" => cost(first?.known().scaled(TRAVERSAL)),
            "ip.isCanonical" => cost(first?.known().scaled(2.0 * TRAVERSAL)),
            "containsIP" | "containsCIDR" => contained(called),
            "validate" => cost(first?.known().scaled(TRAVERSAL).scaled(128.0 * REGEX)),
            "masked"
            | "prefixLength"
            | "family"
            | "isUnspecified"
            | "isLoopback"
            | "isLinkLocalMulticast"
            | "isLinkLocalUnicast"
            | "isGlobalUnicast"
            | "format.named"
            | "sign"
            | "asInteger"
            | "isInteger"
            | "asApproximateFloat"
            | "isGreaterThan"
            | "isLessThan"
            | "compareTo"
            | "add"
            | "sub"
            | "major"
            | "minor"
            | "patch"
            | "getScheme"
            | "getHostname"
            | "getHost"
            | "getPort"
            | "getEscapedPath"
            | "getQuery" => one(),
            op::EQUALS => self.same(first?, called.arg(1)?),
            _ => None,
        }
    }

    /// The type and size of the items of a list, or of whatever comes first among a type's parameters.
    fn item(&self, list: &Part<'c>) -> Option<(&'c Type, Range)> {
        let Type::Of(compound) = self.of(list.expr) else {
            return None;
        };
        let of = compound.params.first()?;
        let at = match list.at {
            At::Nowhere => At::Nowhere,
            at => self.next(at, &Next::Items),
        };
        let size = Self::shape_size(at).unwrap_or(Range::UNKNOWN);
        Some((of, size))
    }

    fn compared(&self, target: &Part<'c>) -> Option<Estimate> {
        let size = target.known();
        let Some((of, item)) = self.item(target) else {
            return cost(size.scaled(TRAVERSAL));
        };
        let mut each = Range::fixed(1);
        if matches!(of, Type::String | Type::Bytes) {
            each = each.plus(item.scaled(TRAVERSAL));
        }
        cost(size.times(each))
    }

    /// Equality of the release's own types.
    fn same(&self, one: &Part<'c>, other: &Part<'c>) -> Option<Estimate> {
        let of = self.of(one.expr);
        if of != self.of(other.expr) {
            return None;
        }
        match of.name() {
            "net.IP" | "net.CIDR" | "kubernetes.Quantity" | "kubernetes.Semver" => {
                cost(Range::fixed(1))
            }
            "kubernetes.NamedFormat" => cost(Range { min: 1, max: 64 }.scaled(TRAVERSAL)),
            "kubernetes.URL" => {
                let size = other.size.unwrap_or(Range::fixed(1));
                let most = Range {
                    min: 1,
                    max: size.max,
                };
                cost(most.scaled(TRAVERSAL))
            }
            _ => None,
        }
    }

    /// What runs only some of its arguments.
    fn logic(&mut self, expr: &Expr, called: &Called<'_, 'c>, costs: &[Range]) -> Option<Estimate> {
        match (called.overload, costs) {
            ("logical_or" | "logical_and", [one, other]) => cost(Range {
                min: one.min,
                max: one.plus(*other).max,
            }),
            ("conditional", [condition, yes, no]) => {
                let (first, second) = (called.arg(1)?, called.arg(2)?);
                let size = first.computed().union(second.computed());
                let entries = union(self.entries_of(first.expr), self.entries_of(second.expr));
                self.set_entries(expr, entries);
                sized(condition.plus(yes.union(*no)), size)
            }
            _ => None,
        }
    }

    fn standard(&mut self, expr: &Expr, called: &Called<'_, 'c>) -> Option<Estimate> {
        let first = called.arg(0);
        let second = called.arg(1);
        match called.overload {
            "string_format" => cost(called.target?.computed().scaled(TRAVERSAL)),
            "string_to_bytes" => {
                let size = first?.computed();
                let bytes = Range {
                    min: size.min,
                    max: size.max.wrapping_mul(4),
                };
                sized(size.scaled(TRAVERSAL), bytes)
            }
            "bytes_to_string" => {
                let size = first?.computed();
                let text = Range {
                    min: size.min / 4,
                    max: size.max,
                };
                sized(size.scaled(TRAVERSAL), text)
            }
            "strings_quote" => {
                let size = first?.computed();
                let quoted = Range {
                    min: size.min.wrapping_add(2),
                    max: size.max.wrapping_mul(2).wrapping_add(2),
                };
                sized(size.scaled(TRAVERSAL), quoted)
            }
            "starts_with_string" | "ends_with_string" => cost(first?.computed().scaled(TRAVERSAL)),
            "in_list" => cost(second?.computed().scaled(1.0)),
            "matches_string" => {
                let text = called
                    .target?
                    .computed()
                    .plus(Range::fixed(1))
                    .scaled(TRAVERSAL);
                cost(text.times(first?.computed().scaled(REGEX)))
            }
            "contains_string" => {
                let text = called.target?.computed().scaled(TRAVERSAL);
                cost(text.times(first?.computed().scaled(TRAVERSAL)))
            }
            "add_string" | "add_bytes" | "add_list" => {
                let (one, other) = (first?, second?);
                let size = one.computed().plus(other.computed());
                let entries = union(self.entries_of(one.expr), self.entries_of(other.expr));
                self.set_entries(expr, entries);
                let own = if called.overload == "add_list" {
                    Range::fixed(1)
                } else {
                    size.scaled(TRAVERSAL)
                };
                sized(own, size)
            }
            "less_string"
            | "greater_string"
            | "less_equals_string"
            | "greater_equals_string"
            | "less_bytes"
            | "greater_bytes"
            | "less_equals_bytes"
            | "greater_equals_bytes"
            | "equals"
            | "not_equals" => {
                let max = first?.computed().max.min(second?.computed().max);
                let least = Range {
                    min: u64::from(max > 0),
                    max,
                };
                cost(least.scaled(TRAVERSAL))
            }
            _ => None,
        }
    }
}

/// The longest and the shortest that a replacement may leave.
fn replaced(size: Range, old: Range, new: Range) -> Option<Estimate> {
    let (mut count, mut kept) = (Range::ZERO, Range::ZERO);
    if old.min == 0 {
        count.max = size.max.saturating_add(1);
        kept.max = size.max;
    } else if new.max <= old.min {
        kept.max = size.max;
    } else {
        count.max = size.max.div_ceil(old.min);
    }
    if old.max == 0 {
        count.min = size.min.saturating_add(1);
        kept.min = size.min;
    } else if old.max <= new.min {
        kept.min = size.min;
    } else {
        count.min = size.min.div_ceil(old.max);
    }
    sized(size.scaled(2.0 * TRAVERSAL), count.times(new).plus(kept))
}

/// Addresses have 4 or 16 bytes.
fn contained(called: &Called<'_, '_>) -> Option<Estimate> {
    let size = Range { min: 4, max: 16 };
    let mut total = size.plus(size).scaled(TRAVERSAL);
    if called.function == "containsCIDR" {
        total = total.plus(size.scaled(TRAVERSAL)).plus(Range::fixed(1));
    }
    if called.overload.ends_with("_string") {
        total = total.plus(called.arg(0)?.known().scaled(TRAVERSAL));
    }
    cost(total)
}
