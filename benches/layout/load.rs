//! The load: keys, values and changes shaped like those of a Kubernetes cluster, from a seed.
//!
//! Keys are kube-apiserver's (40 to 120 bytes). Values are text made of 64-byte lines; an overwrite changes
//! about one line in eight, as a status update or a renewal does, so a value resembles its predecessor.
//! That matters to a layout that stores both side by side. [`Values::Big`] has large values instead.

use std::collections::VecDeque;

use holdfast::base::kv::KvMeta;

/// A key is not changed twice within this many changes, so that no batch changes a key twice.
const APART: u64 = 256;
/// Namespaces that keys are spread over.
const NAMESPACES: u64 = 40;
/// Bytes of one line of a value.
const LINE: usize = 64;
/// One line in this many changes with every version.
const VOLATILE: u64 = 8;
/// Words that lines are made of, as field names repeat in real objects.
const WORDS: [&str; 16] = [
    "metadata",
    "namespace",
    "template",
    "container",
    "resources",
    "condition",
    "transition",
    "timestamp",
    "managedFields",
    "annotations",
    "revision",
    "serviceAccount",
    "volumeMounts",
    "tolerations",
    "status",
    "spec",
];

/// Which values the load writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    /// 0.3 to 20 KiB, median about 1.5 KiB, a third of the changes renewing leases.
    Cluster,
    /// 64 to 512 KiB, as large ConfigMaps, Secrets and custom resources have.
    Big,
}

/// A kind of object: its place in the key space, its share, its sizes.
#[derive(Debug, PartialEq, Eq)]
struct Kind {
    prefix: &'static str,
    /// Keys of this kind in a thousand.
    share: u64,
    /// Median size of a value, in bytes.
    median: usize,
    /// Quarter powers of two that sizes spread over, up and down.
    spread: u64,
}

const LEASES: usize = 0;
const KINDS: [Kind; 5] = [
    Kind {
        prefix: "/registry/leases/kube-node-lease/",
        share: 20,
        median: 380,
        spread: 1,
    },
    Kind {
        prefix: "/registry/pods/",
        share: 480,
        median: 2_200,
        spread: 8,
    },
    Kind {
        prefix: "/registry/secrets/",
        share: 200,
        median: 1_000,
        spread: 12,
    },
    Kind {
        prefix: "/registry/endpointslices/",
        share: 150,
        median: 1_500,
        spread: 8,
    },
    Kind {
        prefix: "/registry/events/",
        share: 150,
        median: 800,
        spread: 4,
    },
];

/// The prefix of the keys that are renewed all the time.
pub(crate) const LEASE_PREFIX: &[u8] = b"/registry/leases/";
/// The prefix of the commonest kind.
pub(crate) const POD_PREFIX: &[u8] = b"/registry/pods/";

/// One change: a put, or a deletion if there is no value.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

/// SplitMix64: enough for a load, and the same on every machine and release.
#[derive(Debug, Clone)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

/// A key, what it holds and when it was last touched.
#[derive(Debug)]
struct Slot {
    key: Vec<u8>,
    size: usize,
    version: u64,
    live: bool,
    touched: u64,
}

/// The source of changes. Two loads with the same settings give the same changes.
#[derive(Debug)]
pub(crate) struct Load {
    rng: Rng,
    values: Values,
    slots: Vec<Slot>,
    dead: VecDeque<usize>,
    /// Slots below this one are leases; renewals walk through them in turn.
    leases: usize,
    renew: usize,
    loaded: usize,
    changes: u64,
    /// Bytes of keys and values given out.
    pub(crate) bytes: u64,
}

impl Load {
    pub(crate) fn new(keys: usize, values: Values) -> Self {
        let mut load = Self {
            rng: Rng(7),
            values,
            slots: Vec::with_capacity(keys),
            dead: VecDeque::new(),
            leases: 0,
            renew: 0,
            loaded: 0,
            changes: 0,
            bytes: 0,
        };
        for (index, kind) in KINDS.iter().enumerate() {
            let share = (keys as u64 * kind.share / 1_000) as usize;
            for _ in 0..share.max(1) {
                load.add_slot(kind);
            }
            if index == LEASES {
                load.leases = load.slots.len();
            }
        }
        load
    }

    /// The next `count` changes: first every key is created, in no order of keys; then the mix.
    pub(crate) fn take(&mut self, count: usize) -> Vec<Change> {
        (0..count).map(|_| self.change()).collect()
    }

    /// How many changes create the keys.
    pub(crate) fn keys(&self) -> usize {
        self.slots.len()
    }

    /// Keys that hold a value now, in random order with repetition.
    pub(crate) fn live_keys(&self, count: usize, seed: u64) -> Vec<Vec<u8>> {
        let mut rng = Rng(seed);
        let mut keys = Vec::with_capacity(count);
        while keys.len() < count {
            let slot = self.slots.get(rng.below(self.slots.len() as u64) as usize);
            keys.extend(slot.filter(|slot| slot.live).map(|slot| slot.key.clone()));
        }
        keys
    }

    fn change(&mut self) -> Change {
        self.changes += 1;
        let change = if self.loaded < self.slots.len() && self.changes as usize == self.loaded + 1 {
            self.create_next()
        } else {
            match self.rng.below(100) {
                0..35 => self.renewal(),
                35..42 => self.deletion(),
                42..49 => self.creation(),
                _ => self.overwrite(),
            }
        };
        self.bytes += (change.key.len() + change.value.as_ref().map_or(0, Vec::len)) as u64;
        change
    }

