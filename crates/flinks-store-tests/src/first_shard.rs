//! A store that shows workers a single shard.

use std::time::Duration;

use flinks_consents::keep_alive::{Lookup, WorkItem, WorkLeases};
use flinks_consents::store::{DueWindow, Record, StoreFuture, TokenStore};
use flinks_consents::{ConsentId, OwnerId, Page};

/// A store that shows workers only its first shard. This keeps a worker's run short.
pub(crate) struct FirstShard<S>(pub(crate) S);

impl<S: TokenStore> TokenStore for FirstShard<S> {
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
        self.0.load(id)
    }

    fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool> {
        self.0.compare_and_swap(expected, record)
    }

    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool> {
        self.0.remove(id, generation)
    }

    fn list<'a>(&'a self, owner: &'a OwnerId, page: &'a Page) -> StoreFuture<'a, Vec<Record>> {
        self.0.list(owner, page)
    }

    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        self.0.due(window, limit)
    }
}

impl<S: WorkLeases> WorkLeases for FirstShard<S> {
    fn shards(&self) -> u16 {
        1
    }

    fn acquire<'a>(&'a self, shard: u16, holder: &'a str, duration: Duration) -> StoreFuture<'a, bool> {
        self.0.acquire(shard, holder, duration)
    }

    fn release<'a>(&'a self, shard: u16, holder: &'a str) -> StoreFuture<'a, ()> {
        self.0.release(shard, holder)
    }

    fn due_in(&self, shard: u16, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<WorkItem>> {
        self.0.due_in(shard, window, limit)
    }

    fn look_up<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, Lookup> {
        self.0.look_up(item)
    }

    fn ended_in(&self, shard: u16, limit: usize) -> StoreFuture<'_, Option<Vec<WorkItem>>> {
        self.0.ended_in(shard, limit)
    }

    fn is_unreported<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, bool> {
        self.0.is_unreported(item)
    }

    fn mark_reported<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, ()> {
        self.0.mark_reported(item)
    }
}
