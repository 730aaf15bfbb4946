use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};

use super::*;

const NOW: Duration = Duration::from_secs(1_800_000_000);

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn authorities(&self) -> Authorities {
        Authorities::read(self.0.pem().as_bytes()).unwrap()
    }

    fn issue(&self, name: DistinguishedName) -> Vec<CertificateDer<'static>> {
        self.issue_for(name, vec![ExtendedKeyUsagePurpose::ClientAuth], 2100)
    }

    fn issue_for(
        &self,
        name: DistinguishedName,
        purposes: Vec<ExtendedKeyUsagePurpose>,
        year: i32,
    ) -> Vec<CertificateDer<'static>> {
        let mut params = CertificateParams::default();
        params.distinguished_name = name;
        params.extended_key_usages = purposes;
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        vec![params.signed_by(&key, &self.0).unwrap().der().clone()]
    }
}

fn named(name: &str, organizations: &[&str]) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    for organization in organizations {
        subject.push(DnType::OrganizationName, *organization);
    }
    if !name.is_empty() {
        subject.push(DnType::CommonName, name);
    }
    subject
}

fn headers(lines: &str) -> HeaderMap {
    fuzzing::headers(lines.as_bytes())
}

fn settings() -> Settings {
    Settings {
        token_file: Some(TokenFile::read(b"t1,ann,u1,\"devs\"\n").unwrap()),
        audiences: vec!["api".into()],
        anonymous: true,
        ..Settings::default()
    }
}

fn says(authenticator: &Authenticator, shown: &Shown, lines: &str) -> Result<String, String> {
    let known = authenticator.authenticate(shown, &headers(lines), NOW);
    let known = known.map_err(|error| error.to_string())?;
    Ok(format!("{} {:?}", known.user.name, known.user.groups))
}

#[test]
fn certificates_name_users_and_groups() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let authenticator = Authenticator::new(Settings {
        client_ca: Some(ca.authorities()),
        ..settings()
    });
    let with = |chain: &[CertificateDer<'_>], lines: &str| {
        says(&authenticator, &authenticator.shown(chain, NOW), lines)
    };
    let admin = ca.issue(named("admin", &["system:masters"]));
    let known = r#"admin ["system:masters", "system:authenticated"]"#;
    assert_eq!(with(&admin, "").unwrap(), known);
    // The certificate comes before the token.
    assert_eq!(with(&admin, "authorization: Bearer t1").unwrap(), known);
    let id = Subject::read(&admin[0]).unwrap().user.unwrap().extra;
    assert!(id[CREDENTIAL_ID][0].starts_with("X509SHA256=") && id[CREDENTIAL_ID][0].len() == 75);

    let foreign = other.issue(named("admin", &["system:masters"]));
    let server = ca.issue_for(
        named("admin", &[]),
        vec![ExtendedKeyUsagePurpose::ServerAuth],
        2100,
    );
    let old = ca.issue_for(
        named("admin", &[]),
        vec![ExtendedKeyUsagePurpose::ClientAuth],
        2001,
    );
    for chain in [foreign, server, old] {
        assert_eq!(
            with(&chain, "").unwrap_err(),
            "verifying certificate failed"
        );
        let ann = r#"ann ["devs", "system:authenticated"]"#;
        assert_eq!(with(&chain, "authorization: Bearer t1").unwrap(), ann);
    }
    let nameless = ca.issue(named("", &["system:masters"]));
    assert_eq!(
        with(&nameless, "").unwrap(),
        r#"system:anonymous ["system:unauthenticated"]"#
    );
    // A connection outlives its certificate.
    let shown = authenticator.shown(&admin, NOW);
    let later = Duration::from_secs(5_000_000_000);
    assert!(
        authenticator
            .authenticate(&shown, &HeaderMap::new(), later)
            .is_err()
    );
}

