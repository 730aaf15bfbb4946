//! Hashing and checking passwords, which is meant to take long: on threads that may, and few at once.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::engine::{EngineError, EngineResult};
use crate::mvcc::auth::AuthError;

/// Passwords that wait for their turn; further ones are refused.
const MAX_WAITING: usize = 1024;
/// What bcrypt looks at.
const MAX_BYTES: usize = 72;
/// The most work that a hash made elsewhere may ask for: seconds. Checking a password against one of the highest
/// cost would take days.
const MAX_FOREIGN_COST: u32 = 16;

/// Does the work of passwords.
#[derive(Debug)]
pub(crate) struct Passwords {
    cost: u32,
    places: Arc<Semaphore>,
    workers: Arc<Semaphore>,
}

impl Passwords {
    pub(super) fn new(cost: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            cost,
            places: Arc::new(Semaphore::new(MAX_WAITING)),
            // The other half is for those who have signed in already.
            workers: Arc::new(Semaphore::new((cores / 2).max(1))),
        }
    }

    /// The hash of a new password.
    ///
    /// # Errors
    /// [`AuthError::PasswordTooLong`], [`EngineError::TooManyRequests`].
    pub(super) async fn hash(&self, password: String) -> EngineResult<String> {
        if password.len() > MAX_BYTES {
            return Err(AuthError::PasswordTooLong.into());
        }
        let cost = self.cost;
        let hashed = self.work(move || bcrypt::hash(password, cost)).await?;
        hashed.map_err(|error| EngineError::Internal(format!("cannot hash a password: {error}")))
    }

    /// Whether a password has this hash.
    ///
    /// # Errors
    /// [`EngineError::TooManyRequests`].
    pub(super) async fn verify(&self, password: String, hash: String) -> EngineResult<bool> {
        let verified = self.work(move || bcrypt::verify(password, &hash)).await?;
        Ok(verified.unwrap_or(false))
    }

    /// Takes as long as a check, for a user that does not exist: the time of an answer must not tell which do.
    ///
    /// # Errors
    /// [`EngineError::TooManyRequests`].
    pub(super) async fn pretend(&self, password: String) -> EngineResult<()> {
        const SALT_AND_HASH: &str = "XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga";
        let hash = format!("$2b${:02}${SALT_AND_HASH}", self.cost);
        self.verify(password, hash).await.map(drop)
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> EngineResult<T> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| EngineError::TooManyRequests)?;
        let worker = Arc::clone(&self.workers).acquire_owned().await;
        let worker = worker.map_err(|_| EngineError::Stopped)?;
        // Both are kept until the work is done, even if nobody waits for it any more.
        let work = move || {
            let (_place, _worker) = (place, worker);
            work()
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| EngineError::Internal(error.to_string()))
    }
}

/// Takes a hash that a client made.
///
/// # Errors
/// [`AuthError::InvalidManagement`] if it is none, or one that would take too long to check.
pub(super) fn foreign_hash(hash: &[u8]) -> Result<String, AuthError> {
    let hash = std::str::from_utf8(hash).map_err(|_| AuthError::InvalidManagement)?;
    let parts: Result<bcrypt::HashParts, _> = hash.parse();
    match parts {
        Ok(parts) if (4..=MAX_FOREIGN_COST).contains(&parts.get_cost()) => Ok(hash.to_owned()),
        _ => Err(AuthError::InvalidManagement),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = Passwords::new(4);
        let hash = passwords.hash("secret".into()).await.unwrap();
        assert!(foreign_hash(hash.as_bytes()).is_ok());
        for (password, fits) in [("secret", true), ("Secret", false), ("", false)] {
            let verified = passwords.verify(password.into(), hash.clone()).await;
            assert_eq!(verified, Ok(fits), "{password}");
        }
        assert_eq!(
            passwords.verify("x".into(), "no hash".into()).await,
            Ok(false)
        );
        let long = passwords.hash("x".repeat(73)).await;
        assert_eq!(long, Err(AuthError::PasswordTooLong.into()));
    }

    /// Of the makers that write `$2a$`, Go's library is one, and so etcd.
    #[tokio::test]
    async fn hashes_of_other_makers_are_read() {
        let hash = "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga";
        assert_eq!(foreign_hash(hash.as_bytes()).as_deref(), Ok(hash));
        let verified = Passwords::new(4)
            .verify("allmine".into(), hash.into())
            .await;
        assert_eq!(verified, Ok(true));
    }

    #[test]
    fn hashes_that_take_forever_are_refused() {
        let hash = bcrypt::hash_with_salt("x", 4, [7; 16]).unwrap().to_string();
        assert!(foreign_hash(hash.as_bytes()).is_ok());
        for cost in ["$31$", "$17$", "$03$", "$99$"] {
            let hash = hash.replacen("$04$", cost, 1);
            assert_eq!(
                foreign_hash(hash.as_bytes()),
                Err(AuthError::InvalidManagement)
            );
        }
        assert!(foreign_hash(&[0xff; 60]).is_err());
    }

    #[tokio::test]
    async fn more_than_can_wait_are_refused() {
        let passwords = Passwords::new(4);
        let all = u32::try_from(MAX_WAITING).unwrap();
        let taken = passwords.places.try_acquire_many(all).unwrap();
        let refused = passwords.hash("x".into()).await;
        assert_eq!(refused, Err(EngineError::TooManyRequests));
        drop(taken);
        assert!(passwords.hash("x".into()).await.is_ok());
    }
}
