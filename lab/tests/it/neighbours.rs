//! OpenSSL, which knows nothing of us, finds the same fault in each certificate.

use lab::neighbours::nginx;
use lab::{scene, table};
use std::path::Path;

#[tokio::test]
async fn openssl_refuses_each_certificate_for_the_same_reason() {
    if !Path::new("/usr/sbin/nginx").exists() {
        // Nothing to compare with on this machine.
        return;
    }
    let table = [
        ("tls_cert_expired", "10:certificate has expired"),
        ("tls_clock_skew", "9:certificate is not yet valid"),
        ("tls_self_signed", "18:self-signed certificate"),
        // OpenSSL has one word for both.
        ("tls_unknown_ca", "21:unable to verify the first certificate"),
        ("tls_incomplete_chain", "21:unable to verify the first certificate"),
        ("tls_wrong_hostname", "does not match \"orders.internal\""),
        ("tls_ip_without_san", "does not match \"127.0.0.1\""),
        ("tls_version_mismatch", "SSL alert number 70"),
        ("tls_cipher_mismatch", "SSL alert number 40"),
        ("tls_sni_rejected", "SSL alert number 112"),
        ("tls_client_cert_required", "SSL alert number 116"),
    ];
    for (id, reason) in table {
        let scene = scene(id).expect("a scene of this name");
        let playing = scene.start().unwrap();
        let neighbour = nginx(&playing).await.unwrap();
        table::ask(scene.expects, neighbour.listen).await.unwrap();
        assert!(neighbour.said().contains(reason), "{id}: {}", neighbour.said());
    }
}
