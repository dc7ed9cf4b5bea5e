//! A map that forgets its oldest entry rather than grow for ever.

use std::collections::{BTreeMap, HashMap};

pub(crate) struct Shelf<V> {
    /// By age: the first is the oldest.
    entries: BTreeMap<u64, (String, V)>,
    ages: HashMap<String, u64>,
    next: u64,
}

impl<V> Default for Shelf<V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), ages: HashMap::new(), next: 0 }
    }
}

impl<V> Shelf<V> {
    pub(crate) fn insert(&mut self, key: String, value: V, limit: usize) {
        self.remove(&key);
        self.ages.insert(key.clone(), self.next);
        self.entries.insert(self.next, (key, value));
        self.next = self.next.wrapping_add(1);
        while self.entries.len() > limit {
            if let Some((_, (key, _))) = self.entries.pop_first() {
                self.ages.remove(&key);
            }
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&V> {
        self.entries.get(self.ages.get(key)?).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        self.entries.get_mut(self.ages.get(key)?).map(|(_, value)| value)
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<V> {
        self.entries.remove(&self.ages.remove(key)?).map(|(_, value)| value)
    }

    /// From the oldest to the newest.
    pub(crate) fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.entries.values().map(|(_, value)| value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.values_mut().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_oldest_and_nothing_else() {
        let mut shelf = Shelf::default();
        for key in ["a", "b", "a", "c"] {
            shelf.insert(key.to_owned(), key, 2);
        }
        assert_eq!(shelf.values().copied().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!((shelf.get("b"), shelf.get("c")), (None, Some(&"c")));
        assert_eq!((shelf.remove("a"), shelf.remove("a")), (Some("a"), None));
        shelf.insert("d".to_owned(), "d", 2);
        assert_eq!(shelf.values().copied().collect::<Vec<_>>(), ["c", "d"]);
        assert_eq!((shelf.entries.len(), shelf.ages.len()), (2, 2));
    }
}