#[test]
fn a_front_proxy_speaks_for_others_and_nobody_else_does() {
    let (ca, front) = (Ca::new("ca"), Ca::new("front"));
    let authenticator = Authenticator::new(Settings {
        client_ca: Some(ca.authorities()),
        front_proxy: Some(FrontProxy {
            authorities: front.authorities(),
            names: vec!["front-proxy-client".into()],
            headers: HeaderNames {
                user: vec!["X-Remote-User".into()],
                group: vec!["X-Remote-Group".into()],
                ..HeaderNames::default()
            },
        }),
        ..settings()
    });
    let with = |chain: &[CertificateDer<'_>], lines: &str| {
        says(&authenticator, &authenticator.shown(chain, NOW), lines)
    };
    let lines = "x-remote-user: bob\nx-remote-group: devs";
    let proxy = front.issue(named("front-proxy-client", &["system:masters"]));
    assert_eq!(
        with(&proxy, lines).unwrap(),
        r#"bob ["devs", "system:authenticated"]"#
    );
    // By itself it is nobody: the clients' authority does not know it.
    assert!(with(&proxy, "").is_err());
    assert!(with(&front.issue(named("other", &[])), lines).is_err());
    let client = ca.issue(named("front-proxy-client", &[]));
    let itself = r#"front-proxy-client ["system:authenticated"]"#;
    assert_eq!(with(&client, lines).unwrap(), itself);
    assert!(with(&[], lines).unwrap().starts_with("system:anonymous"));
}

#[test]
fn tokens_and_nobody() {
    let authenticator = Authenticator::new(settings());
    let with = |lines: &str| says(&authenticator, &Shown::default(), lines);
    assert_eq!(
        with("authorization: bearer t1").unwrap(),
        r#"ann ["devs", "system:authenticated"]"#
    );
    assert_eq!(
        with("authorization: Bearer t2").unwrap_err(),
        "invalid bearer token"
    );
    for lines in ["", "authorization: Basic t1", "authorization: Bearer"] {
        assert_eq!(
            with(lines).unwrap(),
            r#"system:anonymous ["system:unauthenticated"]"#
        );
    }
    let socket = "connection: Upgrade\nupgrade: websocket\nsec-websocket-protocol: v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.dDE";
    assert!(with(socket).unwrap().starts_with("ann"));
    assert!(
        with(&socket.replace("websocket\n", "h2c\n"))
            .unwrap()
            .starts_with("system:anonymous")
    );
    let closed = Authenticator::new(Settings {
        anonymous: false,
        ..settings()
    });
    assert!(says(&closed, &Shown::default(), "").is_err());
    let long = "x".repeat(headers::MAX_TOKEN + 1);
    assert!(with(&format!("authorization: Bearer {long}")).is_err());
}

#[test]
fn a_review_is_for_audiences() {
    let authenticator = Authenticator::new(settings());
    let review = |token: &str, audiences: &[&str]| {
        let audiences: Vec<_> = audiences.iter().map(|&one| one.to_owned()).collect();
        authenticator.review(token, &audiences, NOW)
    };
    let known = review("t1", &[]).unwrap();
    assert_eq!(
        (&*known.user.uid, known.audiences),
        ("u1", vec!["api".to_owned()])
    );
    assert_eq!(review("t1", &["x", "api"]).unwrap().audiences, ["api"]);
    assert_eq!(
        review("t1", &["x"]).unwrap_err().to_string(),
        "invalid bearer token"
    );
}

proptest! {
    #[test]
    fn any_headers_are_read(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzzing::credentials(&data);
        fuzzing::client_certificate(&data);
    }

    #[test]
    fn protocols_are_read(protocols in "(base64url\\.bearer\\.authorization\\.k8s\\.io\\.[a-zA-Z_=]{0,5}|[a-z, ]{0,5}){0,4}") {
        fuzzing::credentials(format!("sec-websocket-protocol:{protocols}").as_bytes());
    }
}
