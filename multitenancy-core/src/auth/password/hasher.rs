use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use argon2::{Algorithm, Argon2, Block, Params, Version, password_hash::phc};
use secrecy::{ExposeSecret, SecretString};
use thread_priority::ThreadPriority;
use tokio::sync::oneshot;

use super::{PasswordHash, PasswordPolicy, normalize};
use crate::{
    environment::Environment,
    error::{Error, Result},
    user::Email,
};

/// How passwords are hashed.
#[derive(Debug, Clone)]
pub struct HashingConfig {
    /// Memory of one hash, in KiB. Default and least: 19,456 (OWASP Password Storage, ASVS 11.4.2).
    pub memory_kib: u32,
    /// Passes over the memory. Default and least: 2.
    pub passes: u32,
    /// Threads that hash, at the lowest priority. Default 2. Each holds `memory_kib` while it works.
    ///
    /// Dedicated threads, because hashing on the runtime's blocking pool competes with everything else: four
    /// logins at a time raised another query's p99 from 10 to 45 ms there, to 12 ms here.
    pub threads: usize,
    /// Passwords that may wait for a thread; what comes on top is refused with 503. Default 64, which is less than
    /// a second's work.
    pub queue: usize,
}

impl Default for HashingConfig {
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2, threads: 2, queue: 64 }
    }
}

/// Hashes and verifies passwords with argon2id, on threads of its own behind a bounded queue (S38, S39).
///
/// Cheap to clone. The threads end with the last clone.
#[derive(Clone)]
pub struct PasswordHasher {
    jobs: mpsc::SyncSender<Job>,
    inner: Arc<Inner>,
}

struct Inner {
    params: Params,
    environment: Environment,
    /// What an unknown user's password is compared with: equal work, no match (S42).
    decoy: PasswordHash,
}

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// What one hash is computed in. Each thread has its own and keeps it: given back after each hash, four times as much
/// stayed with the allocator of every thread.
type Memory = Vec<Block>;

/// The outcome of comparing a password with a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// It is not the password.
    Wrong,
    /// It is the password.
    Right,
    /// It is the password, but it should be hashed anew, because the parameters have changed since.
    RightButOutdated,
}

impl PasswordHasher {
    /// Starts the threads. Parameters below the least ones are an error.
    pub fn new(config: &HashingConfig, environment: Environment) -> Result<Self> {
        let least = HashingConfig::default();
        if config.memory_kib < least.memory_kib || config.passes < least.passes {
            return Err(Error::config(format!(
                "argon2id needs at least {} KiB and {} passes",
                least.memory_kib, least.passes
            )));
        }
        if config.threads == 0 || config.queue == 0 {
            return Err(Error::config("password hashing needs a thread and a place in the queue"));
        }
        let params = Params::new(config.memory_kib, config.passes, 1, None)
            .map_err(|error| Error::config(format!("argon2id parameters: {error}")))?;
        let (jobs, queue) = mpsc::sync_channel::<Job>(config.queue);
        let queue = Arc::new(Mutex::new(queue));
        for index in 0..config.threads {
            let queue = queue.clone();
            thread::Builder::new()
                .name(format!("password-{index}"))
                .spawn(move || work(&queue))
                .map_err(|error| Error::config("no thread for password hashing").with_source(error))?;
        }
        let decoy = hash(&params, &environment, &SecretString::default(), &mut Memory::new())?;
        Ok(Self { jobs, inner: Arc::new(Inner { params, environment, decoy }) })
    }

    /// Hashes a new password.
    ///
    /// Fails with [`Overloaded`](crate::ErrorKind::Overloaded) when the queue is full.
    pub async fn hash(&self, password: SecretString) -> Result<PasswordHash> {
        let inner = self.inner.clone();
        self.run(move |memory| hash(&inner.params, &inner.environment, &normalize(&password), memory)).await
    }

    /// Compares a password with a stored hash; with `None`, for a user who is unknown or has no password, does the
    /// same work and answers [`Verification::Wrong`].
    ///
    /// Fails with [`Overloaded`](crate::ErrorKind::Overloaded) when the queue is full.
    pub async fn verify(&self, password: SecretString, stored: Option<PasswordHash>) -> Result<Verification> {
        let inner = self.inner.clone();
        self.run(move |memory| verify(&inner, &normalize(&password), stored, memory)).await
    }

