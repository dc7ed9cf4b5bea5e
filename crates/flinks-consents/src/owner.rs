//! Which process a lease belongs to.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::store::random_id;

/// The name of this process in leases. It is random, and another one in each process, also after a `fork`: two processes with one
/// name would take each other's leases for their own, and send one refresh token twice.
///
/// It has no lock: a `fork` may copy one that another thread holds.
pub(crate) struct Owner(ArcSwap<Named>);

struct Named {
    process: u32,
    name: String,
}

impl Owner {
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
        // If another thread was faster, its name counts.
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
        let parent = Owner::new();
        let name = parent.name();
        assert_eq!(parent.name(), name);
        // A fork copies the memory, and gives the child another process id.
        let child = Owner(ArcSwap::from_pointee(Named { process: std::process::id(), name: name.clone() }));
        let in_child = child.name_in(std::process::id().wrapping_add(1));
        assert_ne!(in_child, name);
        assert_eq!(child.name_in(std::process::id().wrapping_add(1)), in_child);
        assert_eq!(parent.name(), name);
    }
}
