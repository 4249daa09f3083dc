//! Certificates of the tests, made by openssl.

use std::path::Path;
use std::process::Command;

/// Makes in a folder a certificate authority, another one, and certificates signed by the first: one for loopback,
/// and one of a client.
pub(crate) fn certificates(dir: &Path) {
    let openssl = |arguments: &str| {
        let run = Command::new("openssl").args(arguments.split_whitespace()).current_dir(dir).output();
        let output = run.expect("openssl is missing: apt-get install openssl");
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    for (name, subject) in [("ca", "/CN=test-ca"), ("other", "/CN=other-ca")] {
        openssl(&format!("req -x509 {key} -keyout {name}.key -out {name}.pem -subj {subject}"));
    }
    for (name, subject) in [("server", "/CN=localhost"), ("client", "/CN=watchpost")] {
        openssl(&format!(
            "req -x509 {key} -keyout {name}.key -out {name}.pem -subj {subject} -CA ca.pem -CAkey ca.key \
             -addext subjectAltName=IP:127.0.0.1,DNS:localhost -addext basicConstraints=critical,CA:FALSE"
        ));
    }
}