    /// Judges a new password on the threads that hash: it is work of the same kind, and whoever asks for it has not
    /// signed in.
    ///
    /// Fails as [`PasswordPolicy::check`], and with [`Overloaded`](crate::ErrorKind::Overloaded) when the queue is full.
    pub async fn judge(
        &self,
        policy: PasswordPolicy,
        password: SecretString,
        email: Email,
        names: Vec<String>,
    ) -> Result<()> {
        self.run(move |_| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            policy.check(&password, &email, &names)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |memory: &mut Memory| {
            // Whoever asked may have gone while the job waited.
            if !answer.is_closed() {
                let _gone = answer.send(work(memory));
            }
        });
        self.jobs
            .try_send(job)
            .map_err(|_full| Error::overloaded("too many sign-ins at once", Duration::from_secs(1)))?;
        answered.await.map_err(Error::internal)?
    }
}

impl fmt::Debug for PasswordHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHasher").field("params", &self.inner.params).finish_non_exhaustive()
    }
}

fn work(queue: &Mutex<mpsc::Receiver<Job>>) {
    if let Err(error) = ThreadPriority::Min.set_for_current() {
        tracing::debug!(%error, "password hashing runs at normal priority");
    }
    let mut memory = Memory::new();
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(&mut memory))).is_err() {
            tracing::error!("a password hashing job panicked");
        }
    }
}

fn hash(
    params: &Params,
    environment: &Environment,
    password: &SecretString,
    memory: &mut Memory,
) -> Result<PasswordHash> {
    let salt: [u8; 16] = environment.bytes();
    let mut hash = phc::PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: params.try_into().map_err(Error::internal)?,
        salt: Some(phc::Salt::new(&salt).map_err(Error::internal)?),
        hash: None,
    };
    hash.hash = Some(compute(&hash, password, memory)?);
    hash.to_string().parse()
}

fn verify(
    inner: &Inner,
    password: &SecretString,
    stored: Option<PasswordHash>,
    memory: &mut Memory,
) -> Result<Verification> {
    let (hash, known) = stored.as_ref().map_or((&inner.decoy, false), |hash| (hash, true));
    let parsed = phc::PasswordHash::new(hash.expose()).map_err(Error::internal)?;
    // `Output` compares in constant time.
    let matches = Some(compute(&parsed, password, memory)?) == parsed.hash;
    // The decoy is made the present way: algorithm, version and parameters.
    let present = phc::PasswordHash::new(inner.decoy.expose()).map_err(Error::internal)?;
    let is_present = (&parsed.algorithm, parsed.version, &parsed.params)
        == (&present.algorithm, present.version, &present.params);
    Ok(match matches && known {
        false => Verification::Wrong,
        true if is_present => Verification::Right,
        true => Verification::RightButOutdated,
    })
}

/// The output for `password` with the algorithm, version, parameters and salt of `like`, as long as its own.
fn compute(like: &phc::PasswordHash, password: &SecretString, memory: &mut Memory) -> Result<phc::Output> {
    let algorithm = Algorithm::try_from(like.algorithm.as_str()).map_err(Error::internal)?;
    let version = like.version.map(Version::try_from).transpose().map_err(Error::internal)?;
    let params = Params::try_from(like).map_err(Error::internal)?;
    let salt = like.salt.as_ref().ok_or_else(|| Error::internal("a stored password hash has no salt"))?;
    let length = like.hash.as_ref().map_or(Params::DEFAULT_OUTPUT_LEN, phc::Output::len);
    memory.resize(params.block_count(), Block::new());
    let mut output = [0; phc::Output::MAX_LENGTH];
    let output =
        output.get_mut(..length).ok_or_else(|| Error::internal("a stored password hash is too long"))?;
    Argon2::new(algorithm, version.unwrap_or_default(), params)
        .hash_password_into_with_memory(password.expose_secret().as_bytes(), salt, output, memory)
        .map_err(Error::internal)?;
    phc::Output::new(output).map_err(Error::internal)
}
