//! The name of this process, which identifies its leases.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::store::random_id;

/// The name that this process writes into its leases.
///
/// It is random and differs between processes, even after a `fork`. If two processes had the same
/// name, each would treat the other's leases as its own, and both would send the same refresh
/// token.
///
/// This type uses no lock, because a `fork` can copy a lock that another thread holds.
pub(crate) struct ProcessName(ArcSwap<Named>);

struct Named {
    process: u32,
    name: String,
}

impl ProcessName {
    pub(crate) fn new() -> Self {
        Self(ArcSwap::from_pointee(Named { process: std::process::id(), name: new_name() }))
    }

    /// Returns the name of this process.
    pub(crate) fn name(&self) -> String {
        self.name_in(std::process::id())
    }

    fn name_in(&self, process: u32) -> String {
        let named = self.0.load();
        if named.process == process {
            return named.name.clone();
        }
        // If another thread has already stored a name, the compare-and-swap fails and that name is
        // used.
        self.0.compare_and_swap(&named, Arc::new(Named { process, name: new_name() }));
        self.0.load().name.clone()
    }
}

fn new_name() -> String {
    format!("{:016x}{:016x}", random_id(), random_id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o5_a_forked_process_has_its_own_name() {
        let parent = ProcessName::new();
        let name = parent.name();
        assert_eq!(parent.name(), name);
        // A fork copies the memory. Only the child's process id is different.
        let child = ProcessName(ArcSwap::from_pointee(Named { process: std::process::id(), name: name.clone() }));
        let in_child = child.name_in(std::process::id().wrapping_add(1));
        assert_ne!(in_child, name);
        assert_eq!(child.name_in(std::process::id().wrapping_add(1)), in_child);
        assert_eq!(parent.name(), name);
    }
}
