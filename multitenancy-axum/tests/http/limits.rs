//! E19: what a request may take, over a socket.

use multitenancy_axum::RequestLayer;

use crate::support::{Wire, World};

async fn world() -> (World, Wire) {
    let world = World::new().await;
    let wire = Wire::serve(world.api.router.clone()).await;
    (world, wire)
}

#[track_caller]
fn assert_problem(answer: &str, status: u16, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains("content-type: application/problem+json"), "{answer}");
    assert!(
        answer.contains(&format!("\"code\":\"{code}\"")) && answer.contains("x-request-id: "),
        "{answer}"
    );
}

#[tokio::test]
async fn e19_headers_are_bounded() {
    let (_world, wire) = world().await;
    const LINE: &str = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n";
    let ask = async |headers: String| wire.exchange(format!("{LINE}{headers}"), "").await;
    // What the helper sends besides, and the name of the header.
    let rest = "hostlocalhostcontent-length0connectionclosex-a".len();
    let longest = RequestLayer::MAX_HEADER_BYTES - rest;
    assert!(ask(format!("X-A: {}\r\n", "x".repeat(longest))).await.starts_with("HTTP/1.1 200 "));
    let answer = ask(format!("X-A: {}\r\n", "x".repeat(longest + 1))).await;
    assert_problem(&answer, 431, "headers_too_large");
    assert_problem(&ask(format!("X-A: {}\r\n", "x".repeat(100_000))).await, 431, "headers_too_large");
    assert_problem(&ask(format!("Cookie: {}\r\n", "a=b; ".repeat(4_000))).await, 431, "headers_too_large");
    let many: String = (0..40).map(|index| format!("X-{index}: {}\r\n", "x".repeat(500))).collect();
    assert_problem(&ask(many).await, 431, "headers_too_large");
}

#[tokio::test]
async fn e19_request_target_is_bounded() {
    let (_world, wire) = world().await;
    let ask =
        async |target: &str| wire.exchange(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n"), "").await;
    let fill = "x".repeat(RequestLayer::MAX_URI_BYTES - "/health/live?".len());
    assert!(ask(&format!("/health/live?{fill}")).await.starts_with("HTTP/1.1 200 "));
    for target in [format!("/health/live?{fill}x"), format!("/{}", "y".repeat(60_000))] {
        let answer = ask(&target).await;
        assert_problem(&answer, 414, "uri_too_long");
        assert!(answer.len() < 2_000, "the address is not repeated");
    }
}

#[tokio::test]
async fn e19_body_depth_is_bounded_on_the_wire() {
    let (world, wire) = world().await;
    let put = async |depth: usize| {
        // Within the body and `metadata`.
        let inner = depth - 2;
        let body = format!("{{\"metadata\": {{\"a\": {}{}}}}}", "[".repeat(inner), "]".repeat(inner));
        let head = "PUT /api/v1/users/me HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
        wire.exchange(format!("{head}Authorization: Bearer {}\r\n", world.ada.access), &body).await
    };
    assert!(put(127).await.starts_with("HTTP/1.1 200 "));
    for depth in [128, 129, 1_000, 30_000] {
        assert_problem(&put(depth).await, 400, "malformed_json");
    }
}

/// Traversal, encoded slashes and overlong UTF-8 lead nowhere.
#[tokio::test]
async fn e19_path_has_one_spelling() {
    let (world, wire) = world().await;
    let token = format!("Authorization: Bearer {}\r\n", world.ada.access);
    let ask = async |target: &[u8]| {
        let mut head = b"GET ".to_vec();
        head.extend(target);
        head.extend(format!(" HTTP/1.1\r\nHost: localhost\r\n{token}").as_bytes());
        wire.exchange(head, "").await
    };
    assert!(ask(b"/api/v1/users/me").await.starts_with("HTTP/1.1 200 "), "the control");
    let targets: [&[u8]; 22] = [
        b"/api/v1/../v1/users/me",
        b"/api/v1/./users/me",
        b"/api/v1/organizations/../users/me",
        b"/api/v1/users/%6d%65/../me",
        b"/api/v1/organizations/..",
        b"/api/v1/organizations/%2e%2e",
        b"/api/v1/organizations/..%2fusers%2fme",
        b"/api/v1/organizations/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        b"/api/v1/organizations/..%5c..%5cwindows",
        b"/api/v1%2fusers%2fme",
        b"/api%2fv1/users/me",
        b"/api/v1/users%2fme",
        b"/api/v1/users%252fme",
        b"/api/v1/users//me",
        b"//api/v1/users/me",
        b"/api/v1/users/me/",
        b"/api/v1/organizations/%c0%ae%c0%ae%c0%af",
        b"/api/v1/users%c0%afme",
        b"/api/v1/organizations/%e0%80%af",
        b"/api/v1/organizations/%ff%fe",
        b"/api/v1/users\xc0\xafme",
        b"/docs/..%2f..%2fetc%2fpasswd",
    ];
    for target in targets {
        let answer = ask(target).await;
        let refused = ["HTTP/1.1 404 ", "HTTP/1.1 400 "].iter().any(|line| answer.starts_with(line));
        assert!(refused, "{} {answer}", String::from_utf8_lossy(target));
        assert!(!answer.contains("ada@example.com") && !answer.contains("root:"), "{answer}");
    }
}
