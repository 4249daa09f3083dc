//! What all handles share: the engine, which can be exchanged, and the durable end of the log.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::dir::Dir;
use super::engine::{Engine, Fault, Tree};
use super::index::{self, Zone};
use super::memory::Disk;
use super::recent::Recent;
use super::sled::Sled;
use super::{Error, Health, Store, key, read};
use crate::config;
use crate::event::Offset;

/// How long a reader may keep a lost handle before opening another one is given up for the time being.
const READERS_GONE: Duration = Duration::from_secs(10);
/// How long a reader may keep a handle that is well before it is left open.
const READER_DONE: Duration = Duration::from_millis(200);

/// Where the engine's bytes are.
enum Place {
    Folder { dir: Dir, cache_bytes: u64 },
    Memory(Disk),
}

impl Place {
    fn open(&self) -> Result<Arc<dyn Engine>, Error> {
        match self {
            Self::Folder { dir, cache_bytes } => {
                dir.remove_unfinished()?;
                let sled = Sled::open(dir.path(), *cache_bytes)?;
                dir.made()?;
                Ok(Arc::new(sled))
            }
            Self::Memory(disk) => Ok(Arc::new(disk.open())),
        }
    }
}

pub(super) struct Shared {
    engine: RwLock<Option<Arc<dyn Engine>>>,
    place: Place,
    pub(super) settings: config::Store,
    pub(super) durable: watch::Sender<Offset>,
    first: AtomicU64,
    pub(super) recent: Recent,
    zones: RwLock<Vec<Zone>>,
    indexed: AtomicU64,
    pub(super) ids: AtomicU64,
    pub(super) live_bytes: AtomicI64,
    /// Bytes written to the log since the engine was opened.
    pub(super) written: AtomicU64,
    health: Mutex<Health>,
    /// How often a handle that had failed was given up.
    pub(super) reopened: AtomicU64,
    /// Why the handle is lost, where somebody else than the writer noticed it first.
    lost: Mutex<Option<String>>,
    /// Held while stored records are rewritten, by packing or by trimming.
    pub(super) rewriting: Mutex<()>,
}

impl Store {
    /// Opens the store, and makes it where there is none.
    ///
    /// The first open after a run reads again what was written since the last open: up to 3 s for a million
    /// events.
    pub fn open(settings: &config::Store) -> Result<Self, Error> {
        let dir = Dir::hold(&settings.dir, settings.unsafe_fs)?;
        Self::at(Place::Folder { dir, cache_bytes: settings.cache_bytes }, settings.clone())
    }

    /// The twin in memory, for tests.
    pub fn memory() -> Self {
        Self::on(&Disk::default()).unwrap_or_else(|e| unreachable!("an empty disk opens: {e}"))
    }

    /// The twin on a disk in memory.
    pub fn on(disk: &Disk) -> Result<Self, Error> {
        Self::at(Place::Memory(disk.clone()), config::Store::default())
    }

