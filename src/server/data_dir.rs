//! A member's data directory: made, locked, and known to be this member's before anything opens it.
//!
//! | entry | what it is |
//! |---|---|
//! | `lock` | locked by the process that uses the directory; the system releases it when that ends |
//! | `identity.json` | which member of which cluster the data belongs to; written once, before any data |
//! | `state/` | RocksDB: the state machine |
//! | `log/` | the raft log |
//! | `incoming/` | a snapshot while it is received |
//! | `fixtures/` | certificates that the member made for itself |
//! | `restoring/` | the state while it is made from a backup; renamed to `state/` when it is whole |
//!
//! The identity keeps two mistakes from becoming lost votes and forked histories: a member started on the
//! data of another, and a cluster begun anew over an older one's data.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{DataDirError, StartError};
use super::join::Joined;
use crate::base::fs::{sync_dir, sync_path};
use crate::base::ids::{ClusterId, MemberId};
use crate::config::{Bootstrap, BootstrapMember, ClusterState, MemberConfig};
use crate::engine::{Member, UNFINISHED_RESTORE};

const LOCK: &str = "lock";
const IDENTITY: &str = "identity.json";
const STATE: &str = "state";
const LOG: &str = "log";
const INCOMING: &str = "incoming";

/// Where etcd keeps everything in its data directory.
const ETCD_DATA: &str = "member";

/// The layout of [`Record`]; a reader refuses any other.
const FORMAT: u32 = 1;

/// Only the member's own user may look in: the data contains every secret that clients store.
const PRIVATE: u32 = 0o700;

/// A data directory that this process has locked. The lock ends with the value.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Which member of which cluster the data belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    /// The cluster.
    pub(super) cluster_id: ClusterId,
    /// The member.
    pub(super) member_id: MemberId,
}

/// What a member knows of itself before it opens its data.
#[derive(Debug)]
pub(super) enum Origin {
    /// There is no data yet: the cluster begins as the flags say.
    Fresh(Bootstrap),
    /// There is no data yet: the cluster runs and has added this member.
    Joining(Joined),
    /// There is data, and it is this member's; or it was about to be when the member died.
    Restart(Identity, Option<Beginning>),
}

/// What a new directory begins with, until it has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Beginning {
    /// Whether the member joins a running cluster, which sends it everything.
    pub(super) joining: bool,
    /// The first members of a new cluster, or those of the running one.
    pub(super) members: Vec<Member>,
}

impl Origin {
    /// Which member of which cluster this is.
    pub(super) const fn identity(&self) -> Identity {
        match self {
            Self::Fresh(bootstrap) => Identity {
                cluster_id: bootstrap.cluster_id,
                member_id: bootstrap.member_id,
            },
            Self::Joining(joined) => joined.identity,
            Self::Restart(identity, _) => *identity,
        }
    }

    /// What there is to begin with; `None` where all has begun. Names of a new cluster's members are published
    /// by themselves once they run.
    pub(super) fn beginning(&self) -> Option<Beginning> {
        let first = |member: &BootstrapMember| Member {
            id: member.id.0,
            peer_urls: member.peer_urls.iter().map(ToString::to_string).collect(),
            ..Member::default()
        };
        match self {
            Self::Fresh(bootstrap) => Some(Beginning {
                joining: false,
                members: bootstrap.members.iter().map(first).collect(),
            }),
            Self::Joining(joined) => Some(Beginning {
                joining: true,
                members: joined.members.clone(),
            }),
            Self::Restart(_, beginning) => beginning.clone(),
        }
    }
}

/// [`IDENTITY`] as it is stored. Ids are hexadecimal, as they are printed everywhere else.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    format: u32,
    cluster_id: String,
    member_id: String,
    token: String,
    /// Gone once the member has begun. Until then a member that died has nothing else to begin with, and asking
    /// the others again might get another answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beginning: Option<Beginning>,
}

