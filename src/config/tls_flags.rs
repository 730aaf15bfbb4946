//! The TLS flags to a [`TlsConfig`], with the checks that look at more than one of them.
//!
//! Files are named here and read by whoever starts the member. Flags of a port that has no `https` URL have no
//! effect, as in etcd; the log says so.

use super::build::{boolean, unsigned, words};
use super::error::ConfigError;
use super::member::{ClusterConfig, ListenConfig, Note};
use super::parse::Given;
use super::suites;
use super::table;
use super::tls::{KeyPair, NamedFile, OwnCertificate, PortTls, TlsConfig, TlsProtocol, TlsVersion};
use super::url::Url;

/// The flags of one port.
struct Flags {
    cert: &'static str,
    key: &'static str,
    calling_cert: &'static str,
    calling_key: &'static str,
    authority: &'static str,
    cert_auth: &'static str,
    crl: &'static str,
    common_names: Option<&'static str>,
    hostnames: &'static str,
    auto: &'static str,
}

impl Flags {
    fn all(&self) -> impl Iterator<Item = &'static str> {
        let always = [
            self.cert,
            self.key,
            self.calling_cert,
            self.calling_key,
            self.authority,
            self.cert_auth,
            self.crl,
            self.hostnames,
            self.auto,
        ];
        always.into_iter().chain(self.common_names)
    }
}

const CLIENT: Flags = Flags {
    cert: "cert-file",
    key: "key-file",
    calling_cert: "client-cert-file",
    calling_key: "client-key-file",
    authority: "trusted-ca-file",
    cert_auth: "client-cert-auth",
    crl: "client-crl-file",
    common_names: None,
    hostnames: "client-cert-allowed-hostname",
    auto: "auto-tls",
};

const PEER: Flags = Flags {
    cert: "peer-cert-file",
    key: "peer-key-file",
    calling_cert: "peer-client-cert-file",
    calling_key: "peer-client-key-file",
    authority: "peer-trusted-ca-file",
    cert_auth: "peer-client-cert-auth",
    crl: "peer-crl-file",
    common_names: Some("peer-cert-allowed-cn"),
    hostnames: "peer-cert-allowed-hostname",
    auto: "peer-auto-tls",
};

const SKIP_SAN: &str = "peer-skip-client-san-verification";
const VALIDITY: &str = "self-signed-cert-validity";
const NO_AUTHORITY: &str = "certificates of the other side are checked against no other authority";

/// A certificate for longer outlives its algorithms.
const MAX_YEARS: u64 = 100;

/// Reads the flags, and adds to `notes` what of them has no effect.
///
/// # Errors
/// For flags that contradict each other, or that cannot be honoured.
pub(super) fn read(
    given: &Given,
    listen: &ListenConfig,
    cluster: &ClusterConfig,
    notes: &mut Vec<Note>,
) -> Result<TlsConfig, ConfigError> {
    let secure = |urls: &[Url]| urls.iter().any(Url::is_https);
    let clients = secure(&listen.client) || secure(&listen.metrics);
    let members = cluster
        .initial
        .iter()
        .any(|member| secure(&member.peer_urls));
    let client = read_port(given, &CLIENT, clients, notes)?;
    let peer = read_port(given, &PEER, members || secure(&listen.peer), notes)?;
    if client.as_ref().is_some_and(|port| port.calling.is_some()) {
        notes.push(no_effect(
            CLIENT.calling_cert,
            "a member does not call itself",
        ));
    }
    check_https(
        &CLIENT,
        "listen-client-urls",
        &listen.client,
        client.as_ref(),
    )?;
    check_https(
        &CLIENT,
        "listen-metrics-urls",
        &listen.metrics,
        client.as_ref(),
    )?;
    check_https(&PEER, "listen-peer-urls", &listen.peer, peer.as_ref())?;
    if cluster.initial.len() > 1 && members {
        check_others(peer.as_ref())?;
    }
    let peer = match peer {
        None => None,
        Some(port) => Some(PortTls {
            // Members are known by other means.
            certify: false,
            from_named_address: !boolean(given, SKIP_SAN)?,
            ..port
        }),
    };
    Ok(TlsConfig {
        client,
        peer,
        protocol: protocol(given)?,
    })
}

/// The flags of a port. It is secure if something is `https`, be it what it listens on or what it calls.
///
/// # Errors
/// As [`read`].
fn read_port(
    given: &Given,
    flags: &Flags,
    is_secure: bool,
    notes: &mut Vec<Note>,
) -> Result<Option<PortTls>, ConfigError> {
    if !is_secure {
        let given = flags.all().filter(|flag| is_asked(given, flag));
        notes.extend(given.map(|flag| no_effect(flag, "every URL of this port is http")));
        return Ok(None);
    }
    let files = pair(given, flags.cert, flags.key)?;
    let calling = pair(given, flags.calling_cert, flags.calling_key)?;
    let auto = boolean(given, flags.auto)?;
    let authority = file(given, flags.authority);
    if auto && files.is_some() {
        notes.push(no_effect(flags.auto, "certificate files are given"));
    }
    let own = match files {
        Some(files) => Some(OwnCertificate::Files(files)),
        None if auto => Some(OwnCertificate::SelfSigned {
            flag: flags.auto,
            years: years(given)?,
        }),
        None => None,
    };
    let common_names = flags.common_names.map(|name| words(given, name));
    let port = PortTls {
        own,
        calling,
        authority,
        certify: boolean(given, flags.cert_auth)?,
        crl: file(given, flags.crl),
        common_names: common_names.unwrap_or_default(),
        hostnames: words(given, flags.hostnames),
        from_named_address: false,
    };
    check_demands(flags, &port)?;
    Ok(Some(port))
}