    fn at(place: Place, settings: config::Store) -> Result<Self, Error> {
        let engine = place.open()?;
        let shared = Shared {
            engine: RwLock::new(None),
            place,
            settings,
            durable: watch::Sender::new(0),
            first: AtomicU64::new(0),
            recent: Recent::default(),
            zones: RwLock::default(),
            indexed: AtomicU64::new(0),
            ids: AtomicU64::new(0),
            live_bytes: AtomicI64::new(0),
            written: AtomicU64::new(0),
            health: Mutex::new(Health::Ok),
            reopened: AtomicU64::new(0),
            lost: Mutex::default(),
            rewriting: Mutex::new(()),
        };
        shared.install(engine)?;
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Shared {
    /// The engine; not to be kept longer than one read or write takes.
    pub(super) fn engine(&self) -> Result<Arc<dyn Engine>, Error> {
        let engine = self.engine.read().unwrap_or_else(PoisonError::into_inner);
        engine.clone().ok_or_else(|| match self.health() {
            Health::Recovering(reason) | Health::Full(reason) => Error::Recovering(reason),
            Health::Ok => Error::Recovering("the handle is being opened again".into()),
        })
    }

    /// Lets the writer know of an I/O error that somebody else met; to be called while the engine is held.
    pub(super) fn watch(&self, done: Result<(), Fault>) -> Result<(), Error> {
        done.map_err(|fault| {
            *self.lost() = Some(fault.0.clone());
            fault.into()
        })
    }

    /// What [`Shared::watch`] has noticed of the handle that is there.
    pub(super) fn lost(&self) -> MutexGuard<'_, Option<String>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a freshly opened engine: what is in it is made durable first, as it may have been applied and
    /// not flushed before.
    fn install(&self, engine: Arc<dyn Engine>) -> Result<(), Error> {
        engine.flush()?;
        let end = read::log_end(&*engine)?;
        self.first.store(read::log_first(&*engine)?.unwrap_or(end), Ordering::Release);
        self.indexed.store(index::reached(&*engine)?, Ordering::Release);
        let live = engine.get(Tree::Index, super::prune::LIVE_BYTES)?;
        let live = live.as_deref().and_then(key::number).unwrap_or_default();
        self.live_bytes.store(live.cast_signed(), Ordering::Release);
        *self.zones.write().unwrap_or_else(PoisonError::into_inner) = index::zones(&*engine)?;
        *self.engine.write().unwrap_or_else(PoisonError::into_inner) = Some(engine);
        self.written.store(0, Ordering::Relaxed);
        self.recent.clear();
        self.durable.send_replace(end);
        Ok(())
    }

    /// Closes an engine that is well and opens it again, while readers wait; `false` where one of them does not
    /// let go of it in time. What was applied must be flushed.
    pub(super) fn refresh(&self) -> Result<bool, Error> {
        let mut engine = self.engine.write().unwrap_or_else(PoisonError::into_inner);
        let Some(mut old) = engine.take() else { return Ok(false) };
        let deadline = Instant::now() + READER_DONE;
        while Arc::get_mut(&mut old).is_none() {
            if Instant::now() > deadline {
                *engine = Some(old);
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(old);
        *engine = Some(self.place.open()?);
        self.written.store(0, Ordering::Relaxed);
        Ok(true)
    }

    /// Takes up from what the engine has, after a change that went past the writer.
    pub(super) fn reload(&self) -> Result<(), Error> {
        self.install(self.engine()?)
    }

    /// Drops a handle that has failed and opens another one.
    ///
    /// # Errors
    /// The disk still fails, or a reader still holds the old handle: to be called again.
    pub(super) fn reopen(&self, reason: &str) -> Result<(), Error> {
        self.set_health(Health::Recovering(reason.into()));
        self.reopened.fetch_add(1, Ordering::AcqRel);
        let old = self.engine.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(old) = old {
            self.wait_for_readers(old)?;
        }
        *self.lost() = None;
        self.install(self.place.open()?)?;
        self.set_health(Health::Ok);
        Ok(())
    }

    fn wait_for_readers(&self, mut old: Arc<dyn Engine>) -> Result<(), Error> {
        let deadline = Instant::now() + READERS_GONE;
        while Arc::get_mut(&mut old).is_none() {
            if Instant::now() > deadline {
                *self.engine.write().unwrap_or_else(PoisonError::into_inner) = Some(old);
                return Err(Error::Recovering("a reader still holds the lost handle".into()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// The bytes that the file system, or the disk in memory, has left.
    pub(super) fn free(&self) -> Option<u64> {
        match &self.place {
            Place::Folder { dir, .. } => dir.free(),
            Place::Memory(disk) => disk.free(),
        }
    }

    pub(super) fn end(&self) -> Offset {
        *self.durable.borrow()
    }

    pub(super) fn first(&self) -> Offset {
        self.first.load(Ordering::Acquire)
    }

    /// Events were taken away, up to this offset or in between.
    pub(super) fn set_first(&self, first: Offset) {
        self.recent.clear();
        self.first.store(first, Ordering::Release);
    }

    pub(super) fn health(&self) -> Health {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_health(&self, health: Health) {
        let mut now = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        if *now != health {
            tracing::warn!(from = ?*now, to = ?health, "the store's health changed");
            *now = health;
        }
    }

    /// How far the index has come.
    pub(super) fn indexed(&self) -> Offset {
        self.indexed.load(Ordering::Acquire)
    }

    /// Takes a zone that has been indexed, in place of the last one where it begins there.
    pub(super) fn add_zone(&self, zone: Zone) {
        let mut zones = self.zones.write().unwrap_or_else(PoisonError::into_inner);
        while zones.last().is_some_and(|last| last.first >= zone.first) {
            zones.pop();
        }
        zones.push(zone);
        self.indexed.store(zone.end, Ordering::Release);
    }

    /// The last zone, while it may still grow.
    pub(super) fn growing_zone(&self) -> Option<Zone> {
        let zones = self.zones.read().unwrap_or_else(PoisonError::into_inner);
        zones.last().copied().filter(|zone| zone.end - zone.first < index::ZONE)
    }

    /// Lets go of the zones before the first offset.
    pub(super) fn forget_zones(&self, first: Offset) {
        self.zones.write().unwrap_or_else(PoisonError::into_inner).retain(|zone| zone.end > first);
    }

    /// The stretches of the indexed log whose times are asked for, in order.
    pub(super) fn zones_overlapping(&self, asked: impl Fn(&Zone) -> bool) -> Vec<std::ops::Range<Offset>> {
        let zones = self.zones.read().unwrap_or_else(PoisonError::into_inner);
        zones.iter().filter(|zone| asked(zone)).map(|zone| zone.first..zone.end).collect()
    }
}
