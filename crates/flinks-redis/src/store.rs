//! The store: four things, each one step on the server.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use flinks::outbound::ConsentId;
use flinks::outbound::store::{DueWindow, Record, StoreError, StoreFuture, TokenStore};
use futures_util::future::try_join_all;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::io::AsyncDNSResolver;
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo as _, Pipeline,
    RedisFuture, RedisResult, Script, ScriptInvocation, Value,
};
#[cfg(feature = "rustls")]
use redis::{ClientTlsConfig, TlsCertificates};
use tokio::sync::Mutex;

use crate::failure::{InvalidConfiguration, LATE, NO_VALUE, NOT_ALLOWED, Warning, store_error};
use crate::keys::Keys;
use crate::value::{self, Name, PARTS, Set};

/// What a change of a value begins with: it is done only where the value has the expected generation. KEYS: the value, both sorted
/// sets. ARGV: the generation, or nothing where there should be none.
const IF_EXPECTED: &str = r"
for set = 2, 3 do
  local is = redis.call('TYPE', KEYS[set]).ok
  if is ~= 'none' and is ~= 'zset' then return -3 end
end
local old = redis.call('GET', KEYS[1])
local found = ''
if old then
  found = string.match(old, '^flinks1:(%d+):')
  if not found then return string.match(old, '^flinks%d+:') and -2 or -1 end
end
if found ~= ARGV[1] then return 0 end
";

/// Then swaps it for another. KEYS: the set that its member is in from now on is the first. ARGV: the value, the deadline in
/// milliseconds, the member. An error takes nothing back, so the value comes last.
const SWAP: &str = r"
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[4])
redis.call('ZREM', KEYS[3], ARGV[4])
redis.call('SET', KEYS[1], ARGV[2])
return 1
";

/// Then swaps it for one that has ended. As above, but only a consent that has not ended before is listed: an end that was reported
/// already is not reported again.
const SWAP_OVER: &str = r"
if redis.call('ZSCORE', KEYS[3], ARGV[4]) then redis.call('ZADD', KEYS[2], ARGV[3], ARGV[4]) end
redis.call('ZREM', KEYS[3], ARGV[4])
redis.call('SET', KEYS[1], ARGV[2])
return 1
";

/// Then removes it. ARGV: the member. As above.
const REMOVE: &str = r"
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('DEL', KEYS[1])
return 1
";

/// Forgets the member of a value that is no longer there. KEYS: the value, the sorted set. ARGV: the member.
const FORGET: &str = r"
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('ZREM', KEYS[2], ARGV[1]) end
return 1
";

/// Forgets a member that has this deadline: not one that came into the set anew. KEYS: the sorted set. ARGV: the member, the
/// deadline.
const TOLD: &str = r"
local deadline = redis.call('ZSCORE', KEYS[1], ARGV[1])
if deadline and tonumber(deadline) == tonumber(ARGV[2]) then redis.call('ZREM', KEYS[1], ARGV[1]) end
return 1
";

/// Puts a deadline back where there is none. KEYS: the value, the sorted set. ARGV: the generation, the deadline in milliseconds,
/// the member.
const RESTORE: &str = r"
local old = redis.call('GET', KEYS[1])
if not old or string.match(old, '^flinks1:(%d+):') ~= ARGV[1] then return 0 end
return redis.call('ZADD', KEYS[2], 'NX', ARGV[2], ARGV[3])
";

/// Takes a lease, or takes it again. KEYS: the lease. ARGV: the owner, milliseconds. 1 taken, 0 another's.
const LEASE: &str = r"
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
";

/// Gives a lease back. KEYS: the lease. ARGV: the owner.
const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
";

