use proptest::prelude::*;

use super::*;

const NOW: Duration = Duration::from_secs(1_800_000_000);
const TTL: Duration = Duration::from_secs(600);

/// Keys made with OpenSSL, and tokens that it signed: user `ann` at revision 7 until the year 2100.
macro_rules! made {
    ($name:literal) => {
        include_bytes!(concat!("testdata/", $name))
    };
}

fn jwt(method: &str, public: Option<&[u8]>, private: Option<&[u8]>) -> Result<Jwt, JwtError> {
    Jwt::new(&JwtSettings {
        method: method.into(),
        public_key: public.map(<[u8]>::to_vec),
        private_key: private.map(<[u8]>::to_vec),
        ttl: TTL,
    })
}

fn ann() -> Statement {
    Statement {
        user: "ann".into(),
        revision: 7,
    }
}

/// A key in every form that is read.
type Forms = Vec<&'static [u8]>;

/// Methods with their private and public keys.
fn pairs() -> Vec<(&'static str, Forms, Forms)> {
    let rsa: Forms = vec![made!("rsa.pkcs8.pem"), made!("rsa.pkcs1.pem")];
    let rsa_public: Forms = vec![made!("rsa.pub.pem"), made!("rsa.cert.pem")];
    let methods = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
    let mut pairs: Vec<_> = methods
        .map(|method| (method, rsa.clone(), rsa_public.clone()))
        .into();
    pairs.push((
        "ES256",
        vec![made!("p256.sec1.pem"), made!("p256.pkcs8.pem")],
        vec![made!("p256.pub.pem")],
    ));
    pairs.push((
        "ES384",
        vec![made!("p384.sec1.pem")],
        vec![made!("p384.pub.pem")],
    ));
    pairs.push((
        "EdDSA",
        vec![made!("ed25519.pkcs8.pem")],
        vec![made!("ed25519.pub.pem")],
    ));
    pairs
}

#[test]
fn every_method_signs_what_the_public_key_confirms() {
    for (method, privates, publics) in pairs() {
        for private in privates {
            for public in &publics {
                let signer = jwt(method, Some(public), Some(private)).unwrap();
                let token = signer.sign(&ann(), NOW).unwrap();
                assert_eq!(signer.verify(&token, NOW), Some(ann()), "{method}");
                let checker = jwt(method, Some(public), None).unwrap();
                assert_eq!(checker.verify(&token, NOW), Some(ann()), "{method}");
                assert_eq!(checker.sign(&ann(), NOW), Err(AuthError::VerifyOnly));
            }
            let alone = jwt(method, None, Some(private)).unwrap();
            let token = alone.sign(&ann(), NOW).unwrap();
            assert_eq!(alone.verify(&token, NOW), Some(ann()), "{method}");
        }
    }
    for method in ["HS256", "HS384", "HS512"] {
        let both = jwt(method, None, Some(b"a secret")).unwrap();
        let token = both.sign(&ann(), NOW).unwrap();
        assert_eq!(both.verify(&token, NOW), Some(ann()));
        let other = jwt(method, None, Some(b"another")).unwrap();
        assert_eq!(other.verify(&token, NOW), None);
    }
}

#[test]
fn tokens_of_another_maker_are_read() {
    let text = |token: &'static [u8]| std::str::from_utf8(token).unwrap();
    let rsa = Some(&made!("rsa.pub.pem")[..]);
    for (method, public, private, token) in [
        ("RS256", rsa, None, text(made!("rs256.token"))),
        ("PS256", rsa, None, text(made!("ps256.token"))),
        (
            "EdDSA",
            Some(&made!("ed25519.pub.pem")[..]),
            None,
            text(made!("eddsa.token")),
        ),
        (
            "HS256",
            None,
            Some(&b"a secret"[..]),
            text(made!("hs256.token")),
        ),
    ] {
        let jwt = jwt(method, public, private).unwrap();
        assert_eq!(jwt.verify(token, NOW), Some(ann()), "{method}");
        let year_2100 = Duration::from_secs(4_102_444_800);
        assert_eq!(jwt.verify(token, year_2100), None, "{method}");
    }
}

#[test]
fn a_token_holds_until_its_end() {
    let jwt = jwt("EdDSA", None, Some(made!("ed25519.pkcs8.pem"))).unwrap();
    let token = jwt.sign(&ann(), NOW).unwrap();
    let second = Duration::from_secs(1);
    assert_eq!(jwt.verify(&token, NOW + TTL - second), Some(ann()));
    assert_eq!(jwt.verify(&token, NOW + TTL), None);
}

