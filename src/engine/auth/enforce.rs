//! Whether a command's caller may have it: asked where it is applied, on every member with the same answer.

use std::collections::BTreeSet;

use crate::base::ids::LeaseId;
use crate::engine::command::Command;
use crate::mvcc::auth::{Access, Actor, AuthCommand, AuthState, leases_of};
use crate::mvcc::{MvccError, Session};

/// Refuses a command that its caller may not have, by the users and roles as the commands before it left them.
///
/// # Errors
/// [`MvccError::Auth`], or a fatal one.
pub(in crate::engine) fn authorize(
    auth: &AuthState,
    actor: &Actor,
    command: &Command,
    session: &mut Session<'_>,
) -> Result<(), MvccError> {
    if !auth.is_enabled() || is_open(command) {
        return Ok(());
    }
    match command {
        Command::Compact { .. }
        | Command::Auth(_)
        | Command::RaiseAlarm(_)
        | Command::LowerAlarm(_)
        | Command::Downgrade(_)
        | Command::LeaseCheckpoint(_) => return Ok(auth.administer(actor)?),
        Command::LeaseGrant { .. } => return Ok(auth.admit(actor)?),
        _ => {}
    }
    let access = auth.access(actor)?;
    if access.is_root() {
        return Ok(());
    }
    match command {
        Command::Put(op) => {
            access.put(op)?;
            leases(access, [op.lease], session)
        }
        Command::Delete(op) => Ok(access.delete(op)?),
        Command::Txn(txn) => {
            access.txn(txn)?;
            let mut found = BTreeSet::new();
            leases_of(txn, &mut found);
            leases(access, found, session)
        }
        Command::LeaseRevoke { id } => leases(access, [*id], session),
        // Not about keys.
        Command::Compact { .. }
        | Command::Auth(_)
        | Command::LeaseGrant { .. }
        | Command::RaiseAlarm(_)
        | Command::LowerAlarm(_)
        | Command::Downgrade(_)
        | Command::LeaseCheckpoint(_)
        | Command::PublishMember(_)
        | Command::Barrier => Ok(()),
    }
}

/// Whether a command needs no caller: it changes nothing that a user could ask for, or is how a caller becomes known.
const fn is_open(command: &Command) -> bool {
    matches!(
        command,
        Command::PublishMember(_) | Command::Barrier | Command::Auth(AuthCommand::Authenticate(_))
    )
}

/// Whoever attaches a key to a lease, or ends the lease, decides about all its keys.
fn leases(
    access: Access<'_>,
    ids: impl IntoIterator<Item = LeaseId>,
    session: &mut Session<'_>,
) -> Result<(), MvccError> {
    for id in ids {
        if !id.is_none() {
            access.write_keys(session.lease_keys(id)?)?;
        }
    }
    Ok(())
}