/// Consents on Redis. Cloning is cheap; clones share their connections, on which no one can get another's reply.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    servers: Vec<ConnectionInfo>,
    is_cluster: bool,
    #[cfg(feature = "rustls")]
    certificates: Option<TlsCertificates>,
    namespace: String,
    timeout: Duration,
    keys: ArcSwap<Keys>,
    has_right_names: AtomicBool,
    slot: Mutex<Slot>,
    swap: Script,
    swap_over: Script,
    remove: Script,
    forget: Script,
    told: Script,
    restore: Script,
    lease: Script,
    release: Script,
}

/// The connection that is in use, and its number: the next one has another.
#[derive(Default)]
struct Slot {
    number: u64,
    connection: Option<Connection>,
}

/// Makes a [`RedisStore`].
#[derive(Clone)]
pub struct RedisStoreBuilder {
    servers: Vec<String>,
    is_cluster: bool,
    #[cfg(feature = "rustls")]
    certificates: Option<TlsCertificates>,
    namespace: String,
    timeout: Duration,
    keys: Keys,
}

/// A second: Redis answers within milliseconds, and who waits has an end user before them.
const TIMEOUT: Duration = Duration::from_secs(1);

impl RedisStoreBuilder {
    /// It is a cluster, of which `more` are nodes too: any one that answers tells the others.
    #[must_use]
    pub fn cluster(mut self, more: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.is_cluster = true;
        self.servers.extend(more.into_iter().map(Into::into));
        self
    }

    /// The authorities that the server's certificate must come from, in PEM, instead of the platform's.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates_mut().root_cert = Some(pem.into());
        self
    }

    /// The certificate with which this client shows who it is, and its private key, in PEM: a `redis-server` asks for one where it
    /// is not told otherwise (`tls-auth-clients`).
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn client_certificate(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.certificates_mut().client_tls =
            Some(ClientTlsConfig { client_cert: certificate.into(), client_key: key.into() });
        self
    }

    #[cfg(feature = "rustls")]
    fn certificates_mut(&mut self) -> &mut TlsCertificates {
        self.certificates.get_or_insert(TlsCertificates { client_tls: None, root_cert: None })
    }

    /// What all keys begin with, `flinks` if nothing else is said: stores with different ones do not see each other.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// How long a call may take: a second, if nothing else is said; at least a millisecond.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// The store. It connects with its first call.
    ///
    /// # Errors
    ///
    /// [`InvalidConfiguration`] where an address is none, or is neither `rediss://` nor on this machine; the namespace is empty or
    /// has a brace, a space or a control character; or certificates are none, or for a server that is not `rediss://`.
    ///
    /// With `rediss://`, it also returns an error if the process has no default crypto provider of rustls: call
    /// [`install_default_crypto_provider`](crate::install_default_crypto_provider) at the start of `main`.
    pub fn build(self) -> Result<RedisStore, InvalidConfiguration> {
        #[cfg(feature = "rustls")]
        let certificates = self.certificates;
        let Self { servers, is_cluster, namespace, timeout, keys, .. } = self;
        if namespace.is_empty()
            || namespace.contains(|c: char| matches!(c, '{' | '}') || c.is_whitespace() || c.is_control())
        {
            return Err(InvalidConfiguration::new(
                "the namespace",
                "is empty, or has a brace, a space or a control character",
            ));
        }
        let servers = servers.iter().map(|server| address(server)).collect::<Result<Vec<_>, _>>()?;
        #[cfg(feature = "rustls")]
        check_crypto_provider(&servers)?;
        let inner = Inner {
            servers,
            is_cluster,
            #[cfg(feature = "rustls")]
            certificates,
            namespace,
            timeout,
            keys: ArcSwap::from_pointee(keys),
            has_right_names: AtomicBool::new(false),
            slot: Mutex::default(),
            swap: Script::new(&[IF_EXPECTED, SWAP].concat()),
            swap_over: Script::new(&[IF_EXPECTED, SWAP_OVER].concat()),
            remove: Script::new(&[IF_EXPECTED, REMOVE].concat()),
            forget: Script::new(FORGET),
            told: Script::new(TOLD),
            restore: Script::new(RESTORE),
            lease: Script::new(LEASE),
            release: Script::new(RELEASE),
        };
        let invalid = InvalidConfiguration::new("the certificates", "are none, or not for rediss://");
        #[cfg(feature = "rustls")]
        if !inner.certificates.as_ref().is_none_or(are_certificates) {
            return Err(invalid);
        }
        inner.client().map_err(|_| invalid)?;
        Ok(RedisStore(Arc::new(inner)))
    }
}