    /// A prime stride visits every slot once, out of key order.
    fn create_next(&mut self) -> Change {
        const STRIDE: usize = 1_000_003;
        let index = self.loaded.wrapping_mul(STRIDE) % self.slots.len();
        self.loaded += 1;
        self.put(index)
    }

    fn renewal(&mut self) -> Change {
        self.renew = (self.renew + 1) % self.leases;
        let recent = self
            .slots
            .get(self.renew)
            .is_some_and(|slot| self.is_recent(slot));
        if recent {
            self.overwrite()
        } else {
            self.put(self.renew)
        }
    }

    fn overwrite(&mut self) -> Change {
        let index = self.pick();
        self.put(index)
    }

    fn deletion(&mut self) -> Change {
        let index = self.pick();
        self.dead.push_back(index);
        let changes = self.changes;
        let slot = &mut self.slots[index];
        slot.live = false;
        slot.touched = changes;
        Change {
            key: slot.key.clone(),
            value: None,
        }
    }

    /// Half of the creations bring a deleted key back, half bring a new key.
    fn creation(&mut self) -> Change {
        let back = self
            .dead
            .front()
            .copied()
            .filter(|&index| !self.is_recent(&self.slots[index]));
        if let Some(index) = back.filter(|_| self.rng.below(2) == 0) {
            self.dead.pop_front();
            return self.put(index);
        }
        let kind = &KINDS[1 + self.rng.below(KINDS.len() as u64 - 1) as usize];
        self.add_slot(kind);
        self.loaded += 1;
        self.put(self.slots.len() - 1)
    }

    /// A live key that is no lease and was not touched lately.
    fn pick(&mut self) -> usize {
        let others = (self.slots.len() - self.leases) as u64;
        loop {
            let index = self.leases + self.rng.below(others) as usize;
            let slot = &self.slots[index];
            if slot.live && !self.is_recent(slot) {
                return index;
            }
        }
    }

    fn is_recent(&self, slot: &Slot) -> bool {
        slot.touched != 0 && slot.touched + APART > self.changes
    }

    fn put(&mut self, index: usize) -> Change {
        let changes = self.changes;
        let slot = &mut self.slots[index];
        slot.live = true;
        slot.touched = changes;
        slot.version += 1;
        let value = value(index as u64, slot.version, slot.size);
        Change {
            key: slot.key.clone(),
            value: Some(value),
        }
    }

    fn add_slot(&mut self, kind: &Kind) {
        let (name, size) = (self.rng.next(), self.rng.next());
        let namespace = self.rng.below(NAMESPACES);
        let lease = kind.prefix.starts_with("/registry/leases/");
        let key = if lease {
            format!("{}node-{:016x}.compute.internal", kind.prefix, name)
        } else {
            let app = WORDS[(name % 16) as usize];
            format!(
                "{}team-{namespace:02}-production/{app}-deployment-{name:016x}",
                kind.prefix
            )
        };
        let size = match self.values {
            Values::Cluster => spread(kind, size).clamp(300, 20 << 10),
            Values::Big => (64 << 10) + (size % (448 << 10)) as usize,
        };
        self.slots.push(Slot {
            key: key.into_bytes(),
            size,
            version: 0,
            live: false,
            touched: 0,
        });
    }
}

/// A size around the kind's median: the sum of three dice gives a bell on a scale of quarter powers of two.
fn spread(kind: &Kind, random: u64) -> usize {
    let die = |shift: u32| ((random >> shift) & 0xffff) % (kind.spread + 1);
    let quarters = (die(0) + die(16) + die(32)) as f64 * 2.0 / 3.0 - kind.spread as f64;
    (kind.median as f64 * (quarters / 4.0).exp2()) as usize
}

/// The value of a version: lines of words and digits, one in [`VOLATILE`] of them new with each version.
fn value(key: u64, version: u64, size: usize) -> Vec<u8> {
    let mut value = Vec::with_capacity(size + LINE);
    let mut line = 0;
    while value.len() < size {
        let mut rng = Rng(key.wrapping_mul(0x0100_0000_01b3) ^ (line << 40));
        if line == 1 || rng.below(VOLATILE) == 0 {
            rng.0 ^= version.wrapping_mul(0xff51_afd7_ed55_8ccd);
        }
        let (words, digits) = (rng.next() as usize, rng.next());
        let (first, second) = (WORDS[words % 16], WORDS[words / 16 % 16]);
        let text = format!("\"f:{first}\":{{\"{second}\":\"{digits:016x}\"}},                    ");
        value.extend_from_slice(&text.as_bytes()[..LINE.min(text.len())]);
        line += 1;
    }
    value.truncate(size);
    value
}

/// The numbers of the next version of a key.
pub(crate) fn next_meta(previous: &KvMeta, revision: i64) -> KvMeta {
    use holdfast::base::ids::Revision;
    let create = if previous.version == 0 {
        Revision(revision)
    } else {
        previous.create_revision
    };
    KvMeta {
        create_revision: create,
        mod_revision: Revision(revision),
        version: previous.version + 1,
        ..*previous
    }
}
