//! The Lua scripts. Redis runs each of them as one step.
//!
//! A script returns a number, which [`outcome`] reads:
//!
//! | number | meaning |
//! | --- | --- |
//! | 1 | done |
//! | 0 | not done: the condition of the script does not hold |
//! | -1 | not done: the stored value is not a record |
//! | -2 | not done: the stored value was written by a newer version |
//! | -3 | not done: the key of a sorted set holds something else |

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flinks_consents::store::{Record, StoreError};
use redis::{Script, ScriptInvocation};

use crate::names::RedisKeys;
use crate::owners::OwnerEntry;
use flinks_consents::envelope::EnvelopeError;

/// The start of each script that changes a record: it continues only if the stored record has the
/// expected generation.
///
/// - `KEYS`: the record, and the two sorted sets of its shard.
/// - `ARGV[1]`: the expected generation, or an empty text if there should be no record.
const IF_EXPECTED: &str = r"
for set = 2, 3 do
  local type = redis.call('TYPE', KEYS[set]).ok
  if type ~= 'none' and type ~= 'zset' then return -3 end
end
local old = redis.call('GET', KEYS[1])
local found = ''
if old then
  found = string.match(old, '^flinks1:(%d+):')
  if not found then return string.match(old, '^flinks%d+:') and -2 or -1 end
end
if found ~= ARGV[1] then return 0 end
";

/// Replaces the record, after [`IF_EXPECTED`].
///
/// - `KEYS[2]`: the sorted set that the consent belongs to from now on. `KEYS[3]`: the other one.
/// - `ARGV[2]`: the new value. `ARGV[3]`: the deadline in milliseconds. `ARGV[4]`: the member.
///
/// Redis does not roll back a script that fails, so the value is written last.
const SWAP: &str = r"
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[4])
redis.call('ZREM', KEYS[3], ARGV[4])
redis.call('SET', KEYS[1], ARGV[2])
return 1
";

/// Replaces the record by one that has ended. Keys and arguments are those of [`SWAP`].
///
/// Only a consent that has not ended before is listed: an end that was reported is not reported again.
const SWAP_ENDED: &str = r"
if redis.call('ZSCORE', KEYS[3], ARGV[4]) then redis.call('ZADD', KEYS[2], ARGV[3], ARGV[4]) end
redis.call('ZREM', KEYS[3], ARGV[4])
redis.call('SET', KEYS[1], ARGV[2])
return 1
";

/// Removes the record, after [`IF_EXPECTED`].
///
/// - `ARGV[2]`: the member.
const REMOVE: &str = r"
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('DEL', KEYS[1])
return 1
";

/// Removes a member from the sorted sets if its record no longer exists.
///
/// - `KEYS`: the record, and the two sorted sets.
/// - `ARGV[1]`: the member.
const FORGET: &str = r"
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZREM', KEYS[3], ARGV[1])
end
return 1
";

/// Removes a member from a sorted set if it still has the deadline with which it was listed.
///
/// - `KEYS[1]`: the sorted set.
/// - `ARGV[1]`: the member. `ARGV[2]`: the deadline in milliseconds.
const MARK_REPORTED: &str = r"
local deadline = redis.call('ZSCORE', KEYS[1], ARGV[1])
if deadline and tonumber(deadline) == tonumber(ARGV[2]) then redis.call('ZREM', KEYS[1], ARGV[1]) end
return 1
";

/// Adds the deadline of a record to the sorted set if it is missing there.
///
/// - `KEYS`: the record, and the sorted set of deadlines.
/// - `ARGV[1]`: the generation. `ARGV[2]`: the deadline in milliseconds. `ARGV[3]`: the member.
const RESTORE: &str = r"
local old = redis.call('GET', KEYS[1])
if not old or string.match(old, '^flinks1:(%d+):') ~= ARGV[1] then return 0 end
return redis.call('ZADD', KEYS[2], 'NX', ARGV[2], ARGV[3])
";

/// Removes an entry of an owner if it was not written again.
///
/// - `KEYS[1]`: the entries of the owner.
/// - `ARGV[1]`: the name. `ARGV[2]`: the version of the entry.
const FORGET_OWNED: &str = r"
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 1
";

