//! A search tree of key intervals that finds those which contain a key.
//!
//! A treap ordered by interval start: random priorities keep it balanced whatever clients ask for, and
//! each node knows the highest end below it, so a search leaves out whole subtrees that end too early.
//! It costs O(log n) for each interval found, plus O(log n).

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use bytes::Bytes;

/// An exclusive upper bound; `None` is no bound.
type End = Option<Bytes>;
type Tree = Option<Box<Node>>;

#[derive(Debug)]
struct Node {
    start: Bytes,
    end: End,
    value: usize,
    priority: u64,
    /// The highest end in this subtree.
    reach: End,
    left: Tree,
    right: Tree,
}

/// Intervals with a value each; intervals may be equal, values are distinct.
#[derive(Debug, Default)]
pub(super) struct Intervals {
    root: Tree,
    /// Keyed by the process, so that no client can choose its way to a degenerate tree.
    priorities: RandomState,
}

impl Intervals {
    /// Adds the keys from `start` up to and excluding `end`.
    pub(super) fn insert(&mut self, start: Bytes, end: End, value: usize) {
        let node = Box::new(Node {
            reach: end.clone(),
            priority: self.priorities.hash_one(value),
            start,
            end,
            value,
            left: None,
            right: None,
        });
        let (below, above) = split(self.root.take(), &node.start, value);
        self.root = merge(merge(below, Some(node)), above);
    }

    /// Removes what [`Self::insert`] added with the same start and value.
    pub(super) fn remove(&mut self, start: &[u8], value: usize) {
        let (below, rest) = split(self.root.take(), start, value);
        let (_removed, above) = split(rest, start, value + 1);
        self.root = merge(below, above);
    }

    /// Calls `visit` with the value of each interval that contains `key`.
    pub(super) fn visit(&self, key: &[u8], visit: &mut impl FnMut(usize)) {
        visit_tree(&self.root, key, visit);
    }
}

impl Node {
    /// Takes the ends of the children, which have changed, into account.
    fn renew(mut self: Box<Self>) -> Box<Self> {
        let ends = [&self.left, &self.right];
        let mut reach = self.end.clone();
        for child in ends.into_iter().flatten() {
            reach = match (reach, &child.reach) {
                (Some(a), Some(b)) => Some(a.max(b.clone())),
                _ => None,
            };
        }
        self.reach = reach;
        self
    }
}

/// Whether an exclusive bound lies above `key`.
fn is_above(end: &End, key: &[u8]) -> bool {
    end.as_ref().is_none_or(|end| end.as_ref() > key)
}

fn visit_tree(tree: &Tree, key: &[u8], visit: &mut impl FnMut(usize)) {
    let Some(node) = tree else { return };
    if !is_above(&node.reach, key) {
        return;
    }
    visit_tree(&node.left, key, visit);
    if node.start.as_ref() <= key {
        if is_above(&node.end, key) {
            visit(node.value);
        }
        visit_tree(&node.right, key, visit);
    }
}

/// Parts a tree into what is ordered before (`start`, `value`) and the rest.
fn split(tree: Tree, start: &[u8], value: usize) -> (Tree, Tree) {
    let Some(mut node) = tree else {
        return (None, None);
    };
    if (node.start.as_ref(), node.value) < (start, value) {
        let (below, above) = split(node.right.take(), start, value);
        node.right = below;
        (Some(node.renew()), above)
    } else {
        let (below, above) = split(node.left.take(), start, value);
        node.left = above;
        (below, Some(node.renew()))
    }
}

/// Joins two trees of which the first is ordered wholly before the second.
fn merge(below: Tree, above: Tree) -> Tree {
    match (below, above) {
        (tree, None) | (None, tree) => tree,
        (Some(mut first), Some(mut second)) => {
            if first.priority >= second.priority {
                first.right = merge(first.right.take(), Some(second));
                Some(first.renew())
            } else {
                second.left = merge(Some(first), second.left.take());
                Some(second.renew())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn depth(tree: &Tree) -> usize {
        tree.as_ref()
            .map_or(0, |node| 1 + depth(&node.left).max(depth(&node.right)))
    }

    #[test]
    fn ordered_insertion_does_not_degenerate() {
        let mut intervals = Intervals::default();
        for value in 0..4096_usize {
            intervals.insert(Bytes::from(format!("{value:08}")), None, value);
        }
        assert!(depth(&intervals.root) < 64);
    }

    proptest! {
        #[test]
        fn finds_what_a_list_finds(
            steps in prop::collection::vec((0_u8..20, prop::option::of(0_u8..20), any::<bool>()), 1..40),
            probes in prop::collection::vec(0_u8..22, 1..20),
        ) {
            let mut intervals = Intervals::default();
            let mut list: Vec<(u8, Option<u8>, usize)> = Vec::new();
            for (value, (start, end, add)) in steps.into_iter().enumerate() {
                if add || list.is_empty() {
                    intervals.insert(vec![start].into(), end.map(|end| vec![end].into()), value);
                    list.push((start, end, value));
                } else {
                    let (start, _, value) = list.remove(usize::from(start) % list.len());
                    intervals.remove(&[start], value);
                }
                for &probe in &probes {
                    let mut found = Vec::new();
                    intervals.visit(&[probe], &mut |value| found.push(value));
                    found.sort_unstable();
                    let wanted: Vec<_> = list
                        .iter()
                        .filter(|(start, end, _)| *start <= probe && end.is_none_or(|end| probe < end))
                        .map(|&(_, _, value)| value)
                        .collect();
                    prop_assert_eq!(&found, &wanted);
                }
            }
        }
    }
}
