//! Which versions a cluster may be taken back to: exactly one minor release before its own (etcd's rule).

use super::status::Refusal;
use super::version;
use crate::engine::MinorVersion;

/// The version that a client names, if the cluster may be taken back to it.
///
/// # Errors
/// [`Refusal::DowngradeFormat`], [`Refusal::DowngradeTarget`].
pub(super) fn target(text: &str) -> Result<MinorVersion, Refusal> {
    let wanted = parse(text).ok_or(Refusal::DowngradeFormat)?;
    let own = parse(version::CLUSTER);
    let is_next = own.is_some_and(|own| {
        (wanted.major, wanted.minor.checked_add(1)) == (own.major, Some(own.minor))
    });
    if is_next {
        Ok(wanted)
    } else {
        Err(Refusal::DowngradeTarget)
    }
}

/// `X.Y` or `X.Y.Z`; whatever follows the third number after a hyphen or a plus is passed over, as `Z` is.
fn parse(text: &str) -> Option<MinorVersion> {
    let numbers = text.split(['-', '+']).next()?;
    let mut parts = numbers.split('.');
    let (major, minor) = (number(parts.next()?)?, number(parts.next()?)?);
    if let Some(patch) = parts.next() {
        number(patch)?;
    }
    parts
        .next()
        .is_none()
        .then_some(MinorVersion { major, minor })
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_two_or_three_numbers() {
        let five = MinorVersion { major: 3, minor: 5 };
        for text in ["3.5", "3.5.0", "3.5.30", "3.5.0-rc.1", "3.5.0+git"] {
            assert_eq!(parse(text), Some(five), "{text}");
        }
        for text in [
            "", "3", "three", "3.x", "3.5.", "3.5.x", "3.4.5.6", "v3.5", "3.+5", "3.-5", ".5",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn one_minor_release_back_is_the_only_way() {
        let own = parse(version::CLUSTER).unwrap();
        let at = |minor: u64| target(&format!("{}.{minor}", own.major));
        assert!(at(own.minor - 1).is_ok());
        for minor in [own.minor, own.minor + 1, own.minor - 2, u64::MAX] {
            assert_eq!(at(minor), Err(Refusal::DowngradeTarget), "{minor}");
        }
        assert_eq!(target("4.5"), Err(Refusal::DowngradeTarget));
        assert_eq!(target("nothing"), Err(Refusal::DowngradeFormat));
    }
}