impl DataDir {
    /// Makes the directory if there is none, and locks it.
    ///
    /// # Errors
    /// When it cannot be made or written, or another process uses it.
    pub(super) fn open(path: &Path) -> Result<Self, DataDirError> {
        let failed = |action| io_error(path, action);
        DirBuilder::new()
            .mode(PRIVATE)
            .recursive(true)
            .create(path)
            .map_err(failed("create it"))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK))
            .map_err(failed("write in it"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed("lock it")(source)),
        }
    }

    /// Whether it has data, or is about to.
    pub(super) fn is_claimed(&self) -> bool {
        self.path.join(IDENTITY).exists()
    }

    /// Whose data this is, held against the flags; `None` if there is none and the running cluster has to be
    /// asked. Writes nothing.
    ///
    /// Once there is data it says who the members are, and flags may have become stale since; with
    /// `--initial-cluster-state=new` they must still describe the cluster that was begun with them.
    ///
    /// # Errors
    /// When the data is not this member's, or is not complete.
    pub(super) fn origin(&self, config: &MemberConfig) -> Result<Option<Origin>, StartError> {
        match self.read_record()? {
            Some(record) => {
                let identity = self.check(&record, config)?;
                Ok(Some(Origin::Restart(identity, record.beginning)))
            }
            None => {
                self.check_empty()?;
                match config.cluster.state {
                    ClusterState::Existing => Ok(None),
                    ClusterState::New => Ok(Some(Origin::Fresh(config.bootstrap()?))),
                }
            }
        }
    }

    /// Removes what a restore that was cut short left behind, and gives whether there was any.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(super) fn clear_unfinished_restore(&self) -> Result<bool, DataDirError> {
        match fs::remove_dir_all(self.path.join(UNFINISHED_RESTORE)) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(io_error(&self.path, "remove an unfinished restore")(e)),
        }
    }

    /// Writes down whose data this is, and what there is to begin with unless it has begun. After it returns, a
    /// crash cannot undo it.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub(super) fn claim(
        &self,
        identity: Identity,
        token: &str,
        beginning: Option<Beginning>,
    ) -> Result<(), DataDirError> {
        let record = Record {
            format: FORMAT,
            cluster_id: identity.cluster_id.to_string(),
            member_id: identity.member_id.to_string(),
            token: token.to_owned(),
            beginning,
        };
        self.write_durably(&record)
            .map_err(io_error(&self.path, "write whose it is"))
    }

    /// Where the state machine is kept.
    pub(super) fn state(&self) -> PathBuf {
        self.path.join(STATE)
    }

    /// Where the raft log is kept.
    pub(super) fn log(&self) -> PathBuf {
        self.path.join(LOG)
    }

    /// Where snapshots are received.
    pub(super) fn incoming(&self) -> PathBuf {
        self.path.join(INCOMING)
    }

    /// The directory itself.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn read_record(&self) -> Result<Option<Record>, DataDirError> {
        let file = self.path.join(IDENTITY);
        let text = match fs::read(&file) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io_error(&self.path, "read whose it is")(e)),
        };
        let record: Record =
            serde_json::from_slice(&text).map_err(|e| self.damaged(e.to_string()))?;
        if record.format == FORMAT {
            Ok(Some(record))
        } else {
            Err(self.damaged(format!("format {} is not known", record.format)))
        }
    }

    /// Holds the record against the flags.
    fn check(&self, record: &Record, config: &MemberConfig) -> Result<Identity, DataDirError> {
        let stored = Identity {
            cluster_id: ClusterId(self.id(&record.cluster_id)?),
            member_id: MemberId(self.id(&record.member_id)?),
        };
        let dir = self.path.clone();
        if record.token != config.cluster.token {
            return Err(DataDirError::OtherToken {
                dir,
                stored: record.token.clone(),
                given: config.cluster.token.clone(),
            });
        }
        // Records that were asked for at the first start may have changed since, and are not asked again.
        if config.cluster.state == ClusterState::New && config.cluster.discovery.is_none() {
            let given = config.cluster.id();
            if given != stored.cluster_id {
                let stored = stored.cluster_id;
                return Err(DataDirError::OtherCluster { dir, stored, given });
            }
            if let Ok(bootstrap) = config.bootstrap()
                && bootstrap.member_id != stored.member_id
            {
                return Err(DataDirError::OtherMember {
                    dir,
                    stored: stored.member_id,
                    given: bootstrap.member_id,
                });
            }
        }
        Ok(stored)
    }

    /// Refuses data that nobody has claimed: the identity is always written first, or last by a restore.
    fn check_empty(&self) -> Result<(), DataDirError> {
        if self.path.join(ETCD_DATA).exists() {
            return Err(DataDirError::EtcdData(self.path.clone()));
        }
        match [STATE, LOG]
            .into_iter()
            .find(|d| self.path.join(d).exists())
        {
            // Whoever asked for that snapshot must not get an empty cluster in its place.
            None if self.path.join(UNFINISHED_RESTORE).exists() => {
                Err(DataDirError::UnfinishedRestore {
                    dir: self.path.clone(),
                    leftover: UNFINISHED_RESTORE,
                })
            }
            None => Ok(()),
            Some(found) => Err(DataDirError::Incomplete {
                dir: self.path.clone(),
                found,
                missing: IDENTITY,
            }),
        }
    }

    fn id(&self, text: &str) -> Result<u64, DataDirError> {
        u64::from_str_radix(text, 16).map_err(|_| self.damaged(format!("{text:?} is not an id")))
    }

    fn damaged(&self, reason: String) -> DataDirError {
        DataDirError::Damaged {
            file: self.path.join(IDENTITY),
            reason,
        }
    }

    /// The content, then the directories that lead to it, and the name last, each synced before the next: where
    /// there is an identity, the way to it is durable.
    fn write_durably(&self, record: &Record) -> io::Result<()> {
        let file = self.path.join(IDENTITY);
        let draft = file.with_extension("tmp");
        let mut out = File::create(&draft)?;
        serde_json::to_writer(&mut out, record)?;
        out.write_all(b"\n")?;
        out.sync_all()?;
        sync_path(&self.path)?;
        fs::rename(&draft, &file)?;
        sync_dir(&self.path)
    }
}