/// The library takes a text without any as one with none.
#[cfg(feature = "rustls")]
fn are_certificates(TlsCertificates { root_cert, client_tls }: &TlsCertificates) -> bool {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let is_certificate = |pem: &[u8]| CertificateDer::from_pem_slice(pem).is_ok();
    root_cert.as_deref().is_none_or(is_certificate)
        && client_tls.as_ref().is_none_or(|ClientTlsConfig { client_cert, client_key }| {
            is_certificate(client_cert) && PrivateKeyDer::from_pem_slice(client_key).is_ok()
        })
}

/// An address to which refresh tokens may go.
fn address(text: &str) -> Result<ConnectionInfo, InvalidConfiguration> {
    let invalid = |problem| InvalidConfiguration::new("the address of redis", problem);
    let info = text.into_connection_info().map_err(|_| invalid("is none"))?;
    let is_safe = match info.addr() {
        ConnectionAddr::TcpTls { insecure, .. } => !insecure && cfg!(feature = "rustls"),
        ConnectionAddr::Tcp(host, _) => is_this_machine(host),
        ConnectionAddr::Unix(_) => true,
        _ => false,
    };
    if is_safe { Ok(info) } else { Err(invalid("is neither rediss:// nor on this machine")) }
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl RedisStore {
    /// A store on the server at `address`, such as `rediss://redis.internal:6380/0`; user and password may be in it.
    pub fn builder(address: impl Into<String>, keys: Keys) -> RedisStoreBuilder {
        RedisStoreBuilder {
            servers: vec![address.into()],
            is_cluster: false,
            #[cfg(feature = "rustls")]
            certificates: None,
            namespace: "flinks".to_owned(),
            timeout: TIMEOUT,
            keys,
        }
    }

    /// Takes other keys, from the next call on. The key for names is left as it is: with another one, nothing would be found.
    pub fn set_keys(&self, keys: Keys) {
        let names = self.0.keys.load().names.clone();
        self.0.keys.store(Arc::new(Keys { names, ..keys }));
    }

    /// Returns what is wrong with the configuration of the server, or of a node of the cluster, for a store of refresh tokens. It
    /// logs nothing: log the warnings yourself, for example when your program starts.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] where it cannot be reached, or refuses the credentials.
    pub async fn warnings(&self) -> Result<Vec<Warning>, StoreError> {
        let info: Value = match self.command(redis::cmd("INFO")).await {
            Ok(info) => info,
            Err(error) if error == StoreError::refused(NOT_ALLOWED) => return Ok(vec![Warning::Unknown]),
            Err(error) => return Err(error),
        };
        let mut warnings: Vec<Warning> = texts(info).iter().flat_map(|text| Warning::all_of(text)).collect();
        warnings.sort();
        warnings.dedup();
        Ok(warnings)
    }

    /// Puts the deadlines of consents that have lost theirs back where [`KeepAlive`](crate::KeepAlive) finds them, and tells how
    /// many: for when somebody deleted a set of deadlines, or Redis evicted it. It reads everything once, while others work on.
    /// Consents that are over and were not told yet are not among them: which were told, only the set knew.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] where the store fails. What was put back stays. What cannot be read is left out; the log names it.
    pub async fn restore_deadlines(&self) -> Result<u64, StoreError> {
        let mut restored = 0_u64;
        for node in self.nodes().await? {
            let mut cursor = 0_u64;
            loop {
                let mut scan = redis::cmd("SCAN");
                scan.arg(cursor).arg("COUNT").arg(PAGE);
                // Keys of others may be anything.
                let (next, keys): (u64, Vec<Vec<u8>>) = self.command_at(node, scan).await?;
                let keys = keys.iter().filter_map(|key| std::str::from_utf8(key).ok());
                for done in try_join_all(keys.map(|key| self.restore_deadline(key))).await? {
                    restored = restored.saturating_add(u64::from(done));
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(restored)
    }

    async fn restore_deadline(&self, key: &str) -> Result<bool, StoreError> {
        if !Name::is_of_value(key, &self.0.namespace) {
            return Ok(false);
        }
        let record = match self.record_at(key).await? {
            Found::Record(record) if !record.is_over() => record,
            _ => return Ok(false),
        };
        let name = Name::of(record.id(), &self.0.namespace, &self.0.keys.load())?;
        let mut call = self.0.restore.key(key);
        call.key(&name.due).arg(record.generation().to_string());
        call.arg(milliseconds(record.idle_deadline())).arg(&name.member);
        swapped(self.script(&call).await?)
    }

    /// Those that hold values, each by a slot of it; where there is but one, it needs none.
    async fn nodes(&self) -> Result<Vec<Option<u16>>, StoreError> {
        if !self.0.is_cluster {
            return Ok(vec![None]);
        }
        let mut command = redis::cmd("CLUSTER");
        command.arg("NODES");
        // A line is `ID ADDRESS FLAGS PRIMARY PING PONG EPOCH LINK SLOTS…`, and slots are `7` or `0-16383`.
        let first_slot = |line: &str| line.split(' ').nth(8)?.split('-').next()?.parse().ok();
        Ok(self.command::<String>(command).await?.lines().map(first_slot).filter(Option::is_some).collect())
    }

    async fn command_at<T: redis::FromRedisValue>(&self, slot: Option<u16>, command: Cmd) -> Result<T, StoreError> {
        self.call(|connection| async move {
            match (connection, slot) {
                (Connection::Cluster(mut cluster), Some(slot)) => {
                    let node = SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
                    let answer = cluster.route_command(command, RoutingInfo::SingleNode(node)).await?;
                    Ok(redis::from_redis_value(answer)?)
                }
                (mut connection, _) => command.query_async(&mut connection).await,
            }
        })
        .await
    }

    /// Makes a part a worker's own for a while. `false` where it is another's.
    pub(crate) async fn lease(&self, part: u16, owner: &str, lasts: Duration) -> Result<bool, StoreError> {
        let mut call = self.0.lease.key(value::lease(&self.0.namespace, part));
        call.arg(owner).arg(u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX));
        swapped(self.script(&call).await?)
    }

    pub(crate) async fn release(&self, part: u16, owner: &str) -> Result<bool, StoreError> {
        let mut call = self.0.release.key(value::lease(&self.0.namespace, part));
        call.arg(owner);
        swapped(self.script(&call).await?)
    }

    /// Lists at most `limit` consents of a part that are over and were not told yet.
    pub(crate) async fn listed_over(&self, part: u16, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let command = self.range(part, Set::Over, "-inf", "+inf", limit);
        let found: Vec<(String, f64)> = self.command(command).await?;
        Ok(entries(part, Set::Over, found).collect())
    }

    /// Lists at most `limit` consents of a part that are due: those with a deadline beyond the window, and then the earliest.
    pub(crate) async fn listed_due(
        &self,
        part: u16,
        window: DueWindow,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let before = milliseconds(window.before());
        // Not twice, if the window ends where "beyond" begins.
        let beyond = milliseconds(window.beyond()).max(before.saturating_sub(1));
        // In one round trip.
        let mut both = redis::pipe();
        both.add_command(self.range(part, Set::Due, &format!("({beyond}"), "+inf", limit));
        both.add_command(self.range(part, Set::Due, "-inf", &format!("({before}"), limit));
        type Range = Vec<(String, f64)>;
        let (beyond, before): (Range, Range) =
            self.call(|mut connection| async move { both.query_async(&mut connection).await }).await?;
        Ok(entries(part, Set::Due, beyond.into_iter().chain(before)).take(limit).collect())
    }

    /// Lists at most `limit` entries of a set, the earliest first, whose deadlines lie between two bounds of Redis.
    fn range(&self, part: u16, set: Set, from: &str, to: &str, limit: usize) -> Cmd {
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command.arg(set.key(&self.0.namespace, part)).arg(from).arg(to);
        command.arg("WITHSCORES").arg("LIMIT").arg(0).arg(limit.min(MOST));
        command
    }

    /// The records of what is listed.
    pub(crate) async fn found(&self, entries: &[Entry]) -> Result<Vec<Found>, StoreError> {
        try_join_all(entries.iter().map(|entry| self.found_one(entry))).await
    }

    /// One that is gone is forgotten.
    pub(crate) async fn found_one(&self, Entry { part, set, member, .. }: &Entry) -> Result<Found, StoreError> {
        let namespace = &self.0.namespace;
        let key = Name::key_of(namespace, *part, member);
        let found = self.record_at(&key).await?;
        if let Found::Gone = found {
            let mut call = self.0.forget.key(&key);
            call.key(set.key(namespace, *part)).arg(member);
            self.script(&call).await?;
        }
        Ok(found)
    }

    /// What lies under a key, of whatever consent.
    async fn record_at(&self, key: &str) -> Result<Found, StoreError> {
        let keys = self.0.keys.load_full();
        let record = match self.get(key).await {
            Ok(Some(value)) => value::open(&value, key, &keys),
            Ok(None) => return Ok(Found::Gone),
            Err(StoreError::Damaged(reason)) => return Ok(unreadable(key, &reason)),
            Err(error) => return Err(error),
        };
        match record {
            // With another key for names, nothing would be found under its id.
            Ok(record) if Name::of(record.id(), &self.0.namespace, &keys)?.key != key => {
                Ok(unreadable(key, &OTHER_NAMES))
            }
            Ok(record) => Ok(Found::Record(Box::new(record))),
            Err(StoreError::Damaged(reason) | StoreError::Refused(reason)) => Ok(unreadable(key, &reason)),
            Err(error) => Err(error),
        }
    }

    /// Whether it is still there.
    pub(crate) async fn is_listed(&self, Entry { part, set, member, deadline }: &Entry) -> Result<bool, StoreError> {
        let mut command = redis::cmd("ZSCORE");
        command.arg(set.key(&self.0.namespace, *part)).arg(member);
        Ok(self.command::<Option<f64>>(command).await? == Some(*deadline))
    }

    /// Takes out of the set what was done about it.
    pub(crate) async fn told(&self, entry: &Entry) -> Result<bool, StoreError> {
        let Entry { part, set, member, deadline } = entry;
        let mut call = self.0.told.key(set.key(&self.0.namespace, *part));
        call.arg(member).arg(*deadline);
        swapped(self.script(&call).await?)
    }

    async fn due(&self, window: DueWindow, limit: usize) -> Result<Vec<ConsentId>, StoreError> {
        let mut of_each = limit.min(MOST);
        loop {
            let parts = try_join_all((0..PARTS).map(|part| self.listed_due(part, window, of_each))).await?;
            let is_all = parts.iter().all(|part| part.len() < of_each);
            let mut found: Vec<Entry> = parts.into_iter().flatten().collect();
            found.sort_by_key(|entry| entry.order_in(window));
            let mut ids = Vec::new();
            let mut suspected = Vec::new();
            // So many are on their way at once that it does not matter, and no more.
            for some in found.chunks(PARTS.into()) {
                for found in self.found(some).await? {
                    let Found::Record(record) = found else { continue };
                    if record.is_suspected() {
                        suspected.push(record.id().clone());
                    } else {
                        ids.push(record.id().clone());
                    }
                }
                if ids.len() >= limit {
                    break;
                }
            }
            // Those that cannot be read, or are suspected, do not stand before the others, however many they are.
            if ids.len() >= limit || is_all || of_each >= MOST {
                ids.extend(suspected);
                ids.truncate(limit);
                return Ok(ids);
            }
            of_each = of_each.saturating_mul(8).min(MOST);
        }
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut command = redis::cmd("GET");
        command.arg(key);
        self.command(command).await
    }

    async fn load(&self, id: &ConsentId) -> Result<Option<Record>, StoreError> {
        let keys = self.0.keys.load_full();
        let name = Name::of(id, &self.0.namespace, &keys)?;
        let Some(value) = self.get(&name.key).await? else { return Ok(None) };
        match value::open(&value, &name.key, &keys)? {
            record if record.id() == id => Ok(Some(record)),
            _ => Err(StoreError::damaged("holds the record of another consent")),
        }
    }

    async fn compare_and_swap(&self, expected: Option<u64>, record: &Record) -> Result<bool, StoreError> {
        let keys = self.0.keys.load_full();
        let name = Name::of(record.id(), &self.0.namespace, &keys)?;
        let value = value::seal(record, &name.key, &keys)?;
        let swap = if record.is_over() { &self.0.swap_over } else { &self.0.swap };
        let mut call = swap.key(&name.key);
        match record.is_over() {
            true => call.key(&name.over).key(&name.due),
            false => call.key(&name.due).key(&name.over),
        };
        call.arg(expected.map(|generation| generation.to_string()).unwrap_or_default());
        call.arg(value).arg(milliseconds(record.idle_deadline())).arg(&name.member);
        swapped(self.script(&call).await?)
    }

    async fn remove(&self, id: &ConsentId, generation: u64) -> Result<bool, StoreError> {
        let name = Name::of(id, &self.0.namespace, &self.0.keys.load())?;
        let mut call = self.0.remove.key(&name.key);
        call.key(&name.due).key(&name.over).arg(generation.to_string()).arg(&name.member);
        swapped(self.script(&call).await?)
    }

    async fn command<T: redis::FromRedisValue>(&self, command: Cmd) -> Result<T, StoreError> {
        self.call(|mut connection| async move { command.query_async(&mut connection).await }).await
    }

    async fn script(&self, call: &ScriptInvocation<'_>) -> Result<i64, StoreError> {
        self.call(|mut connection| async move { call.invoke_async(&mut connection).await }).await
    }

    /// One call, which takes no longer than it may, with all that it waits for. A connection that did not answer is not used
    /// again: it may be one that the network has forgotten.
    async fn call<T, F>(&self, run: impl FnOnce(Connection) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let used = AtomicU64::new(0);
        let call = async {
            let (number, mut connection) = self.connection().await?;
            used.store(number, Ordering::Relaxed);
            self.0.check_names(&mut connection).await.map_err(|error| (true, error))?;
            run(connection).await.map_err(|error| (is_answer(&error), store_error(&error)))
        };
        let (is_answer, error) = match tokio::time::timeout(self.0.timeout, call).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(failure)) => failure,
            Err(_) => (false, StoreError::unavailable(LATE)),
        };
        // Where somebody has the slot, they are about to connect anew.
        if let Ok(mut slot) = self.0.slot.try_lock()
            && !is_answer
            && slot.number == used.load(Ordering::Relaxed)
        {
            slot.connection = None;
        }
        Err(error)
    }

    /// The connection that is there, or a new one, with its number.
    async fn connection(&self) -> Result<(u64, Connection), (bool, StoreError)> {
        // In its own task: a call that its caller keeps and does not poll would hold the lock.
        let inner = Arc::clone(&self.0);
        let connecting = tokio::spawn(async move {
            let mut slot = inner.slot.lock().await;
            if let Some(connection) = &slot.connection {
                return Ok((slot.number, connection.clone()));
            }
            let connecting = tokio::time::timeout(inner.timeout, inner.connect()).await;
            let connection = match connecting {
                Ok(connected) => connected.map_err(|error| (true, store_error(&error)))?,
                Err(_) => return Err((true, StoreError::unavailable(LATE))),
            };
            slot.number = slot.number.wrapping_add(1);
            slot.connection = Some(connection.clone());
            Ok((slot.number, connection))
        });
        connecting.await.unwrap_or(Err((true, StoreError::unavailable(LATE))))
    }
}

/// Not that of one which is no longer the primary: its name, or a proxy, leads to another by now.
fn is_answer(error: &redis::RedisError) -> bool {
    error.code().is_some_and(|code| !matches!(code, "READONLY" | "MASTERDOWN"))
}

fn unreadable(key: &str, reason: &dyn fmt::Display) -> Found {
    // The key is an HMAC, which tells nobody whose it is.
    tracing::warn!(key, "a consent cannot be read: it {reason}");
    Found::Unreadable
}

/// The texts of an answer: that of a cluster has one of each node.
fn texts(answer: Value) -> Vec<String> {
    match answer {
        Value::BulkString(bytes) => vec![String::from_utf8_lossy(&bytes).into_owned()],
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => vec![text],
        Value::Map(entries) => entries.into_iter().flat_map(|(_, value)| texts(value)).collect(),
        Value::Array(entries) => entries.into_iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// How many keys are looked at at once.
const PAGE: usize = 1000;
const OTHER_NAMES: &str = "was written with another key for names";
/// No list is longer: of ten million consents, a part has forty thousand.
const MOST: usize = 1_000_000;

/// An entry of a sorted set.
pub(crate) struct Entry {
    part: u16,
    set: Set,
    member: String,
    /// In milliseconds, which a double tells exactly for the next 285 000 years.
    deadline: f64,
}

/// What became of an entry.
pub(crate) enum Found {
    Record(Box<Record>),
    /// Damaged, or encrypted with a key that is not here.
    Unreadable,
    Gone,
}

fn entries(part: u16, set: Set, found: impl IntoIterator<Item = (String, f64)>) -> impl Iterator<Item = Entry> {
    found.into_iter().map(move |(member, deadline)| Entry { part, set, member, deadline })
}

impl Entry {
    /// By its deadline; those beyond the window first.
    fn order_in(&self, window: DueWindow) -> u64 {
        // A double tells whole milliseconds exactly.
        let deadline = self.deadline as u64;
        if deadline > milliseconds(window.beyond()) { 0 } else { deadline }
    }
}

/// What the scripts answer.
fn swapped(answer: i64) -> Result<bool, StoreError> {
    match answer {
        1 => Ok(true),
        0 => Ok(false),
        -2 => Err(StoreError::refused("was written by a newer version")),
        -3 => Err(StoreError::refused("has something else where its deadlines should be")),
        _ => Err(StoreError::damaged(NO_VALUE)),
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Inner {
    async fn connect(&self) -> RedisResult<Connection> {
        // What waits longer than a call may is of no use.
        let (connect, respond) = (self.timeout, self.timeout);
        let is_plain = self.servers.iter().any(|server| !matches!(server.addr(), ConnectionAddr::TcpTls { .. }));
        if self.is_cluster {
            let builder = ClusterClientBuilder::new(self.servers.clone());
            #[cfg(feature = "rustls")]
            let builder = match &self.certificates {
                Some(certificates) => builder.certs(certificates.clone()),
                None => builder,
            };
            let builder = builder.connection_timeout(connect).response_timeout(respond);
            let builder = if is_plain { builder.async_dns_resolver(OnThisMachine) } else { builder };
            return Ok(Connection::Cluster(builder.build()?.get_async_connection().await?));
        }
        let config = AsyncConnectionConfig::new();
        let config = config.set_connection_timeout(Some(connect)).set_response_timeout(Some(respond));
        let config = if is_plain { config.set_dns_resolver(OnThisMachine) } else { config };
        let client = self.client()?;
        Ok(Connection::Single(client.get_multiplexed_async_connection_with_config(&config).await?))
    }

    /// With another key for names, nothing is found and all is written a second time: so which one it is stands in Redis, and is
    /// looked at until it was seen once. Where it cannot be, the next call looks; it is one node of a cluster, which others need not
    /// wait for.
    async fn check_names(&self, connection: &mut Connection) -> Result<(), StoreError> {
        if self.has_right_names.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (key, names) = (value::names(&self.namespace), value::fingerprint(&self.keys.load())?);
        let look = async {
            let _ = redis::cmd("SET").arg(&key).arg(&names).arg("NX").exec_async(connection).await;
            redis::cmd("GET").arg(&key).query_async::<Option<String>>(connection).await
        };
        match tokio::time::timeout(self.timeout / 4, look).await {
            Ok(Ok(Some(there))) if there != names => return Err(StoreError::refused(OTHER_NAMES)),
            Ok(Ok(Some(_))) => self.has_right_names.store(true, Ordering::Relaxed),
            _ => {}
        }
        Ok(())
    }

    /// Of the first server.
    fn client(&self) -> RedisResult<redis::Client> {
        let no_address = (ErrorKind::InvalidClientConfig, "no address");
        let server = self.servers.first().cloned().ok_or(no_address)?;
        #[cfg(feature = "rustls")]
        if let Some(certificates) = &self.certificates {
            return redis::Client::build_with_tls(server, certificates.clone());
        }
        redis::Client::open(server)
    }
}

/// Where nothing is encrypted, nothing goes elsewhere: also not to a node that a cluster tells of later.
struct OnThisMachine;

impl AsyncDNSResolver for OnThisMachine {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        host: &'b str,
        port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
            if found.is_empty() || found.iter().any(|address| !address.ip().is_loopback()) {
                return Err((ErrorKind::InvalidClientConfig, "not on this machine").into());
            }
            Ok(Box::new(found.into_iter()) as Box<dyn Iterator<Item = SocketAddr> + Send>)
        })
    }
}

/// Refuses TLS if this process has no default crypto provider. The library would then take the only one in the build, and make it
/// the default of the process, or panic if there are several.
#[cfg(feature = "rustls")]
fn check_crypto_provider(servers: &[ConnectionInfo]) -> Result<(), InvalidConfiguration> {
    let is_tls = |server: &ConnectionInfo| matches!(server.addr(), ConnectionAddr::TcpTls { .. });
    if servers.iter().any(is_tls) && rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(InvalidConfiguration::new(
            "TLS",
            "needs a default crypto provider: call flinks_redis::install_default_crypto_provider() once, at the start of main",
        ));
    }
    Ok(())
}

/// One server, or a cluster. Both put many calls on a connection, and match replies to calls by their order, whoever still
/// waits for them.
#[derive(Clone)]
enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(cmd, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

impl TokenStore for RedisStore {
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
        Box::pin(self.load(id))
    }

    fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool> {
        Box::pin(self.compare_and_swap(expected, record))
    }

    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool> {
        Box::pin(self.remove(id, generation))
    }

    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        Box::pin(self.due(window, limit))
    }
}

/// Neither where it is, which may have a password in it, nor keys.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("namespace", &self.0.namespace).finish_non_exhaustive()
    }
}

impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a1_clear_text_goes_to_this_machine_only() {
        for host in ["127.0.0.1", "::1", "localhost"] {
            assert!(OnThisMachine.resolve(host, 1).await.is_ok(), "{host}");
        }
        for host in ["192.0.2.1", "0.0.0.0", "::", "2001:db8::1", ""] {
            assert!(OnThisMachine.resolve(host, 1).await.is_err(), "{host}");
        }
    }
}
