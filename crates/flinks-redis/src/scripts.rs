//! The Lua scripts. Redis runs each script atomically.
//!
//! A script returns a number, which [`parse_result`] interprets:
//!
//! | number | meaning |
//! | --- | --- |
//! | 1 | The script succeeded. |
//! | 0 | Nothing was changed, because the script's condition was not met. |
//! | -1 | Nothing was changed, because the stored value is not a record. |
//! | -2 | Nothing was changed, because a newer version of the crate wrote the stored value. |
//! | -3 | Nothing was changed, because a key that must be a sorted set has a different type. |

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flinks_consents::store::{Record, StoreError};
use redis::{Script, ScriptInvocation};

use crate::names::RedisKeys;
use crate::owners::OwnerEntry;
use flinks_consents::envelope::EnvelopeError;

/// The first part of each script that changes a record. The script continues only if the stored
/// record has the expected generation.
///
/// - `KEYS`: the record and the two sorted sets in its shard.
/// - `ARGV[1]`: the expected generation, or an empty string if no record is expected.
const CHECK_GENERATION: &str = r"
for set = 2, 3 do
  local type = redis.call('TYPE', KEYS[set]).ok
  if type ~= 'none' and type ~= 'zset' then return -3 end
end
local old = redis.call('GET', KEYS[1])
local found = ''
if old then
  found = string.match(old, '^flinks[12]:(%d+):')
  if not found then return string.match(old, '^flinks%d+:') and -2 or -1 end
end
if found ~= ARGV[1] then return 0 end
";

/// Replaces the record. Runs after [`CHECK_GENERATION`].
///
/// - `KEYS[2]`: the consent's new sorted set. `KEYS[3]`: the other sorted set.
/// - `ARGV[2]`: the new value. `ARGV[3]`: the deadline in milliseconds. `ARGV[4]`: the member.
///
/// Redis does not roll back a failed script, so this script writes the value last.
const SWAP: &str = r"
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[4])
redis.call('ZREM', KEYS[3], ARGV[4])
redis.call('SET', KEYS[1], ARGV[2])
return 1
";

/// Replaces the record with the record of an ended consent. Takes the same keys and arguments as
/// [`SWAP`].
///
/// The script adds the consent to the set of ended consents only if the consent had a deadline. A
/// consent that has already ended has no deadline, so its end is not reported twice.
const SWAP_ENDED: &str = r"
if redis.call('ZSCORE', KEYS[3], ARGV[4]) then redis.call('ZADD', KEYS[2], ARGV[3], ARGV[4]) end
redis.call('ZREM', KEYS[3], ARGV[4])
redis.call('SET', KEYS[1], ARGV[2])
return 1
";

/// Removes the record. Runs after [`CHECK_GENERATION`].
///
/// - `ARGV[2]`: the member.
const REMOVE: &str = r"
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('DEL', KEYS[1])
return 1
";

/// Removes a member from the sorted sets if it has no record.
///
/// - `KEYS`: the record and the two sorted sets.
/// - `ARGV[1]`: the member.
const REMOVE_STALE_MEMBER: &str = r"
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZREM', KEYS[3], ARGV[1])
end
return 1
";

/// Removes a member from a sorted set unless the member's deadline has changed since the member was
/// listed.
///
/// - `KEYS[1]`: the sorted set.
/// - `ARGV[1]`: the member. `ARGV[2]`: the deadline in milliseconds.
const MARK_REPORTED: &str = r"
local deadline = redis.call('ZSCORE', KEYS[1], ARGV[1])
if deadline and tonumber(deadline) == tonumber(ARGV[2]) then redis.call('ZREM', KEYS[1], ARGV[1]) end
return 1
";

/// Adds a record's deadline to the sorted set of deadlines, unless the set already contains a
/// deadline for the record.
///
/// - `KEYS`: the record and the sorted set of deadlines.
/// - `ARGV[1]`: the expected generation. `ARGV[2]`: the deadline in milliseconds. `ARGV[3]`: the
///   member.
const RESTORE_DEADLINE: &str = r"
local old = redis.call('GET', KEYS[1])
if not old or string.match(old, '^flinks[12]:(%d+):') ~= ARGV[1] then return 0 end
return redis.call('ZADD', KEYS[2], 'NX', ARGV[2], ARGV[3])
";

/// Removes an entry from the owner index, unless it has been written again.
///
/// - `KEYS[1]`: the owner's hash.
/// - `ARGV[1]`: the consent's hidden name. `ARGV[2]`: the entry's expected version.
const REMOVE_OWNER_ENTRY: &str = r"
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 1
";

