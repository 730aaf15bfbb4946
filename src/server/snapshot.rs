//! `holdfast snapshot`: looking into a backup, and beginning a new cluster from one.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::data_dir::{DataDir, Origin};
use super::terminal::{complain, say};
use crate::config::{self, MemberConfig, Request};
use crate::engine::{restore_snapshot, snapshot_status};

/// What can be done with a saved snapshot.
#[derive(Debug, Subcommand)]
pub(super) enum SnapshotCommand {
    /// Check a snapshot's checksum and print what it holds
    Status {
        /// The file that `etcdctl snapshot save` wrote
        file: PathBuf,
    },
    /// Make the data directory of one member of a new cluster from a snapshot
    Restore {
        /// The file that `etcdctl snapshot save` wrote
        file: PathBuf,
        /// The flags that the member will be started with: --name, --data-dir, --initial-cluster,
        /// --initial-cluster-token, --initial-advertise-peer-urls
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "FLAGS"
        )]
        flags: Vec<OsString>,
    },
}

pub(super) fn run(command: SnapshotCommand) -> ExitCode {
    let done = match command {
        SnapshotCommand::Status { file } => status(&file),
        SnapshotCommand::Restore { file, flags } => restore(&file, flags),
    };
    match done {
        Ok(text) => {
            say(text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(format_args!("holdfast snapshot: {error}"));
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<String, Box<dyn std::error::Error>>;

fn status(file: &std::path::Path) -> Outcome {
    let manifest = snapshot_status(file)?;
    Ok(serde_json::to_string(&manifest)?)
}

fn restore(file: &std::path::Path, flags: Vec<OsString>) -> Outcome {
    let config = member(flags)?;
    snapshot_status(file)?;
    let dir = DataDir::open(&config.data_dir)?;
    if dir.clear_unfinished_restore()? {
        complain(format_args!(
            "removed what an unfinished restore had left in {}",
            dir.path().display()
        ));
    }
    let origin = dir.origin(&config)?;
    let origin = match origin {
        Some(origin @ Origin::Fresh(_)) => origin,
        Some(_) => return Err(format!("{} already holds data", dir.path().display()).into()),
        None => return Err("a snapshot begins a cluster: --initial-cluster-state=new".into()),
    };
    let members = origin
        .beginning()
        .map_or_else(Vec::new, |first| first.members);
    let manifest = restore_snapshot(file, dir.path(), &members)?;
    dir.claim(origin.identity(), &config.cluster.token, None)?;
    Ok(format!(
        "restored revision {} into {} for member {} of cluster {}",
        manifest.revision,
        dir.path().display(),
        origin.identity().member_id,
        origin.identity().cluster_id,
    ))
}

fn member(flags: Vec<OsString>) -> Result<MemberConfig, Box<dyn std::error::Error>> {
    match config::from_command_line(flags, [])? {
        Request::Start(config) => Ok(*config),
        Request::File(_) | Request::Help | Request::Version => {
            Err("restore takes a member's flags".into())
        }
    }
}