fn io_error(dir: &Path, action: &'static str) -> impl Fn(io::Error) -> DataDirError {
    let dir = dir.to_owned();
    move |source| DataDirError::Io {
        dir: dir.clone(),
        action,
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::testing::member;

    fn one_member() -> MemberConfig {
        member(&["--name=a", "--initial-advertise-peer-urls=http://h:1"])
    }

    /// A directory that `config` has claimed, unlocked again.
    fn claimed(config: &MemberConfig) -> tempfile::TempDir {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temp.path()).unwrap();
        let origin = dir.origin(config).unwrap().unwrap();
        assert!(matches!(origin, Origin::Fresh(_)));
        dir.claim(origin.identity(), &config.cluster.token, None)
            .unwrap();
        temp
    }

    fn origin(temp: &tempfile::TempDir, config: &MemberConfig) -> Result<Identity, String> {
        let dir = DataDir::open(temp.path()).unwrap();
        let origin = dir.origin(config).map_err(|e| e.to_string())?;
        Ok(origin.ok_or("nobody's yet")?.identity())
    }

    #[test]
    fn a_new_directory_is_private_and_its_claim_is_found_again() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("deep/er");
        let config = one_member();
        let dir = DataDir::open(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            PRIVATE
        );
        let fresh = dir.origin(&config).unwrap().unwrap().identity();
        dir.claim(fresh, &config.cluster.token, None).unwrap();
        drop(dir);
        let again = DataDir::open(&path).unwrap().origin(&config).unwrap();
        assert!(matches!(again, Some(Origin::Restart(identity, None)) if identity == fresh));
    }

    /// A member that dies before it has begun has nothing but its claim.
    #[test]
    fn what_a_member_begins_with_is_kept_until_it_has_begun() {
        let temp = tempfile::tempdir().unwrap();
        let config = one_member();
        let token = &config.cluster.token;
        let dir = DataDir::open(temp.path()).unwrap();
        let fresh = dir.origin(&config).unwrap().unwrap();
        let beginning = fresh.beginning().unwrap();
        assert_eq!(beginning.members[0].peer_urls, ["http://h:1"]);
        assert!(!beginning.joining);
        dir.claim(fresh.identity(), token, Some(beginning.clone()))
            .unwrap();
        let again = dir.origin(&config).unwrap().unwrap();
        assert_eq!(again.identity(), fresh.identity());
        assert_eq!(again.beginning(), Some(beginning));
        dir.claim(again.identity(), token, None).unwrap();
        let begun = dir.origin(&config).unwrap().unwrap();
        assert_eq!(begun.beginning(), None);
    }

    #[test]
    fn a_second_user_is_told_so() {
        let temp = tempfile::tempdir().unwrap();
        let first = DataDir::open(temp.path()).unwrap();
        let second = DataDir::open(temp.path()).unwrap_err();
        assert_eq!(
            second.to_string(),
            format!(
                "data directory {} is in use by another process",
                temp.path().display()
            )
        );
        drop(first);
        assert!(DataDir::open(temp.path()).is_ok());
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("file");
        fs::write(&file, b"").unwrap();
        let said = DataDir::open(&file).unwrap_err().to_string();
        assert!(
            said.starts_with(&format!("cannot use data directory {}", file.display())),
            "{said}"
        );
        assert!(DataDir::open(Path::new("/proc/holdfast")).is_err());
    }

    #[test]
    fn data_of_another_cluster_token_or_member_is_refused() {
        let temp = claimed(&one_member());
        for (args, expected) in [
            (
                &["--name=a", "--initial-advertise-peer-urls=http://h:2"][..],
                "belongs to cluster ",
            ),
            (
                &[
                    "--name=a",
                    "--initial-advertise-peer-urls=http://h:1",
                    "--initial-cluster-token=other",
                ],
                "belongs to a cluster with token \"etcd-cluster\" and not \"other\"",
            ),
        ] {
            let said = origin(&temp, &member(args)).unwrap_err();
            assert!(said.contains(expected), "{said}");
            assert!(!said.contains('\n'), "one line: {said}");
        }

        let pair = "--initial-cluster=a=http://h:1,b=http://h:2";
        let a = member(&["--name=a", "--initial-advertise-peer-urls=http://h:1", pair]);
        let b = member(&["--name=b", "--initial-advertise-peer-urls=http://h:2", pair]);
        let said = origin(&claimed(&a), &b).unwrap_err();
        assert!(said.contains("belongs to member "), "{said}");
    }

    #[test]
    fn changed_members_are_no_other_cluster_once_it_exists() {
        let temp = claimed(&one_member());
        let grown = member(&[
            "--name=a",
            "--initial-advertise-peer-urls=http://h:1",
            "--initial-cluster=a=http://h:1,b=http://h:2",
            "--initial-cluster-state=existing",
        ]);
        let identity = origin(&temp, &grown).unwrap();
        assert_eq!(identity.cluster_id, one_member().cluster.id());
    }

    #[test]
    fn a_member_that_joins_has_to_ask_and_leaves_no_claim() {
        let temp = tempfile::tempdir().unwrap();
        let joining = member(&["--name=a", "--initial-cluster-state=existing"]);
        let said = origin(&temp, &joining).unwrap_err();
        assert_eq!(said, "nobody's yet");
        assert!(!temp.path().join(IDENTITY).exists());
    }

    #[test]
    fn a_restore_that_was_cut_short_can_be_cleared_away() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir_all(temp.path().join("restoring/db-0000000001")).unwrap();
        assert!(origin(&temp, &one_member()).is_err());
        let dir = DataDir::open(temp.path()).unwrap();
        assert!(dir.clear_unfinished_restore().unwrap());
        assert!(!dir.clear_unfinished_restore().unwrap());
        drop(dir);
        assert!(origin(&temp, &one_member()).is_ok());
    }

    #[test]
    fn foreign_incomplete_and_damaged_data_is_refused() {
        for (entry, expected) in [
            (ETCD_DATA, "holds data of etcd"),
            (STATE, "has state but no identity.json"),
            (LOG, "has log but no identity.json"),
            (UNFINISHED_RESTORE, "snapshot restore` again, or remove "),
        ] {
            let temp = tempfile::tempdir().unwrap();
            fs::create_dir(temp.path().join(entry)).unwrap();
            let said = origin(&temp, &one_member()).unwrap_err();
            assert!(said.contains(expected), "{said}");
        }
        for text in [
            "",
            "{}",
            "{\"format\":2,\"cluster_id\":\"1\",\"member_id\":\"1\",\"token\":\"\"}",
            "{\"format\":1,\"cluster_id\":\"x\",\"member_id\":\"1\",\"token\":\"etcd-cluster\"}",
        ] {
            let temp = tempfile::tempdir().unwrap();
            fs::write(temp.path().join(IDENTITY), text).unwrap();
            let said = origin(&temp, &one_member()).unwrap_err();
            assert!(said.contains("identity.json is damaged"), "{said}");
        }
    }
}
