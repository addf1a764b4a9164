//! The steps of the demo: from the first account to two isolated organizations.

use reqwest::Method;
use serde_json::{Value, json};

use super::transcript::Transcript;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

const PASSWORD: &str = "correct horse battery staple";

/// Runs all steps. Fails at the first unexpected reply.
pub async fn play(t: &mut Transcript) -> Outcome {
    t.step("Check that the server is ready")?;
    t.system("/health/ready").expect(200).await?;

    t.step("Ada registers on the platform and signs in")?;
    register(t, "ada@example.com", None).await?;
    let ada = log_in(t, "ada@example.com", None).await?;
    let platform = text(&ada, "access_token")?;

    t.step("Ada creates two organizations. Each one is a tenant with its own storage")?;
    let acme = organization(t, &platform, "Acme").await?;
    let globex = organization(t, &platform, "Globex").await?;
    t.call(Method::GET, "/organizations/me").token(&platform).expect(200).await?;
    t.call(Method::GET, &format!("/organizations/{acme}")).token(&platform).expect(200).await?;

    t.step("Bob registers in Acme (named by its slug). Another user registers in Globex (named by its id) with the same e-mail address")?;
    let bob = register(t, "bob@example.com", Some("acme")).await?;
    let other = register(t, "bob@example.com", Some(&globex)).await?;
    differ(&bob["id"], &other["id"])?;

    t.step("Bob signs in to Acme, reads his profile and changes it")?;
    let bob = log_in(t, "bob@example.com", Some("acme")).await?;
    let (access, refresh) = (text(&bob, "access_token")?, text(&bob, "refresh_token")?);
    t.call(Method::GET, "/users/me").token(&access).tenant("acme").expect(200).await?;
    let profile = json!({"full_name": "Bob Martin", "metadata": {"theme": "dark"}});
    t.call(Method::PUT, "/users/me").token(&access).json(profile).expect(200).await?;

    t.step("Bob exchanges his refresh token for new tokens. A refresh token works once: the second exchange is refused")?;
    let exchange = json!({"refresh_token": refresh});
    let bob = t.call(Method::POST, "/auth/refresh").json(exchange.clone()).expect(200).await?;
    let access = text(&bob, "access_token")?;
    t.call(Method::POST, "/auth/refresh").json(exchange).refused(401, "invalid_refresh_token").await?;

    t.step("Ada switches from the platform to Acme, which she owns")?;
    let switch = json!({"tenant": acme});
    let owner = t.call(Method::POST, "/auth/switch").token(&platform).json(switch).expect(200).await?;
    let owner_access = text(&owner, "access_token")?;
    t.call(Method::GET, "/users/me").token(&owner_access).expect(200).await?;

    refusals(t, &platform, &access, &globex).await?;

    t.step("Bob signs out. His access token stops working at once")?;
    t.call(Method::POST, "/auth/logout").token(&access).expect(204).await?;
    t.call(Method::GET, "/users/me").token(&access).refused(401, "invalid_token").await
}

async fn refusals(t: &mut Transcript, platform: &str, bob: &str, globex: &str) -> Outcome {
    t.step("Bob's token is for Acme. Globex refuses it, and the reply does not show whether Globex exists")?;
    t.call(Method::GET, "/users/me").token(bob).tenant(globex).refused(403, "tenant_mismatch").await?;
    t.call(Method::GET, "/users/me")
        .token(bob)
        .tenant("no-such-tenant")
        .refused(403, "tenant_mismatch")
        .await?;
    let path = format!("/organizations/{globex}");
    t.call(Method::GET, &path).token(bob).refused(404, "tenant_not_found").await?;

    t.step("A token for a tenant does not work on the routes of the platform")?;
    let new = json!({"name": "Initech"});
    t.call(Method::POST, "/organizations").token(bob).json(new).refused(403, "wrong_scope").await?;
    t.call(Method::POST, "/auth/switch")
        .token(bob)
        .json(json!({"tenant": "acme"}))
        .refused(403, "wrong_scope")
        .await?;

    t.step("All other errors are problem documents of the same form (RFC 9457)")?;
    t.call(Method::GET, "/users/me").refused(401, "unauthenticated").await?;
    t.call(Method::GET, "/users/me").token("forged").refused(401, "invalid_token").await?;
    let again = credentials("bob@example.com");
    t.call(Method::POST, "/auth/register").tenant("acme").json(again).refused(409, "email_taken").await?;
    let taken = json!({"name": "Acme"});
    t.call(Method::POST, "/organizations").token(platform).json(taken).refused(409, "slug_taken").await?;
    let weak = json!({"email": "eve@example.com", "password": "password1234"});
    t.call(Method::POST, "/auth/register").json(weak).refused(422, "validation_failed").await?;
    let extra = json!({"email": "eve@example.com", "password": PASSWORD, "roles": ["owner"]});
    t.call(Method::POST, "/auth/register").json(extra).refused(422, "validation_failed").await?;
    let unregistered = credentials("eve@example.com");
    t.call(Method::POST, "/auth/login")
        .tenant("nowhere")
        .json(unregistered)
        .refused(404, "tenant_not_found")
        .await?;
    t.call(Method::GET, "/nothing/here").refused(404, "not_found").await
}

async fn register(t: &mut Transcript, email: &str, tenant: Option<&str>) -> Outcome<Value> {
    let call = t.call(Method::POST, "/auth/register").json(credentials(email));
    let call = match tenant {
        Some(tenant) => call.tenant(tenant),
        None => call,
    };
    call.expect(201).await
}

async fn log_in(t: &mut Transcript, email: &str, tenant: Option<&str>) -> Outcome<Value> {
    let call = t.call(Method::POST, "/auth/login").json(credentials(email));
    let call = match tenant {
        Some(tenant) => call.tenant(tenant),
        None => call,
    };
    call.expect(200).await
}

async fn organization(t: &mut Transcript, token: &str, name: &str) -> Outcome<String> {
    let created =
        t.call(Method::POST, "/organizations").token(token).json(json!({"name": name})).expect(201).await?;
    text(&created, "id")
}

fn credentials(email: &str) -> Value {
    json!({"email": email, "password": PASSWORD})
}

fn text(value: &Value, field: &str) -> Outcome<String> {
    value[field].as_str().map(str::to_owned).ok_or_else(|| format!("the reply has no {field}").into())
}

fn differ(one: &Value, other: &Value) -> Outcome {
    if one == other {
        return Err(format!("two users have the same id, {one}").into());
    }
    Ok(())
}
