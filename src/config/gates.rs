//! etcd's feature gates: named switches inside one flag.

use super::error::ConfigError;
use super::flag::State::{self, Noted, Refused, Served};
use super::member::{Feature, Note};
use super::value;

/// The flag that carries them.
pub(super) const FLAG: &str = "feature-gates";

/// A gate with its default and what becomes of it here.
struct Gate {
    name: &'static str,
    default: bool,
    stage: &'static str,
    state: State,
}

/// How far etcd takes a feature to be, in the spelling of its metric.
const ALPHA: &str = "ALPHA";
const BETA: &str = "BETA";

const GATES: &[Gate] = &[
    gate(
        "StopGRPCServiceOnDefrag",
        false,
        ALPHA,
        Noted("serving goes on while storage rewrites itself"),
    ),
    gate("InitialCorruptCheck", false, ALPHA, Served),
    gate("CompactHashCheck", false, ALPHA, Served),
    gate(
        "TxnModeWriteWithSharedBuffer",
        true,
        BETA,
        Noted("it tunes etcd's own storage engine"),
    ),
    gate("LeaseCheckpoint", false, ALPHA, Served),
    // What LeaseCheckpoint records is always on disk.
    gate("LeaseCheckpointPersist", false, ALPHA, Served),
    gate(
        "SetMemberLocalAddr",
        false,
        ALPHA,
        Refused("the system chooses the local address of peer connections"),
    ),
    gate(
        "FastLeaseKeepAlive",
        true,
        BETA,
        Noted("keepalives never wait for the state machine"),
    ),
    gate(
        "PriorityRequest",
        false,
        ALPHA,
        Noted("requests are served in the order of arrival"),
    ),
];

const fn gate(name: &'static str, default: bool, stage: &'static str, state: State) -> Gate {
    Gate {
        name,
        default,
        stage,
        state,
    }
}

/// Whether a gate is on, by what the flag says or by default.
pub(super) fn is_on(text: &str, name: &str) -> bool {
    let mut entries = text.split(',').filter_map(|entry| entry.split_once('='));
    let set = entries.rfind(|(gate, _)| gate.trim() == name);
    let set = set.and_then(|(_, setting)| value::boolean(setting));
    let gate = GATES.iter().find(|gate| gate.name == name);
    set.unwrap_or_else(|| gate.is_some_and(|gate| gate.default))
}

/// Every gate as the flag has it.
pub(super) fn features(text: &str) -> Vec<Feature> {
    let feature = |gate: &Gate| Feature {
        name: gate.name,
        stage: gate.stage,
        on: is_on(text, gate.name),
    };
    GATES.iter().map(feature).collect()
}

/// Reads `Name=true,Name=false` and tells what the log is to say.
///
/// # Errors
/// For a gate that etcd does not have, a value that is not a boolean, or a gate that is not served.
pub(super) fn judge(text: &str) -> Result<Vec<Note>, ConfigError> {
    let mut notes = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|e| !e.is_empty()) {
        let (name, setting) = entry.split_once('=').unwrap_or((entry, ""));
        let gate = GATES
            .iter()
            .find(|gate| gate.name == name)
            .ok_or_else(|| ConfigError::UnknownGate(name.to_owned()))?;
        let on = value::boolean(setting).ok_or_else(|| ConfigError::InvalidValue {
            value: entry.to_owned(),
            origin: super::error::Origin::Flag(FLAG.to_owned()),
            reason: "must be Name=true or Name=false".to_owned(),
        })?;
        match gate.state {
            Refused(reason) if on != gate.default => {
                return Err(ConfigError::NotServed {
                    flag: FLAG.to_owned(),
                    value: entry.to_owned(),
                    reason,
                });
            }
            Noted(reason) => notes.push(Note::NoEffect {
                flag: format!("{FLAG}={entry}"),
                reason,
            }),
            Refused(_) | Served => {}
        }
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_gates_are_noted_and_unknown_ones_refused() {
        let notes = judge("PriorityRequest=true, LeaseCheckpoint=false").unwrap();
        assert_eq!(notes.len(), 1);
        assert!(notes[0].to_string().contains("PriorityRequest=true"));
        assert_eq!(
            judge("Nonsense=true").unwrap_err().to_string(),
            "unrecognized feature gate: Nonsense"
        );
        assert!(judge("InitialCorruptCheck").is_err());
        let refused = judge("SetMemberLocalAddr=true").unwrap_err().to_string();
        assert!(
            refused.contains("--feature-gates=SetMemberLocalAddr=true is not served"),
            "{refused}"
        );
    }

    #[test]
    fn a_gate_is_what_was_said_last() {
        for (text, on) in [
            ("", false),
            ("LeaseCheckpoint=true", true),
            ("InitialCorruptCheck=true, LeaseCheckpoint=T", true),
            ("LeaseCheckpoint=true,LeaseCheckpoint=false", false),
            ("LeaseCheckpointPersist=true", false),
        ] {
            assert_eq!(judge(text).map(|_| is_on(text, "LeaseCheckpoint")), Ok(on));
        }
        assert!(is_on("", "FastLeaseKeepAlive"));
    }
}
