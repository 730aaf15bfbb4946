//! etcd's rule for the ids of members and clusters.

use sha1::{Digest, Sha1};

/// The first eight bytes, big endian, of the SHA-1 of the parts one after the other.
pub fn id_of<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = T>) -> u64 {
    let mut hasher = Sha1::new();
    for part in parts {
        hasher.update(part);
    }
    let digest = hasher.finalize();
    let first = digest.iter().take(8);
    first.fold(0, |id, byte| (id << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-1 of "abc" begins with these bytes.
    #[test]
    fn an_id_is_the_begin_of_a_hash() {
        assert_eq!(id_of(["abc"]), 0xa999_3e36_4706_816a);
        assert_eq!(id_of(["a", "", "bc"]), id_of(["abc"]));
    }
}
