//! The store: four things, each one step on the server.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use flinks::outbound::ConsentId;
use flinks::outbound::store::{Record, StoreError, StoreFuture, TokenStore};
use futures_util::future::try_join_all;
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::{
    Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, Pipeline, RedisFuture, RedisResult, Script, Value,
};
use tokio::sync::OnceCell;

use crate::failure::{InvalidConfiguration, LATE, NO_VALUE, Warning, store_error};
use crate::keys::Keys;
use crate::value::{self, Name, PARTS};

/// Swaps a value of one generation for another. KEYS: the value, the sorted set. ARGV: the expected generation or nothing, the
/// value, the deadline in milliseconds or nothing, the member. 1 done, 0 another generation, -1 no value of ours.
const SWAP: &str = r"
local old = redis.call('GET', KEYS[1])
local found = ''
if old then
  found = string.match(old, '^flinks1:(%d+):')
  if not found then return -1 end
end
if found ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
if ARGV[3] == '' then
  redis.call('ZREM', KEYS[2], ARGV[4])
else
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[4])
end
return 1
";

/// Removes a value of one generation. KEYS: the value, the sorted set. ARGV: the generation, the member. As above.
const REMOVE: &str = r"
local old = redis.call('GET', KEYS[1])
if not old then return 0 end
local found = string.match(old, '^flinks1:(%d+):')
if not found then return -1 end
if found ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
return 1
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
    namespace: String,
    timeout: Duration,
    keys: ArcSwap<Keys>,
    connection: OnceCell<Connection>,
    swap: Script,
    remove: Script,
    lease: Script,
    release: Script,
}

/// Makes a [`RedisStore`].
#[derive(Clone)]
pub struct RedisStoreBuilder {
    servers: Vec<String>,
    is_cluster: bool,
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
    /// [`InvalidConfiguration`] where an address is none, or is neither `rediss://` nor on this machine, or the namespace is
    /// empty or has a brace, a space or a control character.
    pub fn build(self) -> Result<RedisStore, InvalidConfiguration> {
        let Self { servers, is_cluster, namespace, timeout, keys } = self;
        if namespace.is_empty()
            || namespace.contains(|c: char| matches!(c, '{' | '}') || c.is_whitespace() || c.is_control())
        {
            return Err(InvalidConfiguration::new(
                "the namespace",
                "is empty, or has a brace, a space or a control character",
            ));
        }
        let servers = servers.iter().map(|server| address(server)).collect::<Result<Vec<_>, _>>()?;
        let inner = Inner {
            servers,
            is_cluster,
            namespace,
            timeout,
            keys: ArcSwap::from_pointee(keys),
            connection: OnceCell::new(),
            swap: Script::new(SWAP),
            remove: Script::new(REMOVE),
            lease: Script::new(LEASE),
            release: Script::new(RELEASE),
        };
        Ok(RedisStore(Arc::new(inner)))
    }
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

    /// What the server is not that it should be.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] where it cannot be reached.
    pub async fn warnings(&self) -> Result<Vec<Warning>, StoreError> {
        let mut command = redis::cmd("INFO");
        command.arg("everything");
        let info: String = match self.timed(command.query_async(&mut self.connection().await?)).await {
            Ok(info) => info,
            Err(StoreError::Refused(_)) => return Ok(vec![Warning::Unknown]),
            Err(error) => return Err(error),
        };
        let field =
            |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
        let mut warnings = Vec::new();
        match field("maxmemory_policy") {
            Some("noeviction") => {}
            // Without a limit nothing is evicted, as long as nobody sets one.
            Some(_) if field("maxmemory") == Some("0") => {}
            Some(_) => warnings.push(Warning::Evicts),
            None => warnings.push(Warning::Unknown),
        }
        if field("aof_enabled") == Some("0") {
            warnings.push(Warning::DoesNotPersist);
        }
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        Ok(warnings)
    }

