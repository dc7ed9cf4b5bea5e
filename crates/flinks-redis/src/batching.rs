//! Sends the commands of concurrent calls together, so that they share system calls.
//!
//! ```text
//! call ──▶ queue ──▶ dispatching task ──▶ one pipeline ──▶ Redis
//!   ▲                                                        │
//!   └──────────────── one reply for each command ◀───────────┘
//! ```
//!
//! A call that is alone on the connection sends its command itself. Any other call adds its command
//! to the queue, and spawns a dispatching task if the queue was empty. This task yields once, so
//! that all calls that are ready to run can add their commands, and then takes the whole queue.
//! While its commands are in flight, later calls start the next batch, so no call waits for the
//! reply to an earlier batch.
//!
//! Only dispatching tasks wait for space in the `redis` crate's buffer. If the calls waited
//! themselves, a few dozen calls that were no longer polled would block all others, because the
//! buffer reserves space for the calls in the order in which they started to wait.
//!
//! Redis does not run a pipeline atomically and replies to each command separately. An error reply
//! to one command does not affect the others. The replies to a pipeline are passed on together, so
//! the number of commands in a pipeline is limited. If the connection fails, all commands in the
//! pipeline fail, like any other commands in flight.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisError, RedisResult, Value};
use tokio::sync::oneshot;

/// The maximum number of commands in a pipeline. The replies to a pipeline are passed on together,
/// so the reply to a fast command waits for the replies to slower ones.
const MAX_COMMANDS: usize = 64;

/// A connection that sends the commands of concurrent calls together. Clones share the queue.
#[derive(Clone)]
pub(crate) struct BatchingConnection {
    pub(crate) connection: MultiplexedConnection,
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    commands: Mutex<Vec<QueuedCommand>>,
    /// The number of calls that have not completed.
    calls: AtomicUsize,
}

struct QueuedCommand {
    command: Cmd,
    reply: oneshot::Sender<RedisResult<Value>>,
}

impl BatchingConnection {
    pub(crate) fn new(connection: MultiplexedConnection) -> Self {
        Self { connection, queue: Arc::default() }
    }

    /// Sends a command and returns its reply, which may be an error from the server.
    ///
    /// # Cancel safety
    ///
    /// If the returned future is dropped, the command may still be sent. The commands of other
    /// calls are not affected.
    pub(crate) async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        let queue = Arc::clone(&self.queue);
        let is_alone = queue.calls.fetch_add(1, Ordering::Relaxed) == 0;
        let _call = PendingCall(&queue);
        if is_alone { self.connection.send_packed_command(command).await } else { self.enqueue(command.clone()).await }
    }

    /// Adds a command to the queue and waits for its reply.
    async fn enqueue(&self, command: Cmd) -> RedisResult<Value> {
        let (reply, receiver) = oneshot::channel();
        if self.queue.push(QueuedCommand { command, reply }) {
            tokio::spawn(dispatch(self.connection.clone(), QueuedBatch(Some(Arc::clone(&self.queue)))));
        }
        // The dispatching task no longer exists if its runtime has shut down.
        receiver.await.unwrap_or_else(|_| Err(RedisError::from(io::Error::from(io::ErrorKind::BrokenPipe))))
    }
}

/// A call in progress, which is counted until this value is dropped.
struct PendingCall<'a>(&'a Queue);

impl Drop for PendingCall<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Queue {
    /// Adds a command. Returns whether the command is the first in its batch.
    fn push(&self, command: QueuedCommand) -> bool {
        let mut commands = self.lock();
        commands.push(command);
        commands.len() == 1
    }

    fn take(&self) -> Vec<QueuedCommand> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<QueuedCommand>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch that remains in the queue until its dispatching task takes it. If this value is dropped
/// first, because the runtime shuts down, the commands fail. If they stayed in the queue, no later
/// call would spawn a dispatching task.
struct QueuedBatch(Option<Arc<Queue>>);

impl QueuedBatch {
    fn take(mut self) -> Vec<QueuedCommand> {
        self.0.take().map_or_else(Vec::new, |queue| queue.take())
    }
}

impl Drop for QueuedBatch {
    fn drop(&mut self) {
        if let Some(queue) = &self.0 {
            queue.take();
        }
    }
}

/// Sends a batch and passes each reply to its call. The connection's response timeout limits how
/// long this takes.
async fn dispatch(connection: MultiplexedConnection, batch: QueuedBatch) {
    tokio::task::yield_now().await;
    let mut batch = batch.take();
    let mut pipelines = Vec::new();
    while !batch.is_empty() {
        let rest = batch.split_off(batch.len().min(MAX_COMMANDS));
        pipelines.push(send_pipeline(connection.clone(), std::mem::replace(&mut batch, rest)));
    }
    join_all(pipelines).await;
}

/// Sends commands in one pipeline.
async fn send_pipeline(mut connection: MultiplexedConnection, mut commands: Vec<QueuedCommand>) {
    // The command is not sent if its call was cancelled in the meantime.
    commands.retain(|queued| !queued.reply.is_closed());
    let (commands, replies): (Vec<_>, Vec<_>) =
        commands.into_iter().map(|QueuedCommand { command, reply }| (command, reply)).unzip();
    match send_all(&mut connection, commands).await {
        Ok(values) => {
            for (reply, value) in replies.into_iter().zip(values) {
                reply.send(Ok(value)).ok();
            }
        }
        Err(error) => {
            for reply in replies {
                reply.send(Err(error.clone())).ok();
            }
        }
    }
}

async fn send_all(connection: &mut MultiplexedConnection, commands: Vec<Cmd>) -> RedisResult<Vec<Value>> {
    match commands.as_slice() {
        [] => Ok(Vec::new()),
        [command] => Ok(vec![connection.send_packed_command(command).await?]),
        _ => {
            let count = commands.len();
            let mut pipeline = Pipeline::with_capacity(count);
            for command in commands {
                pipeline.add_command(command);
            }
            connection.send_packed_commands(&pipeline, 0, count).await
        }
    }
}
