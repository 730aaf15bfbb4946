//! Names and identities that the server makes up.

use super::Rng;
use crate::kube::schema::Resource;
use crate::kube::status::{ApiError, Details};

/// How often a name is made up before a collision is answered.
pub const GENERATE_ATTEMPTS: usize = 8;

/// No vowels and nothing that looks like another: no words come out.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const RANDOM: usize = 5;
/// A label's 63 less the random part.
const BASE: usize = 63 - RANDOM;

/// A name that begins with `base`.
pub fn generate(base: &str, rng: Rng<'_>) -> String {
    let mut end = base.len().min(BASE);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = base.get(..end).unwrap_or_default().to_owned();
    for _ in 0..RANDOM {
        let at = usize::try_from(rng() % ALPHABET.len() as u64).unwrap_or_default();
        name.push(ALPHABET.get(at).copied().map_or('b', char::from));
    }
    name
}

/// A UUID of version 4.
pub fn uid(rng: Rng<'_>) -> String {
    let (high, low) = (rng(), rng());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0x0fff,
        (low >> 48) & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff,
    )
}

/// Every name that was made up was taken.
pub fn name_conflict(resource: &Resource, name: &str) -> ApiError {
    let what = resource.qualified();
    let message = format!(
        "{what} {name:?} already exists, the server was not able to generate a unique name for the object"
    );
    ApiError::new(409, "AlreadyExists", message).with_details(Details {
        name: name.into(),
        group: resource.group.to_string(),
        kind: resource.plural.to_string(),
        retry_after_seconds: 1,
        ..Details::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_uids_have_their_shape() {
        let mut seed = 7u64;
        let mut rng = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed ^ (seed >> 29)
        };
        let name = generate("web-", &mut rng);
        assert!(name.starts_with("web-") && name.len() == 9);
        assert_eq!(generate(&"a".repeat(90), &mut rng).len(), 63);
        let uid = uid(&mut rng);
        let parts: Vec<_> = uid.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(&uid[14..15], "4");
        assert!(matches!(&uid[19..20], "8" | "9" | "a" | "b"));
    }
}