    /// Makes a part a worker's own for a while. `false` where it is another's.
    pub(crate) async fn lease(&self, part: u16, owner: &str, lasts: Duration) -> Result<bool, StoreError> {
        let mut call = self.0.lease.key(value::lease(&self.0.namespace, part));
        call.arg(owner).arg(u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX));
        let mut connection = self.connection().await?;
        swapped(self.timed(call.invoke_async(&mut connection)).await?)
    }

    pub(crate) async fn release(&self, part: u16, owner: &str) -> Result<bool, StoreError> {
        let mut call = self.0.release.key(value::lease(&self.0.namespace, part));
        call.arg(owner);
        let mut connection = self.connection().await?;
        swapped(self.timed(call.invoke_async(&mut connection)).await?)
    }

    /// How many are due in a part.
    pub(crate) async fn count_due(&self, part: u16, before: SystemTime) -> Result<u64, StoreError> {
        let mut command = redis::cmd("ZCOUNT");
        command.arg(value::due(&self.0.namespace, part)).arg("-inf").arg(format!("({}", milliseconds(before)));
        self.timed(command.query_async(&mut self.connection().await?)).await
    }

    /// Some of what is due in a part, the earliest first, without the first `skip`; and how many were looked at. One that
    /// cannot be read is looked at and left out.
    pub(crate) async fn due_page(
        &self,
        part: u16,
        before: SystemTime,
        skip: usize,
        limit: usize,
    ) -> Result<(Vec<ConsentId>, usize), StoreError> {
        let found = self.timed_store(self.due_in(part, milliseconds(before), skip, limit)).await?;
        Ok((self.timed_store(self.ids(&found)).await?, found.len()))
    }

    /// What is due in a part, the earliest first, with its deadline.
    async fn due_in(&self, part: u16, before: u64, skip: usize, limit: usize) -> Result<Vec<Due>, StoreError> {
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command.arg(value::due(&self.0.namespace, part)).arg("-inf").arg(format!("({before}"));
        command.arg("WITHSCORES").arg("LIMIT").arg(skip).arg(limit);
        let mut connection = self.connection().await?;
        let found: Vec<(String, f64)> =
            command.query_async(&mut connection).await.map_err(|error| store_error(&error))?;
        Ok(found.into_iter().map(|(member, deadline)| Due { part, member, deadline }).collect())
    }

    async fn due(&self, before: SystemTime, limit: usize) -> Result<Vec<ConsentId>, StoreError> {
        let before = milliseconds(before);
        let parts = try_join_all((0..PARTS).map(|part| self.due_in(part, before, 0, limit))).await?;
        let mut found: Vec<Due> = parts.into_iter().flatten().collect();
        found.sort_by(|one, other| one.deadline.total_cmp(&other.deadline));
        found.truncate(limit);
        self.ids(&found).await
    }

    /// Whose they are, which only the records tell.
    async fn ids(&self, found: &[Due]) -> Result<Vec<ConsentId>, StoreError> {
        let mut ids = Vec::with_capacity(found.len());
        // Redis answers as they come; so many are on their way at once that it does not matter, and no more.
        for some in found.chunks(PARTS.into()) {
            let values = some.iter().map(|Due { part, member, .. }| {
                let key = Name::key_of(&self.0.namespace, *part, member);
                async move { self.get(&key).await.map(|value| value.map(|value| (key, value))) }
            });
            for (key, value) in try_join_all(values).await?.into_iter().flatten() {
                match value::open(&value, &key, &self.0.keys.load()) {
                    Ok(record) => ids.push(record.id().clone()),
                    // One that cannot be read must not stand before the others.
                    Err(error) => tracing::warn!("a consent that is due cannot be read: {error}"),
                }
            }
        }
        Ok(ids)
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut connection = self.connection().await?;
        redis::cmd("GET").arg(key).query_async(&mut connection).await.map_err(|error| store_error(&error))
    }

    async fn load(&self, id: &ConsentId) -> Result<Option<Record>, StoreError> {
        let keys = self.0.keys.load_full();
        let name = Name::of(id, &self.0.namespace, &keys)?;
        let Some(value) = self.timed_store(self.get(&name.key)).await? else { return Ok(None) };
        match value::open(&value, &name.key, &keys)? {
            record if record.id() == id => Ok(Some(record)),
            _ => Err(StoreError::Damaged("holds the record of another consent")),
        }
    }

    async fn compare_and_swap(&self, expected: Option<u64>, record: &Record) -> Result<bool, StoreError> {
        let keys = self.0.keys.load_full();
        let name = Name::of(record.id(), &self.0.namespace, &keys)?;
        let value = value::seal(record, &name.key, &keys)?;
        let deadline = (!record.is_over()).then(|| milliseconds(record.idle_deadline()).to_string());
        let mut call = self.0.swap.key(&name.key);
        call.key(&name.due).arg(expected.map(|generation| generation.to_string()).unwrap_or_default());
        call.arg(value).arg(deadline.unwrap_or_default()).arg(&name.member);
        let mut connection = self.connection().await?;
        swapped(self.timed(call.invoke_async(&mut connection)).await?)
    }

    async fn remove(&self, id: &ConsentId, generation: u64) -> Result<bool, StoreError> {
        let name = Name::of(id, &self.0.namespace, &self.0.keys.load())?;
        let mut call = self.0.remove.key(&name.key);
        call.key(&name.due).arg(generation.to_string()).arg(&name.member);
        let mut connection = self.connection().await?;
        swapped(self.timed(call.invoke_async(&mut connection)).await?)
    }

    /// The connection, which mends itself.
    async fn connection(&self) -> Result<Connection, StoreError> {
        let connected = self.0.connection.get_or_try_init(|| self.timed(self.0.connect()));
        connected.await.cloned()
    }

    async fn timed<T>(&self, call: impl Future<Output = RedisResult<T>>) -> Result<T, StoreError> {
        self.timed_store(async { call.await.map_err(|error| store_error(&error)) }).await
    }

    async fn timed_store<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        tokio::time::timeout(self.0.timeout, call).await.unwrap_or(Err(StoreError::Unavailable(LATE)))
    }
}

