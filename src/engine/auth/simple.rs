//! Simple tokens: random words that every member remembers until they have not been used for a while.
//!
//! A token is given through the log, so all members that run then know it. Each has its own deadline for it,
//! which using it there renews; none survives a restart (as in etcd). Tokens are no part of the replicated state.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use rand::RngExt as _;

use crate::base::clock;
use crate::mvcc::auth::TokenChange;

/// Random letters of a token.
const LETTERS: usize = 16;
/// Tokens that are remembered. A password check for each bounds how fast they come; this bounds what those of
/// a long time to live can take.
const MAX_TOKENS: usize = 1 << 18;
/// What goes when there are too many: this part, those that would end first.
const EVICTED_PART: usize = 16;

/// The tokens that this member remembers.
#[derive(Debug)]
pub(crate) struct SimpleTokens {
    ttl: Duration,
    begun: Instant,
    max: usize,
    tokens: DashMap<Box<str>, Token>,
}

struct Token {
    user: Arc<str>,
    /// Milliseconds after `begun`.
    ends: AtomicU64,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl SimpleTokens {
    /// None yet.
    pub(super) fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            begun: clock::now(),
            max: MAX_TOKENS,
            tokens: DashMap::new(),
        }
    }

    /// The random part of a new token.
    pub(super) fn secret() -> String {
        const ALPHABET: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let mut rng = rand::rng();
        let letter = |_| ALPHABET.get(rng.random_range(0..ALPHABET.len()));
        (0..LETTERS)
            .filter_map(letter)
            .map(|&letter| char::from(letter))
            .collect()
    }

    /// The log index in a token's text; `None` if the text is no simple token.
    pub(super) fn index(token: &str) -> Option<u64> {
        let (secret, index) = token.split_once('.')?;
        let is_number = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
        (!secret.is_empty() && is_number).then(|| index.parse().ok())?
    }

    /// Whose token it is, which renews it.
    pub(super) fn user_of(&self, token: &str, now: Instant) -> Option<Arc<str>> {
        let known = self.tokens.get(token)?;
        let now = self.millis(now);
        if known.ends.load(Ordering::Relaxed) <= now {
            return None;
        }
        known.ends.store(self.deadline(now), Ordering::Relaxed);
        Some(Arc::clone(&known.user))
    }

    /// Follows what was applied.
    pub(in crate::engine) fn follow(&self, changes: Vec<TokenChange>, now: Instant) {
        for change in changes {
            match change {
                TokenChange::Given { token, user } => self.remember(token, &user, now),
                TokenChange::Ended(user) => self.tokens.retain(|_, token| *token.user != *user),
                TokenChange::AllEnded => self.forget_all(),
            }
        }
    }

    /// Whatever was given or ended meanwhile is not known: everybody has to ask for a new one.
    pub(in crate::engine) fn forget_all(&self) {
        self.tokens.clear();
    }

    /// Forgets what has ended.
    pub(super) fn sweep(&self, now: Instant) {
        let now = self.millis(now);
        self.tokens.retain(|_, token| *token.ends.get_mut() > now);
    }

    /// How often to [`sweep`](Self::sweep).
    pub(super) fn sweep_interval(&self) -> Duration {
        (self.ttl / 10).clamp(Duration::from_secs(1), Duration::from_secs(60))
    }

    fn remember(&self, token: String, user: &str, now: Instant) {
        if self.tokens.len() >= self.max {
            self.sweep(now);
            self.evict();
        }
        let token_of = Token {
            user: user.into(),
            ends: AtomicU64::new(self.deadline(self.millis(now))),
        };
        self.tokens.insert(token.into(), token_of);
    }

    /// Makes room if there is none, at the cost of those that have been idle for longest.
    fn evict(&self) {
        if self.tokens.len() < self.max {
            return;
        }
        let ends = self
            .tokens
            .iter()
            .map(|token| token.ends.load(Ordering::Relaxed));
        let mut ends: Vec<u64> = ends.collect();
        let last = (self.max / EVICTED_PART).min(ends.len().saturating_sub(1));
        let (_, &mut bound, _) = ends.select_nth_unstable(last);
        let mut left = last + 1;
        self.tokens.retain(|_, token| {
            let goes = left > 0 && *token.ends.get_mut() <= bound;
            left -= usize::from(goes);
            !goes
        });
    }

    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.begun);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn deadline(&self, now: u64) -> u64 {
        now.saturating_add(u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(tokens: &SimpleTokens, token: &str, user: &str, now: Instant) {
        let (token, user) = (token.to_owned(), user.to_owned());
        tokens.follow(vec![TokenChange::Given { token, user }], now);
    }

    #[test]
    fn secrets_are_letters_and_differ() {
        let [a, b] = [SimpleTokens::secret(), SimpleTokens::secret()];
        assert_ne!(a, b);
        assert!(a.len() == LETTERS && a.bytes().all(|byte| byte.is_ascii_alphabetic()));
        assert_eq!(SimpleTokens::index(&format!("{a}.17")), Some(17));
        for text in [
            "",
            "x",
            "x.",
            ".1",
            "a.b",
            "a.1.2",
            "a.-1",
            "a.+1",
            "a.99999999999999999999999",
        ] {
            assert_eq!(SimpleTokens::index(text), None, "{text}");
        }
    }

    #[test]
    fn a_token_ends_a_while_after_its_last_use() {
        let second = Duration::from_secs(1);
        let tokens = SimpleTokens::new(10 * second);
        let start = tokens.begun;
        given(&tokens, "x.1", "ann", start);
        given(&tokens, "y.2", "ann", start);
        let used = tokens.user_of("x.1", start + 9 * second);
        assert_eq!(used.as_deref(), Some("ann"));
        assert!(tokens.user_of("x.1", start + 18 * second).is_some());
        assert!(tokens.user_of("y.2", start + 10 * second).is_none());
        assert!(tokens.user_of("z.3", start).is_none());
        tokens.sweep(start + 20 * second);
        assert_eq!(tokens.tokens.len(), 1);
        assert!(tokens.user_of("x.1", start + 29 * second).is_none());
    }

    #[test]
    fn tokens_end_with_their_user_and_with_authentication() {
        let tokens = SimpleTokens::new(Duration::from_secs(10));
        let now = tokens.begun;
        for (token, user) in [("a.1", "ann"), ("b.2", "bob"), ("c.3", "ann")] {
            given(&tokens, token, user, now);
        }
        tokens.follow(vec![TokenChange::Ended("ann".into())], now);
        let known = |token: &str| tokens.user_of(token, now).is_some();
        assert_eq!(["a.1", "b.2", "c.3"].map(known), [false, true, false]);
        tokens.follow(vec![TokenChange::AllEnded], now);
        assert!(!known("b.2"));
    }

    #[test]
    fn when_there_are_too_many_the_idlest_go() {
        let tokens = SimpleTokens {
            max: 32,
            ..SimpleTokens::new(Duration::from_secs(10))
        };
        let at = |n: u64| tokens.begun + Duration::from_millis(n);
        for n in 0..33 {
            given(&tokens, &format!("x.{n}"), "ann", at(n));
        }
        assert_eq!(tokens.tokens.len(), 30);
        let known = |n: u64| tokens.user_of(&format!("x.{n}"), at(33)).is_some();
        assert_eq!(
            [0, 1, 2, 3, 32].map(known),
            [false, false, false, true, true]
        );
    }
}