/// Takes a lease, or extends it. Returns 0 if another owner has it.
///
/// - `KEYS[1]`: the lease.
/// - `ARGV[1]`: the owner. `ARGV[2]`: the duration in milliseconds.
const ACQUIRE: &str = r"
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
";

/// Gives a lease back.
///
/// - `KEYS[1]`: the lease.
/// - `ARGV[1]`: the owner.
const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
";

pub(crate) struct Scripts {
    swap: Script,
    swap_ended: Script,
    remove: Script,
    forget: Script,
    mark_reported: Script,
    restore: Script,
    forget_owned: Script,
    acquire: Script,
    release: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            swap: Script::new(&[IF_EXPECTED, SWAP].concat()),
            swap_ended: Script::new(&[IF_EXPECTED, SWAP_ENDED].concat()),
            remove: Script::new(&[IF_EXPECTED, REMOVE].concat()),
            forget: Script::new(FORGET),
            mark_reported: Script::new(MARK_REPORTED),
            restore: Script::new(RESTORE),
            forget_owned: Script::new(FORGET_OWNED),
            acquire: Script::new(ACQUIRE),
            release: Script::new(RELEASE),
        }
    }

    /// Replaces the record with the generation `expected` by `record`, whose sealed form is `value`.
    pub(crate) fn swap(
        &self,
        keys: &RedisKeys,
        expected: Option<u64>,
        record: &Record,
        value: &[u8],
    ) -> ScriptInvocation<'_> {
        let (script, index, other) = if record.is_ended() {
            (&self.swap_ended, &keys.ended, &keys.due)
        } else {
            (&self.swap, &keys.due, &keys.ended)
        };
        let mut call = script.key(&keys.value);
        call.key(index).key(other);
        call.arg(expected.map(|generation| generation.to_string()).unwrap_or_default());
        call.arg(value).arg(milliseconds(record.idle_deadline())).arg(&keys.member);
        call
    }

    pub(crate) fn remove(&self, keys: &RedisKeys, generation: u64) -> ScriptInvocation<'_> {
        let mut call = self.remove.key(&keys.value);
        call.key(&keys.due).key(&keys.ended).arg(generation.to_string()).arg(&keys.member);
        call
    }

    pub(crate) fn forget(&self, value: &str, due: &str, ended: &str, member: &str) -> ScriptInvocation<'_> {
        let mut call = self.forget.key(value);
        call.key(due).key(ended).arg(member);
        call
    }

    pub(crate) fn mark_reported(&self, ended: &str, member: &str, deadline: f64) -> ScriptInvocation<'_> {
        let mut call = self.mark_reported.key(ended);
        call.arg(member).arg(deadline);
        call
    }

    pub(crate) fn restore(&self, keys: &RedisKeys, record: &Record) -> ScriptInvocation<'_> {
        let mut call = self.restore.key(&keys.value);
        call.key(&keys.due).arg(record.generation().to_string());
        call.arg(milliseconds(record.idle_deadline())).arg(&keys.member);
        call
    }

    pub(crate) fn forget_owned(&self, entry: &OwnerEntry) -> ScriptInvocation<'_> {
        let mut call = self.forget_owned.key(&entry.index);
        call.arg(&entry.name).arg(entry.version);
        call
    }

    pub(crate) fn acquire(&self, lease: &str, owner: &str, duration: Duration) -> ScriptInvocation<'_> {
        let mut call = self.acquire.key(lease);
        call.arg(owner).arg(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        call
    }

    pub(crate) fn release(&self, lease: &str, owner: &str) -> ScriptInvocation<'_> {
        let mut call = self.release.key(lease);
        call.arg(owner);
        call
    }
}

/// Returns whether a script has done its work.
pub(crate) fn outcome(reply: i64) -> Result<bool, StoreError> {
    match reply {
        1 => Ok(true),
        0 => Ok(false),
        -2 => Err(EnvelopeError::NewerVersion.into()),
        -3 => Err(StoreError::misconfigured("has something else where its deadlines should be")),
        _ => Err(EnvelopeError::Damaged.into()),
    }
}

/// Returns a time as it is stored in a sorted set.
pub(crate) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
