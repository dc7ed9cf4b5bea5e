//! A map that removes its oldest entries instead of growing without bound.

use hashlink::LinkedHashMap;
use uuid::Uuid;

/// A map that orders its entries by age. Replacing an entry makes it the newest.
pub(crate) struct BoundedMap<V>(LinkedHashMap<String, V>);

impl<V> Default for BoundedMap<V> {
    fn default() -> Self {
        Self(LinkedHashMap::new())
    }
}

impl<V> BoundedMap<V> {
    /// Adds an entry, and removes the oldest entries while the map has more than `limit` entries.
    pub(crate) fn insert(&mut self, key: String, value: V, limit: usize) {
        self.0.insert(key, value);
        while self.0.len() > limit {
            self.0.pop_front();
        }
    }

    /// Adds an entry under a new random id and returns the id.
    pub(crate) fn add(&mut self, value: V, limit: usize) -> String {
        let id = Uuid::new_v4().to_string();
        self.insert(id.clone(), value, limit);
        id
    }

    pub(crate) fn get(&self, key: &str) -> Option<&V> {
        self.0.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        self.0.get_mut(key)
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<V> {
        self.0.remove(key)
    }

    /// Returns the entries from oldest to newest.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Returns the values from oldest to newest.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.values()
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.values_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_the_oldest_entry_first() {
        let mut map = BoundedMap::default();
        for key in ["a", "b", "a", "c"] {
            map.insert(key.to_owned(), key, 2);
        }
        assert_eq!(map.values().copied().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(map.get("b"), None);
        assert_eq!(map.get("c"), Some(&"c"));
        assert_eq!(map.remove("a"), Some("a"));
        assert_eq!(map.remove("a"), None);
        map.insert("d".to_owned(), "d", 2);
        assert_eq!(map.values().copied().collect::<Vec<_>>(), ["c", "d"]);
    }
}