#[test]
fn keys_that_do_not_fit_are_refused() {
    let missing = |method| jwt(method, None, None).unwrap_err();
    for method in ["RS256", "ES256", "EdDSA", "HS256"] {
        assert_eq!(missing(method), JwtError::MissingKey, "{method}");
    }
    assert_eq!(
        jwt("HS256", Some(b"x"), None).unwrap_err(),
        JwtError::MissingKey
    );
    for method in ["", "none", "RS1", "ES512", "rs256"] {
        let refused = missing(method).to_string();
        assert!(
            refused.contains("auth: invalid auth signature method"),
            "{refused}"
        );
        assert!(refused.contains("RS256"), "{refused}");
    }
    let mismatch = jwt(
        "ES256",
        Some(made!("p256.pub.pem")),
        Some(made!("p256.sec1.pem")),
    );
    assert!(mismatch.is_ok());
    let other = ring::signature::EcdsaKeyPair::generate_pkcs8(
        &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        &ring::rand::SystemRandom::new(),
    );
    let body = base64::engine::general_purpose::STANDARD.encode(other.unwrap().as_ref());
    let other = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    let mismatch = jwt("ES256", Some(made!("p256.pub.pem")), Some(other.as_bytes()));
    assert_eq!(mismatch.unwrap_err(), JwtError::KeyMismatch);
    for (method, public, private) in [
        ("RS256", Some(&made!("p256.pub.pem")[..]), None),
        ("ES256", Some(&made!("p384.pub.pem")[..]), None),
        ("ES384", Some(&made!("p256.pub.pem")[..]), None),
        ("EdDSA", Some(&made!("rsa.cert.pem")[..]), None),
        ("ES256", Some(&b"no key"[..]), None),
        ("RS256", None, Some(&made!("p256.sec1.pem")[..])),
        ("ES256", None, Some(&made!("p384.sec1.pem")[..])),
        ("EdDSA", None, Some(&made!("rsa.pkcs8.pem")[..])),
        ("EdDSA", None, Some(&b"no key"[..])),
    ] {
        let refused = jwt(method, public, private).unwrap_err();
        assert!(
            matches!(refused, JwtError::Key { .. }),
            "{method}: {refused}"
        );
    }
}

#[test]
fn what_is_signed_must_still_make_sense() {
    let jwt = jwt("HS256", None, Some(b"a secret")).unwrap();
    let good = r#"{"alg":"HS256"}"#;
    let read = |header: &str, claims: &str| {
        let token = jwt.signed(header.as_bytes(), claims.as_bytes());
        jwt.verify(&token.unwrap(), NOW)
    };
    // Go writes large numbers as floating point.
    for claims in [
        r#"{"username":"ann","revision":7}"#,
        r#"{"username":"ann","revision":7.0,"exp":1.9e9,"more":[1]}"#,
        r#"{"username":"ann","revision":7,"nbf":1,"iat":99999999999}"#,
    ] {
        assert_eq!(read(good, claims), Some(ann()), "{claims}");
    }
    for claims in [
        r#"{"revision":7}"#,
        r#"{"username":"ann"}"#,
        r#"{"username":1,"revision":7}"#,
        r#"{"username":"ann","revision":"7"}"#,
        r#"{"username":"ann","revision":7,"exp":1}"#,
        r#"{"username":"ann","revision":7,"nbf":1.9e9}"#,
        r#"{"username":"ann","revision":7,"exp":"later"}"#,
        "[]",
        "",
    ] {
        assert_eq!(read(good, claims), None, "{claims}");
    }
    let claims = r#"{"username":"ann","revision":7}"#;
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"HS512"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":"HS256","crit":["b64"]}"#,
        "{}",
        "",
    ] {
        assert_eq!(read(header, claims), None, "{header}");
    }
    let negative = read(good, r#"{"username":"ann","revision":-7}"#).unwrap();
    assert_eq!(negative.revision, 0);
}

/// The public key as the secret of another method: the oldest trick.
#[test]
fn a_public_key_is_no_secret() {
    let checker = jwt("RS256", Some(made!("rsa.pub.pem")), None).unwrap();
    let forger = jwt("HS256", None, Some(made!("rsa.pub.pem"))).unwrap();
    let forged = forger.sign(&ann(), NOW).unwrap();
    assert_eq!(checker.verify(&forged, NOW), None);
    let claims = r#"{"username":"root","revision":9}"#;
    let renamed = forger.signed(br#"{"alg":"RS256"}"#, claims.as_bytes());
    assert_eq!(checker.verify(&renamed.unwrap(), NOW), None);
    let unsigned = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#),
        URL_SAFE_NO_PAD.encode(claims)
    );
    assert_eq!(checker.verify(&unsigned, NOW), None);
}

#[test]
fn nothing_shows_a_key() {
    let jwt = jwt("HS256", None, Some(b"a secret")).unwrap();
    let shown = format!("{jwt:?}");
    assert!(
        shown.contains("HS256") && !shown.contains("secret"),
        "{shown}"
    );
}

proptest! {
    #[test]
    fn a_token_that_was_touched_is_none(at in 0_usize..444, to in "[A-Za-z0-9_.-]") {
        let token = std::str::from_utf8(made!("rs256.token")).unwrap();
        let jwt = jwt("RS256", Some(made!("rsa.pub.pem")), None).unwrap();
        let mut touched = token.to_owned();
        touched.replace_range(at..=at, &to);
        // The last letter of a part has bits that mean nothing, and must be zero.
        let expected = (touched == token).then(ann);
        prop_assert_eq!(jwt.verify(&touched, NOW), expected);
    }

    #[test]
    fn any_text_is_refused(text: String) {
        let jwt = jwt("EdDSA", Some(made!("ed25519.pub.pem")), None).unwrap();
        prop_assert_eq!(jwt.verify(&text, NOW), None);
    }
}
