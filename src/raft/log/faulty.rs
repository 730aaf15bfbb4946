//! A disk in memory that behaves as badly as a real one may: what was not synced can vanish whole, in
//! part or out of order when the power fails, and operations fail on demand.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Disk;

/// What a power failure keeps or loses as a unit. Smaller than any real one, to tear more writes.
const SECTOR: usize = 64;

#[derive(Debug, Clone, Default)]
struct Inode {
    durable: Vec<u8>,
    visible: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
}

#[derive(Debug, Clone)]
enum DirOp {
    Link(u64, usize),
    Unlink(u64),
}

#[derive(Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    dir: BTreeMap<u64, usize>,
    durable_dir: BTreeMap<u64, usize>,
    unsynced_dir: Vec<DirOp>,
    spares: Vec<usize>,
    /// Operations that succeed before all fail with this kind.
    failure: Option<(u32, io::ErrorKind)>,
    syncs: u64,
    /// Whether syncs do nothing, as on a disk that lies.
    lying: bool,
}

/// The disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultyDisk {
    state: Arc<Mutex<State>>,
}

impl FaultyDisk {
    /// An empty disk without faults.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Cuts the power: only what was synced is sure to stay.
    pub(crate) fn power_failure(&self, seed: u64) {
        let rng = &mut StdRng::seed_from_u64(seed);
        let state = &mut *self.state.lock();
        let kept = rng.random_range(0..=state.unsynced_dir.len());
        for op in state.unsynced_dir.drain(..).take(kept) {
            op.apply(&mut state.durable_dir);
        }
        state.dir = state.durable_dir.clone();
        for inode in &mut state.inodes {
            inode.lose(rng);
        }
        let dir = &state.dir;
        state
            .spares
            .retain(|spare| !dir.values().any(|ino| ino == spare));
        state.failure = None;
    }

    /// Lets `after` more changing operations succeed; the next ones fail.
    pub(crate) fn fail_after(&self, after: u32, kind: io::ErrorKind) {
        self.state.lock().failure = Some((after, kind));
    }

    /// Makes every sync a lie from now on.
    pub(crate) fn lie_about_syncs(&self) {
        self.state.lock().lying = true;
    }

    /// How many content syncs were asked for.
    pub(crate) fn syncs(&self) -> u64 {
        self.state.lock().syncs
    }

    /// Flips a bit that was durable.
    pub(crate) fn flip(&self, segment: u64, offset: usize) {
        let state = &mut *self.state.lock();
        let inode = &mut state.inodes[state.dir[&segment]];
        inode.durable[offset] ^= 1;
        inode.visible[offset] ^= 1;
    }

    /// Loses a segment altogether.
    pub(crate) fn lose_segment(&self, segment: u64) {
        let state = &mut *self.state.lock();
        state.dir.remove(&segment);
        state.durable_dir.remove(&segment);
    }
}

impl DirOp {
    fn apply(self, dir: &mut BTreeMap<u64, usize>) {
        match self {
            Self::Link(segment, inode) => {
                dir.insert(segment, inode);
            }
            Self::Unlink(segment) => {
                dir.remove(&segment);
            }
        }
    }
}

impl Inode {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.visible[offset..offset + bytes.len()].copy_from_slice(bytes);
        self.unsynced.push((offset, bytes.to_vec()));
    }

    fn lose(&mut self, rng: &mut StdRng) {
        // Sometimes all is kept or lost, else each sector is up to chance.
        let chance = [0.0, 0.5, 0.9, 1.0][rng.random_range(0..4)];
        for (offset, bytes) in std::mem::take(&mut self.unsynced) {
            let mut at = 0;
            while at < bytes.len() {
                let to_border = SECTOR - (offset + at) % SECTOR;
                let end = bytes.len().min(at + to_border);
                if rng.random_bool(chance) {
                    self.durable[offset + at..offset + end].copy_from_slice(&bytes[at..end]);
                }
                at = end;
            }
        }
        self.visible = self.durable.clone();
    }
}

impl State {
    fn may_change(&mut self) -> io::Result<()> {
        match &mut self.failure {
            None => Ok(()),
            Some((0, kind)) => Err((*kind).into()),
            Some((left, _)) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    fn inode(&mut self, segment: u64) -> io::Result<&mut Inode> {
        let inode = *self.dir.get(&segment).ok_or(io::ErrorKind::NotFound)?;
        Ok(&mut self.inodes[inode])
    }
}

impl Disk for FaultyDisk {
    fn list(&self) -> io::Result<Vec<(u64, u64)>> {
        let state = self.state.lock();
        let len = |inode: usize| state.inodes[inode].visible.len() as u64;
        Ok(state
            .dir
            .iter()
            .map(|(&s, &inode)| (s, len(inode)))
            .collect())
    }

    fn create(&self, segment: u64, len: u64) -> io::Result<()> {
        let state = &mut *self.state.lock();
        state.may_change()?;
        if state.dir.contains_key(&segment) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let blank = vec![0; len as usize];
        let recycled = state
            .spares
            .pop()
            .filter(|&spare| state.inodes[spare].visible.len() == blank.len());
        let inode = recycled.unwrap_or_else(|| {
            state.inodes.push(Inode {
                durable: blank.clone(),
                visible: blank,
                unsynced: Vec::new(),
            });
            state.inodes.len() - 1
        });
        state.dir.insert(segment, inode);
        state.unsynced_dir.push(DirOp::Link(segment, inode));
        Ok(())
    }

    fn write(&self, segment: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let state = &mut *self.state.lock();
        let outcome = state.may_change();
        // A failing write may have written a part.
        let written = if outcome.is_ok() {
            bytes.len()
        } else {
            bytes.len() / 2
        };
        state
            .inode(segment)?
            .write(offset as usize, &bytes[..written]);
        outcome
    }

    fn read(&self, segment: u64, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let state = &mut *self.state.lock();
        let visible = &state.inode(segment)?.visible;
        let from = offset as usize;
        let bytes = visible
            .get(from..from + buf.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }

    fn erase(&self, segment: u64, offset: u64) -> io::Result<()> {
        let state = &mut *self.state.lock();
        state.may_change()?;
        let inode = state.inode(segment)?;
        let zeros = vec![0; inode.visible.len() - offset as usize];
        inode.write(offset as usize, &zeros);
        Ok(())
    }

    fn sync(&self, segment: u64) -> io::Result<()> {
        let state = &mut *self.state.lock();
        state.syncs += 1;
        state.may_change()?;
        if state.lying {
            return Ok(());
        }
        let inode = state.inode(segment)?;
        inode.unsynced.clear();
        inode.durable = inode.visible.clone();
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let state = &mut *self.state.lock();
        state.may_change()?;
        state.unsynced_dir.clear();
        state.durable_dir = state.dir.clone();
        Ok(())
    }

    fn remove(&self, segment: u64, recycle: bool) -> io::Result<()> {
        let state = &mut *self.state.lock();
        state.may_change()?;
        let inode = state.dir.remove(&segment).ok_or(io::ErrorKind::NotFound)?;
        state.unsynced_dir.push(DirOp::Unlink(segment));
        if recycle {
            state.spares.push(inode);
        }
        Ok(())
    }
}