/// An entry of a sorted set.
struct Due {
    part: u16,
    member: String,
    /// In milliseconds, which a double tells exactly for the next 285 000 years.
    deadline: f64,
}

/// What the scripts answer.
fn swapped(answer: i64) -> Result<bool, StoreError> {
    match answer {
        1 => Ok(true),
        0 => Ok(false),
        _ => Err(StoreError::Damaged(NO_VALUE)),
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Inner {
    async fn connect(&self) -> RedisResult<Connection> {
        provide_tls();
        if self.is_cluster {
            let client = ClusterClientBuilder::new(self.servers.clone())
                .connection_timeout(self.timeout)
                .response_timeout(self.timeout)
                .build()?;
            return Ok(Connection::Cluster(client.get_async_connection().await?));
        }
        let server = self.servers.first().cloned().ok_or((redis::ErrorKind::InvalidClientConfig, "no server"))?;
        // A call that fails is told, and the next one finds a new connection: who calls decides how often to try.
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout))
            .set_number_of_retries(0);
        let manager = ConnectionManager::new_with_config(redis::Client::open(server)?, config).await?;
        Ok(Connection::Single(manager))
    }
}

/// rustls panics where a build has several providers, or none, and nobody chose: this takes the one that flinks takes.
fn provide_tls() {
    #[cfg(feature = "rustls")]
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another may have been faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// One server, or a cluster. Both put many calls on a connection, and match replies to calls by their order, whoever still
/// waits for them.
#[derive(Clone)]
enum Connection {
    Single(ConnectionManager),
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

    fn due(&self, before: SystemTime, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        Box::pin(self.timed_store(self.due(before, limit)))
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