/// Acquires or extends a lease. Returns 0 if the lease belongs to another holder.
///
/// - `KEYS[1]`: the lease.
/// - `ARGV[1]`: the holder. `ARGV[2]`: the duration in milliseconds.
const ACQUIRE_LEASE: &str = r"
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
";

/// Releases a lease if it belongs to the given holder.
///
/// - `KEYS[1]`: the lease.
/// - `ARGV[1]`: the holder.
const RELEASE_LEASE: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
";

/// A store's scripts. Each method returns an invocation of one script, including the keys and
/// arguments.
pub(crate) struct Scripts {
    swap: Script,
    swap_ended: Script,
    remove: Script,
    remove_stale_member: Script,
    mark_reported: Script,
    restore_deadline: Script,
    remove_owner_entry: Script,
    acquire_lease: Script,
    release_lease: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            swap: Script::new(&[CHECK_GENERATION, SWAP].concat()),
            swap_ended: Script::new(&[CHECK_GENERATION, SWAP_ENDED].concat()),
            remove: Script::new(&[CHECK_GENERATION, REMOVE].concat()),
            remove_stale_member: Script::new(REMOVE_STALE_MEMBER),
            mark_reported: Script::new(MARK_REPORTED),
            restore_deadline: Script::new(RESTORE_DEADLINE),
            remove_owner_entry: Script::new(REMOVE_OWNER_ENTRY),
            acquire_lease: Script::new(ACQUIRE_LEASE),
            release_lease: Script::new(RELEASE_LEASE),
        }
    }

    /// Replaces the record whose generation is `expected` with `record`, whose encrypted form is
    /// `value`.
    pub(crate) fn swap(
        &self,
        keys: &RedisKeys,
        expected: Option<u64>,
        record: &Record,
        value: &[u8],
    ) -> ScriptInvocation<'_> {
        let (script, new_index, old_index) = if record.is_ended() {
            (&self.swap_ended, &keys.ended, &keys.due)
        } else {
            (&self.swap, &keys.due, &keys.ended)
        };
        let mut call = script.key(&keys.record);
        call.key(new_index).key(old_index);
        call.arg(expected.map(|generation| generation.to_string()).unwrap_or_default());
        call.arg(value).arg(milliseconds(record.idle_deadline())).arg(&keys.member);
        call
    }

    pub(crate) fn remove(&self, keys: &RedisKeys, generation: u64) -> ScriptInvocation<'_> {
        let mut call = self.remove.key(&keys.record);
        call.key(&keys.due).key(&keys.ended).arg(generation.to_string()).arg(&keys.member);
        call
    }

    pub(crate) fn remove_stale_member(
        &self,
        record: &str,
        due: &str,
        ended: &str,
        member: &str,
    ) -> ScriptInvocation<'_> {
        let mut call = self.remove_stale_member.key(record);
        call.key(due).key(ended).arg(member);
        call
    }

    pub(crate) fn mark_reported(&self, ended: &str, member: &str, deadline: f64) -> ScriptInvocation<'_> {
        let mut call = self.mark_reported.key(ended);
        call.arg(member).arg(deadline);
        call
    }

    pub(crate) fn restore_deadline(&self, keys: &RedisKeys, record: &Record) -> ScriptInvocation<'_> {
        let mut call = self.restore_deadline.key(&keys.record);
        call.key(&keys.due).arg(record.generation().to_string());
        call.arg(milliseconds(record.idle_deadline())).arg(&keys.member);
        call
    }

    pub(crate) fn remove_owner_entry(&self, entry: &OwnerEntry) -> ScriptInvocation<'_> {
        let mut call = self.remove_owner_entry.key(&entry.index);
        call.arg(&entry.name).arg(entry.version);
        call
    }

    pub(crate) fn acquire_lease(&self, lease: &str, holder: &str, duration: Duration) -> ScriptInvocation<'_> {
        let mut call = self.acquire_lease.key(lease);
        call.arg(holder).arg(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        call
    }

    pub(crate) fn release_lease(&self, lease: &str, holder: &str) -> ScriptInvocation<'_> {
        let mut call = self.release_lease.key(lease);
        call.arg(holder);
        call
    }
}

/// Interprets the number that a script returned. `true` means that the script succeeded.
pub(crate) fn parse_result(number: i64) -> Result<bool, StoreError> {
    match number {
        1 => Ok(true),
        0 => Ok(false),
        -2 => Err(EnvelopeError::NewerVersion.into()),
        -3 => Err(StoreError::misconfigured("contains a key of the wrong type: expected a sorted set of deadlines")),
        _ => Err(crate::error::NOT_A_RECORD),
    }
}

/// Converts a time to milliseconds since the Unix epoch, the unit of scores in the sorted sets.
pub(crate) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