/// Whether what is demanded of certificates can be: one is asked for only where there is an authority.
fn check_demands(flags: &Flags, port: &PortTls) -> Result<(), ConfigError> {
    let common_names = flags.common_names.unwrap_or_default();
    if !port.common_names.is_empty() && !port.hostnames.is_empty() {
        return Err(ConfigError::Exclusive(common_names, flags.hostnames));
    }
    let demands = [
        (port.certify, flags.cert_auth),
        (port.crl.is_some(), flags.crl),
        (!port.hostnames.is_empty(), flags.hostnames),
        (!port.common_names.is_empty(), common_names),
    ];
    match demands.into_iter().find(|(made, _)| *made) {
        Some((_, flag)) if port.authority.is_none() => Err(ConfigError::Needs {
            flag,
            needs: flags.authority,
            reason: NO_AUTHORITY,
        }),
        _ => Ok(()),
    }
}

/// Both files, or neither.
fn pair(
    given: &Given,
    cert: &'static str,
    key: &'static str,
) -> Result<Option<KeyPair>, ConfigError> {
    let needs = |flag, needs| ConfigError::Needs {
        flag,
        needs,
        reason: "a certificate and its key are used together",
    };
    match (file(given, cert), file(given, key)) {
        (Some(cert), Some(key)) => Ok(Some(KeyPair { cert, key })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(needs(cert, key)),
        (None, Some(_)) => Err(needs(key, cert)),
    }
}

fn file(given: &Given, flag: &'static str) -> Option<NamedFile> {
    let path = given.text(flag);
    (!path.is_empty()).then(|| NamedFile {
        flag,
        path: path.into(),
    })
}

fn years(given: &Given) -> Result<u32, ConfigError> {
    match unsigned(given, VALIDITY)? {
        years @ 1..=MAX_YEARS => Ok(u32::try_from(years).unwrap_or(u32::MAX)),
        _ => Err(given.invalid(VALIDITY, format!("must be between 1 and {MAX_YEARS}"))),
    }
}

/// Whether a flag is set to something else than its default.
fn is_asked(given: &Given, name: &'static str) -> bool {
    let same = |flag: &super::flag::Flag| flag.kind.same(given.text(name), flag.default);
    given.is_set(name) && !table::find(name).is_some_and(same)
}

fn no_effect(flag: &str, reason: &'static str) -> Note {
    Note::NoEffect {
        flag: flag.to_owned(),
        reason,
    }
}

fn check_https(
    flags: &Flags,
    flag: &'static str,
    urls: &[Url],
    port: Option<&PortTls>,
) -> Result<(), ConfigError> {
    let has_certificate = port.is_some_and(|port| port.own.is_some());
    match urls.iter().find(|url| url.is_https() && !has_certificate) {
        None => Ok(()),
        Some(url) => Err(ConfigError::NoCertificate {
            flag,
            url: url.as_str().to_owned(),
            cert: flags.cert,
            key: flags.key,
            auto: flags.auto,
        }),
    }
}

/// Whether this member can tell the others from impostors, or has been told not to.
fn check_others(port: Option<&PortTls>) -> Result<(), ConfigError> {
    let believes_all = |port: &PortTls| matches!(port.own, Some(OwnCertificate::SelfSigned { .. }));
    if port.is_some_and(|port| port.authority.is_some() || believes_all(port)) {
        return Ok(());
    }
    Err(ConfigError::Needs {
        flag: "initial-cluster",
        needs: PEER.authority,
        reason: "members with https URLs are told from impostors by no other authority",
    })
}

fn protocol(given: &Given) -> Result<TlsProtocol, ConfigError> {
    let version = |name| match given.text(name) {
        "" => Ok(None),
        "TLS1.2" => Ok(Some(TlsVersion::Tls12)),
        "TLS1.3" => Ok(Some(TlsVersion::Tls13)),
        other => Err(given.invalid(name, format!("unexpected TLS version {other:?}"))),
    };
    let min = version("tls-min-version")?.unwrap_or(TlsVersion::Tls12);
    let max = version("tls-max-version")?.unwrap_or(TlsVersion::Tls13);
    if min > max {
        return Err(ConfigError::VersionsReversed {
            min: given.text("tls-min-version").to_owned(),
            max: given.text("tls-max-version").to_owned(),
        });
    }
    let suites = words(given, "cipher-suites");
    if !suites.is_empty() && min == TlsVersion::Tls13 {
        return Err(ConfigError::SuitesOfTls13);
    }
    suites::judge(&suites, max)?;
    Ok(TlsProtocol { min, max, suites })
}
