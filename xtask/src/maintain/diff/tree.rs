//! Stores the places inside bodies as a graph and finds the differences between two graphs.
//!
//! Many bodies can contain the same schema. A schema is one node in the graph, so its contents are
//! read and compared once, even though a changed schema is reported for each operation.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use super::place::{Fact, Step};

/// The index of the node without contents.
pub(super) const EMPTY: usize = 0;

/// The maximum number of places in one body for which changes to the same schema are reported. The
/// number of places at which a body contains a schema can grow exponentially with the size of the
/// document.
const MAX_PLACES: usize = 4;

/// A place in a body.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) fact: Fact,
    /// The index of the node with the places inside this place.
    pub(super) contents: usize,
}

/// The places directly inside a schema.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) children: BTreeMap<Step, Entry>,
}

/// The indexes of an old and a new node.
type Pair = (usize, usize);

/// An entry before and after a change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Versions<'a> {
    pub(super) old: Option<&'a Entry>,
    pub(super) new: Option<&'a Entry>,
}

impl<'a> Versions<'a> {
    fn types(self) -> impl Iterator<Item = &'a str> {
        [self.old, self.new].into_iter().filter_map(|entry| entry?.fact.type_name.as_deref())
    }

    fn contents(self) -> Option<Pair> {
        Some((self.old?.contents, self.new?.contents))
    }

    fn kinds_differ(self) -> bool {
        self.old.map(|entry| &entry.fact.kind) != self.new.map(|entry| &entry.fact.kind)
    }
}

/// The differences between two graphs.
pub(super) struct Differences<'a> {
    old: &'a [Node],
    new: &'a [Node],
    /// For each pair of nodes, the steps that lead to a difference.
    steps: HashMap<Pair, BTreeSet<&'a Step>>,
}

/// A place in a body, with facts that may differ between the two versions.
#[derive(Debug)]
pub(super) struct Found<'a> {
    /// The path to the place, along with the versions of each place on the path. The first entry is
    /// the body, which has no step, and the last entry is the place itself.
    pub(super) places: Vec<(Option<&'a Step>, Versions<'a>)>,
    /// Whether the kind of a parent changed. Such a change covers all places inside the parent that
    /// exist in only one version.
    pub(super) is_covered: bool,
    /// Whether the body contains the changed schema at other places that are not reported.
    pub(super) has_more: bool,
}

impl<'a> Differences<'a> {
    /// Compares all places inside `bodies`.
    pub(super) fn find(old: &'a [Node], new: &'a [Node], bodies: impl Iterator<Item = Versions<'a>>) -> Self {
        let mut differences = Self { old, new, steps: HashMap::new() };
        let mut queue: Vec<Pair> = bodies.filter_map(Versions::contents).collect();
        let mut parents: HashMap<Pair, Vec<(Pair, &Step)>> = HashMap::new();
        let mut seen: HashSet<Pair> = queue.iter().copied().collect();
        let mut changed = Vec::new();
        while let Some(pair) = queue.pop() {
            let mut steps = BTreeSet::new();
            for (step, versions) in differences.children(pair) {
                if versions.old.map(|entry| &entry.fact) != versions.new.map(|entry| &entry.fact) {
                    steps.insert(step);
                }
                if let Some(child) = versions.contents() {
                    parents.entry(child).or_default().push((pair, step));
                    if seen.insert(child) {
                        queue.push(child);
                    }
                }
            }
            if !steps.is_empty() {
                changed.push(pair);
                differences.steps.insert(pair, steps);
            }
        }
        // A node that contains a changed node has changed, too.
        while let Some(pair) = changed.pop() {
            for (parent, step) in parents.remove(&pair).into_iter().flatten() {
                let steps = differences.steps.entry(parent).or_default();
                if steps.is_empty() {
                    changed.push(parent);
                }
                steps.insert(step);
            }
        }
        differences
    }

    /// Returns whether there is a difference inside a body.
    pub(super) fn is_inside(&self, body: Versions<'a>) -> bool {
        body.contents().is_some_and(|pair| self.steps.contains_key(&pair))
    }

    /// Returns the differences inside a body, sorted by path. Changes to a schema are returned only
    /// for the places with the shortest paths.
    pub(super) fn within(&self, body: Versions<'a>) -> Vec<Found<'a>> {
        let mut found = Vec::new();
        let mut queue = VecDeque::from([Found { places: vec![(None, body)], is_covered: false, has_more: false }]);
        let mut counts: HashMap<Pair, usize> = HashMap::new();
        let mut skipped: HashSet<Pair> = HashSet::new();
        while let Some(at) = queue.pop_front() {
            let versions = at.versions();
            let Some(pair) = versions.contents() else { continue };
            let Some(steps) = self.steps.get(&pair) else { continue };
            let mut parents = at.places.iter().rev().skip(1);
            if parents.any(|(_, parent)| parent.contents() == Some(pair)) {
                continue;
            }
            let count = counts.entry(pair).or_default();
            if *count == MAX_PLACES {
                skipped.insert(pair);
                continue;
            }
            *count = count.saturating_add(1);
            let is_covered = at.is_covered || versions.kinds_differ();
            for step in steps {
                let child = self.child(pair, step);
                let mut places = at.places.clone();
                places.push((Some(step), child));
                if child.contents().is_some() {
                    queue.push_back(Found { places: places.clone(), is_covered, has_more: false });
                }
                found.push(Found { places, is_covered, has_more: false });
            }
        }
        for found in &mut found {
            let mut parents = found.places.iter().rev().skip(1);
            found.has_more =
                parents.any(|(_, parent)| parent.contents().is_some_and(|contents| skipped.contains(&contents)));
        }
        found.sort_by(|one, other| one.steps().cmp(other.steps()));
        found
    }

    fn child(&self, (old, new): Pair, step: &Step) -> Versions<'a> {
        let child = |nodes: &'a [Node], index: usize| nodes.get(index).and_then(|node| node.children.get(step));
        Versions { old: child(self.old, old), new: child(self.new, new) }
    }

    /// Returns the children of two nodes, keyed by step.
    fn children(&self, (old, new): Pair) -> BTreeMap<&'a Step, Versions<'a>> {
        let mut children: BTreeMap<&Step, Versions<'_>> = BTreeMap::new();
        for (step, entry) in self.old.get(old).into_iter().flat_map(|node| &node.children) {
            children.insert(step, Versions { old: Some(entry), new: None });
        }
        for (step, entry) in self.new.get(new).into_iter().flat_map(|node| &node.children) {
            children.entry(step).or_insert(Versions { old: None, new: None }).new = Some(entry);
        }
        children
    }
}

impl<'a> Found<'a> {
    /// Returns the path to the place.
    pub(super) fn steps(&self) -> impl Iterator<Item = &'a Step> {
        self.places.iter().filter_map(|(step, _)| *step)
    }

    /// Returns the named types of the place and of its parents, starting with the innermost type.
    pub(super) fn types(&self) -> Vec<&'a str> {
        self.places.iter().rev().flat_map(|(_, versions)| versions.types()).collect()
    }

    /// Returns the named types of the place itself. The contents of a list or map belong to the field
    /// that contains the list or map.
    pub(super) fn own_types(&self) -> Vec<&'a str> {
        let field = self.places.iter().rposition(|(step, _)| matches!(step, Some(Step::Field(_))));
        self.places.iter().skip(field.unwrap_or_default()).flat_map(|(_, versions)| versions.types()).collect()
    }

    /// Returns the versions of the place.
    pub(super) fn versions(&self) -> Versions<'a> {
        self.places.last().map_or(Versions { old: None, new: None }, |(_, versions)| *versions)
    }
}
