//! Which server the suite runs against, and how it spells flags that were renamed.

use std::process::Command;
use std::sync::OnceLock;

/// The command that starts a server, without flags.
#[derive(Debug)]
pub struct Program {
    words: Vec<String>,
    own: bool,
    /// etcd 3.5 knows newer flags under `--experimental-`.
    experimental: bool,
}

impl Program {
    /// The program of this run.
    pub fn get() -> &'static Self {
        static PROGRAM: OnceLock<Program> = OnceLock::new();
        PROGRAM.get_or_init(|| match std::env::var("HOLDFAST_TEST_SERVER") {
            Ok(command) => Self::foreign(&command),
            Err(_) => Self {
                words: vec![env!("CARGO_BIN_EXE_holdfast").into(), "server".into()],
                own: true,
                experimental: false,
            },
        })
    }

    /// The program to compare with, if `HOLDFAST_TEST_PEER` names one.
    pub fn peer() -> Option<&'static Self> {
        static PEER: OnceLock<Option<Program>> = OnceLock::new();
        let peer = PEER.get_or_init(|| {
            let command = std::env::var("HOLDFAST_TEST_PEER").ok()?;
            Some(Self::foreign(&command))
        });
        peer.as_ref()
    }

    fn foreign(command: &str) -> Self {
        let words: Vec<String> = command.split_whitespace().map(Into::into).collect();
        let version = Command::new(&words[0])
            .args(&words[1..])
            .arg("--version")
            .output()
            .unwrap_or_else(|error| panic!("{command}: {error}"));
        let text = String::from_utf8_lossy(&version.stdout).into_owned();
        Self {
            words,
            own: false,
            experimental: text.contains("etcd Version: 3.5"),
        }
    }

    /// Whether this is the package's own binary.
    pub fn is_own(&self) -> bool {
        self.own
    }

    /// A command ready for flags.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]);
        command
    }

    /// `name` as this program spells it, for flags that lost their `experimental-` in 3.6.
    pub fn renamed_flag(&self, name: &str) -> String {
        if self.experimental {
            format!("--experimental-{name}")
        } else {
            format!("--{name}")
        }
    }
}
