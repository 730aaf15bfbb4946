//! Tokens in a file: `--token-auth-file`.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use crate::kube::user::User;

/// Users by their tokens.
///
/// Tokens are kept and looked up as digests: how long a look-up takes says nothing about how much of a guess is
/// right.
#[derive(Debug, Default)]
pub struct TokenFile(HashMap<[u8; 32], User>);

impl TokenFile {
    /// Reads lines `token,name,uid` or `token,name,uid,"group1,group2"`; further columns are ignored, of equal
    /// tokens the last counts.
    ///
    /// # Errors
    /// For a line that cannot be read, or has fewer columns.
    pub fn read(content: &[u8]) -> Result<Self, String> {
        let mut users = HashMap::new();
        let mut reader = csv::ReaderBuilder::new();
        let mut reader = reader
            .has_headers(false)
            .flexible(true)
            .from_reader(content);
        for record in reader.records() {
            let record = record.map_err(|error| error.to_string())?;
            let column = |at: usize| record.get(at).unwrap_or_default();
            if record.len() < 3 {
                let found = record.len();
                return Err(format!(
                    "must have at least 3 columns (token, user name, user uid), found {found}"
                ));
            }
            if column(0).is_empty() {
                tracing::warn!(
                    line = record.position().map(csv::Position::line),
                    "empty token in a token file"
                );
                continue;
            }
            let groups = record
                .get(3)
                .into_iter()
                .flat_map(|groups| groups.split(','));
            let user = User {
                name: column(1).into(),
                uid: column(2).into(),
                groups: groups.map(str::to_owned).collect(),
                ..User::default()
            };
            if users.insert(digest(column(0)), user).is_some() {
                tracing::warn!(
                    line = record.position().map(csv::Position::line),
                    "duplicate token in a token file"
                );
            }
        }
        Ok(Self(users))
    }

    pub fn user(&self, token: &str) -> Option<&User> {
        self.0.get(&digest(token))
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn users_are_found_by_their_tokens() {
        let file =
            TokenFile::read(b"t1,ann,u1\nt2,bob,u2,\"devs,ops\"\n\n,nobody,u3\nt1,cid,u4,g,more\n")
                .unwrap();
        let ann = file.user("t1").unwrap();
        assert_eq!(
            (&*ann.name, &*ann.uid, &*ann.groups),
            ("cid", "u4", &["g".to_owned()][..])
        );
        assert_eq!(file.user("t2").unwrap().groups, ["devs", "ops"]);
        for token in ["", "t", "t3", "t1 "] {
            assert_eq!(file.user(token), None, "{token}");
        }
    }

    #[test]
    fn a_line_without_a_uid_is_refused() {
        let said = TokenFile::read(b"a,b,c\nt,ann\n").unwrap_err();
        assert!(said.contains("at least 3 columns"), "{said}");
        assert!(TokenFile::read(b"\xff,b,c\n").is_err());
    }

    proptest! {
        #[test]
        fn any_file_is_read_or_refused(content in proptest::collection::vec(any::<u8>(), 0..200)) {
            crate::kube::authn::fuzzing::token_file(&content);
        }
    }
}
